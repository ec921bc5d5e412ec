"""Scores of hypotheses against references, each with the signature that makes it comparable.

BLEU, chrF and TER are sacreBLEU's (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.errors import DataError

MetricName = Literal["bleu", "chrf", "ter", "exact"]
BleuTokenizer = Literal["13a", "intl", "zh", "char", "none"]


@dataclass(frozen=True)
class Score:
    """A number together with how it was computed."""

    name: str
    value: float
    signature: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value:.2f}  {self.signature}"


@runtime_checkable
class Metric(Protocol):
    """Anything that scores a corpus, in percent."""

    def __call__(
        self, hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False
    ) -> Score:
        """Scores each hypothesis against the reference at the same place."""


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokenize: BleuTokenizer = "13a",
) -> Score:
    """Scores by the precision of word n-grams (Papineni et al. 2002).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(BLEU(lowercase=lowercase, tokenize=tokenize), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> Score:
    """Scores by the F-score of character n-grams (Popović 2015).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(CHRF(lowercase=lowercase), hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False) -> Score:
    """Counts the edits, shifts included, per reference word (Snover et al. 2006); less is better.

    As everywhere here, case counts unless ``lowercase``; sacreBLEU's own TER lowercases by default.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(TER(case_sensitive=not lowercase), hypotheses, references)


def exact_match(
    hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False
) -> Score:
    """Counts the hypotheses that equal their reference.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    _require_pairs(hypotheses, references)
    fold: Callable[[str], str] = str.lower if lowercase else str
    pairs = zip(hypotheses, references, strict=True)
    equal = sum(fold(hypothesis) == fold(reference) for hypothesis, reference in pairs)
    signature = f"n:{len(references)}|case:{'lc' if lowercase else 'mixed'}"
    return Score("exact", 100 * equal / len(references), signature)


METRICS: dict[MetricName, Metric] = {
    "bleu": bleu,
    "chrf": chrf,
    "ter": ter,
    "exact": exact_match,
}


def _sacrebleu(
    metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[str]
) -> Score:
    _require_pairs(hypotheses, references)
    result = metric.corpus_score(hypotheses, [references])
    return Score(result.name, result.score, metric.get_signature().format())


def _require_pairs(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise DataError(
            f"cannot score: {len(hypotheses):,} hypotheses, {len(references):,} references; "
            "each hypothesis needs the reference of the same line"
        )
    if not references:
        raise DataError("cannot score: there are no hypotheses")
