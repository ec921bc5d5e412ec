"""A run of each task that is trained in a moment, and what its use answers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import seq2seq
from seq2seq import Forecaster, Generator, Translator
from seq2seq.tasks.task import Use

TEXTS = [f"satz {n} {'x' * (n % 5)}" for n in range(12)]
PAIRS = [(text, f"sentence {n}") for n, text in enumerate(TEXTS)]
STEPS, AHEAD = 60, 4
"""Steps of the series, and those of which only the covariate is known."""


def frame() -> pd.DataFrame:
    """Returns a daily series of two weeks' shape with holidays, which are known ahead."""
    at = np.arange(STEPS + AHEAD)
    sold = 20 + 5 * np.sin(2 * np.pi * at / 7) + np.random.default_rng(1).standard_normal(len(at))
    sold[STEPS:] = np.nan
    days = pd.date_range("2024-01-01", periods=len(at), freq="D")
    return pd.DataFrame({"day": days, "sold": sold, "holiday": (at % 5 == 0).astype(int)})


SMALL = {"train.steps": 2, "train.device": "cpu", "train.precision": "float32"}
_PAIRS = {
    **SMALL,
    "model.embedding_size": 8,
    "model.encoder.hidden_size": 8,
    "model.decoder.hidden_size": 8,
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "validation.sentences": 0,
    "search.max_length": 6,
    "train.metric": "loss",
}
_TEXTS = {**SMALL, "model.embedding_size": 8, "model.layers.hidden_size": 8, "validation.sample": 0}
_SERIES = {
    **SMALL,
    "data.series.target": ["sold"],
    "data.series.future": ["holiday"],
    "data.valid.last": 16,
    "model.window": 8,
    "model.horizon": AHEAD,
    "model.layers.hidden_size": 8,
}


class Tiny(NamedTuple):
    """The tiny run of a task."""

    config: Mapping[str, Any]
    data: Mapping[str, Any]
    """By role."""


TINY: Mapping[str, Tiny] = {
    "translation": Tiny(_PAIRS, {"train": PAIRS, "valid": PAIRS[:3]}),
    "transduction": Tiny(_PAIRS, {"train": PAIRS, "valid": PAIRS[:3]}),
    "language-model": Tiny(_TEXTS, {"train": TEXTS, "valid": TEXTS[:3]}),
    "forecasting": Tiny(_SERIES, {"train": frame()}),
}
"""By task: its tiny run."""


def train_tiny(task: str, folder: Path, **more: object) -> Path:
    """Trains the tiny run of a task, and returns its folder."""
    config, data = TINY[task]
    settings = {"data.cache": str(folder.parent / "cache"), **config, **more}
    settings |= {"task": task, "folder": str(folder)}
    return seq2seq.train(settings, data=data).folder


def _generated(generator: Generator) -> list[object]:
    return [generator("satz", length=9, seed=1), generator.score(TEXTS[0]).bits.tolist()]


def _translated(translator: Translator) -> list[object]:
    return [(one.text, one.score, one.alignment()) for one in translator(TEXTS)]


def _forecast(forecaster: Forecaster) -> list[object]:
    made = [forecaster(frame(), samples=2), forecaster.update(frame())(levels=[50])]
    return [one.to_csv(index=False) for one in made]


ANSWERS: Mapping[type, Callable[[Any], list[object]]] = {
    Generator: _generated,
    Translator: _translated,
    Forecaster: _forecast,
}


def answers(use: Use) -> list[object]:
    """Returns what a use makes of a few data, to compare its copies with it."""
    return ANSWERS[type(use)](use)
