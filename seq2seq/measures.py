"""The names of all scores, and which way is better; nothing heavy is imported before its use."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seq2seq.lazy import LazyNames, imported

BLEU_TOKENIZERS = LazyNames("sacrebleu.metrics.bleu:BLEU.TOKENIZERS")
"""What may cut texts into the words that BLEU counts: all that sacreBLEU has."""
AUTO = "auto"
"""In place of a tokenizer's name: the one that suits the script of the references."""


class Metric(NamedTuple):
    """A score of texts against references."""

    function: str | Callable[..., Any]
    """Takes hypotheses, references (each a text, or several texts of which any is right) and
    ``lowercase``, and returns a :class:`seq2seq.evaluation.metrics.Score`; or ``module:name`` of
    it."""
    lower_is_better: bool = False
    takes_tokenizer: bool = False
    """Whether the function takes ``tokenize`` as well, the name of BLEU's tokenizer."""
    takes_sources: bool = False
    """Whether the function takes ``sources`` as well; it refuses None."""
    ready: str = ""
    """``module:name`` of what raises an error if the score cannot be computed here."""

    def __call__(
        self,
        hypotheses: str | Sequence[str],
        references: str | Sequence[str | Sequence[str]],
        *,
        lowercase: bool = False,
        tokenize: str = AUTO,
        sources: Sequence[str] | None = None,
    ) -> Any:  # noqa: ANN401
        """Returns the score."""
        settings: dict[str, Any] = {"tokenize": tokenize} if self.takes_tokenizer else {}
        if self.takes_sources:
            settings["sources"] = sources
        return _of(self.function)(hypotheses, references, lowercase=lowercase, **settings)


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
_COMET = "seq2seq.evaluation.comet"
_FORECASTS = "seq2seq.evaluation.forecast_metrics"

METRICS: dict[str, Metric] = {
    "bleu": Metric(f"{_METRICS}:bleu", takes_tokenizer=True),
    "chrf": Metric(f"{_METRICS}:chrf"),
    "chrf++": Metric(f"{_METRICS}:chrf_plus"),
    "ter": Metric(f"{_METRICS}:ter", lower_is_better=True),
    "exact": Metric(f"{_METRICS}:exact_match"),
    "wer": Metric(f"{_METRICS}:wer", lower_is_better=True),
    "per": Metric(f"{_METRICS}:per", lower_is_better=True),
    "cer": Metric(f"{_METRICS}:cer", lower_is_better=True),
    "comet": Metric(f"{_COMET}:comet", takes_sources=True, ready=f"{_COMET}:command"),
}
"""Metrics by the name that configurations and ``--metrics`` give them."""
FORECAST_METRICS: dict[str, ForecastMetric] = {
    name: ForecastMetric(f"{_FORECASTS}:{name}")
    for name in ("mae", "mse", "rmse", "mape", "smape", "mase", "wql", "msis", "ade", "fde")
}
"""The same of forecasts. Coverage is none of them: it has a nominal value, and no way is better."""
LOSSES = frozenset({"loss", "perplexity", "windows_loss", "bits_per_character"})
"""Scores of validation that are no metrics; less is better."""


def lower_is_better(name: str) -> bool:
    """Tells whether a score falls as a model gets better."""
    metric = METRICS.get(name) or FORECAST_METRICS.get(name)
    return name in LOSSES or (metric is not None and metric.lower_is_better)


def take_tokenizer(names: Sequence[str]) -> bool:
    """Tells whether any of these scores depends on BLEU's tokenizer."""
    return any(name in METRICS and METRICS[name].takes_tokenizer for name in names)


def take_sources(names: Sequence[str]) -> bool:
    """Tells whether any of these scores needs the sources."""
    return any(name in METRICS and METRICS[name].takes_sources for name in names)


def require_ready(names: Sequence[str]) -> None:
    """Raises what a score that cannot be computed here raises, before the work begins."""
    for name in names:
        if name in METRICS and METRICS[name].ready:
            imported(METRICS[name].ready)()


def scores(
    names: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str | Sequence[str]],
    *,
    lowercase: bool = False,
    tokenize: str = AUTO,
    sources: Sequence[str] | None = None,
) -> list[Any]:
    """Returns the scores of these names; sources may be None where none of them needs any."""
    settings: dict[str, Any] = {"lowercase": lowercase, "tokenize": tokenize, "sources": sources}
    return [METRICS[name](hypotheses, references, **settings) for name in names]
