"""The only wiring: which parts one experiment joins, and under which keys they are configured."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

import torch

from seq2seq.data.batching import BatchConfig
from seq2seq.data.sources import Corpus, CorpusConfig
from seq2seq.data.store import FilterConfig
from seq2seq.errors import ConfigError, DataError, require
from seq2seq.models.seq2seq import Seq2Seq, Seq2SeqConfig
from seq2seq.search.stepper import SearchConfig
from seq2seq.text.pipeline import Pipeline, PipelineConfig, train_tokenizer
from seq2seq.training.trainer import TrainConfig

TaskName = Literal["translation"]
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
    samples: int = 5
    """Translations written to the run folder at each validation."""

    def __post_init__(self) -> None:
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        require(self.sentences >= 0, "sentences", "at least 0", self.sentences)
        require(self.samples >= 0, "samples", "at least 0", self.samples)


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """Text to text, with an encoder-decoder: translation, and everything shaped like it."""

    task: TaskName = "translation"
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


TASKS: dict[str, type[TranslationConfig]] = {"translation": TranslationConfig}


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

    def save(self, folder: Path) -> None:
        """Writes both pipelines below ``folder``."""
        self.source.save(folder / "source")
        self.target.save(folder / "target")

    @classmethod
    def load(cls, folder: Path) -> "Pipelines":
        """Reads what :meth:`save` wrote."""
        return cls(Pipeline.load(folder / "source"), Pipeline.load(folder / "target"))


def build_model(config: TranslationConfig, pipelines: Pipelines) -> Seq2Seq:
    """Returns a model with fresh weights, drawn from the seed."""
    torch.manual_seed(config.train.seed)
    return Seq2Seq(config.model, len(pipelines.source), len(pipelines.target))


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
