"""Strings of symbols to strings of symbols: translation with other defaults."""

from dataclasses import dataclass, field
from typing import Literal

from seq2seq.tasks.task import Task
from seq2seq.tasks.translation.config import TranslationConfig, ValidationConfig
from seq2seq.tasks.translation.task import TASK as TRANSLATION
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.optimisation import OF_TEXT


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
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=40, metric="wer", optimizer=OF_TEXT)
    )
    """The training loop."""
    validation: ValidationConfig = field(default_factory=lambda: ValidationConfig(metrics=None))
    """What is measured while training."""

    @property
    def usual_metrics(self) -> tuple[str, ...]:
        """What `evaluate` reports unless told; edits are of symbols where spaces part them."""
        return ("wer", "per") if self.target.tokenizer == "space" else ("wer", "cer")


TASK = Task(TransductionConfig, TRANSLATION.open, TRANSLATION.load, TRANSLATION.evaluate)
