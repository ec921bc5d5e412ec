"""How well a trained encoder-decoder translates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from seq2seq import config as configuration
from seq2seq.data.pairs.corpus import Corpus, open_corpora
from seq2seq.data.references import Accepted, all_texts
from seq2seq.errors import ConfigError, OneOf, require, require_name
from seq2seq.evaluation.bleu_tokenizer import pick_tokenizer
from seq2seq.evaluation.metrics import Score
from seq2seq.measures import AUTO, BLEU_TOKENIZERS, METRICS, require_ready, scores, take_tokenizer
from seq2seq.runs.folder import begun_commits
from seq2seq.tasks.task import open_own, read_config_of
from seq2seq.tasks.translation.cases import (
    Case,
    given_cases,
    grouped,
    restored,
    tell_of_ambiguous,
)
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tasks.translation.wishes import Wishes


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How translations are compared with references."""

    metrics: tuple[Annotated[str, OneOf(METRICS)], ...] = ()
    """The scores; none: what suits the task."""
    lowercase: bool = False
    """Score without case."""
    bleu_tokenizer: Annotated[str, OneOf(BLEU_TOKENIZERS, AUTO)] = ""
    """What cuts texts into the words that BLEU counts; auto: what suits the script of the
    references; empty: the run's own."""
    group_sources: bool | None = None
    """Take pairs with the same source for one that has several references, of which any is right;
    none: as the run does."""
    batch_size: int = 64
    """Texts translated at once."""

    def __post_init__(self) -> None:
        for metric in self.metrics:
            require_name(metric, "metrics", METRICS)
        if self.bleu_tokenizer not in ("", AUTO):
            require_name(self.bleu_tokenizer, "bleu_tokenizer", (AUTO, *BLEU_TOKENIZERS))
        require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)


@dataclass(frozen=True)
class Evaluation:
    """What a translator makes of a test set, and what that is worth."""

    scores: list[Score]
    sources: list[str]
    references: list[Accepted]
    """Composed as translations are, where the target's normalisers decompose."""
    translations: list[str]

    def of_each(self, cases: Sequence[Case]) -> list[str]:
        """Returns the translation of each case, also where those with one source are grouped."""
        if len(cases) == len(self.sources):
            return self.translations
        found = dict(zip(self.sources, self.translations, strict=True))
        return [found[source] for source, _ in cases]


def evaluate_pairs(
    translator: Translator,
    cases: Sequence[Case],
    settings: EvaluationConfig,
    wishes: Wishes | None = None,
) -> Evaluation:
    """Translates sources, as wished, and scores what comes out by their references.

    Says so where a source has other references in other cases, unless ``group_sources`` is set.

    Raises:
        ConfigError: BLEU's tokenizer, or a score, cannot be used here.
    """
    if settings.group_sources:
        cases = grouped(cases)
    elif settings.group_sources is None:
        tell_of_ambiguous(cases)
    sources = [source for source, _ in cases]
    references = restored(cases, translator.pipelines.target)
    require_ready(settings.metrics)
    tokenizer = settings.bleu_tokenizer or AUTO
    if take_tokenizer(settings.metrics):  # before the work, in case it cannot be used
        tokenizer = pick_tokenizer(tokenizer, all_texts(references))
    translated = translator(sources, batch_size=settings.batch_size, wishes=wishes)
    translations = [translation.text for translation in translated]
    found = scores(
        settings.metrics,
        translations,
        references,
        lowercase=settings.lowercase,
        tokenize=tokenizer,
        sources=sources,
    )
    return Evaluation(found, sources, references, translations)


def suited(settings: EvaluationConfig, config: TranslationConfig) -> EvaluationConfig:
    """Returns the settings with what suits the run in place of what is not named."""
    own = config.validation
    group = settings.group_sources
    return replace(
        settings,
        metrics=settings.metrics or config.usual_metrics,
        bleu_tokenizer=settings.bleu_tokenizer or own.bleu_tokenizer,
        group_sources=own.group_sources or None if group is None else group,
    )


def evaluate(
    run: Path,
    data: Iterable[Any] | None,
    settings: Mapping[str, object],
    *,
    checkpoint: str,
    device: str,
) -> list[Score]:
    """Scores a run on pairs, or on the test set that its configuration names.

    In place of a target a pair may have a list of targets, of which any is right.
    """
    config = read_config_of(TranslationConfig, run)
    chosen = configuration.from_mapping(EvaluationConfig, settings, where="settings")
    if data is None:
        cases: Sequence[Case] = list(test_corpus(config, run).pairs())
    else:
        cases = given_cases(data, "data")
    translator = Translator.load(run, checkpoint=checkpoint, device=device)
    return evaluate_pairs(translator, cases, suited(chosen, config)).scores


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
    commits = begun_commits(run)
    return open_own(
        config,
        run,
        config.data.corpora("test"),
        lambda corpora, folder: open_corpora(corpora, folder, commits),
    )
