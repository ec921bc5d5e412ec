from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor, nn

from seq2seq.data.layout import flatten, make_batch
from seq2seq.errors import ConfigError
from seq2seq.models.seq2seq import Bridge, EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn import cells
from seq2seq.nn.attention import ATTENTIONS, AdditiveAttention, Attention, GeneralAttention
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.dropout import dropout
from seq2seq.nn.kernel_cells import KernelCell as RecurrentLayer
from seq2seq.nn.norm_cells import NormCell as NormLayer
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.nn.scan_cells import ScanCell as ScanLayer
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Batch, Padded
from tests.losses import outcome
from tests.plain_cells import norm_step

CELLS: dict[str, type[nn.LSTMCell | nn.GRUCell | nn.RNNCell]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
}
SOURCE_VOCAB, TARGET_VOCAB = 9, 8
PAIRS = [
    ([6, 4], [7, 4]),
    ([5], []),
    ([8, 4, 7], [6]),
]
"""Sentences without special symbols, of all lengths and in no order."""

Case = dict[str, Any]
EXTRAS: list[Case] = [
    {"residual": True},
    {"layer_norm": True, "cell": "gru"},
    {"locked_dropout": True, "dropout": 0.5},
    {"residual": True, "layer_norm": True, "attention": "additive", "cell": "rnn"},
]
GRID: list[Case] = [
    {"cell": cell, "bidirectional": both, "layers": layers, "attention": attention, "feeding": feed}
    for cell, both, layers, attention, feed in product(
        cells.CELLS, (False, True), (1, 2, 3), ATTENTIONS, (False, True)
    )
] + [{**extra, "layers": 2, "feeding": feed} for extra, feed in product(EXTRAS, (False, True))]
CASES = pytest.mark.parametrize("case", GRID, ids=lambda case: "-".join(map(str, case.values())))


def model_of(case: Case) -> Seq2Seq:
    """Returns a tiny float64 model, fit to be tested: no noise, no bias at zero."""
    return built(tuple(case.items())).double()


@cache
def built(items: tuple[tuple[str, Any], ...]) -> Seq2Seq:
    case = dict(items)
    attention = case.pop("attention", "general")
    feeding, both = case.pop("feeding", False), case.pop("bidirectional", True)
    config = Seq2SeqConfig(
        embedding_size=4,
        tie_embeddings=False,
        encoder=EncoderConfig(hidden_size=6, bidirectional=both, **case),
        decoder=DecoderConfig(
            hidden_size=6, attention=attention, input_feeding=feeding, output_size=5, **case
        ),
    )
    torch.manual_seed(1)
    return prepared(build_seq2seq(config, SOURCE_VOCAB, TARGET_VOCAB))


def prepared(model: Seq2Seq) -> Seq2Seq:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.5, 0.5)
    return model.double().eval()


def padded(sentences: list[list[int]], extra: int = 0) -> Padded:
    lengths = [len(sentence) for sentence in sentences]
    width = max(lengths) + extra
    values = [sentence + [PAD] * (width - len(sentence)) for sentence in sentences]
    return Padded(torch.tensor(values), torch.tensor(lengths))


def batch_of(pairs: list[tuple[list[int], list[int]]], extra: int = 0) -> Batch:
    return Batch(
        padded([source for source, _ in pairs], extra),
        padded([[BOS, *target] for _, target in pairs], extra),
        padded([[*target, EOS] for _, target in pairs], extra),
    )


def features(model: Seq2Seq, batch: Batch) -> Tensor:
    """Returns what the output layer sees of a teacher-forced target."""
    memory, state = model.start(batch.source)
    outputs, _ = model.decoder(model.target_input(batch.target_in.values), state, memory)
    return dropout(outputs, model.output_dropout, model.training)


def test_a_batch_that_is_known_to_be_full_gives_what_it_gives_unknown() -> None:
    torch.manual_seed(1)
    encoder = EncoderConfig(hidden_size=6, layers=2)
    config = Seq2SeqConfig(embedding_size=4, encoder=encoder, decoder=DecoderConfig(hidden_size=6))
    model = build_seq2seq(config, 9, 9).double().eval()
    rows = [[4, 5, 6], [7, 8, 4]]
    known = make_batch(*flatten(rows), *flatten(rows[::-1]))
    sides = (known.source, known.target_in, known.target_out)
    unknown = Batch(*(Padded(side.values, side.lengths) for side in sides))
    assert known.source.full
    assert not unknown.source.full
    assert known.target_out.real.equal(unknown.target_out.real)
    torch.testing.assert_close(
        loss_and_gradients(model, known), loss_and_gradients(model, unknown), atol=1e-12, rtol=0
    )


def loss_and_gradients(model: Seq2Seq, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
    loss = outcome(model, batch, smoothing=0.1).nats
    used = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return loss.detach(), used


@CASES
def test_stepping_is_the_whole_sequence(case: Case) -> None:
    model, batch = model_of(case), batch_of(PAIRS)
    with torch.no_grad():
        for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            model.to(dtype)
            expected = model.head(features(model, batch))
            memory, state = model.start(batch.source)
            for place in range(batch.target_in.values.shape[1]):
                step = model.step(memory, state, batch.target_in.values[:, place : place + 1])
                state = step.state
                torch.testing.assert_close(
                    step.log_probs[:, 0], expected[:, place], atol=tolerance, rtol=0
                )


@CASES
def test_padding_and_neighbours_change_nothing(case: Case) -> None:
    model = model_of(case)
    alone = [loss_and_gradients(model, batch_of([pair])) for pair in PAIRS]
    loss = torch.stack([one for one, _ in alone]).sum()
    gradients = [
        torch.stack(parts).sum(dim=0) for parts in zip(*(g for _, g in alone), strict=True)
    ]
    together, its_gradients = loss_and_gradients(model, batch_of(PAIRS, extra=2))
    torch.testing.assert_close(together, loss, atol=1e-10, rtol=0)
    for ours, expected in zip(its_gradients, gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


@CASES
def test_outputs_and_states_follow_the_order_of_the_batch(case: Case) -> None:
    model, order = model_of(case), [2, 0, 1]
    batch, shuffled = batch_of(PAIRS), batch_of([PAIRS[index] for index in order], extra=2)
    with torch.no_grad():
        own, others = features(model, batch), features(model, shuffled)
        memory, state = model.start(batch.source)
        other_memory, other_state = model.start(shuffled.source)
    steps = batch.target_in.values.shape[1]
    width = memory.values.shape[1]
    valid = batch.target_in.valid[order]
    torch.testing.assert_close(others[:, :steps][valid], own[order][valid], atol=1e-10, rtol=0)
    torch.testing.assert_close(other_state.layers, state.layers[order], atol=1e-10, rtol=0)
    assert other_memory.valid[:, :width].equal(memory.valid[order])
    torch.testing.assert_close(
        other_memory.values[:, :width][memory.valid[order]],
        memory.values[order][memory.valid[order]],
        atol=1e-10,
        rtol=0,
    )


# The same model once more, a sentence at a time, of one-step cells in plain loops.


class ScanCell(nn.Module):
    """One step of a cell whose gates see the input alone."""

    def __init__(self, layer: ScanLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, value: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        products = self.layer.weight_input @ value + self.layer.bias_input
        gate, new, *others = products.view(-1, self.layer.hidden_size)
        forget, carried = 1 / (1 + torch.exp(-gate)), state[-self.layer.hidden_size :]
        carried = forget * carried + (1 - forget) * new
        if not others:
            return carried, carried
        reset = 1 / (1 + torch.exp(-others[0]))
        passed = others[1] if len(others) > 1 else value
        output = reset * carried + (1 - reset) * 3**0.5 * passed
        return output, torch.cat([output, carried])


class NormCell(nn.Module):
    """One step of a cell with layer normalisation."""

    def __init__(self, layer: NormLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, value: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        new = norm_step(self.layer, value, state)
        return new[: self.layer.hidden_size], new


OneStep = nn.LSTMCell | nn.GRUCell | nn.RNNCell | ScanCell | NormCell
Layer: TypeAlias = RecurrentLayer | ScanLayer | NormLayer


def one_step(layer: Layer, cell: str) -> OneStep:
    if isinstance(layer, ScanLayer):
        return ScanCell(layer)
    if isinstance(layer, NormLayer):
        return NormCell(layer)
    weight = layer.weight_input
    twin = CELLS[cell](weight.shape[1], layer.hidden_size, dtype=weight.dtype)
    with torch.no_grad():
        twin.weight_ih.copy_(weight)
        twin.weight_hh.copy_(layer.weight_recurrent)
        twin.bias_ih.copy_(layer.bias_input)
        twin.bias_hh.copy_(layer.bias_recurrent)
    return twin


def advance(cell: nn.Module, value: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Runs a cell on vectors; returns the output and the new state, one vector each."""
    if isinstance(cell, ScanCell | NormCell):
        output, new = cell(value, state)
        return output, new
    if isinstance(cell, nn.LSTMCell):
        hidden, carried = cell(value[None], tuple(state[None].chunk(2, dim=1)))
        return hidden[0], torch.cat([hidden[0], carried[0]])
    hidden = cell(value[None], state[None])
    return hidden[0], hidden[0]


def refined(stack: Recurrent, index: int, value: Tensor, output: Tensor) -> Tensor:
    """Adds what stands around a layer: its normalisation and residual connection."""
    norm = stack.norms[index]
    if isinstance(norm, nn.LayerNorm):
        centred = output - output.mean()
        output = centred / (output.var(unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias
    return value + output if stack.config.residual and value.shape == output.shape else output


def encode(stack: Recurrent, values: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Returns the outputs of all steps, and each layer's last state."""
    finals = []
    for index, layer in enumerate(stack.layers):
        sides, ends = [], []
        parts = [part for part in layer.modules() if isinstance(part, Layer)]
        for way, part in zip((1, -1), parts, strict=False):
            cell = one_step(part, stack.config.cell)
            state = values[0].new_zeros(stack.state_size // len(parts))
            outputs = []
            for value in values[::way]:
                output, state = advance(cell, value, state)
                outputs.append(output)
            sides.append(outputs[::way])
            ends.append(state)
        joined = [torch.cat(both) for both in zip(*sides, strict=True)]
        finals.append(torch.cat(ends))
        values = [refined(stack, index, v, o) for v, o in zip(values, joined, strict=True)]
    return values, finals


def context_of(attention: Attention, query: Tensor, memory: list[Tensor]) -> Tensor:
    """Averages the memory with weights that come straight from the papers' formulae."""
    if isinstance(attention, AdditiveAttention):
        assert attention.key_projection is not None
        own, other, last = (
            attention.query,
            attention.key_projection.weight,
            attention.score.weight[0],
        )
        scores = [last @ torch.tanh(own.weight @ query + own.bias + other @ m) for m in memory]
    elif isinstance(attention, GeneralAttention):
        assert attention.key_projection is not None
        scores = [query @ (attention.key_projection.weight @ step) for step in memory]
    else:
        scores = [query @ step for step in memory]
    exps = torch.stack(scores).exp()
    return (exps / exps.sum()) @ torch.stack(memory)


def plain_log_probs(model: Any, source: list[int], target: list[int]) -> Tensor:
    """Returns ``[T + 1, V]`` log-probabilities of one pair."""
    decoder, stack = model.decoder, model.decoder.layers
    memory, finals = encode(model.encoder, [model.source_input.weight[index] for index in source])
    lowest = len(finals) - len(stack.layers)
    states = [
        torch.tanh(layer.weight @ finals[max(0, lowest + index)] + layer.bias)
        for index, layer in enumerate(model.bridge.layers)
        if isinstance(layer, nn.Linear)
    ]
    parts = [layer for layer in stack.layers if isinstance(layer, Layer)]
    cells = [one_step(layer, stack.config.cell) for layer in parts]
    feed = memory[0].new_zeros(decoder.feed_size)
    rows = []
    for token in [BOS, *target]:
        value = torch.cat([model.target_input.weight[token], feed])
        for index, cell in enumerate(cells):
            output, states[index] = advance(cell, value, states[index])
            value = refined(stack, index, value, output)
        if decoder.attention is not None:
            value = torch.cat([context_of(decoder.attention, value, memory), value])
        assert decoder.output_projection is not None
        vector = torch.tanh(
            decoder.output_projection.weight @ value + decoder.output_projection.bias
        )
        feed = vector if decoder.feed_size else feed
        logits = model.head.weight @ vector + model.head.bias
        rows.append(logits - logits.exp().sum().log())
    return torch.stack(rows)


@CASES
def test_the_model_is_a_plain_loop_of_cells(case: Case) -> None:
    model = model_of(case)
    check_plain(model, ((torch.float64, 1e-10), (torch.float32, 1e-5)))


def check_plain(model: Seq2Seq, precisions: Any = ((torch.float64, 1e-10),)) -> None:
    batch = batch_of(PAIRS)
    with torch.no_grad():
        for dtype, tolerance in precisions:
            model.to(dtype)
            log_probs = model.head(features(model, batch))
            for row, (source, target) in enumerate(PAIRS):
                expected = plain_log_probs(model, source, target)
                torch.testing.assert_close(
                    log_probs[row, : len(target) + 1], expected, atol=tolerance, rtol=0
                )


@pytest.mark.parametrize(
    "cells", [("lstm", "gru"), ("gru", "lstm"), ("rnn", "sru"), ("mingru", "rnn")]
)
@pytest.mark.parametrize("depths", [(1, 3), (3, 1), (2, 3), (2, 2)])
def test_encoder_and_decoder_may_differ(depths: tuple[int, int], cells: tuple[str, str]) -> None:
    torch.manual_seed(1)
    config = Seq2SeqConfig(
        embedding_size=4,
        encoder=EncoderConfig(cell=cells[0], layers=depths[0], hidden_size=4),
        decoder=DecoderConfig(cell=cells[1], layers=depths[1], hidden_size=6, input_feeding=True),
    )
    check_plain(prepared(build_seq2seq(config, SOURCE_VOCAB, TARGET_VOCAB)))


@pytest.mark.parametrize(
    ("depths", "sources"),
    [((1, 3), [0, 0, 0]), ((3, 1), [2]), ((2, 3), [0, 0, 1]), ((3, 2), [1, 2]), ((2, 2), [0, 1])],
)
def test_the_bridge_joins_the_top_layers(depths: tuple[int, int], sources: list[int]) -> None:
    encoder = Recurrent(RecurrentConfig(layers=depths[0], hidden_size=2), 3)
    decoder = Recurrent(RecurrentConfig(layers=depths[1], hidden_size=3, cell="gru"), 3)
    bridge = Bridge(encoder, decoder)
    assert bridge.sources == sources
    assert bridge(torch.zeros(5, depths[0], 4)).equal(torch.zeros(5, depths[1], 3))


def test_a_tied_model_has_one_embedding_for_target_and_output() -> None:
    encoder, decoder = EncoderConfig(hidden_size=4), DecoderConfig(hidden_size=4)
    config = Seq2SeqConfig(embedding_size=4, encoder=encoder, decoder=decoder)
    tied = build_seq2seq(config, 9, 8)
    assert tied.head.weight is tied.target_input.weight
    assert tied.decoder.output_projection is not None
    assert tied.decoder.output_projection.out_features == 4
    free = build_seq2seq(replace(config, tie_embeddings=False), 9, 8)
    assert free.head.weight is not free.target_input.weight
    names = {name for name, _ in free.named_parameters()}
    assert names - {name for name, _ in tied.named_parameters()} == {"head.weight"}


def test_the_output_layer_may_see_another_width() -> None:
    config = Seq2SeqConfig(
        embedding_size=4,
        tie_embeddings=False,
        encoder=EncoderConfig(hidden_size=4),
        decoder=DecoderConfig(hidden_size=6, output_size=3, input_feeding=True),
    )
    model = build_seq2seq(config, 9, 8)
    assert (model.head.weight.shape, model.decoder.feed_size) == ((8, 3), 3)
    assert model.device == torch.device("cpu")


def test_noise_is_drawn_in_training_only() -> None:
    config = Seq2SeqConfig(
        embedding_size=8,
        word_dropout=0.3,
        output_dropout=0.3,
        encoder=EncoderConfig(hidden_size=8, dropout=0.3),
        decoder=DecoderConfig(hidden_size=8, dropout=0.3, input_feeding=True),
    )
    model, batch = build_seq2seq(config, 9, 8), batch_of(PAIRS)
    assert not features(model, batch).equal(features(model, batch))
    zeros = features(model, batch).eq(0).float().mean().item()
    assert 0.1 < zeros < 0.5
    model.eval()
    assert features(model, batch).equal(features(model, batch))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"embedding_size": 0}, "embedding_size: must be at least 1, got 0"),
        ({"word_dropout": 1.0}, "word_dropout: must be in [0, 1), got 1.0"),
        ({"output_dropout": -0.5}, "output_dropout: must be in [0, 1), got -0.5"),
        (
            {"embedding_size": 8, "decoder": DecoderConfig(output_size=5)},
            "decoder.output_size: must be 0 or embedding_size (8) where tie_embeddings is true, "
            "got 5",
        ),
        (
            {
                "encoder": EncoderConfig(hidden_size=8),
                "decoder": DecoderConfig(hidden_size=6, attention="dot"),
            },
            "decoder.hidden_size: must be encoder.hidden_size (8) where attention is dot, got 6",
        ),
    ],
)
def test_refused_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Seq2SeqConfig(**settings)
    assert str(refusal.value) == text


def test_a_bidirectional_encoder_needs_an_even_width() -> None:
    accepted = r"^hidden_size: must be even where bidirectional, got 5$"
    with pytest.raises(ConfigError, match=accepted):
        EncoderConfig(hidden_size=5)
    with pytest.raises(ConfigError, match=r"^dropout: must be in \[0, 1\), got 1.5$"):
        EncoderConfig(dropout=1.5)
    assert EncoderConfig(hidden_size=5, bidirectional=False).hidden_size == 5
