"""What comparisons tell besides scores."""

import pytest

from seq2seq.errors import DataError
from seq2seq.evaluation.analysis import (
    CHECKS,
    Line,
    Scoring,
    by_document,
    by_length,
    differences,
    faults,
    lines_of,
)
from seq2seq.measures import METRICS

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
    table = faults({"one": list(FAULTY.values()), "other": SOUND})
    counts = {name: row for name, *row in table.rows[1:]}
    assert set(counts) == set(CHECKS)
    assert all(int(one) >= 1 and other == "0" for one, other in counts.values())


def test_scores_by_length_are_those_of_the_lines() -> None:
    texts = ["a b c", "a b c d e f g", "x y z", "a b c d e f h"]
    several = [("a b c",), ("a b c d e f g",), ("a y z",), ("a b c d e f g",)]
    scoring = Scoring(("bleu", "chrf", "wer"))
    found = by_length({"one": lines_of(texts, several)}, scoring)
    assert found.groups == {"0-5": 2, "6-10": 2}
    for group, places in enumerate(((0, 2), (1, 3))):
        chosen = [texts[place] for place in places], [several[place] for place in places]
        for metric in scoring.metrics:
            score = METRICS[metric](*chosen)
            assert found.scores[score.name]["one"][group] == score.value
    header, first, _ = found.table().rows
    assert header == ("words of the reference", "lines", "BLEU one", "chrF2 one", "WER one")
    assert first == ("0-5", "2", *(f"{scores['one'][0]:.2f}" for scores in found.scores.values()))


def test_scores_by_document_are_those_of_its_lines() -> None:
    references = [("a",), ("b",), ("c",), ("d",)]
    lines = lines_of(["a", "b", "x", "d"], references, documents=["one", "other", "one", "other"])
    found = by_document({"system": lines}, Scoring(("exact",)))
    assert found.groups == {"one": 2, "other": 2}
    assert found.scores == {"exact": {"system": [50.0, 100.0]}}


def test_the_lines_that_differ_most_come_first() -> None:
    references = [("a big dog",), ("a cat",), ("the end",)]
    one = lines_of(["a big dog", "a cat", "the"], references, ["x", "y", "z"])
    other = lines_of(["nothing", "a cat", "the end"], references, ["x", "y", "z"])
    first, second = differences({"one": one, "other": other}, 5)
    assert first.title.startswith("line 1: chrF -")
    assert [row[0] for row in first.rows] == ["source", "reference", "one", "other"]
    assert second.title.startswith("line 3: chrF +")
    assert differences({"one": one, "twin": one}, 5) == differences({"one": one}, 5) == []


def test_sides_that_differ_in_number() -> None:
    with pytest.raises(DataError) as error:
        lines_of(["a"], [("a",), ("b",)])
    assert str(error.value) == (
        "cannot analyse: 2 sources, 1 texts, 2 references; each line needs all of them"
    )
