"""FLOPs from weights: by hand, and as torch counts them."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tensors import Batch, Padded, TextBatch
from tests.benchmarks.flops import TRAINING, PairFlops, pair_flops, token_flops
from tests.losses import outcome

PAIRS, SOURCE, TARGET = 64, 5, 7
"""As many pairs as rows are filled up to while training, so that none is added."""


def ids(steps: int) -> Padded:
    values = torch.arange(PAIRS * steps).view(PAIRS, steps) % 20
    return Padded(values, torch.full((PAIRS,), steps))


def translator(cell: str, attention: str, *, feeding: bool = False) -> Seq2Seq:
    encoder = EncoderConfig(cell=cell, layers=2, hidden_size=8, dropout=0.0, embedding_size=5)
    decoder = DecoderConfig(
        cell=cell, layers=2, hidden_size=8, dropout=0.0, attention=attention, input_feeding=feeding
    )
    config = Seq2SeqConfig(embedding_size=6, output_dropout=0.0, encoder=encoder, decoder=decoder)
    return build_seq2seq(config, 20, 30)


def counted(work: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("attention", ["general", "dot", "additive", "none"])
@pytest.mark.parametrize("cell", ["sru", "mingru"])
@pytest.mark.parametrize("feeding", [False, True])
def test_training_counts_what_torch_counts(cell: str, attention: str, feeding: bool) -> None:
    # Of LSTM and GRU torch sees the kernel only.
    model = translator(cell, attention, feeding=feeding)
    batch = Batch(ids(SOURCE), ids(TARGET), ids(TARGET))
    expected = TRAINING * PAIRS * pair_flops(model).forward(SOURCE, TARGET)
    found = counted(lambda: outcome(model, batch, 0.1).nats.backward())
    assert found == expected


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_of_every_cell_counts_what_torch_counts(cell: str) -> None:
    model = translator(cell, "general").eval()
    with torch.no_grad():
        memory, state = model.start(ids(SOURCE))
        found = counted(lambda: model.step(memory, state, torch.zeros(PAIRS, 1, dtype=torch.long)))
    flops = pair_flops(model)
    assert found == PAIRS * (flops.target_step + SOURCE * flops.looks)


@pytest.mark.parametrize("output_size", [0, 6])
def test_a_language_model_counts_what_torch_counts(output_size: int) -> None:
    layers = RecurrentConfig(cell="sru", layers=2, hidden_size=8)
    config = LanguageModelConfig(embedding_size=6, layers=layers, output_size=output_size)
    model, text = build_language_model(config, 20), ids(TARGET)
    batch = TextBatch(text, text, torch.zeros(PAIRS, dtype=torch.bool))
    found = counted(lambda: outcome(model, batch, 0.1).nats.backward())
    assert found == TRAINING * PAIRS * TARGET * token_flops(model)


def test_the_reference_model_by_hand() -> None:
    encoder = EncoderConfig(layers=2)
    model = build_seq2seq(
        Seq2SeqConfig(encoder=encoder, decoder=DecoderConfig(layers=2)), 8000, 8000
    )
    both = 2 * (1024 * (256 + 256) + 1024 * (512 + 256))
    decoder = 2048 * (256 + 512) + 2048 * (512 + 512)
    join, head, keys = 1024 * 256, 256 * 8000, 512 * 512
    expected = PairFlops(
        source_step=2 * (both + keys),
        target_step=2 * (decoder + join + head),
        looks=2 * (512 + 512),
        pair=2 * 2 * 1024 * 1024,
    )
    assert pair_flops(model) == expected
    assert expected.forward(14, 13) == sum(
        (14 * expected.source_step, 13 * expected.target_step, 14 * 13 * 2048, 4 * 1024**2)
    )
