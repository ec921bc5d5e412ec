"""What comparisons tell besides scores."""

import pytest

from seq2seq.errors import DataError
from seq2seq.evaluation.analysis import (
    CHECKS,
    Line,
    differences,
    faults_table,
    lengths_table,
    lines_of,
)
from seq2seq.evaluation.metrics import bleu, chrf

FAULTY = {
    "empty": Line("ein Hund", " ", ("a dog",)),
    "repeated words": Line("ein Hund", "a dog dog dog", ("a dog",)),
    "too long": Line("ein Hund", "a b c d e f g h i j", ("a dog",)),
    "too short": Line("eins", "a", ("one two three four five six seven eight",)),
    "untranslated": Line("ein Hund", "ein Hund", ("a dog",)),
    "other numbers": Line("am 3.5. um 10:30", "on 3.5 at 10:31", ("on 3.5 at 10:30",)),
    "other placeholders": Line("siehe <url>", "see", ("see <url>",)),
}
SOUND = [
    Line("ein Hund", "a dog", ("a dog",)),
    Line("Nein, nein, nein!", "no no no !", ("no no no !",)),
    Line("Berlin", "Berlin", ("Berlin",)),
    Line("3 Hunde bei <url>", "3 dogs at <url>", ("three dogs at <url>", "3 dogs at <url>")),
    Line("", "a dog 5", ("a dog",)),
]


@pytest.mark.parametrize("name", CHECKS)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    assert CHECKS[name](FAULTY[name])
    assert not any(CHECKS[name](line) for line in SOUND)


def test_faults_are_counted_by_system() -> None:
    table = faults_table({"one": list(FAULTY.values()), "other": SOUND}).splitlines()
    counts = {row[:18].strip(): row[18:].split() for row in table[1:]}
    assert set(counts) == set(CHECKS)
    assert all(int(one) >= 1 and other == "0" for one, other in counts.values())


def test_scores_by_length_are_those_of_the_lines() -> None:
    texts = ["a b c", "a b c d e f g", "x y z", "a b c d e f h"]
    several = [("a b c",), ("a b c d e f g",), ("a y z",), ("a b c d e f g",)]
    rows = lengths_table({"one": lines_of(texts, several)}).splitlines()[1:]
    for row, label, places in zip(rows, ("0-5", "6-10"), ((0, 2), (1, 3)), strict=True):
        chosen = [texts[place] for place in places], [several[place] for place in places]
        assert row.split() == [label, "2", bleu(*chosen).shown, chrf(*chosen).shown]


def test_the_lines_that_differ_most_come_first() -> None:
    references = [("a big dog",), ("a cat",), ("the end",)]
    one = lines_of(["a big dog", "a cat", "the"], references, ["x", "y", "z"])
    other = lines_of(["nothing", "a cat", "the end"], references, ["x", "y", "z"])
    first, second = differences({"one": one, "other": other}, 5).split("\n\n")
    assert first.splitlines()[0].startswith("line 1: chrF -")
    assert [row.split()[0] for row in first.splitlines()[1:]] == [
        "source",
        "reference",
        "one",
        "other",
    ]
    assert second.splitlines()[0].startswith("line 3: chrF +")
    assert differences({"one": one, "twin": one}, 5) == ""


def test_sides_that_differ_in_number() -> None:
    with pytest.raises(DataError) as error:
        lines_of(["a"], [("a",), ("b",)])
    assert str(error.value) == (
        "cannot analyse: 2 sources, 1 texts, 2 references; each line needs all of them"
    )
