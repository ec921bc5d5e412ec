"""Folded models give what the models themselves give."""

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch.testing import assert_close

from seq2seq.models.language_model import (
    FoldedLanguageModel,
    LanguageModel,
    LanguageModelConfig,
    build_language_model,
)
from seq2seq.models.seq2seq import (
    EncoderConfig,
    FoldedSeq2Seq,
    Seq2Seq,
    Seq2SeqConfig,
    build_seq2seq,
)
from seq2seq.nn import cell as cells
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DecoderConfig, DecoderState
from seq2seq.nn.linear import SearchPrecision, has_int8, has_packed
from seq2seq.nn.norm_cells import NormSimple
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tensors import Padded, Step

VOCAB = 40
PLAIN = Seq2SeqConfig(
    embedding_size=8,
    encoder=EncoderConfig(hidden_size=12, layers=2),
    decoder=DecoderConfig(hidden_size=12, layers=2),
)
VARIANTS: dict[str, Any] = {
    "plain": {},
    "feeding": {"decoder": replace(PLAIN.decoder, input_feeding=True)},
    "no attention": {"decoder": replace(PLAIN.decoder, attention="none")},
    "additive, wide, not tied": {
        "decoder": replace(PLAIN.decoder, attention="additive", output_size=10),
        "tie_embeddings": False,
    },
    "one direction, residual, normalised": {
        "encoder": replace(PLAIN.encoder, bidirectional=False, residual=True, layer_norm=True),
        "decoder": replace(PLAIN.decoder, residual=True, layer_norm=True),
    },
    "residual from the embedding on": {
        "embedding_size": 12,
        "encoder": replace(PLAIN.encoder, residual=True, embedding_size=12),
        "decoder": replace(PLAIN.decoder, residual=True, layers=1),
    },
}
SOURCE = Padded(
    torch.tensor([[5, 6, 7, 8, 9], [6, 0, 0, 0, 0], [9, 9, 4, 0, 0]]), torch.tensor([5, 1, 3])
)
STEPS = torch.tensor([[[1, 4], [5, 6], [7, 8]], [[9, 9], [2, 4], [30, 39]]])


ATTENDING = {
    f"{attention}, input feeding {feeding}": {
        "decoder": replace(PLAIN.decoder, attention=attention, input_feeding=feeding)
    }
    for attention in ATTENTIONS
    for feeding in (False, True)
}
"""Every attention of the table, with and without input feeding."""


def translator(cell: str, variant: str, dtype: torch.dtype = torch.double) -> Seq2Seq:
    torch.manual_seed(1)
    config = replace(PLAIN, **(VARIANTS | ATTENDING)[variant])
    config = replace(
        config,
        encoder=replace(config.encoder, cell=cell),
        decoder=replace(config.decoder, cell=cell),
    )
    return build_seq2seq(config, VOCAB, VOCAB).to(dtype).eval()


@torch.inference_mode()
def scores(stepper: Seq2Seq | FoldedSeq2Seq) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns log-probabilities and attention of two steps of two beams."""
    memory, state = stepper.start(SOURCE)
    state = state.select(torch.arange(3).repeat_interleave(2))
    found, looked = [], []
    for tokens in STEPS:
        step = stepper.step(memory, state, tokens)
        state = step.state.select(torch.tensor([1, 0, 2, 3, 5, 5]))
        found.append(step.log_probs)
        looked.append(step.attention)
    return torch.stack(found), torch.stack(looked)


@pytest.mark.parametrize("table", [2**28, 0])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_folded_translator_is_the_translator(
    cell: str, variant: str, table: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MOST_TABLE_BYTES", table)
    for dtype, slack in ((torch.double, 1e-12), (torch.float32, 2e-5)):
        model = translator(cell, variant, dtype)
        for one, other in zip(scores(model.fold("float32")), scores(model), strict=True):
            assert_close(one, other, atol=slack, rtol=0)


@pytest.mark.parametrize("variant", ATTENDING)
def test_every_attention_is_searched_as_it_is(variant: str) -> None:
    model = translator("gru", variant)
    for one, other in zip(scores(model.fold("float32")), scores(model), strict=True):
        assert_close(one, other, atol=1e-12, rtol=0)


@pytest.mark.skipif(not has_int8("cpu"), reason="this torch has no product of integers")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cell", CELLS)
def test_eight_bits_are_nearly_enough(cell: str, variant: str) -> None:
    model = translator(cell, variant, torch.float32)
    found, looked = scores(model.fold("int8"))
    expected, expected_looked = scores(model)
    assert_close(found, expected, atol=0.2, rtol=0)
    assert_close(looked, expected_looked, atol=0.05, rtol=0)
    assert not found.equal(expected)


@pytest.mark.parametrize("output_size", [0, 6])
@pytest.mark.parametrize("cell", CELLS)
def test_a_folded_language_model_is_the_language_model(cell: str, output_size: int) -> None:
    torch.manual_seed(1)
    layers = RecurrentConfig(cell=cell, layers=2, hidden_size=8, residual=True)
    config = LanguageModelConfig(embedding_size=8, layers=layers, output_size=output_size)
    model = build_language_model(config, VOCAB).double().eval()
    stepper, state = model.fold("float32"), model.start(4)
    with torch.inference_mode():
        for tokens in torch.tensor([[1, 5, 6, 7], [8, 9, 8, 8]]):
            expected = model.step(None, state, tokens[:, None])
            step = stepper.step(None, state, tokens[:, None])
            assert_close(step.log_probs, expected.log_probs)
            assert_close(step.state.layers, expected.state.layers)
            state = step.state
    assert step.attention.shape == (4, 1, 0)


@pytest.mark.parametrize("precision", get_args(SearchPrecision))
@pytest.mark.parametrize("size", [20, 100, 128])
@pytest.mark.parametrize("cell", CELLS)
@torch.inference_mode()
def test_rows_are_batch_invariant_where_a_model_says_so(
    cell: str, size: int, precision: SearchPrecision
) -> None:
    torch.manual_seed(1)
    layers = RecurrentConfig(cell=cell, layers=2, hidden_size=size)
    model = build_language_model(LanguageModelConfig(embedding_size=8, layers=layers), VOCAB).eval()
    stepper, tokens = model.fold(precision), torch.arange(64)[:, None] % VOCAB
    whole = [step.log_probs for step in two_steps(stepper, model.start(64), tokens)]
    same = [
        one.log_probs.equal(other[:count])
        for count in range(1, 64)
        for one, other in zip(
            two_steps(stepper, model.start(count), tokens[:count]), whole, strict=True
        )
    ]
    assert all(same) or not stepper.batch_invariant
    expected = [step.log_probs for step in two_steps(model, model.start(64), tokens)]
    slack = 2e-5 if precision == "float32" else 0.2
    assert_close(torch.stack(whole), torch.stack(expected), atol=slack, rtol=0)


def two_steps(
    stepper: LanguageModel | FoldedLanguageModel, state: DecoderState, tokens: torch.Tensor
) -> list[Step[DecoderState]]:
    first = stepper.step(None, state, tokens)
    return [first, stepper.step(None, first.state, tokens)]


def test_cells_without_a_fold_are_not_batch_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    class Halved(NormSimple):
        def step(self, inputs: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
            return super().step(inputs, state) / 2

    monkeypatch.setitem(CELLS, "halved", Halved)
    torch.manual_seed(1)
    for cell, invariant in (("rnn-ln", True), ("halved", False)):
        layers = RecurrentConfig(cell=cell, hidden_size=128)
        config = LanguageModelConfig(embedding_size=8, layers=layers)
        model = build_language_model(config, VOCAB).eval()
        stepper = model.fold("float32")
        assert stepper.batch_invariant is invariant or not has_packed("cpu")
