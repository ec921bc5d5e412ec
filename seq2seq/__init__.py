"""Recurrent sequence-to-sequence models: text in; a translator, a transducer or a writer out.

The names below are loaded on first use, so that ``import seq2seq`` and ``seq2seq --help`` never
wait for torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seq2seq.experiment import train
    from seq2seq.generation import Generator, Sample, Surprisal
    from seq2seq.inference import Translation, Translator
    from seq2seq.loading import load
    from seq2seq.runs import Run

__version__ = "0.1.0"
__all__ = [
    "Generator",
    "Run",
    "Sample",
    "Surprisal",
    "Translation",
    "Translator",
    "load",
    "train",
]

_HOMES = {
    "Run": "seq2seq.runs",
    "train": "seq2seq.experiment",
    "Translation": "seq2seq.inference",
    "Translator": "seq2seq.inference",
    "Generator": "seq2seq.generation",
    "Sample": "seq2seq.generation",
    "Surprisal": "seq2seq.generation",
    "load": "seq2seq.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
