"""The same numbers on a GPU as on the processor, where there is one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.data.layout import flatten, make_batch
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.search.config import SearchConfig
from seq2seq.tensors import Batch
from seq2seq.training.config import TrainConfig
from seq2seq.training.trainer import Trainer
from tests.losses import outcome
from tests.searching import by_beam

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device here"
)
CUDA = torch.device("cuda")


def make_model(cell: str = "lstm") -> Seq2Seq:
    torch.manual_seed(1)
    encoder = EncoderConfig(cell=cell, layers=2, hidden_size=32)
    decoder = DecoderConfig(cell=cell, layers=2, hidden_size=32)
    return build_seq2seq(Seq2SeqConfig(embedding_size=16, encoder=encoder, decoder=decoder), 50, 50)


def make_rows() -> Batch:
    rows = [[4 + (row * step) % 46 for step in range(1, 3 + row)] for row in range(1, 9)]
    return make_batch(*flatten(rows), *flatten(rows[::-1]))


@pytest.mark.parametrize("cell", CELLS)
def test_loss_and_gradients_are_the_processors(cell: str) -> None:
    model, batch = make_model(cell).eval(), make_rows()
    found = []
    for device in (torch.device("cpu"), CUDA):
        model.to(device).zero_grad()
        loss = outcome(model, batch.to(device), 0.1).nats
        loss.backward()
        grads = [one.grad.cpu() for one in model.parameters() if one.grad is not None]
        found.append((loss.detach().cpu(), grads))
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


def test_search_finds_what_it_finds_on_the_processor() -> None:
    model, source = make_model().double().eval(), make_rows().source
    search = SearchConfig(beam_size=5, max_length=12)
    here = by_beam(model, source, search)
    there = by_beam(model.to(CUDA), source.to(CUDA), search)
    assert [[one.ids for one in some] for some in here] == [
        [one.ids for one in some] for some in there
    ]


def test_training_learns_in_bfloat16(tmp_path: Path) -> None:
    config = TrainConfig(steps=30, label_smoothing=0.0)
    config = replace(config, optimizer=replace(config.optimizer, learning_rate=1e-2))
    trainer: Trainer[Any] = Trainer(make_model().to(CUDA), config, tmp_path, dtype=torch.bfloat16)
    losses = []
    for _ in range(30):
        before = trainer.progress.window_loss
        trainer.update([make_rows()])
        losses.append(trainer.progress.window_loss - before)
    assert losses[-1] < 0.7 * losses[0]
