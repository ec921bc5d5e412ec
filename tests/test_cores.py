"""Threads: how many, fixed when a run begins; and what is said where others have the cores."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq import train
from seq2seq.device import cores
from seq2seq.device.cores import Moment, Watch, now, taken, usable_cores, use_threads
from seq2seq.errors import ConfigError
from seq2seq.tasks.task import Ready
from seq2seq.tasks.translation.material import PairMaterial
from tests.training.test_resume import BASE, PAIRS

NOTHING_ELSE = {"validation.sentences": 0, "train.validate_every": 2}


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 2), ("100000 100000", 1), ("150000 100000", 2), ("5000 100000", 1), ("x", 2)],
)
def test_a_quota_counts_like_a_machine_with_fewer_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    assert usable_cores(tmp_path) == 2
    file = tmp_path / "sys/fs/cgroup/cpu.max"
    file.parent.mkdir(parents=True)
    file.write_text(quota + "\n")
    assert usable_cores(tmp_path) == expected


def test_only_the_cores_of_this_process_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2})
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    assert now(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(
        "cpu  1 1 1 1 1 1 1 1 1 1\n"
        "cpu0 1000 0 0 0 0 0 0 0 0 0\n"
        "cpu1 100 20 30 7777 9999 4 6 5555 0 0\n"
        "cpu2 40 0 0 7777 9999 0 0 5555 0 0\n"
        "intr 5\n"
    )
    moment = now(tmp_path)
    assert moment is not None
    assert moment.busy == pytest.approx(2.0)


def test_what_this_process_uses_is_not_taken_by_others() -> None:
    before = Moment(clock=10.0, busy=50.0, own=5.0)
    assert taken(before, Moment(12.0, 54.0, 7.0)) == pytest.approx(1.0)
    assert taken(before, Moment(12.0, 52.0, 7.1)) == 0.0


@pytest.mark.parametrize(
    ("threads", "others", "told"),
    [(2, 1.0, True), (1, 1.0, False), (2, 0.4, False), (4, 2.0, True), (2, 2.0, False)],
)
def test_a_taken_core_is_told_of_once(
    threads: int,
    others: float,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    count = 2 if others < 2 else 4
    seconds = iter(map(float, range(9)))

    def moment() -> Moment:
        second = next(seconds)
        return Moment(second, second * others, 0.0)

    monkeypatch.setattr(cores, "usable_cores", lambda: count)
    monkeypatch.setattr(cores, "now", moment)
    watch = Watch()
    with caplog.at_level(logging.WARNING):
        watch.look(threads)
        watch.look(threads)
    assert len(caplog.messages) == told
    if told:
        assert f"use {others} of {count} cores, and {threads} threads" in caplog.messages[0]
        assert f"train.threads: {count - int(others)} " in caplog.messages[0]


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux tells")
def test_a_busy_neighbour_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        time.sleep(0.1)
        before = now()
        time.sleep(0.6)
        after = now()
        other.kill()
    assert before is not None
    assert after is not None
    assert taken(before, after) > 0.5


@pytest.mark.parametrize("count", [-1, 1_000_000])
def test_as_many_threads_as_would_stop_the_machine_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"^--threads: must be 0 .* to [0-9]+, got {count}$"):
        use_threads(count, "--threads")


def test_a_quota_limits_what_torch_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setattr(cores, "usable_cores", lambda: 2)
        assert (use_threads(0, "k"), torch.get_num_threads()) == (2, 2)
        assert (use_threads(5, "k"), torch.get_num_threads()) == (5, 5)
    finally:
        torch.set_num_threads(before)


def test_a_run_keeps_the_number_with_which_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sums would have other last bits, and its weights when they are drawn."""
    drawn, ready = list[int](), PairMaterial.ready

    def spy(material: PairMaterial, *given: Any) -> Ready:
        drawn.append(torch.get_num_threads())
        return ready(material, *given)

    monkeypatch.setattr(PairMaterial, "ready", spy)
    begun = {
        **BASE,
        "train.threads": 0,
        "train.epochs": 0,
        **NOTHING_ELSE,
        "folder": str(tmp_path / "run"),
    }
    seen = list[tuple[int, int]]()
    before = torch.get_num_threads()
    try:
        for threads, changed in ((2, {}), (1, {}), (1, {"train.threads": 3})):
            torch.set_num_threads(threads)
            steps = {"train.steps": 2 * len(seen) + 2}
            data = {"train": PAIRS, "valid": PAIRS}
            train({}, {**begun, **changed, **steps, "data.cache": str(tmp_path)}, data=data)
            (latest,) = (tmp_path / f"run/checkpoints/step-{2 * len(seen) + 2:07}").glob("state*")
            told = json.loads(latest.read_text())["threads"]
            seen.append((torch.get_num_threads(), told))
    finally:
        torch.set_num_threads(before)
    assert seen == [(2, 2), (2, 2), (3, 3)]
    assert drawn == [2, 2, 3]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_soon_sleep_unless_the_user_says_otherwise(
    given: dict[str, str], expected: str | None
) -> None:
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    script = "import seq2seq, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{expected}\n"
