"""The configuration of a language model's run."""

from dataclasses import dataclass, field, replace
from typing import Literal

from seq2seq.data.documents.batches import TextBatchConfig
from seq2seq.data.documents.texts import TextConfig
from seq2seq.errors import ConfigError, PathText, require
from seq2seq.models.language_model import LanguageModelConfig
from seq2seq.search.config import SamplingConfig
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.optimisation import OF_TEXT

Role = Literal["train", "valid", "test"]


def _characters() -> PipelineConfig:
    return PipelineConfig(tokenizer="char")


@dataclass(frozen=True, kw_only=True)
class TextDataConfig:
    """The texts, and how they become batches."""

    folder: PathText = "."
    """Where relative paths of the texts begin; if it is relative, the directory that training is
    started from is remembered for `evaluate`."""
    train: TextConfig | None = None
    """Text to learn from."""
    valid: TextConfig | None = None
    """Text to validate with."""
    test: TextConfig | None = None
    """Text that `evaluate` uses unless given another; training never sees it."""
    batch: TextBatchConfig = field(default_factory=TextBatchConfig)
    """How text becomes batches."""
    cache: PathText = ""
    """Where encoded texts are kept; empty: `seq2seq` in the user's cache folder."""

    def text(self, role: Role) -> TextConfig:
        """Returns where a text comes from.

        Raises:
            ConfigError: The configuration does not say.
        """
        text: TextConfig | None = getattr(self, role)
        if text is None:
            raise ConfigError(
                f"data.{role}: is required; give data.{role}.files or data.{role}.path"
            )
        return text


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
    folder: PathText = ""
    """The run folder; empty: `runs/` and the configuration file's name."""
    data: TextDataConfig = field(default_factory=TextDataConfig)
    """The texts."""
    text: PipelineConfig = field(default_factory=_characters)
    """How text becomes ids."""
    model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    """The language model."""
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=20, label_smoothing=0.0, optimizer=OF_TEXT)
    )
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
        # For the same reason, and since text appears from its beginning on.
        require(not self.text.reversed, "text.reversed", "false", self.text.reversed)

    def settled(self) -> "LanguageModelTaskConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        return replace(self, text=self.text.settled())
