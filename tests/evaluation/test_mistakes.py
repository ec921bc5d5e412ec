from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import DataError
from seq2seq.evaluation.metrics import Unit, cer, per, wer
from seq2seq.evaluation.mistakes import Confusion, LengthGroup, Miss, Mistakes, find_mistakes

SOURCES = ["chin", "long", "seethe", "out"]
REFERENCES = ["t͡ʃ ɪ n", "l ɔ ŋ", "s iː ð", "aʊ t"]
HYPOTHESES = ["t͡ʃ ɪ n", "l ɒ ŋ g", "s iː ð ə", "ɒʊ t"]

LINES = st.text("ab tʃ\u0361", max_size=6)
CORPORA = st.lists(st.tuples(LINES, LINES, LINES), min_size=1, max_size=6)
UNITS = st.sampled_from(get_args(Unit))


def test_mistakes_of_symbols() -> None:
    found = find_mistakes(SOURCES, HYPOTHESES, REFERENCES, "symbol")
    assert found == Mistakes(
        confusions=[
            Confusion("ɔ", "ɒ", 1),
            Confusion("", "g", 1),
            Confusion("", "ə", 1),
            Confusion("aʊ", "ɒʊ", 1),
        ],
        worst=[
            Miss("long", "l ɔ ŋ", "l ɒ ŋ g", 2),
            Miss("seethe", "s iː ð", "s iː ð ə", 1),
            Miss("out", "aʊ t", "ɒʊ t", 1),
        ],
        by_length=[
            LengthGroup("1-4", 3, 200 / 3, 37.5),
            LengthGroup("5-8", 1, 100.0, 100 / 3),
        ],
        unit="symbol",
    )


def test_the_most_frequent_confusion_comes_first() -> None:
    found = find_mistakes(["x"] * 3, ["b", "a", "xx"], ["a", "", "yy"], "character")
    assert [tuple(one) for one in found.confusions] == [("y", "x", 2), ("a", "b", 1), ("", "a", 1)]
    found = find_mistakes(["x"], [""], ["ab"], "character")
    assert [tuple(one) for one in found.confusions] == [("a", "", 1), ("b", "", 1)]


def test_lengths_of_sources_fall_into_groups() -> None:
    lengths = [65, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 32, 33, 64, 1000]
    sources = ["x" * length for length in lengths]
    found = find_mistakes(sources, sources, sources, "character")
    labels = ["0", "1-4", "5-8", "9-12", "13-16", "17-24", "25-32", "33-64", "65+"]
    assert [one.length for one in found.by_length] == labels
    assert [one.lines for one in found.by_length] == [1, *[2] * 8]


def test_sides_of_different_length_are_refused() -> None:
    message = "^cannot score: 1 hypotheses, 2 references; each hypothesis needs the reference"
    with pytest.raises(DataError, match=message):
        find_mistakes(["a"], ["a"], ["a", "b"], "symbol")
    with pytest.raises(DataError, match=r"^cannot score: there are no hypotheses$"):
        find_mistakes([], [], [], "symbol")
    message = (
        r"^cannot find mistakes: 1,200 sources, 1 references; each reference needs the source of "
        "the same line$"
    )
    with pytest.raises(DataError, match=message):
        find_mistakes(["a"] * 1200, ["a"], ["a"], "symbol")


@given(CORPORA, UNITS)
def test_identical_lines_have_no_mistakes(corpus: list[tuple[str, str, str]], unit: Unit) -> None:
    sources, lines, _ = (list(side) for side in zip(*corpus, strict=True))
    found = find_mistakes(sources, lines, lines, unit)
    assert (found.confusions, found.worst) == ([], [])
    assert all(one.wer == one.rate == 0 for one in found.by_length)


@given(CORPORA, UNITS)
def test_counts_are_those_of_the_metrics(corpus: list[tuple[str, str, str]], unit: Unit) -> None:
    sources, hypotheses, references = (list(side) for side in zip(*corpus, strict=True))
    found = find_mistakes(sources, hypotheses, references, unit)
    edits = sum(one.times for one in found.confusions)
    assert edits == sum(miss.edits for miss in found.worst)
    split = str.split if unit == "symbol" else list
    if length := sum(len(split(line)) for line in references):
        rate = (per if unit == "symbol" else cer)(hypotheses, references).value
        assert rate == pytest.approx(100 * edits / length)
    assert wer(hypotheses, references).value == 100 * len(found.worst) / len(corpus)
    assert sum(one.lines for one in found.by_length) == len(corpus)
    assert all(one.reference != one.hypothesis and one.times > 0 for one in found.confusions)


def test_table_of_symbols() -> None:
    table = find_mistakes(SOURCES, HYPOTHESES, REFERENCES, "symbol").table(most=2)
    expected = """\
confusions: 2 of 4, 4 edits in all
reference  hypothesis  times
ɔ          ɒ               1
∅          g               1

wrong lines: 2 of 3
edits  source  reference  hypothesis
    2  long    l ɔ ŋ      l ɒ ŋ g
    1  seethe  s iː ð     s iː ð ə

error rates by characters of the source
length  lines     WER    PER
1-4         3   66.67  37.50
5-8         1  100.00  33.33"""
    assert table == expected


def test_columns_stay_aligned_with_wide_and_combining_characters() -> None:
    sources = ["\u1112\u1161\u11ab", "東京", "vin", "a\tb"]
    references = ["ha\u0303n", "とう", "v\u025b\u0303", "a b"]
    hypotheses = ["han", "と", "v\u025b\u200d", "ab"]
    table = find_mistakes(sources, hypotheses, references, "character").table()
    expected = """\
confusions: 4 of 4, 4 edits in all
reference  hypothesis  times
◌\u0303          ∅               1
う         ∅               1
◌\u0303          \ufffd               1
␣          ∅               1

wrong lines: 4 of 4
edits  source  reference  hypothesis
    1  \u1112\u1161\u11ab      ha\u0303n        han
    1  東京    とう       と
    1  vin     v\u025b\u0303         v\u025b\ufffd
    1  a⇥b     a b        ab

error rates by characters of the source
length  lines     WER    CER
1-4         4  100.00  33.33"""
    assert table == expected


def test_table_without_mistakes() -> None:
    expected = """\
confusions: 0 of 0, 0 edits in all
reference  hypothesis  times

wrong lines: 0 of 0
edits  source  reference  hypothesis

error rates by characters of the source
length  lines   WER   PER
0           1  0.00  0.00"""
    assert find_mistakes([""], [""], [""], "symbol").table() == expected


def test_an_empty_line_has_a_sign() -> None:
    table = find_mistakes(["ab"], [""], ["a b"], "symbol").table()
    assert "\n    2  ab      a b        ∅\n" in table
