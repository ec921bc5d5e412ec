import math
import time
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.subword_sampling import Pieces, draw_merges, draw_path

SCORES = {"a": -1.0, "b": -1.5, "c": -2.0, "ab": -1.2, "bc": -2.2, "abc": -3.0, "ca": -2.5}
PIECES = Pieces(SCORES)
DRAWS = 4000
WORDS = st.text("abc", max_size=40)


def ways(word: str) -> list[list[str]]:
    """Returns all ways to cut a word into pieces."""
    if not word:
        return [[]]
    heads = (word[:size] for size in range(1, min(3, len(word)) + 1))
    return [[head, *rest] for head in heads if head in SCORES for rest in ways(word[len(head) :])]


@pytest.mark.parametrize("smoothing", [0.1, 1.0, 3.0])
def test_a_path_is_as_likely_as_its_probability_to_the_smoothing(smoothing: float) -> None:
    word, rng = "abcabc", Random(1)
    masses = {
        " ".join(way): math.exp(smoothing * sum(map(SCORES.__getitem__, way))) for way in ways(word)
    }
    found = Counter(" ".join(draw_path(PIECES, word, smoothing, rng)) for _ in range(DRAWS))
    assert found.keys() <= masses.keys()
    for way, mass in masses.items():
        expected = mass / sum(masses.values())
        assert found[way] / DRAWS == pytest.approx(expected, abs=4 * math.sqrt(0.25 / DRAWS))


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_merges_are_dropped_with_their_chance(dropout: float) -> None:
    """Two merges compete in "abc": "ab" comes first, "bc" needs "ab" dropped; then either grows."""
    drop, keep, rng = dropout, 1 - dropout, Random(1)
    expected = {
        "abc": keep * keep + drop * keep * keep,
        "ab c": keep * drop,
        "a bc": drop * keep * drop,
        "a b c": drop * drop,
    }
    found = Counter(" ".join(draw_merges(PIECES, "abc", dropout, rng)) for _ in range(DRAWS))
    for way, share in expected.items():
        assert found[way] / DRAWS == pytest.approx(share, abs=4 * math.sqrt(0.25 / DRAWS))


@given(WORDS, st.floats(0, 1), st.integers())
def test_what_is_drawn_is_the_word_in_pieces(word: str, rate: float, seed: int) -> None:
    for draw in (draw_path, draw_merges):
        found = draw(PIECES, word, rate, Random(seed))
        assert "".join(found) == word
        assert set(found) <= SCORES.keys()
        assert draw(PIECES, word, rate, Random(seed)) == found


@pytest.mark.parametrize("word", ["abc" * 15_000, "a" * 50_000])
def test_long_words_do_not_take_the_square_of_their_length(word: str) -> None:
    started = time.monotonic()
    for draw in (draw_path, draw_merges):
        assert "".join(draw(PIECES, word, 0.1, Random(1))) == word
    assert time.monotonic() - started < 10


def test_a_path_avoids_places_that_no_piece_reaches() -> None:
    pieces = Pieces({"ab": -1.0, "c": -1.0, "abc": -1.0})
    found = {tuple(draw_path(pieces, "abcab", 1.0, Random(seed))) for seed in range(30)}
    assert found == {("ab", "c", "ab"), ("abc", "ab")}


def test_of_equal_merges_the_leftmost_comes_first() -> None:
    assert draw_merges(PIECES, "abab", 0.0, Random(1)) == ["ab", "ab"]
    assert draw_merges(Pieces({"aa": 0.0}), "aaa", 0.0, Random(1)) == ["aa", "a"]


@pytest.mark.parametrize(
    ("pieces", "text", "words"),
    [
        (["▁a", "b"], "▁ab▁a▁▁b▁", ["▁ab", "▁a", "▁▁b", "▁"]),
        (["▁▁", "▁▁a"], "a▁▁▁a▁\nb", ["a", "▁▁▁a", "▁\nb"]),
        (["a▁b", "b"], "▁a▁\nb", ["▁a▁\nb"]),
        (["a▁"], "a▁b▁", ["a▁b▁"]),
        ([], "", []),
    ],
)
def test_words_end_where_no_piece_goes_on(pieces: list[str], text: str, words: list[str]) -> None:
    assert Pieces(dict.fromkeys(pieces, 0.0)).words(text) == words
