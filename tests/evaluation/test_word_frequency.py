"""Words by how often they stand in training texts, counted one by one."""

import random
from collections import Counter
from pathlib import Path

import pytest

from seq2seq.errors import StorageError
from seq2seq.evaluation.analysis import Curves, Line, Scoring, by_length
from seq2seq.evaluation.plots.curves import plot_curves
from seq2seq.evaluation.word_frequency import by_frequency, words_of
from tests.evaluation.test_plots import size_of_png

GROUPS = {"0": (0, 0), "1": (1, 1), "2-5": (2, 5), "6-10": (6, 10), "11-100": (11, 100)}
TIMES = Counter({"a": 100, "b": 11, "c": 10, "d": 5, "e": 2, "f": 1})


def lines(seed: int) -> list[Line]:
    numbers = random.Random(seed)
    texts = [[" ".join(numbers.choices("abcdefg", k=9)) for _ in range(2)] for _ in range(20)]
    return [Line("", text, (reference,)) for text, reference in texts]


def f_score(found: list[Line], least: int, most: int) -> float:
    """Counts words one by one: each takes one of the reference's that is not taken yet."""
    right = outputs = expected = 0
    for line in found:
        left = line.references[0].split()
        expected += sum(least <= TIMES[word] <= most for word in left)
        for word in line.text.split():
            if least <= TIMES[word] <= most:
                outputs += 1
                if word in left:
                    left.remove(word)
                    right += 1
    precision, recall = right / outputs, right / expected
    return 100 * 2 * precision * recall / (precision + recall)


def test_words_are_counted_one_by_one() -> None:
    systems = {"one": lines(1), "other": lines(2)}
    found = by_frequency(systems, TIMES, str.split, "training texts")
    assert list(found.groups) == list(GROUPS)
    for system, values in found.scores["F1 of words"].items():
        expected = [f_score(systems[system], *limits) for limits in GROUPS.values()]
        assert values == pytest.approx(expected)
    words = Counter(word for line in lines(1) for word in line.references[0].split())
    assert found.groups["1"] == words["f"]
    assert found.groups["0"] == words["g"]
    assert found.over == "times in training texts"


def test_of_several_references_the_nearest_counts() -> None:
    line = Line("", "a b c", ("a x y", "a b z"))
    found = by_frequency({"one": [line]}, Counter("abcxyz"), str.split, "x")
    assert found.scores["F1 of words"]["one"] == pytest.approx([100 * 2 * 2 / 6])
    other = by_frequency({"one": [line]}, Counter("ab"), str.split, "x")
    assert dict(other.groups) == {"0": 2, "1": 1}
    nothing = by_frequency({"one": [Line("", "", ("a",))]}, Counter("a"), str.split, "x")
    assert nothing.scores["F1 of words"]["one"] == [0]


def test_words_are_those_of_bleu() -> None:
    assert words_of([("a",)], False, "13a")("Yes, it is.") == ["Yes", ",", "it", "is", "."]
    assert words_of([("a",)], True, "char")("Ab") == ["a", "b"]


def test_they_are_drawn(tmp_path: Path) -> None:
    systems = {"one": lines(1), "other": lines(2)}
    curves: list[Curves] = [
        by_length(systems, Scoring(("chrf",))),
        by_frequency(systems, TIMES, str.split, "training texts"),
    ]
    plot_curves(curves, tmp_path / "two.png")
    plot_curves(curves[:1], tmp_path / "one.png")
    two, one = (size_of_png(tmp_path / name) for name in ("two.png", "one.png"))
    assert two[1] > 1.8 * one[1]
    with pytest.raises(StorageError, match="cannot be written"):
        plot_curves(curves, tmp_path / "nowhere" / "two.png")
