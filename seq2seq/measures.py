"""The names of all scores, and which way is better; nothing heavy is imported before its use."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seq2seq.lazy import imported


class Metric(NamedTuple):
    """A score of texts against references."""

    function: str | Callable[..., Any]
    """Takes hypotheses, references and ``lowercase``, and returns a
    :class:`seq2seq.evaluation.metrics.Score`; or ``module:name`` of it."""
    lower_is_better: bool = False

    def __call__(
        self, hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool = False
    ) -> Any:  # noqa: ANN401
        """Returns the score."""
        return _of(self.function)(hypotheses, references, lowercase=lowercase)


class ForecastMetric(NamedTuple):
    """A score of forecasts against what came."""

    function: str | Callable[[Any], Any]
    """Takes a :class:`seq2seq.evaluation.forecast_metrics.Compared` and returns a
    :class:`seq2seq.evaluation.forecast_metrics.Tally`; or ``module:name`` of it."""
    lower_is_better: bool = True

    def __call__(self, compared: Any) -> Any:  # noqa: ANN401
        """Returns the tally, which has the score of all, of each step and of each column."""
        return _of(self.function)(compared)


def _of(function: str | Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = imported(function) if isinstance(function, str) else function
    return found


_METRICS = "seq2seq.evaluation.metrics"
_FORECASTS = "seq2seq.evaluation.forecast_metrics"

METRICS: dict[str, Metric] = {
    "bleu": Metric(f"{_METRICS}:bleu"),
    "chrf": Metric(f"{_METRICS}:chrf"),
    "ter": Metric(f"{_METRICS}:ter", lower_is_better=True),
    "exact": Metric(f"{_METRICS}:exact_match"),
    "wer": Metric(f"{_METRICS}:wer", lower_is_better=True),
    "per": Metric(f"{_METRICS}:per", lower_is_better=True),
    "cer": Metric(f"{_METRICS}:cer", lower_is_better=True),
}
"""Metrics by the name that configurations and ``--metrics`` give them."""
FORECAST_METRICS: dict[str, ForecastMetric] = {
    name: ForecastMetric(f"{_FORECASTS}:{name}")
    for name in ("mae", "rmse", "mape", "smape", "mase", "wql", "msis", "ade", "fde")
}
"""The same of forecasts. Coverage is none of them: it has a nominal value, and no way is better."""
LOSSES = frozenset({"loss", "perplexity", "windows_loss", "bits_per_character"})
"""Scores of validation that are no metrics; less is better."""


def lower_is_better(name: str) -> bool:
    """Tells whether a score falls as a model gets better."""
    metric = METRICS.get(name) or FORECAST_METRICS.get(name)
    return name in LOSSES or (metric is not None and metric.lower_is_better)
