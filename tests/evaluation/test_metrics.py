from typing import Any, get_args

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from seq2seq.errors import DataError
from seq2seq.evaluation.metrics import (
    METRICS,
    BleuTokenizer,
    MetricName,
    Score,
    bleu,
    chrf,
    exact_match,
    ter,
)

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


@pytest.mark.parametrize("tokenize", get_args(BleuTokenizer))
def test_every_tokenizer_of_bleu(tokenize: Any) -> None:
    expected = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES], lowercase=True, tokenize=tokenize)
    score = bleu(HYPOTHESES, REFERENCES, lowercase=True, tokenize=tokenize)
    assert score.value == expected.score
    assert f"|case:lc|eff:no|tok:{tokenize}|" in score.signature
    assert tokenize in BLEU.TOKENIZERS


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


def test_score_reads_like_sacrebleu() -> None:
    assert str(Score("BLEU", 33.1234, "nrefs:1|tok:13a")) == "BLEU = 33.12  nrefs:1|tok:13a"


def test_every_name_has_its_metric() -> None:
    assert tuple(METRICS) == get_args(MetricName)


@pytest.mark.parametrize("name", METRICS)
def test_sides_of_different_length_are_refused(name: MetricName) -> None:
    message = "^cannot score: 1 hypotheses, 1,200 references; each hypothesis needs the reference"
    with pytest.raises(DataError, match=message):
        METRICS[name](["a"], ["a"] * 1200)
    with pytest.raises(DataError, match=r"^cannot score: there are no hypotheses$"):
        METRICS[name]([], [])


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_against_itself_is_faultless(texts: list[str]) -> None:
    assert exact_match(texts, texts).value == 100
    assert ter(texts, texts).value == 0
    assert 0 <= bleu(texts, texts).value <= 100.000001
    assert 0 <= chrf(texts, texts).value <= 100.000001
