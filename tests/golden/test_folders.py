"""Runs that were trained once, with checkpoint format 1: they load and say the same for ever.

See ``make.py`` beside this file. Texts are equal to the letter; scores, whose last digits depend on
the processor, to 1e-4.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq.cli import main
from tests.golden.make import CONFIGS, HERE, data, said

RECORD = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(params=CONFIGS)
def task(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def folder(task: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "folders" / task, tmp_path / "run"))


def alike(found: Any, expected: Any) -> bool:
    """Compares texts exactly, and numbers to 1e-4."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            alike(found[key], expected[key]) for key in expected
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    return bool(
        found == (pytest.approx(expected, abs=1e-4) if expected != str(expected) else expected)
    )


def test_old_runs_say_the_same(task: str, folder: Path) -> None:
    found = json.loads(json.dumps(said(folder, task)))
    for asked, expected in RECORD[task].items():
        assert alike(found[asked], expected), (asked, found[asked], expected)
    assert found.keys() == RECORD[task].keys()


def test_old_runs_can_be_told_from_scores(task: str) -> None:
    changed = json.loads(json.dumps(RECORD[task]))
    entry = changed["float32, beam 1" if "float32, beam 1" in changed else "float32, surprisal"]
    entry[0] = ["other"] if isinstance(entry[0], list) else "other"
    assert not alike(RECORD[task], changed)


def test_old_runs_describe_themselves(
    task: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(folder), "--weights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines[:4])
    assert told["task"] == task
    count = int(told["parameters"].replace(",", ""))
    assert count == int(lines[-1].split()[-1].replace(",", "")) > 3000


def test_old_runs_go_on(task: str, folder: Path) -> None:
    steps = CONFIGS[task]["train.steps"]
    places = {"folder": str(folder), "data.cache": str(folder.parent / "cache")}
    config, overrides = {**CONFIGS[task], **places}, {"train.steps": steps + 2}
    run = seq2seq.train(config, overrides, data=data(task))
    history = [row["step"] for row in run.history if "valid_loss" in row]
    assert history[-2:] == [steps, steps + 2]
    losses = [row["valid_loss"] for row in run.history if "valid_loss" in row]
    assert losses[-1] == pytest.approx(losses[-2], rel=0.3)
