from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.pairs.check import check
from seq2seq.data.pairs.corpus import Corpus, Pair

PLAIN = [(f"ein Satz, Nummer {n}", f"a sentence, number {n}") for n in range(20)]


def cells(pairs: list[Pair]) -> dict[str, str]:
    rows = check({"train": Corpus.of(pairs)}).rows
    return {label: cell for label, cell, *_ in rows}


def problems(pairs: list[Pair]) -> tuple[str, ...]:
    return check({"train": Corpus.of(pairs)}).problems


def test_a_faultless_corpus_has_no_problems() -> None:
    assert problems(PLAIN) == ()
    found = cells(PLAIN)
    assert found["pairs"] == "20"
    assert {found[label] for label in list(found)[1:8]} == {"0"}
    assert found["source words, mean"] == "4"
    assert found["target characters, median"] == "20"
    assert found["target characters, 99 %"] == found["target characters, longest"] == "21"


def test_blank_sides() -> None:
    pairs = [*PLAIN, ("", "b"), ("c", " \u3000"), ("d", "")]
    assert problems(pairs) == (
        "train: source is blank at pair 21 (1 in all); such pairs are dropped",
        "train: target is blank at pairs 22, 23 (2 in all); such pairs are dropped",
    )
    assert (cells(pairs)["blank sources"], cells(pairs)["blank targets"]) == ("1", "2")


def test_duplicates() -> None:
    pairs = [*PLAIN, PLAIN[0], PLAIN[0], (PLAIN[1][0], "something else again")]
    assert cells(pairs)["duplicate pairs"] == "2"
    assert cells(pairs)["sources with several targets"] == "1"


def test_outlying_lengths() -> None:
    pairs = [*PLAIN, ("ein Satz", "a" * 200), ("e" * 200, "a sentence"), ("x", "ab cd")]
    expected = "train: one side is far too long at pairs 21, 22 (2 in all); perhaps misaligned"
    assert problems(pairs) == (expected,)


def test_copies() -> None:
    same = [(source, source) for source, _ in PLAIN]
    assert problems(PLAIN + same) == ()
    assert cells(PLAIN + same)["target copies source"] == "20"
    expected = "train: source and target are the same in 52.4 % of the pairs"
    assert problems([*PLAIN, *same, ("a", "a"), ("b", "b")]) == (expected,)


def test_odd_characters() -> None:
    pairs = [*PLAIN, ("a\rb\u2028", "c\x85\x0c\0\ufeff\ufffd\r")]
    expected = (
        "train: odd characters, kept as they are: 2 CR, 1 U+2028, 1 NEL, 1 FF, 1 NUL, 1 U+FEFF, "
        "1 U+FFFD"
    )
    assert problems(pairs) == (expected,)
    assert cells(pairs)["odd characters"] == "8"


def test_overlap_with_training() -> None:
    test = [PLAIN[0], (PLAIN[1][0], "another"), ("neu", "new"), ("", "")]
    report = check({"test": Corpus.of(test), "train": Corpus.of([*PLAIN, ("", "")])})
    expected = "test: sources also in train: 2 (50.0 %), of these with the same target: 1"
    assert expected in report.problems
    assert report.rows[-2:] == (
        ("sources also in train", "2", ""),
        ("pairs also in train", "1", ""),
    )


def test_many_places_are_cut_short() -> None:
    expected = (
        "train: source is blank at pairs 1, 2, 3, 4, 5 (1,200 in all); such pairs are dropped"
    )
    assert problems([("", "a")] * 1200) == (expected,)


def test_table_is_aligned() -> None:
    report = check({"train": Corpus.of(PLAIN), "valid": Corpus.of(PLAIN[:5])})
    lines = report.table().split("\n")
    assert lines[0].split() == ["train", "valid"]
    assert lines[1].split() == ["pairs", "20", "5"]
    assert len({len(line) for line in lines}) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=12))
def test_any_corpus_can_be_checked(pairs: list[Pair]) -> None:
    report = check({"train": Corpus.of(pairs), "test": Corpus.of(pairs)})
    assert report.rows[0] == ("pairs", str(len(pairs)), str(len(pairs)))
    assert all(len(above) == len(below) for above, below in pairwise(report.table().split("\n")))
