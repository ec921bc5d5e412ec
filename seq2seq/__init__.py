"""Recurrent sequence-to-sequence models: text in; a translator, a transducer or a writer out.

The names below are loaded on first use, so that ``import seq2seq`` and ``seq2seq --help`` never
wait for torch.
"""

import os
from typing import TYPE_CHECKING

# How long OpenMP's threads wait awake for each other before they sleep; read once, as torch loads.
# Its own choice, 300 times as long, takes from others the very cores that are waited for.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if TYPE_CHECKING:
    from seq2seq.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        Seq2SeqError,
        StorageError,
    )
    from seq2seq.experiment import evaluate, load, train
    from seq2seq.runs.folder import Run
    from seq2seq.search.config import SamplingConfig, SearchConfig
    from seq2seq.tasks.forecasting.forecaster import Forecaster
    from seq2seq.tasks.language_model.generator import Generator
    from seq2seq.tasks.language_model.request import Sample
    from seq2seq.tasks.language_model.surprisal import Surprisal
    from seq2seq.tasks.translation.glossary import Glossary
    from seq2seq.tasks.translation.scoring import PairScore
    from seq2seq.tasks.translation.translation import Translation
    from seq2seq.tasks.translation.translator import Translator
    from seq2seq.tasks.translation.wishes import Wishes

__version__ = "0.1.0"
__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Forecaster",
    "Generator",
    "Glossary",
    "PairScore",
    "Run",
    "Sample",
    "SamplingConfig",
    "SearchConfig",
    "Seq2SeqError",
    "StorageError",
    "Surprisal",
    "Translation",
    "Translator",
    "Wishes",
    "evaluate",
    "load",
    "train",
]

_HOMES = {
    "CheckpointError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "Seq2SeqError": "errors",
    "StorageError": "errors",
    "evaluate": "experiment",
    "load": "experiment",
    "train": "experiment",
    "Run": "runs.folder",
    "SamplingConfig": "search.config",
    "SearchConfig": "search.config",
    "Forecaster": "tasks.forecasting.forecaster",
    "Generator": "tasks.language_model.generator",
    "Sample": "tasks.language_model.request",
    "Surprisal": "tasks.language_model.surprisal",
    "Glossary": "tasks.translation.glossary",
    "PairScore": "tasks.translation.scoring",
    "Translation": "tasks.translation.translation",
    "Translator": "tasks.translation.translator",
    "Wishes": "tasks.translation.wishes",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"seq2seq.{_HOMES[name]}"), name)
