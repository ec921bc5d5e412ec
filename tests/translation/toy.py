"""A translator that has learned three words, and that names are what is not one of them."""

import random
from pathlib import Path
from typing import Any

import seq2seq
from seq2seq.data.pairs.corpus import Pair

NUMBERS = {"eins": "one", "zwei": "two", "drei": "three"}


def _pairs(name: str, count: int) -> list[Pair]:
    draw, pairs = random.Random(1), []
    for number in range(count):
        words = draw.choices(list(NUMBERS), k=2)
        place = draw.randrange(3)
        sides = [words, [NUMBERS[word] for word in words]]
        for side in sides:
            side.insert(place, f"{name}{number}")
        pairs.append((" ".join(sides[0]), " ".join(sides[1])))
    return pairs


KNOWN, NEW = _pairs("Name", 400), _pairs("Neu", 12)
CONFIG: dict[str, Any] = {
    "source": {"tokenizer": "space", "min_count": 2},
    "target": {"tokenizer": "space", "min_count": 2},
    "model.embedding_size": 24,
    "model.encoder.hidden_size": 24,
    "model.decoder.hidden_size": 24,
    "train.steps": 75,
    "train.epochs": 0,
    "train.validate_every": 75,
    "train.optimizer.learning_rate": 0.03,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.metric": "loss",
    "validation.sentences": 0,
    "data.batch.tokens": 600,
}


def train_toy(place: Path) -> Path:
    """Trains the translator in a second, and returns its folder."""
    settings = {**CONFIG, "folder": str(place / "run"), "data.cache": str(place / "cache")}
    return seq2seq.train(settings, data={"train": KNOWN, "valid": KNOWN[:4]}).folder
