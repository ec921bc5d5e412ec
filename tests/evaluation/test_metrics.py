from functools import partial
from typing import Any

import pytest
import rapidfuzz
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation.metrics import (
    Score,
    Unit,
    bleu,
    cer,
    chrf,
    exact_match,
    nearest,
    per,
    split_line,
    ter,
    wer,
)
from seq2seq.measures import METRICS, Metric, lower_is_better
from seq2seq.training.config import TrainConfig

HYPOTHESES = ["The cat sat on a mat.", "a dog runs , fast", "", "Zwei Männer spielen Fußball"]
REFERENCES = [
    "The cat sat on the mat.",
    "A dog runs fast.",
    "Nothing",
    "Zwei Männer spielen Fußball",
]


def test_bleu_is_that_of_sacrebleu() -> None:
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES])
    score = bleu(HYPOTHESES, REFERENCES)
    assert (score.name, score.value) == ("BLEU", expected.score)
    version = sacrebleu.__version__
    assert score.signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"


def test_every_score_with_several_references_is_that_of_sacrebleu() -> None:
    others = ["A cat sat on a mat.", "A dog is running fast.", "", "Zwei Menschen spielen Ball"]
    both = list(zip(REFERENCES, others, strict=True))
    for ours, theirs in (
        (bleu, sacrebleu.corpus_bleu),
        (chrf, sacrebleu.corpus_chrf),
        (partial(ter, lowercase=True), sacrebleu.corpus_ter),
    ):
        expected: Any = theirs(HYPOTHESES, [REFERENCES, others])
        found = ours(HYPOTHESES, both)
        assert found.value == expected.score
        assert found.signature.startswith("nrefs:2|")
        assert ours(HYPOTHESES, [REFERENCES[0], *both[1:]]).signature.startswith("nrefs:var|")


def test_chrf_is_that_of_sacrebleu() -> None:
    score = chrf(HYPOTHESES, REFERENCES)
    assert score.name == "chrF2"
    assert score.value == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    assert score.signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    assert "case:lc" in chrf(HYPOTHESES, REFERENCES, lowercase=True).signature


def test_ter_is_that_of_sacrebleu() -> None:
    score = ter(HYPOTHESES, REFERENCES, lowercase=True)
    assert score.name == "TER"
    assert score.value == sacrebleu.corpus_ter(HYPOTHESES, [REFERENCES]).score
    assert score.signature.startswith("nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|")
    assert "case:mixed" in ter(HYPOTHESES, REFERENCES).signature


def test_exact_match_counts_equal_lines() -> None:
    hypotheses, references = ["a", "B", "c", ""], ["a", "b", "d", ""]
    assert exact_match(hypotheses, references) == Score("exact", 50.0, "n:4|case:mixed")
    expected = Score("exact", 75.0, "n:4|case:lc")
    assert exact_match(hypotheses, references, lowercase=True) == expected


def test_word_error_rate_counts_lines_that_differ() -> None:
    hypotheses, references = ["k æ t", "D ɔ g", "f ɪ ʃ", ""], ["k æ t", "d ɔ g", "f ɪ ʃ s", ""]
    assert wer(hypotheses, references) == Score("WER", 50.0, "n:4|case:mixed|unit:line")
    expected = Score("WER", 25.0, "n:4|case:lc|unit:line")
    assert wer(hypotheses, references, lowercase=True) == expected


def test_symbol_error_rate_counts_edits_per_reference_symbol() -> None:
    hypotheses = ["t͡ʃ ɪ n", "S iː ð", "aʊ t ə", ""]  # none, two, one inserted, one missing
    references = ["t͡ʃ ɪ n", "s iː", "aʊ t", "a"]
    version = rapidfuzz.__version__
    signature = f"n:4|case:mixed|unit:symbol|rapidfuzz:{version}"
    assert per(hypotheses, references) == Score("PER", 50.0, signature)
    signature = f"n:4|case:lc|unit:symbol|rapidfuzz:{version}"
    assert per(hypotheses, references, lowercase=True) == Score("PER", 37.5, signature)


def test_character_error_rate_takes_characters_as_they_are() -> None:
    signature = f"n:2|case:mixed|unit:character|rapidfuzz:{rapidfuzz.__version__}"
    assert cer(["sitting", "e\u0301"], ["kitten", "\u00e9 "]) == Score("CER", 62.5, signature)
    assert cer(["AB"], ["ab"]).value == 100
    assert cer(["AB"], ["ab"], lowercase=True).value == 0


@pytest.mark.parametrize("rate", [per, cer])
def test_anything_in_place_of_nothing_is_all_wrong(rate: Any) -> None:
    assert rate(["", ""], ["", ""]).value == 0
    assert rate(["a b c", ""], ["", ""]).value == 100
    assert rate(["a b c", "a"], ["", "a"]).value > 100


def test_spaces_part_symbols_however_many() -> None:
    assert split_line(" t͡ʃ  a\u00a0 ", "symbol") == ["t͡ʃ", "a\u00a0"]
    assert split_line("", "symbol") == []
    assert split_line("a b", "character") == ["a", " ", "b"]
    assert per(["a  b"], ["a b"]).value == 0


def test_lower_is_better_for_the_rates_of_errors() -> None:
    assert {name for name in METRICS if not lower_is_better(name)} == {
        "bleu",
        "chrf",
        "chrf++",
        "exact",
        "comet",
    }
    assert lower_is_better("loss")
    assert not lower_is_better("accuracy")


def test_score_reads_like_sacrebleu() -> None:
    assert str(Score("BLEU", 33.1234, "nrefs:1|tok:13a")) == "BLEU = 33.12  nrefs:1|tok:13a"


@pytest.mark.parametrize("name", METRICS)
def test_a_plain_string_is_one_text(name: str, comet: None) -> None:
    score = partial(METRICS[name].__call__, sources=["ein Hund"])
    assert score("a dog", "a cat") == score(["a dog"], ["a cat"])


def test_a_new_entry_can_be_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^metric: must be one of loss, bleu"):
        TrainConfig(steps=1, metric="vowels")
    monkeypatch.setitem(METRICS, "vowels", Metric(exact_match))
    assert TrainConfig(steps=1, metric="vowels").metric == "vowels"
    assert METRICS["vowels"](["a"], ["a"]).value == 100


@pytest.mark.parametrize("name", METRICS)
def test_sides_of_different_length_are_refused(name: str) -> None:
    message = "^cannot score: 1 hypotheses, 1,200 references; each hypothesis needs the reference"
    with pytest.raises(DataError, match=message):
        METRICS[name](["a"], ["a"] * 1200)
    with pytest.raises(DataError, match=r"^cannot score: there are no hypotheses$"):
        METRICS[name]([], [])


@pytest.mark.parametrize("name", METRICS)
def test_one_reference_in_a_list_is_that_reference(name: str, comet: None) -> None:
    single = [[text] for text in REFERENCES]
    score = partial(METRICS[name].__call__, sources=HYPOTHESES)
    assert score(HYPOTHESES, single) == score(HYPOTHESES, REFERENCES)


@pytest.mark.parametrize("name", METRICS)
def test_any_of_several_references_is_right(name: str, comet: None) -> None:
    """The best that can be is reached by either of two references, in whichever order."""
    right = "the cat sat on the mat"
    accepted = [(right, "something else that is much longer"), ("nothing at all", right)]
    score = partial(METRICS[name].__call__, sources=["x", "y"])
    best = score([right] * 2, [right] * 2).value
    for references in (accepted, [texts[::-1] for texts in accepted]):
        assert score([right] * 2, references).value == pytest.approx(best)
    assert score([right] * 2, ["nothing at all"] * 2).value != pytest.approx(best)


@pytest.mark.parametrize("name", METRICS)
def test_a_hypothesis_without_a_reference_is_refused(name: str) -> None:
    message = r"^cannot score: hypothesis 2 has no reference; it needs one$"
    with pytest.raises(DataError, match=message):
        METRICS[name](["a", "b"], ["a", []])


def test_edits_are_those_of_the_nearest_reference() -> None:
    several = ["a b c d", "a c", "a"], ["x"], ["c", "c c"]
    found = per(["a b", "x", "c d"], several)
    # One edit from "a c" and from "a", of which the longer counts; none; one from either "c", too.
    assert found.value == pytest.approx(100 * 2 / (2 + 1 + 2))
    assert found.signature.startswith("n:3|nrefs:var|case:mixed|unit:symbol|")
    assert nearest("a  b", ["a b", "a  b"], "symbol") == "a  b"
    assert wer(["A b"], [["x", "a B"]], lowercase=True).value == 0
    assert wer(["A b"], [["x", "a B"]]).value == 100


@given(st.lists(st.text("ab ", max_size=6), min_size=1, max_size=4), st.text("ab ", max_size=6))
def test_the_order_of_references_changes_no_rate(accepted: list[str], found: str) -> None:
    for rate in (exact_match, wer, per, cer):
        value = rate([found], [accepted]).value
        assert rate([found], [accepted[::-1]]).value == value
    # A further reference is at worst not the nearest.
    edits = [Levenshtein.distance(text, found) for text in accepted]
    assert Levenshtein.distance(nearest(found, accepted, "character"), found) == min(edits)


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_against_itself_is_faultless(texts: list[str]) -> None:
    assert exact_match(texts, texts).value == 100
    for errors in (ter, wer, per, cer):
        assert errors(texts, texts).value == 0
    assert 0 <= bleu(texts, texts).value <= 100.000001
    assert 0 <= chrf(texts, texts).value <= 100.000001


SYMBOLS = st.text("ab t", max_size=8)


def edits_between(one: list[str], other: list[str]) -> int:
    """Counts edits by the recurrence itself (Wagner and Fischer 1974)."""
    row = list(range(len(other) + 1))
    for place, symbol in enumerate(one, 1):
        diagonal, row[0] = row[0], place
        for step, against in enumerate(other, 1):
            cost = min(diagonal + (symbol != against), row[step] + 1, row[step - 1] + 1)
            diagonal, row[step] = row[step], cost
    return row[-1]


@given(st.lists(st.tuples(SYMBOLS, SYMBOLS), min_size=1, max_size=5))
def test_rates_are_the_edits_over_the_length(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = ([pair[side] for pair in pairs] for side in (0, 1))
    rates: dict[Unit, Any] = {"symbol": per, "character": cer}
    for unit, rate in rates.items():
        sides = [[split_line(line, unit) for line in pair] for pair in pairs]
        length = sum(len(reference) for _, reference in sides)
        edits = sum(edits_between(*both) for both in sides)
        if length:
            assert rate(hypotheses, references).value == pytest.approx(100 * edits / length)
    assert wer(hypotheses, references).value == pytest.approx(
        100 - exact_match(hypotheses, references).value
    )
