"""Several systems compared: scores with confidence intervals, and whether they differ by chance.

The tests are sacreBLEU's own (Post 2018): paired bootstrap resampling (Koehn 2004) and paired
approximate randomization (Riezler & Maxwell 2005). BLEU, chrF and TER come out as its command
prints them, to the digit; COMET and the error rates of transduction go through the same resampling.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from operator import truediv
from typing import Any, NamedTuple

import numpy as np
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from seq2seq.errors import DataError, require, require_name
from seq2seq.evaluation import comet
from seq2seq.evaluation.metrics import (
    RATES,
    References,
    Several,
    bleu_of,
    by_rank,
    rate_of,
    rate_signature,
    require_pairs,
    tallies,
    ter_of,
)
from seq2seq.lists import Table
from seq2seq.measures import AUTO

TESTS = {"bootstrap": "bs", "randomization": "ar"}
"""The tests by name, as sacreBLEU calls them."""
SURE = 0.05
"""A difference whose p-value is lower is marked."""


class _Value(NamedTuple):
    """A score as sacreBLEU has it."""

    name: str
    score: float


class _Signature:
    """How a rate is computed, as a text to which sacreBLEU adds its seed and trials."""

    def __init__(self, text: str) -> None:
        self.text = text

    def update(self, key: str, value: object) -> None:
        """Adds a setting."""
        self.text += f"|{key}:{value}"

    def format(self) -> str:
        """Returns the text."""
        return self.text


class _Resampled(NamedTuple):
    """A score that comes from sums over lines, with the methods that sacreBLEU's tests call."""

    name: str
    signature: str
    tally: Callable[[Sequence[str]], Sequence[tuple[float | int, int]]]
    """What is counted in each line of a system, and out of how much."""
    value: Callable[[float, float], float]
    """The score, from both sums."""

    def _extract_corpus_statistics(
        self, hypotheses: Sequence[str], references: object
    ) -> Sequence[tuple[float | int, int]]:
        return self.tally(hypotheses)

    def _aggregate_and_compute(self, stats: Sequence[tuple[float | int, int]]) -> _Value:
        return self._compute_score_from_stats(np.sum(stats, axis=0))

    def _compute_score_from_stats(self, stats: np.ndarray) -> _Value:
        return _Value(self.name, self.value(float(stats[0]), float(stats[1])))

    def get_signature(self) -> _Signature:
        """Returns how the score is computed."""
        return _Signature(self.signature)


@dataclass(frozen=True)
class Compared:
    """One score of one system."""

    system: str
    metric: str
    value: float
    difference: float
    """To the first system."""
    mean: float
    """The mean over the resampled test sets."""
    interval: float
    """Half of the width of its 95 % confidence interval."""
    p_value: float | None
    """How likely such a difference to the first system is by chance; None: it is the first.

    Where there is no difference at all, sacreBLEU says 1 over the number of trials."""
    signature: str
    digits: int = 2
    """Digits after the point that people are shown."""


def compare(
    systems: Mapping[str, Sequence[str]],
    references: References,
    metrics: Sequence[str] = ("bleu", "chrf"),
    test: str = "bootstrap",
    *,
    trials: int = 0,
    lowercase: bool = False,
    tokenize: str = AUTO,
    sources: Sequence[str] | None = None,
) -> list[Compared]:
    """Compares systems with the first of them, score by score; one alone gets its intervals.

    Resampling begins with sacreBLEU's seed, 12345, unless its ``SACREBLEU_SEED`` says otherwise.

    Args:
        systems: The texts of each system, by its name.
        references: For each text its reference, or several of which any is right.
        metrics: Names of scores.
        test: ``bootstrap`` or ``randomization``.
        trials: Resampled test sets, or random exchanges; 0: sacreBLEU's 1,000, or 10,000.
        lowercase: Score without case.
        tokenize: What cuts texts into the words that BLEU counts.
        sources: What the systems have translated, for scores that need it.

    Raises:
        DataError: There is no system, or one has more or fewer texts than there are references.
    """
    require_name(test, "test", TESTS)
    require(trials >= 0, "trials", "at least 0", trials)
    if not systems:
        raise DataError("cannot compare: there are no systems")
    expected: Several = []
    for texts in systems.values():
        _, expected = require_pairs(texts, references)
    for name in metrics:
        require_name(name, "metrics", ENGINES)
    asked = _Asked(expected, lowercase, tokenize, sources)
    engines = {name: ENGINES[name](asked) for name in metrics}
    named: list[tuple[str, Sequence[str]]] = list(systems.items())
    # Intervals beside randomization come from a bootstrap of their own.
    own = 0 if test == "randomization" else -1
    paired = PairedTest(named, engines, by_rank(expected), TESTS[test], trials, own)
    signatures, scores = paired()
    found: Mapping[str, Sequence[Any]] = scores
    return [
        _compared(system, metric, one, found[metric][0].score, signature.format())
        for metric, signature in signatures.items()
        for system, one in zip(systems, found[metric], strict=True)
    ]


def _compared(system: str, metric: str, found: Any, first: float, signature: str) -> Compared:  # noqa: ANN401
    """Returns a result of sacreBLEU's, in numbers of Python."""
    value, mean, interval = (float(one) for one in (found.score, found.mean, found.ci))
    chance = None if found.p_value is None else float(found.p_value)
    difference = value - float(first)
    digits = comet.DIGITS if metric == comet.NAME else 2
    return Compared(system, metric, value, difference, mean, interval, chance, signature, digits)


class _Asked(NamedTuple):
    """What a comparison is asked for."""

    references: Several
    lowercase: bool
    tokenize: str
    sources: Sequence[str] | None


def _rate(name: str, asked: _Asked) -> _Resampled:
    several, lowercase = asked.references, asked.lowercase
    signature = rate_signature(name, several, lowercase)
    tally = partial(tallies, name, references=several, lowercase=lowercase)
    return _Resampled(RATES[name].name, signature, tally, rate_of)


def _comet(asked: _Asked) -> _Resampled:
    several, lowercase = asked.references, asked.lowercase

    def tally(texts: Sequence[str]) -> list[tuple[float | int, int]]:
        return [(score, 1) for score in comet.segments(texts, several, asked.sources, lowercase)]

    return _Resampled(comet.NAME, comet.signature(several, lowercase), tally, truediv)


ENGINES: dict[str, Callable[[_Asked], Any]] = {
    "bleu": lambda asked: bleu_of(asked.references, asked.lowercase, asked.tokenize),
    "chrf": lambda asked: CHRF(lowercase=asked.lowercase),
    "chrf++": lambda asked: CHRF(lowercase=asked.lowercase, word_order=2),
    "ter": lambda asked: ter_of(asked.references, asked.lowercase),
    **{name: partial(_rate, name) for name in RATES},
    "comet": _comet,
}
"""Metrics as sacreBLEU's tests take them: their scores of a corpus come from sums over its lines.
"""


def comparison_table(rows: Sequence[Compared], form: str = "table") -> str:
    """Returns a line a system, a column a score, and the signatures below."""
    systems = list(dict.fromkeys(row.system for row in rows))
    metrics = list(dict.fromkeys(row.metric for row in rows))
    cells = {(row.system, row.metric): _cell(row) for row in rows}
    table = [
        ("system", *metrics),
        *((system, *(cells[system, metric] for metric in metrics)) for system in systems),
    ]
    beside = f" (difference to {systems[0]}, its p-value; * below {SURE})"
    meaning = "score ± half of the 95 % interval" + (beside if len(systems) > 1 else "")
    signatures = {row.metric: row.signature for row in rows}
    notes = [meaning, *(f"{metric}: {how}" for metric, how in signatures.items())]
    return Table("", "<" * len(table[0]), table, notes).text(form)


def _cell(row: Compared) -> str:
    value, interval = f"{row.value:.{row.digits}f}", f"{row.interval:.{row.digits}f}"
    if row.p_value is None:
        return f"{value} ± {interval}"
    differs = bool(row.difference) and row.p_value < SURE
    told = f"({row.difference:+.{row.digits}f}, p = {row.p_value:.4f})"
    return f"{value} ± {interval} {told}{'*' * differs}"


def comparison_json(rows: Sequence[Compared]) -> str:
    """Returns the rows as a JSON list of objects."""
    objects = [
        {key: value for key, value in asdict(row).items() if key != "digits"} for row in rows
    ]
    return json.dumps(objects, indent=2, ensure_ascii=False)
