"""The checks of a GPU: all of them on one, where there is one, and their short form everywhere."""

import argparse
import faulthandler
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.gpu import __main__ as script
from tests.gpu.__main__ import all_cases
from tests.gpu.case import Case, Figures, Setting, error, largest, near
from tests.structure import ROOT

CUDA = Setting(device=torch.device("cuda"), short=True)
CPU = Setting(device=torch.device("cpu"), short=True)
MEASURED = ("card", "training speed", "search speed", "generation speed", "recipe")
CHECKS = [case for case in all_cases(CUDA) if case.part not in MEASURED]
SLOW = {"memory", "replayed updates", "learning", "training speed"}
"""What takes most of the time on a processor; `make drill` tries all."""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("case", CHECKS, ids=[f"{case.part}: {case.name}" for case in CHECKS])
def test_the_gpu(case: Case) -> None:
    case.run(CUDA)


def test_the_short_form_holds_on_a_processor(tmp_path: Path) -> None:
    path = tmp_path / "checks.json"
    cases = [case for case in all_cases(CPU) if case.part not in SLOW]
    parts = dict.fromkeys(case.part for case in cases)
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu", *parts, "--cpu", "--json", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(path.read_text())["cases"]
    assert [one for one in found if not one["holds"]] == []
    assert len(found) == len(cases)


# --- the script itself


def case(name: str, run: Callable[[Setting], Figures] = lambda setting: {}) -> Case:
    return Case("part", name, run)


def fails(setting: Setting) -> Figures:
    raise ValueError("first line\nsecond line")


def given(path: Path) -> argparse.Namespace:
    return argparse.Namespace(json=path, data=None, recipe_minutes=0.0)


def test_a_failure_is_one_line_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "below" / "checks.json"
    cases = [case("one"), case("two", fails), case("three", lambda setting: near(1e-7, 1e-5))]
    found = script.run(cases, CPU, time.monotonic() + 100, given(path))
    assert [one["holds"] for one in found] == [True, False, True]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "FAILED part: two: ValueError: first line",
        "part: 2 of 3 hold, largest error 1 % of what it may be; 0.0 s",
    ]
    assert json.loads(path.read_text())["cases"] == found
    assert "FAILED part: two: ValueError: first line" in script.tables(found)


def test_what_there_is_no_time_for_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "checks.json"
    found = script.run([case("one")], CPU, time.monotonic() + 1, given(path))
    assert found == [{"part": "part", "name": "one", "holds": None}]
    assert "left out, no time part: one: " in script.tables(found)


def test_where_the_device_is_lost_the_other_parts_get_a_new_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def elsewhere(cases: list[Case], *_: object) -> list[dict[str, object]]:
        asked.extend(cases)
        return [{"part": one.part, "name": one.name, "holds": True, "figures": {}} for one in cases]

    monkeypatch.setattr(script, "lost", lambda device: True)
    monkeypatch.setattr(script, "elsewhere", elsewhere)
    last = Case("other", "four", lambda setting: {})
    cases = [case("one"), case("two", fails), case("three"), last]
    found = script.run(cases, CPU, time.monotonic() + 100, given(tmp_path / "checks.json"))
    assert asked == [last]
    assert [one["name"] for one in found] == ["one", "two", "four"]


def test_the_rest_runs_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(command: list[str], **_: object) -> None:
        assert command[2:5] == ["tests.gpu", "scan", "memory"]
        path = Path(command[command.index("--json") + 1])
        path.write_text(json.dumps({"cases": [{"part": "scan"}]}))

    monkeypatch.setattr(subprocess, "run", started)
    rest = [Case("scan", "a", fails), Case("scan", "b", fails), Case("memory", "c", fails)]
    found = script.elsewhere(rest, time.monotonic() + 100, given(tmp_path / "checks.json"))
    assert found == [{"part": "scan"}]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "error: torch finds no CUDA device; --cpu runs the short form"),
        (["--cpu", "scans"], "error: PART: scans; accepted: layers, attention, "),
    ],
)
def test_what_cannot_run_is_one_line(
    words: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: None)
    assert script.main(words) == 2
    assert capsys.readouterr().err.startswith(text)


# --- what errors are


def test_errors_are_relative_by_norm() -> None:
    expected = torch.tensor([3.0, 4.0])
    assert error(expected + torch.tensor([0.0, 0.5]), expected) == pytest.approx(0.1)
    assert error(torch.zeros(2), torch.zeros(2)) == 0
    pairs = [expected * 1.01, torch.tensor([1e-9, 0.0])], [expected, torch.tensor([0.0, 1e-9])]
    assert largest(*pairs) == pytest.approx(0.01)


@pytest.mark.parametrize("found", [1.1, float("nan"), float("inf")])
def test_an_error_above_its_limit_does_not_hold(found: float) -> None:
    with pytest.raises(AssertionError, match="at most 1 expected"):
        near(found, 1.0)
