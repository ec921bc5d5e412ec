"""COMET, with a command that stands in for its own: what it is given, and what it says."""

import pytest

from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation.comet import USUAL, segments
from seq2seq.evaluation.comet import comet as score
from seq2seq.measures import require_ready, take_sources

SOURCES = ["ein Hund", "zwei Katzen"]


def test_it_is_the_mean_of_what_the_command_says(comet: None) -> None:
    found = score(["a dog", "two dogs"], ["a dog", "two cats"], sources=SOURCES)
    assert found.value == pytest.approx((1 + 1 / 3) / 2)
    assert str(found) == f"COMET = 0.6667  n:2|case:mixed|model:{USUAL}"


def test_of_several_references_the_best_counts(comet: None) -> None:
    several = [("a dog", "the dog"), ("two cats",)]
    assert segments(["the dog", "Two cats"], several, SOURCES, False) == [1, pytest.approx(1 / 3)]
    assert segments(["the dog", "Two cats"], several, SOURCES, True) == [1, 1]
    assert "nrefs:var" in score(["the dog", "x"], several, sources=SOURCES).signature


def test_lines_stay_lines(comet: None) -> None:
    broken = ["a\ndog\x85here", "ein Hund\r"]
    assert segments(broken, [("a dog here",), ("x",)], ["a", "ein Hund"], False) == [1, -0.125]


def test_the_model_can_be_named(comet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_MODEL", "mine")
    assert score("a", "a", sources="b").signature == "n:1|case:mixed|model:mine"
    with pytest.raises(ConfigError, match=r"^metrics: comet: .* failed: no such model: mine$"):
        score("fail", "a", sources="b")


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as error:
        score("a", "a")
    assert str(error.value) == "metrics: comet needs the sources; give --source"
    with pytest.raises(DataError) as wrong:
        score("a", "a", sources=SOURCES)
    assert str(wrong.value) == (
        "cannot score: 2 sources, 1 hypotheses; each hypothesis needs the source of the same line"
    )
    monkeypatch.setenv("COMET_SCORE", "no-such-command")
    for call in (lambda: score("a", "a", sources="b"), lambda: require_ready(["bleu", "comet"])):
        with pytest.raises(ConfigError) as missing:
            call()
        assert str(missing.value) == (
            "metrics: comet needs the command no-such-command, which is not installed: pip install "
            "unbabel-comet in an environment of its own and name its comet-score in COMET_SCORE; "
            "it fetches its model from a hub"
        )


def test_it_is_known_to_need_sources() -> None:
    assert take_sources(["bleu", "comet"])
    assert not take_sources(["bleu", "loss"])
