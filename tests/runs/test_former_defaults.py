"""Runs that were begun when a key had another default."""

import logging
from pathlib import Path
from typing import Any

import pytest

from seq2seq import config as configuration
from seq2seq.experiment import resolve
from seq2seq.runs.changes import FORMER_DEFAULTS
from seq2seq.runs.folder import PROVENANCE, write_config
from seq2seq.tasks.registry import TASKS


def defaults(task: str) -> dict[str, object]:
    return configuration.flatten(resolve({"task": task}))


CHANGED = [(task, key) for task, former in FORMER_DEFAULTS.items() for key in former]


def begun(folder: Path, task: str, values: dict[str, object]) -> dict[str, Any]:
    folder.mkdir()
    (folder / PROVENANCE).write_text("{}")
    settings = {"task": task, "folder": str(folder)}
    write_config(resolve(settings, values), folder)
    return settings


def test_they_are_keys_of_tasks_and_no_defaults_any_more() -> None:
    assert set(FORMER_DEFAULTS) <= set(TASKS)
    for task, key in CHANGED:
        assert defaults(task)[key] != FORMER_DEFAULTS[task][key]


@pytest.mark.parametrize(("task", "key"), CHANGED)
def test_a_run_goes_on_with_the_default_it_was_begun_with(
    task: str, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = begun(tmp_path / "run", task, {key: FORMER_DEFAULTS[task][key]})
    with caplog.at_level(logging.INFO, logger="seq2seq"):
        config = resolve(settings)
    assert configuration.flatten(config) == {
        **defaults(task),
        key: FORMER_DEFAULTS[task][key],
        "folder": settings["folder"],
    }
    assert caplog.messages == [f"as when the run was begun, since nothing else is said: {key}"]


@pytest.mark.parametrize(("task", "key"), CHANGED)
def test_what_is_said_counts(task: str, key: str, tmp_path: Path) -> None:
    present = defaults(task)[key]
    settings = begun(tmp_path / "run", task, {key: FORMER_DEFAULTS[task][key]})
    assert configuration.flatten(resolve(settings, {key: present}))[key] == present


def test_other_values_are_none_of_a_default(tmp_path: Path) -> None:
    key = "model.encoder.input_dropout"
    settings = begun(tmp_path / "run", "translation", {key: 0.25})
    assert configuration.flatten(resolve(settings))[key] == defaults("translation")[key]
