"""A run of each task that is trained in a moment, and what its use answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import seq2seq
from seq2seq import Generator, Translator
from seq2seq.tasks.task import Use

TEXTS = [f"satz {n} {'x' * (n % 5)}" for n in range(12)]
PAIRS = [(text, f"sentence {n}") for n, text in enumerate(TEXTS)]
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
TINY: Mapping[str, tuple[Mapping[str, Any], list[Any]]] = {
    "translation": (_PAIRS, PAIRS),
    "transduction": (_PAIRS, PAIRS),
    "language-model": (_TEXTS, TEXTS),
}
"""By task: the configuration and the data of its tiny run."""


def train_tiny(task: str, folder: Path, **more: object) -> Path:
    """Trains the tiny run of a task, and returns its folder."""
    config, data = TINY[task]
    settings = {"data.cache": str(folder.parent / "cache"), **config, **more}
    settings |= {"task": task, "folder": str(folder)}
    return seq2seq.train(settings, data={"train": data, "valid": data[:3]}).folder


def answers(use: Use) -> list[object]:
    """Returns what a use makes of a few texts, to compare its copies with it."""
    if isinstance(use, Generator):
        return [use("satz", length=9, seed=1), use.score(TEXTS[0]).bits.tolist()]
    assert isinstance(use, Translator)
    return [(one.text, one.score, one.alignment()) for one in use(TEXTS)]
