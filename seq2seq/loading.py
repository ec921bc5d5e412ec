"""A run folder as what its task makes of it."""

from pathlib import Path

from seq2seq.generation import Generator
from seq2seq.inference import Translator
from seq2seq.runs import read_config
from seq2seq.tasks import LanguageModelTaskConfig


def load(
    run: str | Path, *, checkpoint: str = "best", device: str = "auto"
) -> Translator | Generator:
    """Loads a :class:`Translator`, or the :class:`Generator` of a language model.

    Raises:
        CheckpointError: It is no run folder, or the checkpoint is missing or damaged.
    """
    text = isinstance(read_config(Path(run)), LanguageModelTaskConfig)
    kind = Generator if text else Translator
    return kind.load(run, checkpoint=checkpoint, device=device)
