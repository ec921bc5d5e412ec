"""What holds for all tests, and what stands in for a program that is not here."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import settings

from seq2seq import experiment
from seq2seq.cli.main import main

Ran: TypeAlias = Callable[..., str]
"""What runs a command line, and returns what it says."""

# A busy machine makes no test fail.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def no_learning_curves() -> Iterator[None]:
    """Draws none: that takes as long as a small training. Who wants one sets it back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "plot_learning_curve", lambda history, path: None)
        yield


def tree() -> set[str]:
    """Returns all files below the current directory but those of a cache."""
    return {str(path) for path in Path().rglob("*") if path.parts[0] != "cache"}


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs a command that must succeed, and may have something to say; returns what it printed."""

    def run(line: str, says: str = "") -> str:
        code, found = main(shlex.split(line)), capsys.readouterr()
        assert code == 0, found.err
        assert says in found.err
        return found.out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Ran:
    """Runs a command that must fail with one line, leaving nothing; returns that line."""

    def run(line: str, code: int = 2) -> str:
        before = tree()
        assert main(shlex.split(line)) == code
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        *_, last = found.err.splitlines()
        assert last.startswith("seq2seq: ")
        assert tree() == before
        return last.removeprefix("seq2seq: ")

    return run


COMET = f"""#!{sys.executable} -SE
import json, sys
words = dict(zip(sys.argv[1:], sys.argv[2:]))
sides = [open(words["--" + name], encoding="utf-8").read().split("\\n")[:-1]
         for name in ("sources", "translations", "references")]
if "fail" in sides[1]:
    sys.exit("no such model: " + words["--model"])
assert len({{len(side) for side in sides}}) == 1
def score(source, text, reference):
    found, right = set(text.split()), set(reference.split())
    return len(found & right) / (len(found | right) or 1) - (text == source) / 8
rows = [dict(zip(("src", "mt", "ref", "COMET"), (*row, score(*row)))) for row in zip(*sides)]
json.dump({{words["--translations"]: rows}}, open(words["--to_json"], "w"))
"""
"""A command that takes and writes what COMET's does: words in common, and copying is punished."""


@pytest.fixture(scope="session")
def comet_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("comet") / "comet-score"
    path.write_text(COMET, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def comet(comet_command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a stand-in where COMET's command is looked for."""
    monkeypatch.setenv("COMET_SCORE", str(comet_command))
