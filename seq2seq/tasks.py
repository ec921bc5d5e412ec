"""The only wiring: which parts one experiment joins, and under which keys they are configured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from seq2seq.data.batching import BatchConfig
from seq2seq.data.sources import Corpus, CorpusConfig
from seq2seq.data.store import FilterConfig
from seq2seq.data.streams import TextBatchConfig
from seq2seq.data.texts import TextConfig, Texts
from seq2seq.errors import ConfigError, DataError, nearest, require
from seq2seq.measures import MetricName
from seq2seq.models.language_model import LanguageModel, LanguageModelConfig
from seq2seq.models.seq2seq import Seq2Seq, Seq2SeqConfig
from seq2seq.search.sampling import SamplingConfig
from seq2seq.search.stepper import SearchConfig
from seq2seq.text.pipeline import Pipeline, PipelineConfig, train_tokenizer
from seq2seq.training.trainer import TrainConfig

TaskName = Literal["translation", "transduction", "language-model"]
Role = Literal["train", "valid", "test"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The corpora, and how their pairs become batches."""

    folder: str = "."
    """Where relative paths of the corpora begin."""
    train: CorpusConfig | None = None
    """Pairs to learn from."""
    valid: CorpusConfig | None = None
    """Pairs to validate with."""
    test: CorpusConfig | None = None
    """Pairs that `evaluate` uses unless given others; training never sees them."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """Training pairs to leave out."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """How training pairs are joined to batches."""
    cache: str = ""
    """Where encoded corpora are kept; empty: `seq2seq` in the user's cache folder."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """What is measured on the validation pairs while training."""

    beam_size: int = 1
    """Beam for the scores of validation translations; 1 is greedy and fast."""
    sentences: int = 1000
    """Translate the first sentences only; 0: none, so that loss is the only score."""
    metrics: tuple[MetricName, ...] | None = ("bleu",)
    """Scores of the translations, besides the one that `train.metric` names; none: those that
    `evaluate` reports unless told."""
    samples: int = 5
    """Translations written to the run folder at each validation."""

    def __post_init__(self) -> None:
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        require(self.sentences >= 0, "sentences", "at least 0", self.sentences)
        require(self.samples >= 0, "samples", "at least 0", self.samples)


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """Text to text, with an encoder-decoder: translation, and everything shaped like it."""

    task: Literal["translation"] = "translation"
    """What the run is for."""
    folder: str = ""
    """The run folder; empty: `runs/` and the configuration file's name."""
    data: DataConfig = field(default_factory=DataConfig)
    """The corpora."""
    joint_tokenizer: bool = False
    """Learn one set of subwords from both sides, with the settings of `source`."""
    source: PipelineConfig = field(default_factory=PipelineConfig)
    """How source text becomes ids."""
    target: PipelineConfig = field(default_factory=PipelineConfig)
    """How target text becomes ids; its vocabulary holds only what training targets contain."""
    model: Seq2SeqConfig = field(default_factory=Seq2SeqConfig)
    """The encoder-decoder."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=20))
    """The training loop."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """What is measured while training."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """How translations are searched for."""

    def __post_init__(self) -> None:
        subwords = self.source.subword_kind is not None
        same = self.source.subword_kind == self.target.subword_kind
        require(
            not self.joint_tokenizer or (subwords and same),
            "joint_tokenizer",
            "false unless source.tokenizer and target.tokenizer are the same subwords",
            self.joint_tokenizer,
        )
        measured = self.train.metric == "loss" or self.validation.sentences > 0
        require(
            measured,
            "validation.sentences",
            f"above 0 where train.metric is {self.train.metric}",
            self.validation.sentences,
        )

    @property
    def usual_metrics(self) -> tuple[MetricName, ...]:
        """What `evaluate` reports unless told."""
        return ("bleu", "chrf", "exact")

    @property
    def validation_metrics(self) -> tuple[MetricName, ...]:
        """The scores of validation translations that are meant."""
        own = self.validation.metrics
        return self.usual_metrics if own is None else own

    def settled(self) -> "TranslationConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        return replace(
            self,
            source=self.source.settled(),
            target=self.target.settled(),
            validation=replace(self.validation, metrics=self.validation_metrics),
        )


def _characters() -> PipelineConfig:
    return PipelineConfig(tokenizer="char")


@dataclass(frozen=True, kw_only=True)
class TransductionConfig(TranslationConfig):
    """Strings of symbols to strings of symbols: grapheme-to-phoneme conversion, transliteration,
    inflection. Translation with other defaults: characters, and word and character error rates.
    """  # noqa: D205

    task: Literal["transduction"] = "transduction"  # type: ignore[assignment]
    """What the run is for."""
    source: PipelineConfig = field(default_factory=_characters)
    """How source text becomes ids."""
    target: PipelineConfig = field(default_factory=_characters)
    """How target text becomes ids."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=40, metric="wer"))
    """The training loop."""
    validation: ValidationConfig = field(default_factory=lambda: ValidationConfig(metrics=None))
    """What is measured while training."""

    @property
    def usual_metrics(self) -> tuple[MetricName, ...]:
        """What `evaluate` reports unless told; edits are of symbols where spaces part them."""
        return ("wer", "per") if self.target.tokenizer == "space" else ("wer", "cer")


@dataclass(frozen=True, kw_only=True)
class TextDataConfig:
    """The texts, and how they become batches."""

    folder: str = "."
    """Where relative paths of the texts begin."""
    train: TextConfig | None = None
    """Text to learn from."""
    valid: TextConfig | None = None
    """Text to validate with."""
    test: TextConfig | None = None
    """Text that `evaluate` uses unless given another; training never sees it."""
    batch: TextBatchConfig = field(default_factory=TextBatchConfig)
    """How text becomes batches."""
    cache: str = ""
    """Where encoded texts are kept; empty: `seq2seq` in the user's cache folder."""


@dataclass(frozen=True, kw_only=True)
class TextValidationConfig:
    """What is measured on the validation text while training."""

    rows: int = 1
    """Parts of the text read side by side, each from an empty state; 1 reads it as a whole, exactly
    and slowly."""
    window: int = 256
    """Tokens of the windows that are scored independently; 0: no such score."""
    sample: int = 400
    """Characters generated and written to the run folder at each validation."""

    def __post_init__(self) -> None:
        require(self.rows >= 1, "rows", "at least 1", self.rows)
        require(self.window >= 0, "window", "at least 0", self.window)
        require(self.sample >= 0, "sample", "at least 0", self.sample)


@dataclass(frozen=True, kw_only=True)
class LanguageModelTaskConfig:
    """Text that goes on: a language model over characters, bytes, words or pieces."""

    task: Literal["language-model"] = "language-model"
    """What the run is for."""
    folder: str = ""
    """The run folder; empty: `runs/` and the configuration file's name."""
    data: TextDataConfig = field(default_factory=TextDataConfig)
    """The texts."""
    text: PipelineConfig = field(default_factory=_characters)
    """How text becomes ids."""
    model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    """The language model."""
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=20, label_smoothing=0.0))
    """The training loop."""
    validation: TextValidationConfig = field(default_factory=TextValidationConfig)
    """What is measured while training."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How text is generated."""

    def __post_init__(self) -> None:
        metric = self.train.metric
        require(metric == "loss", "train.metric", "loss for a language model", metric)
        composed = {"nfd", "nfkd"}.isdisjoint(self.text.normalizers)
        # Text appears character by character: what has appeared cannot be composed any more.
        require(composed, "text.normalizers", "without nfd and nfkd", list(self.text.normalizers))
        require(not self.text.sampling, "text.sampling", "0", self.text.sampling)
        # A long document is encoded in parts, and a tag counts only where a text begins.
        require(not self.text.tags, "text.tags", "left out", list(self.text.tags))

    def settled(self) -> "LanguageModelTaskConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        return replace(self, text=self.text.settled())


TaskConfig: TypeAlias = TranslationConfig | LanguageModelTaskConfig

TASKS: dict[str, type[TranslationConfig] | type[LanguageModelTaskConfig]] = {
    "translation": TranslationConfig,
    "transduction": TransductionConfig,
    "language-model": LanguageModelTaskConfig,
}


def task_of(
    mapping: Mapping[str, object], where: str = "config"
) -> type[TranslationConfig] | type[LanguageModelTaskConfig]:
    """Returns the class that configures the task which a configuration, called ``where``, names.

    Raises:
        ConfigError: There is no such task.
    """
    task = str(mapping.get("task", "translation"))
    if task not in TASKS:
        raise ConfigError(
            f"{where}: task: must be one of {', '.join(TASKS)}, got {task!r}{nearest(task, TASKS)}"
        )
    return TASKS[task]


@dataclass(frozen=True)
class Pipelines:
    """Both ways between text and ids: of the source and of the target."""

    source: Pipeline
    target: Pipeline

    @classmethod
    def train(cls, config: TranslationConfig, corpus: Corpus) -> "Pipelines":
        """Learns tokenizers and vocabularies from a training corpus.

        Raises:
            DataError: One side of the corpus is blank from beginning to end.
        """
        for side, texts in (("source", corpus.sources()), ("target", corpus.targets())):
            if not any(text.strip() for text in texts):
                raise DataError(f"{corpus.name}: every {side} text is blank; text is needed")
        shared = None
        if config.joint_tokenizer:

            def both() -> Iterator[str]:
                return chain(corpus.sources(), corpus.targets())

            shared = train_tokenizer(config.source, both, key="source")
        return cls(
            Pipeline.train(config.source, corpus.sources, key="source", tokenizer=shared),
            Pipeline.train(
                config.target, corpus.targets, key="target", trim=True, tokenizer=shared
            ),
        )

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Two hashes of everything that decides about the ids of a text."""
        return self.source.fingerprint, self.target.fingerprint

    def save(self, folder: Path) -> None:
        """Writes both pipelines below ``folder``."""
        self.source.save(folder / "source")
        self.target.save(folder / "target")

    @classmethod
    def load(cls, folder: Path) -> "Pipelines":
        """Reads what :meth:`save` wrote."""
        return cls(Pipeline.load(folder / "source"), Pipeline.load(folder / "target"))


def train_text_pipeline(config: LanguageModelTaskConfig, texts: Texts) -> Pipeline:
    """Learns the tokenizer and vocabulary of a language model from a training text."""

    def blocks() -> Iterator[str]:
        return chain.from_iterable(texts.documents())

    def lines() -> Iterator[str]:  # no piece of a word reaches over a line's end
        return chain.from_iterable(block.split("\n") for block in blocks())

    subwords = config.text.subword_kind is not None
    return Pipeline.train(config.text, lines if subwords else blocks, key="text")


def build_model(config: TranslationConfig, pipelines: Pipelines) -> Seq2Seq:
    """Returns a model with fresh weights, drawn from the seed."""
    torch.manual_seed(config.train.seed)
    return Seq2Seq(config.model, len(pipelines.source), len(pipelines.target))


def build_language_model(config: LanguageModelTaskConfig, pipeline: Pipeline) -> LanguageModel:
    """Returns a model with fresh weights, drawn from the seed."""
    torch.manual_seed(config.train.seed)
    return LanguageModel(config.model, len(pipeline))


def corpus_config(config: TranslationConfig, role: Role) -> CorpusConfig:
    """Returns where a corpus comes from.

    Raises:
        ConfigError: The configuration does not say.
    """
    found: CorpusConfig | None = getattr(config.data, role)
    if found is None:
        raise ConfigError(
            f"data.{role}: is required; give data.{role}.source and data.{role}.target, "
            f"or data.{role}.path"
        )
    return found


def text_config(config: LanguageModelTaskConfig, role: Role) -> TextConfig:
    """Returns where a text comes from.

    Raises:
        ConfigError: The configuration does not say.
    """
    found: TextConfig | None = getattr(config.data, role)
    if found is None:
        raise ConfigError(f"data.{role}: is required; give data.{role}.files or data.{role}.path")
    return found
