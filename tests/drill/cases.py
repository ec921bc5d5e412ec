"""Tiny runs of every task: real files and real configurations, a second of training each."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from seq2seq.nn.cells import CELLS
from seq2seq.tasks.registry import TASKS

PAIRS = [(f"satz {n} von {n % 7}", f"sentence {n % 7} {n}") for n in range(24)]
TEXTS = [f"line {n}: {n * n} and {n % 7}\n" * (1 + n % 3) for n in range(12)]
DAYS, AHEAD = 96, 3
SALES = [
    f"{date(2024, 1, 1) + timedelta(n)},{sold:.2f},{int(n % 5 == 0)}\n".replace("nan", "")
    for n in range(DAYS + AHEAD)
    for sold in [30 + 9 * math.sin(n * 6.283 / 7) + n * n % 11 if n < DAYS else math.nan]
]
"""A day, what was sold, and whether it was a holiday, which is known ahead."""
STEPS, EVERY = 12, 3
"""Updates of a run, and between its validations."""
Settings = dict[str, Any]
COMMON: Settings = {
    "train.steps": STEPS,
    "train.validate_every": EVERY,
    "train.log_every": 2,
    "train.optimizer.learning_rate": 0.01,
    "train.optimizer.schedule.warmup": 2,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
}
TRANSLATION: Settings = {
    "data.train": {"source": "train.de", "target": "train.en"},
    "data.valid": {"source": "valid.de", "target": "valid.en"},
    "data.test": {"source": "valid.de", "target": "valid.en"},
    "data.batch.tokens": 60,
    "model.embedding_size": 8,
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "model.word_dropout": 0.1,
    "validation.sentences": 2,
    "validation.samples": 1,
    "search.max_length": 12,
} | {
    f"model.{side}.{key}": value
    for side in ("encoder", "decoder")
    for key, value in {"hidden_size": 8, "dropout": 0.2, "locked_dropout": True}.items()
}
LANGUAGE_MODEL: Settings = {
    "data.train": {"files": ["text.txt"], "documents": "line"},
    "data.valid": {"files": ["valid.txt"]},
    "data.batch": {"rows": 2, "steps": 9, "reset": 0.2},
    "model.embedding_size": 8,
    "model.layers": {"layers": 1, "hidden_size": 8, "dropout": 0.3},
    "model.activation": 1.0,
    "validation.sample": 5,
    "validation.window": 16,
}
FORECASTING: Settings = {
    "data.series": {"path": "sales.csv", "target": ["sold"], "future": ["holiday"]},
    "data.valid.last": 20,
    "data.test.last": 16,
    "data.batch.rows": 4,
    "model": {"window": 8, "horizon": AHEAD, "output_dropout": 0.2},
    "model.layers": {"layers": 2, "hidden_size": 8, "dropout": 0.3},
}
OF_TASK = {
    "translation": TRANSLATION,
    "transduction": TRANSLATION,
    "language-model": LANGUAGE_MODEL,
    "forecasting": FORECASTING,
}
CELL_KEYS = {
    "translation": ("model.encoder.cell", "model.decoder.cell"),
    "transduction": ("model.encoder.cell", "model.decoder.cell"),
    "language-model": ("model.layers.cell",),
    "forecasting": ("model.layers.cell",),
}
LAYERS = "model.layers.cell"
"""The key of a cell whose layers may drop recurrent weights, too."""


def _subwords(*sections: str, **more: Any) -> Settings:
    kinds = zip(sections, ("unigram", "bpe"), strict=False)
    settings: Settings = {f"{section}.tokenizer": kind for section, kind in kinds}
    for section in sections:
        settings |= {f"{section}.{key}": value for key, value in more.items()}
    return settings


OWN: dict[str, tuple[str, Settings]] = {
    "translation": ("subwords", _subwords("source", "target", vocab_size=300, sampling=0.3)),
    "transduction": ("subwords", _subwords("source", "target", vocab_size=300, sampling=0.3)),
    "language-model": ("subwords", _subwords("text", vocab_size=300)),
    "forecasting": ("fitted again", {"train.refit": True}),
}
"""By task: the variant that only its runs have. Subwords are drawn at random where they can be."""
ALL = "all at once, keep 2"
VARIANTS: dict[str, Settings] = {
    "plain": {},
    "accumulation 2": {"train.accumulate": 2},
    "weight averages": {"train.average": 0.9},
    "bfloat16": {"train.precision": "bfloat16"},
    "keep 1, plateau": {"train.keep": 1, "train.optimizer.schedule.name": "plateau"},
    ALL: {
        "train.keep": 2,
        "train.accumulate": 2,
        "train.average": 0.8,
        "train.precision": "bfloat16",
    },
}
"""The variants that runs of all tasks have."""


def variants(task: str) -> dict[str, Settings]:
    """Returns all variants of a task's runs."""
    name, own = OWN[task]
    return {**VARIANTS, name: own, ALL: {**VARIANTS[ALL], **own}}


@dataclass(frozen=True)
class Kind:
    """One kind of run."""

    task: str
    cell: str
    variant: str

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.task}, {self.cell}, {self.variant}"

    def settings(self) -> Settings:
        """Returns its configuration, without folders."""
        cells: Settings = dict.fromkeys(CELL_KEYS[self.task], self.cell)
        if LAYERS in cells and CELLS[self.cell].recurrent:
            cells["model.layers.weight_drop"] = 0.3
        own = {**OF_TASK[self.task], **cells, **variants(self.task)[self.variant]}
        return {"task": self.task, **COMMON, **own}

    def write(self, folder: Path, data: Path, cache: Path) -> Path:
        """Writes its configuration into a folder, and returns the file; the run is beside it."""
        path = folder / "config.yaml"
        places = {"folder": "run", "data.folder": str(data), "data.cache": str(cache)}
        path.write_text(yaml.safe_dump({**self.settings(), **places}), encoding="utf-8")
        return path


def kinds() -> list[Kind]:
    """Returns every task with every cell and every variant."""
    return [Kind(task, cell, one) for task in TASKS for one in variants(task) for cell in CELLS]


def write_data(folder: Path) -> Path:
    """Writes the files that all kinds read, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in (("train", PAIRS), ("valid", PAIRS[:6])):
        for suffix, side in (("de", 0), ("en", 1)):
            lines = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"{name}.{suffix}").write_text(lines, encoding="utf-8")
    (folder / "text.txt").write_text("".join(TEXTS), encoding="utf-8")
    (folder / "valid.txt").write_text("".join(TEXTS[:2]), encoding="utf-8")
    (folder / "sales.csv").write_text("day,sold,holiday\n" + "".join(SALES), encoding="utf-8")
    return folder
