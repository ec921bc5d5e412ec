"""Recurrent sequence-to-sequence models: text in, translator out.

The names below are loaded on first use, so that ``import seq2seq`` and ``seq2seq --help`` never
wait for torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seq2seq.experiment import Run, train
    from seq2seq.inference import Translation, Translator, load

__version__ = "0.1.0"
__all__ = ["Run", "Translation", "Translator", "load", "train"]

_HOMES = {
    "Run": "seq2seq.experiment",
    "train": "seq2seq.experiment",
    "Translation": "seq2seq.inference",
    "Translator": "seq2seq.inference",
    "load": "seq2seq.inference",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
