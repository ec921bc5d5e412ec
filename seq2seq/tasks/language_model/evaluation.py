"""How well a language model predicts a text."""

import logging
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq import config as configuration
from seq2seq.data.documents.batches import ReadThrough, Windows
from seq2seq.data.documents.store import TextStore, encode_texts
from seq2seq.data.documents.texts import TextConfig, Texts, given_documents, open_texts
from seq2seq.errors import ConfigError, require
from seq2seq.evaluation.metrics import Score
from seq2seq.evaluation.text_loss import Loss, measure, text_scores
from seq2seq.models.language_model import LanguageModel
from seq2seq.symbols import UNK
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.task import open_own, read_config_of, warn_of_unknown

log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a text is scored."""

    window: int = 256
    """Tokens of the windows that are scored independently; 0: no such score."""

    def __post_init__(self) -> None:
        require(self.window >= 0, "window", "at least 0", self.window)


def measure_text(
    model: LanguageModel, store: TextStore, window: int, rows: int = 1
) -> tuple[Loss, Loss | None]:
    """Scores a text read as a whole, in ``rows`` parts, and unless ``window`` is 0 in windows."""
    carried = measure(model, ReadThrough(store, rows))
    return carried, measure(model, Windows(store, window)) if window else None


def evaluate_text(generator: Generator, texts: Texts, settings: EvaluationConfig) -> list[Score]:
    """Scores a text: read as a whole with carried state, and in independent windows."""
    with tempfile.TemporaryDirectory(prefix="seq2seq-evaluate-") as cache:
        store = encode_texts(texts, generator.pipeline, Path(cache))
        warn_of_unknown(store.share(UNK), texts.name)
        carried, windows = measure_text(generator.model, store, settings.window)
        return text_scores(
            carried,
            windows,
            settings.window,
            store.characters,
            unknown=store.share(UNK),
            lossless=generator.pipeline.lossless,
        )


def evaluate(
    run: Path,
    data: Iterable[Any] | None,
    settings: Mapping[str, object],
    *,
    checkpoint: str,
    device: str,
) -> list[Score]:
    """Scores a run on documents, or on the text that its configuration names."""
    config = read_config_of(LanguageModelTaskConfig, run)
    chosen = configuration.from_mapping(EvaluationConfig, settings, where="settings")
    if data is None:
        texts = open_own(config, run, test_text(config, run), open_texts)
    else:
        texts = given_documents(data, "data")
    return evaluate_text(Generator.load(run, checkpoint=checkpoint, device=device), texts, chosen)


def test_text(config: LanguageModelTaskConfig, run: Path) -> TextConfig:
    """Returns where the text is that a run is measured on: its test text, else its validation text.

    Raises:
        ConfigError: The configuration names neither.
    """
    if config.data.test is not None:
        return config.data.test
    if config.data.valid is None:
        raise ConfigError(
            f"{run}: its configuration has neither data.test nor data.valid; give --text "
            "(in Python: documents)"
        )
    log.info("no data.test: this is data.valid, which chose the checkpoint; see --text")
    return config.data.valid
