"""The tour of the documents is what a batch really goes through."""

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import seq2seq
from seq2seq.training.trainer import Trainer
from tests.structure import PACKAGE

ROOT = Path(__file__).parents[1]
TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| \d+ \| `([\w.]+)` \| ([\w/.]+) \|", TOUR, re.MULTILINE)
PAIRS = [("a b c", "x y"), ("b a", "y x"), ("c", "z"), ("a c b", "x z")]


def entered_by_one_update(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Trains one update and returns the functions entered on the way, by name and file."""
    entered: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            entered.append((frame.f_code.co_qualname, str(path.relative_to(PACKAGE))))

    fit, update = Trainer.fit, Trainer.update

    def watched(trainer: Trainer[Any], *arguments: Any) -> None:
        sys.setprofile(note)
        fit(trainer, *arguments)

    def last_watched(trainer: Trainer[Any], group: list[Any]) -> None:
        update(trainer, group)
        sys.setprofile(None)

    monkeypatch.setattr(Trainer, "fit", watched)
    monkeypatch.setattr(Trainer, "update", last_watched)
    config = {
        "folder": str(folder / "run"),
        "data": {"cache": str(folder / "cache")},
        "source": {"tokenizer": "word"},
        "target": {"tokenizer": "word"},
        "model": {
            "embedding_size": 4,
            "encoder": {"hidden_size": 4},
            "decoder": {"hidden_size": 4},
        },
        "train": {"steps": 1, "device": "cpu", "precision": "float32"},
    }
    try:
        seq2seq.train(config, data={"train": PAIRS, "valid": PAIRS})
    finally:
        sys.setprofile(None)
    return entered


def test_a_batch_goes_through_the_functions_of_the_tour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ROWS) == 14
    entered = entered_by_one_update(tmp_path, monkeypatch)
    places = [entered.index(row) for row in ROWS]
    assert places == sorted(places)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\(?((?:\w+/)+\w+\.py)\)?", TOUR))))
def test_the_files_of_the_tour_are_there(path: str) -> None:
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), re.findall(r"`([\w.]+)` \(([\w/]+\.py)", TOUR))
def test_what_the_tour_names_stands_where_it_says(name: str, path: str) -> None:
    *owner, function = name.split(".")
    text = (PACKAGE / path).read_text(encoding="utf-8")
    assert re.search(rf"^\s*(def|class) {function}\b", text, re.MULTILINE), name
    assert all(f"class {cls}" in text for cls in owner)
