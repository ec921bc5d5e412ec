"""Scores of corpora from what is counted in each text, for whoever chooses among many texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import require_name
from seq2seq.evaluation.bleu_tokenizer import pick_tokenizer
from seq2seq.measures import AUTO

Metric: TypeAlias = BLEU | CHRF
COUNTED: dict[str, Callable[[str], Metric]] = {
    "bleu": lambda tokenize: BLEU(tokenize=tokenize),
    "chrf": lambda tokenize: CHRF(),
}
"""Metrics whose scores of a corpus come from sums over its texts; made for BLEU's tokenizer."""


@dataclass(frozen=True)
class Counts:
    """What a metric counts in texts, several for each reference."""

    metric: Metric
    of_texts: Sequence[Float[np.ndarray, "_ F"]]
    """For each reference, what is counted in each of its texts."""

    def score(self, sums: Float[np.ndarray, "F"]) -> float:
        """Returns the score of a corpus in whose texts so much was counted."""
        return float(self.metric._compute_score_from_stats(sums.tolist()).score)


def counted(
    name: str, texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> Counts:
    """Counts in texts what a metric's score of a corpus is computed from.

    Args:
        name: One of :data:`COUNTED`.
        texts: The texts that stand beside each reference.
        references: For these, one reference or several.

    Raises:
        ConfigError: There is no such metric, or BLEU's tokenizer cannot be used here.
    """
    require_name(name, "metric", COUNTED)
    metric: Any = COUNTED[name](pick_tokenizer(AUTO, chain.from_iterable(references)))
    known = metric._cache_references(list(zip_longest(*references)))
    rows = [
        [metric._compute_segment_statistics(metric._preprocess_segment(text), own) for text in some]
        for some, own in zip(texts, known, strict=True)
    ]
    return Counts(metric, [np.array(some, np.float64) for some in rows])
