"""How well a trained encoder-decoder translates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from seq2seq import config as configuration
from seq2seq.data.pairs.corpus import Corpus, Pair, given_pairs, open_corpus
from seq2seq.errors import ConfigError, OneOf, require, require_name
from seq2seq.evaluation.metrics import Score
from seq2seq.measures import METRICS
from seq2seq.tasks.task import open_own, read_config_of
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How translations are compared with references."""

    metrics: tuple[Annotated[str, OneOf(METRICS)], ...] = ()
    """The scores; none: what suits the task."""
    lowercase: bool = False
    """Score without case."""
    batch_size: int = 64
    """Texts translated at once."""

    def __post_init__(self) -> None:
        for metric in self.metrics:
            require_name(metric, "metrics", METRICS)
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)


@dataclass(frozen=True)
class Evaluation:
    """What a translator makes of a test set, and what that is worth."""

    scores: list[Score]
    sources: list[str]
    references: list[str]
    """Composed as translations are, where the target's normalisers decompose."""
    translations: list[str]


def evaluate_pairs(
    translator: Translator, pairs: Sequence[Pair], settings: EvaluationConfig
) -> Evaluation:
    """Translates the sources of ``pairs`` and scores what comes out."""
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    references = translator.pipelines.target.restored(targets)
    translations = [
        translation.text for translation in translator(sources, batch_size=settings.batch_size)
    ]
    scores = [
        METRICS[name](translations, references, lowercase=settings.lowercase)
        for name in settings.metrics
    ]
    return Evaluation(scores, sources, references, translations)


def suited(settings: EvaluationConfig, config: TranslationConfig) -> EvaluationConfig:
    """Returns the settings with the metrics that suit the task, where none are named."""
    if settings.metrics:
        return settings
    return replace(settings, metrics=config.usual_metrics)


def evaluate(
    run: Path,
    data: Iterable[Any] | None,
    settings: Mapping[str, object],
    *,
    checkpoint: str,
    device: str,
) -> list[Score]:
    """Scores a run on pairs, or on the test set that its configuration names."""
    config = read_config_of(TranslationConfig, run)
    chosen = configuration.from_mapping(EvaluationConfig, settings, where="settings")
    corpus = test_corpus(config, run) if data is None else given_pairs(data, "data")
    translator = Translator.load(run, checkpoint=checkpoint, device=device)
    return evaluate_pairs(translator, list(corpus.pairs()), suited(chosen, config)).scores


def test_corpus(config: TranslationConfig, run: Path) -> Corpus:
    """Opens the test set that a run's configuration names.

    Raises:
        ConfigError: It names none.
    """
    if config.data.test is None:
        raise ConfigError(
            f"{run}: its configuration has no data.test; give --pairs, or --source and --reference "
            "(in Python: pairs)"
        )
    return open_own(config, run, config.data.test, open_corpus)
