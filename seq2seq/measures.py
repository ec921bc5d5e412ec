"""The names of all scores, and which way is better."""

from typing import Literal

MetricName = Literal["bleu", "chrf", "ter", "exact", "wer", "per", "cer"]
"""Scores of texts against references."""
ScoreName = Literal["loss", MetricName]
"""What may decide which checkpoint is the best."""

LOWER_IS_BETTER: frozenset[str] = frozenset(
    {"loss", "perplexity", "ter", "wer", "per", "cer", "windows_loss", "bits_per_character"}
)
"""Scores that fall as a model gets better; all others rise."""
