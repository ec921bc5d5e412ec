"""The modes: a mode is one entry of one table."""

from collections.abc import Callable

from seq2seq.tasks.forecasting.direct import Direct, Sequences
from seq2seq.tasks.forecasting.feeding import EncoderDecoder, Recursive
from seq2seq.tasks.forecasting.mode import Mode
from seq2seq.tasks.forecasting.reading import Shape
from seq2seq.tasks.forecasting.segments import Segments

MODES: dict[str, Callable[[Shape], Mode]] = {
    "direct": Direct,
    "recursive": Recursive,
    "encoder-decoder": EncoderDecoder,
    "sequence": Sequences,
    "segments": Segments,
}
"""Modes by the name that ``mode:`` gives them in a configuration."""
