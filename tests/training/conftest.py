"""A model, batches and a trainer of the smallest size at which all parts of the loop work."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
import torch

from seq2seq.data.store import flatten, make_batch
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.tensors import Batch
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig
from seq2seq.training.trainer import Loss, TrainConfig, Trainer

VOCABULARY = 12


def make_model(dropout: float = 0.0) -> Seq2Seq:
    torch.manual_seed(1)
    config = Seq2SeqConfig(
        embedding_size=8,
        output_dropout=dropout,
        encoder=EncoderConfig(hidden_size=8, dropout=dropout),
        decoder=DecoderConfig(hidden_size=8, dropout=dropout),
    )
    return Seq2Seq(config, VOCABULARY, VOCABULARY)


def make_rows(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(4, VOCABULARY, (count, 5), generator=generator)
    return [row[: 2 + index % 4].tolist() for index, row in enumerate(rows)]


def join(rows: list[list[int]]) -> Batch:
    """Pairs each row with itself turned around."""
    return make_batch(*flatten(rows), *flatten([row[::-1] for row in rows]))


@dataclass
class Copies:
    """The same few batches in every epoch."""

    batches: list[Batch] = field(
        default_factory=lambda: [join(make_rows(3, seed)) for seed in range(4)]
    )

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return iter(self.batches[start:])

    def size(self, epoch: int) -> int:
        return len(self.batches)


class MakeTrainer(Protocol):
    def __call__(
        self,
        *,
        folder: Path | None = None,
        model: Seq2Seq | None = None,
        loss: Loss | None = None,
        optimizer: OptimizerConfig | None = None,
        **settings: object,
    ) -> Trainer: ...


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    constant = ScheduleConfig(name="constant", warmup=0)

    def make(
        *,
        folder: Path | None = None,
        model: Seq2Seq | None = None,
        loss: Loss | None = None,
        optimizer: OptimizerConfig | None = None,
        **settings: object,
    ) -> Trainer:
        model = model or make_model()
        optimizer = optimizer or OptimizerConfig(learning_rate=0.01, schedule=constant)
        given: dict[str, object] = {"precision": "float32", "device": "cpu", "log_every": 1}
        if not settings.keys() & {"steps", "epochs", "minutes", "patience"}:
            settings["steps"] = 4
        config = TrainConfig(optimizer=optimizer, **(given | settings))  # type: ignore[arg-type]
        return Trainer(model, loss or model.loss, config, folder or tmp_path)

    return make


@pytest.fixture
def copies() -> Copies:
    return Copies()
