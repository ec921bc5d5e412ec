"""A run that is stopped or killed, again and again, ends bit for bit as one that never was."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seq2seq.training.checkpoint import OPTIMIZER, Checkpoints
from tests.run_folders import leftovers, outcome

PAIRS = [(f"satz {n} von {n % 7}", f"sentence {n % 7} {n}") for n in range(24)]
FAILPOINTS = ("after_model_write", "after_optimizer_write", "before_rename", "after_rename")
KILLS = 12
"""In each of two runs; every third of them inside a save."""

Result = dict[str, Any]
Run = Callable[..., Result]
BASE: dict[str, Any] = {
    "data.batch.tokens": 60,
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "model.embedding_size": 8,
    "model.encoder.hidden_size": 8,
    "model.decoder.hidden_size": 8,
    "train.epochs": 2,
    "train.log_every": 3,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sentences": 2,
    "validation.samples": 0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "accumulation, bfloat16, locked dropout": {
        "train.accumulate": 2,
        "train.epochs": 4,
        "train.precision": "bfloat16",
        "train.validate_every": 3,
        "model.encoder.locked_dropout": True,
        "model.decoder.locked_dropout": True,
        "model.word_dropout": 0.1,
    },
    "dropout, plateau": {
        "train.optimizer.schedule.name": "plateau",
        "train.optimizer.schedule.warmup": 2,
    },
}
TEXTS = [f"line {n}: {n * n} and {n % 7}\n" * (1 + n % 3) for n in range(6)]
TEXT_BASE: dict[str, Any] = {
    "task": "language-model",
    "data.batch": {"rows": 2, "steps": 9, "reset": 0.2},
    "model.embedding_size": 8,
    "model.layers": {"hidden_size": 8, "dropout": 0.3, "weight_drop": 0.3, "locked_dropout": True},
    "model.activation": 1.0,
    "train.epochs": 2,
    "train.log_every": 3,
    "train.validate_every": 5,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sample": 5,
}
SERIES = {
    "day": [f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in range(28)],
    "sold": [20.0 + n % 7 + n * n % 11 for n in range(28)],
}
SERIES_BASE: dict[str, Any] = {
    "task": "forecasting",
    "data.valid.last": 8,
    "data.batch.rows": 4,
    "model": {"window": 5, "horizon": 2, "output_dropout": 0.2},
    "model.layers": {"layers": 2, "hidden_size": 8, "dropout": 0.3, "weight_drop": 0.3},
    "train.steps": 6,
    "train.average": 0.8,
    "train.refit": True,
    "train.log_every": 3,
    "train.validate_every": 3,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
}
TRAINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "translation": (BASE, {"train": PAIRS, "valid": PAIRS[:6]}),
    "language-model": (TEXT_BASE, {"train": TEXTS, "valid": TEXTS[:2]}),
    "forecasting": (SERIES_BASE, {"train": SERIES}),
}
"""By task: the configuration and the data of its runs."""


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs one job in a child of a process that has imported everything already."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crash_worker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        pipe, answers = worker.stdin, worker.stdout

        def one(
            folder: Path, settings: dict[str, Any], task: str = "translation", **job: Any
        ) -> Result:
            base, data = TRAINED[task]
            config = {**base, **settings, "folder": str(folder)}
            config["data.cache"] = str(folder.with_name(f"{folder.name}-cache"))
            pipe.write(json.dumps({"config": config, "data": data, **job}) + "\n")
            pipe.flush()
            result: Result = json.loads(answers.readline())
            return result

        yield one
        pipe.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_runs_end_like_one_that_was_not(run: Run, tmp_path: Path, variant: str) -> None:
    settings = VARIANTS[variant]
    reference = run(tmp_path / "reference", settings)
    assert reference["code"] == 0, reference
    expected = outcome(tmp_path / "reference")
    rng = random.Random(variant)
    kills: Counter[str] = Counter()
    mismatches, finished, folder = 0, 0, tmp_path / "0"
    while kills.total() < KILLS or not finished or folder.exists():
        place = FAILPOINTS[kills.total() // 3 % 4] if kills.total() % 3 == 2 else ""
        job: dict[str, Any] = {"environment": {"SEQ_FAILPOINT": place}} if place else {}
        if not place and kills.total() < KILLS:
            job["kill_after"] = reference["seconds"] * rng.uniform(0.1, 0.9)
        result = run(folder, settings, **(job if kills.total() < KILLS else {}))
        assert result["code"] in (0, -signal.SIGKILL), result
        if result["code"]:
            kills[place or "anywhere"] += 1
            continue
        finished += 1
        mismatches += outcome(folder) != expected
        assert leftovers(folder) == []
        folder = tmp_path / str(finished)
    report = f"{variant}: {finished} runs, kills {dict(kills)}, {mismatches} mismatches"
    print(report)
    assert mismatches == 0, report
    assert kills.total() >= KILLS, report
    assert all(kills[place] for place in FAILPOINTS), report


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)]
)
def test_a_signal_stops_a_run_after_a_save(
    run: Run, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    settings = {"model.encoder.locked_dropout": True}
    assert run(tmp_path / "whole", settings)["code"] == 0
    expected = outcome(tmp_path / "whole")
    size = next(row["step"] for row in expected["metrics"] if "valid_loss" in row)
    folder, total = tmp_path / "parts", 0
    # In the middle, at the end of an epoch, in a validation; then at the very first step.
    for place in ({"update": (size - 2, number)}, {"update": (2, number)}):
        result = run(folder, settings, **place)
        assert result["code"] == code
        total += place["update"][0]
        assert result["said"] == (
            f"stopped by {number.name} after saving step-{total:07d}; "
            "run the same command again to go on"
        )
    for place in ({"validation": (1, number)}, {"update": (1, number)}):
        assert run(folder, settings, **place)["code"] == code
    assert run(folder, settings)["code"] == 0
    assert outcome(folder) == expected
    assert leftovers(folder) == []


def test_a_kill_while_a_step_is_saved_once_more_loses_nothing(run: Run, tmp_path: Path) -> None:
    settings = {"train.validate_every": 2}
    assert run(tmp_path / "whole", settings)["code"] == 0
    folder = tmp_path / "killed"
    # Saved by a signal before its validation, the step is saved again after it.
    assert run(folder, settings, update=(2, signal.SIGTERM))["code"] == 143
    killed = run(folder, settings, environment={"SEQ_FAILPOINT": "before_rename"})
    assert killed["code"] == -signal.SIGKILL
    assert Checkpoints(folder / "checkpoints").names() == []
    assert run(folder, settings)["code"] == 0
    log = (folder / "train.log").read_text()
    assert log.count("step-0000002: restored after an interrupted save") == 1
    assert log.count("going on after step-0000002") == 2
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert leftovers(folder) == []


def test_a_second_signal_stops_at_once(run: Run, tmp_path: Path) -> None:
    twice = {"update": (2, signal.SIGTERM), "validation": (1, signal.SIGTERM)}
    result = run(tmp_path / "run", {"train.validate_every": 2}, **twice)
    assert result["code"] == 143


def test_a_run_goes_on_past_damage_to_the_same_end(run: Run, tmp_path: Path) -> None:
    settings = {"train.validate_every": 2}
    assert run(tmp_path / "whole", settings)["code"] == 0
    folder = tmp_path / "damaged"
    assert run(folder, settings)["code"] == 0
    newest = Checkpoints(folder / "checkpoints").names()[0]
    path = folder / "checkpoints" / newest / OPTIMIZER
    path.write_bytes(path.read_bytes()[:-20])
    assert run(folder, settings)["code"] == 0
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert leftovers(folder) == []


def test_runs_with_subword_sampling_are_repeatable(run: Run, tmp_path: Path) -> None:
    sides = ("source", "target")
    settings: dict[str, Any] = {"source.tokenizer": "unigram", "target.tokenizer": "bpe"}
    settings |= {f"{side}.vocab_size": 300 for side in sides}
    settings |= {f"{side}.sampling": 0.3 for side in sides}
    assert run(tmp_path / "whole", settings)["code"] == 0
    assert run(tmp_path / "parts", settings, update=(3, signal.SIGTERM))["code"] == 143
    assert run(tmp_path / "parts", settings)["code"] == 0
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("settings", [{}, {"train.average": 0.9, "train.accumulate": 2}])
def test_a_language_model_goes_on_with_its_state_and_its_average(
    run: Run, tmp_path: Path, settings: dict[str, Any]
) -> None:
    assert run(tmp_path / "whole", settings, "language-model")["code"] == 0
    folder = tmp_path / "parts"
    for code, job in (
        (143, {"update": (3, signal.SIGTERM)}),
        (-signal.SIGKILL, {"update": (4, signal.SIGKILL)}),
        (-signal.SIGKILL, {"environment": {"SEQ_FAILPOINT": "before_rename"}}),
        (143, {"update": (4, signal.SIGTERM)}),
        (143, {"validation": (1, signal.SIGTERM)}),
        (0, {}),
    ):
        assert run(folder, settings, "language-model", **job)["code"] == code
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert leftovers(folder) == []


@pytest.mark.parametrize("task", ["translation", "language-model"])
def test_a_run_needs_the_one_it_began_from_until_there_is_a_checkpoint(
    run: Run, tmp_path: Path, task: str
) -> None:
    earlier, folder = tmp_path / "earlier", tmp_path / "parts"
    assert run(earlier, {"train.freeze": ["*bias"]}, task)["code"] == 0
    settings = {
        "train.start": str(earlier),
        "train.start_vocabulary": "grown",
        "train.start_optimizer": "kept",
        "train.freeze": ["*input.weight"],
        "train.average": 0.9,
    }
    assert run(tmp_path / "whole", settings, task)["code"] == 0
    assert run(folder, settings, task, update=(1, signal.SIGKILL))["code"] == -signal.SIGKILL
    unsaved = {"environment": {"SEQ_FAILPOINT": "before_rename"}}
    assert run(folder, settings, task, **unsaved)["code"] == -signal.SIGKILL
    assert run(folder, settings, task, update=(2, signal.SIGTERM))["code"] == 143
    shutil.rmtree(earlier)
    assert run(folder, settings, task, update=(1, signal.SIGKILL))["code"] == -signal.SIGKILL
    assert run(folder, settings, task)["code"] == 0
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert leftovers(folder) == []


def test_a_forecaster_that_is_stopped_at_every_step_ends_as_one_that_was_not(
    run: Run, tmp_path: Path
) -> None:
    assert run(tmp_path / "whole", {}, "forecasting")["code"] == 0
    expected, folder, stops = outcome(tmp_path / "whole"), tmp_path / "parts", 0
    assert any(name.startswith("calibration/") for name in expected)
    (again,) = (name for name in expected if name.startswith("refit/"))
    while (code := run(folder, {}, "forecasting", update=(1, signal.SIGTERM))["code"]) == 143:
        stops += 1
    assert code == 0
    assert stops == expected["state"]["step"] + expected[again]["state"]["step"]
    assert outcome(folder) == expected
    assert leftovers(folder) == []


def test_a_forecaster_that_is_killed_while_it_calibrates_or_is_fitted_again(
    run: Run, tmp_path: Path
) -> None:
    assert run(tmp_path / "whole", {}, "forecasting")["code"] == 0
    folder = tmp_path / "killed"
    for job in (
        {"calibration": (1, signal.SIGKILL)},
        {"again": (1, signal.SIGKILL)},
        {"update": (2, signal.SIGKILL)},
        {"environment": {"SEQ_FAILPOINT": "before_rename"}},
        {"environment": {"SEQ_FAILPOINT": "after_rename"}},
    ):
        assert run(folder, {}, "forecasting", **job)["code"] == -signal.SIGKILL
    assert run(folder, {}, "forecasting")["code"] == 0
    assert outcome(folder) == outcome(tmp_path / "whole")
    assert leftovers(folder) == []
