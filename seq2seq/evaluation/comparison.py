"""Several systems compared: scores with confidence intervals, and whether they differ by chance.

The tests are sacreBLEU's own (Post 2018): paired bootstrap resampling (Koehn 2004) and paired
approximate randomization (Riezler & Maxwell 2005). BLEU, chrF and TER come out as its command
prints them, to the digit; the error rates of transduction go through the same resampling.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from seq2seq.errors import DataError, require, require_name
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
from seq2seq.lists import aligned
from seq2seq.measures import AUTO, METRICS

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


class _Resampled:
    """A rate with the methods of a metric of sacreBLEU that its tests call."""

    def __init__(self, name: str, several: Several, lowercase: bool) -> None:
        self.name = name
        self.several = several
        self.lowercase = lowercase

    def _extract_corpus_statistics(
        self, hypotheses: Sequence[str], references: object
    ) -> list[tuple[int, int]]:
        return tallies(self.name, hypotheses, self.several, self.lowercase)

    def _aggregate_and_compute(self, stats: Sequence[tuple[int, int]]) -> _Value:
        return self._compute_score_from_stats(np.sum(stats, axis=0))

    def _compute_score_from_stats(self, stats: np.ndarray) -> _Value:
        return _Value(RATES[self.name].name, rate_of(float(stats[0]), float(stats[1])))

    def get_signature(self) -> _Signature:
        """Returns how the rate is computed."""
        return _Signature(rate_signature(self.name, self.several, self.lowercase))


@dataclass(frozen=True)
class Compared:
    """One score of one system."""

    system: str
    metric: str
    value: float
    mean: float
    """The mean over the resampled test sets."""
    interval: float
    """Half of the width of its 95 % confidence interval."""
    p_value: float | None
    """How likely such a difference to the first system is by chance; None: it is the first.

    Where there is no difference at all, sacreBLEU says 1 over the number of trials."""
    signature: str


def compare(
    systems: Mapping[str, Sequence[str]],
    references: References,
    metrics: Sequence[str] = ("bleu", "chrf"),
    test: str = "bootstrap",
    *,
    trials: int = 0,
    lowercase: bool = False,
    tokenize: str = AUTO,
) -> list[Compared]:
    """Compares systems with the first of them, score by score.

    Resampling begins with sacreBLEU's seed, 12345, unless its ``SACREBLEU_SEED`` says otherwise.

    Args:
        systems: The texts of each system, by its name.
        references: For each text its reference, or several of which any is right.
        metrics: Names of scores.
        test: ``bootstrap`` or ``randomization``.
        trials: Resampled test sets, or random exchanges; 0: sacreBLEU's 1,000, or 10,000.
        lowercase: Score without case.
        tokenize: What cuts texts into the words that BLEU counts.

    Raises:
        DataError: There are fewer than two systems, or one has other texts than there are
            references.
    """
    require_name(test, "test", TESTS)
    require(trials >= 0, "trials", "at least 0", trials)
    if len(systems) < 2:
        raise DataError(f"cannot compare {len(systems)} system; at least two are needed")
    expected: Several = []
    for texts in systems.values():
        _, expected = require_pairs(texts, references)
    engines = {name: _engine(name, expected, lowercase, tokenize) for name in metrics}
    named: list[tuple[str, Sequence[str]]] = list(systems.items())
    # Intervals beside randomization come from a bootstrap of their own.
    own = 0 if test == "randomization" else -1
    paired = PairedTest(named, engines, by_rank(expected), TESTS[test], trials, own)
    signatures, scores = paired()
    found: Mapping[str, Sequence[Any]] = scores
    return [
        _compared(system, metric, one, signature.format())
        for metric, signature in signatures.items()
        for system, one in zip(systems, found[metric], strict=True)
    ]


def _compared(system: str, metric: str, found: Any, signature: str) -> Compared:  # noqa: ANN401
    """Returns a result of sacreBLEU's, in numbers of Python."""
    value, mean, interval = (float(one) for one in (found.score, found.mean, found.ci))
    chance = None if found.p_value is None else float(found.p_value)
    return Compared(system, metric, value, mean, interval, chance, signature)


def _engine(name: str, references: Several, lowercase: bool, tokenize: str) -> Any:  # noqa: ANN401
    """Returns a metric as sacreBLEU's tests take it."""
    require_name(name, "metrics", METRICS)
    if name in RATES:
        return _Resampled(name, references, lowercase)
    match name:
        case "bleu":
            return bleu_of(references, lowercase, tokenize)
        case "ter":
            return ter_of(references, lowercase)
        case _:
            return CHRF(lowercase=lowercase, word_order=2 * (name == "chrf++"))


def comparison_table(rows: Sequence[Compared]) -> str:
    """Returns a line a system, a column a score, and the signatures below."""
    systems = list(dict.fromkeys(row.system for row in rows))
    metrics = list(dict.fromkeys(row.metric for row in rows))
    first = {row.metric: row for row in rows if row.system == systems[0]}
    cells = {(row.system, row.metric): _cell(row, first[row.metric].value) for row in rows}
    table = [
        ("system", *metrics),
        *((system, *(cells[system, metric] for metric in metrics)) for system in systems),
    ]
    return "\n".join(
        [
            aligned("<" * len(table[0]), table),
            "",
            f"score ± half of the 95 % interval (p-value of the difference to {systems[0]}; "
            f"* below {SURE})",
            *(f"{metric}: {row.signature}" for metric, row in first.items()),
        ]
    )


def _cell(row: Compared, first: float) -> str:
    score = f"{row.value:.2f} ± {row.interval:.2f}"
    if row.p_value is None:
        return score
    differs = row.value != first and row.p_value < SURE
    return f"{score} (p = {row.p_value:.4f}){'*' * differs}"


def comparison_json(rows: Sequence[Compared]) -> str:
    """Returns the rows as a JSON list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)
