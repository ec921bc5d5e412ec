import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.models.language_model import LanguageModel, LanguageModelConfig, build_language_model
from seq2seq.nn import cells
from seq2seq.nn.heads import TokenHead
from seq2seq.nn.kernel_cells import KernelCell as RecurrentLayer
from seq2seq.nn.norm_cells import NormCell as NormLayer
from seq2seq.nn.recurrent import (
    Recurrent,
    RecurrentConfig,
)
from seq2seq.nn.scan_cells import ScanCell as ScanLayer
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Padded, TextBatch
from tests.losses import outcome
from tests.plain_cells import norm_step

VOCABULARY = 9
DOCUMENTS = [[BOS, 5, 7, 4, 8, 5, 6, EOS], [BOS, 8, 4, EOS], [BOS, 6, 6, 5, 4, EOS], [BOS, EOS]]
CELLS: dict[str, type[nn.LSTMCell | nn.GRUCell | nn.RNNCell]] = {
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
    "rnn": nn.RNNCell,
}

Case = dict[str, Any]
GRID: list[Case] = [
    {"cell": cell, "layers": layers, "residual": residual, "layer_norm": norm, "output_size": size,
     "tied": tied}
    for cell, layers, (residual, norm), size, tied in product(
        cells.CELLS, (1, 2, 3), ((False, False), (True, False), (True, True)), (0, 5),
        (False, True),
    )
]  # fmt: skip
CASES = pytest.mark.parametrize("case", GRID, ids=lambda case: "-".join(map(str, case.values())))
DEEPEST = pytest.mark.parametrize("case", GRID[-2::-12], ids=lambda case: case["cell"])
LARGE: Case = {"hidden_size": 24, "embedding_size": 24}
"""Wide enough to tell rates of noise from each other."""


def model_of(case: Case) -> LanguageModel:
    """Returns a tiny float64 model, fit to be tested: no noise, no bias at zero."""
    return built(tuple(case.items()))


@cache
def built(items: tuple[tuple[str, Any], ...]) -> LanguageModel:
    case = dict(items)
    tied, size = case.pop("tied"), case.pop("output_size")
    config = LanguageModelConfig(
        embedding_size=(size or 6) if tied else 4,
        tie_embeddings=tied,
        output_size=size,
        output_dropout=0.0,
        layers=RecurrentConfig(hidden_size=6, dropout=0.0, **case),
    )
    return fresh_model(config)


def fresh_model(config: LanguageModelConfig) -> LanguageModel:
    torch.manual_seed(1)
    model = build_language_model(config, VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.5, 0.5)
    return model.double()


def noisy_model(**settings: Any) -> LanguageModel:
    """Returns a model in training; keys of the recurrent layers go there."""
    settings = {"output_dropout": 0.0, **settings}
    own = {key: settings.pop(key) for key in [*settings] if key in RecurrentConfig.__annotations__}
    layers = RecurrentConfig(**{"hidden_size": 6, "dropout": 0.0, **own})
    return fresh_model(LanguageModelConfig(layers=layers, **{"embedding_size": 4, **settings}))


def stretch(rows: Sequence[Sequence[int]], fresh: Sequence[bool], extra: int = 0) -> TextBatch:
    """Returns a batch; each row's tokens are its inputs and, one on, its targets."""
    lengths = [max(0, len(row) - 1) for row in rows]
    width = max(lengths) + extra
    target_in, target_out = (
        Padded(
            torch.tensor([[*side, *[PAD] * (width - len(side))] for side in sides]),
            torch.tensor(lengths),
        )
        for sides in ([row[:-1] for row in rows], [row[1:] for row in rows])
    )
    return TextBatch(target_in, target_out, torch.tensor(fresh))


def whole(documents: Sequence[Sequence[int]], extra: int = 0) -> TextBatch:
    return stretch(documents, [True] * len(documents), extra)


def gradients(model: LanguageModel, loss: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)


def check_same(model: LanguageModel, ours: Tensor, expected: Tensor) -> None:
    """Compares two losses and their gradients."""
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)
    for one, other in zip(gradients(model, ours), gradients(model, expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


# The same model once more, a token at a time, of one-step cells in a plain loop.

Layer = RecurrentLayer | ScanLayer | NormLayer


def advance_scan(layer: ScanLayer, value: Tensor, state: Tensor) -> Tensor:
    """Runs one step of a layer whose gates see the input alone; returns the new state."""
    products = layer.weight_input @ value + layer.bias_input
    gate, new, *others = products.view(-1, layer.hidden_size)
    forget = 1 / (1 + torch.exp(-gate))
    carried: Tensor = forget * state[-layer.hidden_size :] + (1 - forget) * new
    if not others:
        return carried
    reset = 1 / (1 + torch.exp(-others[0]))
    passed = others[1] if len(others) > 1 else value
    return torch.cat([reset * carried + (1 - reset) * 3**0.5 * passed, carried])


def advance(layer: Layer, cell: str, value: Tensor, state: Tensor) -> Tensor:
    """Runs a cell, with the layer's own weights, on one vector; returns the new state."""
    if isinstance(layer, ScanLayer):
        return advance_scan(layer, value, state)
    if isinstance(layer, NormLayer):
        return norm_step(layer, value, state)
    twin = CELLS[cell](layer.weight_input.shape[1], layer.hidden_size, dtype=value.dtype)
    own: dict[str, Tensor] = {
        "weight_ih": layer.weight_input,
        "weight_hh": layer.weight_recurrent,
        "bias_ih": layer.bias_input,
        "bias_hh": layer.bias_recurrent,
    }
    parts: Any = tuple(state[None].chunk(2, dim=1)) if cell == "lstm" else state[None]
    new = torch.func.functional_call(twin, own, (value[None], parts))
    return torch.cat(new, dim=1)[0] if cell == "lstm" else new[0]


def refined(stack: Recurrent, index: int, value: Tensor, output: Tensor) -> Tensor:
    """Adds what stands around a layer: its normalisation and residual connection."""
    norm = stack.norms[index]
    if isinstance(norm, nn.LayerNorm):
        centred = output - output.mean()
        output = centred / (output.var(unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias
    return value + output if stack.config.residual and value.shape == output.shape else output


def plain_log_probs(model: Any, document: Sequence[int], cut: int = 0) -> list[Tensor]:
    """Returns ``[V]`` log-probabilities after each token but the last.

    Gradients do not reach back beyond each ``cut`` tokens; 0: they reach the beginning.
    """
    stack, project = model.decoder.layers, model.decoder.output_projection
    parts = [layer for layer in stack.layers if isinstance(layer, Layer)]
    states = [model.head.weight.new_zeros(stack.state_size) for _ in parts]
    rows = []
    for place, token in enumerate(document[:-1]):
        if cut and place % cut == 0:
            states = [state.detach() for state in states]
        value = model.input.weight[token]
        for index, layer in enumerate(parts):
            states[index] = advance(layer, stack.config.cell, value, states[index])
            value = refined(stack, index, value, states[index][: layer.hidden_size])
        if project is not None:
            value = torch.tanh(project.weight @ value + project.bias)
        logits = model.head.weight @ value + model.head.bias
        rows.append(logits - logits.exp().sum().log())
    return rows


def plain_nats(model: LanguageModel, document: Sequence[int], cut: int = 0) -> Tensor:
    rows = plain_log_probs(model, document, cut)
    return -torch.stack([row[token] for row, token in zip(rows, document[1:], strict=True)]).sum()


# --- the state that is carried


@CASES
def test_one_chunk_is_back_propagation_through_whole_documents(case: Case) -> None:
    model = model_of(case)
    expected = torch.stack([plain_nats(model, document) for document in DOCUMENTS]).sum()
    check_same(model, outcome(model, whole(DOCUMENTS)).nats, expected)


def in_chunks(model: LanguageModel) -> Tensor:
    """Reads the documents in chunks of four predictions and three rows; sums the losses."""
    first, second, third, empty = DOCUMENTS
    total, carried = torch.zeros(()), None
    for batch in (
        stretch([first[:5], second, empty], [True, True, True]),
        stretch([first[4:], third[:5], []], [False, True, True]),
        stretch([[], third[4:], []], [True, False, True]),
    ):
        found = outcome(model, batch, 0.0, carried)
        total, carried = total + found.nats, found.carried
    return total


@CASES
def test_chunks_carry_the_state_and_end_the_gradients(case: Case) -> None:
    model = model_of(case)
    cut = torch.stack([plain_nats(model, document, cut=4) for document in DOCUMENTS]).sum()
    check_same(model, in_chunks(model), cut)
    torch.testing.assert_close(
        in_chunks(model), outcome(model, whole(DOCUMENTS)).nats, atol=1e-10, rtol=0
    )


@CASES
def test_stepping_is_the_whole_text(case: Case) -> None:
    model, document = model_of(case), DOCUMENTS[0]
    with torch.no_grad():
        outputs, last = model.read(whole([document]))
        expected, state = model.head(outputs)[0], model.start(1)
        for place, token in enumerate(document[:-1]):
            step = model.step(None, state, torch.tensor([[token]]))
            state = step.state
            torch.testing.assert_close(step.log_probs[0, 0], expected[place], atol=1e-10, rtol=0)
        assert step.attention.shape == (1, 1, 0)
        torch.testing.assert_close(state.layers, last.layers, atol=1e-10, rtol=0)
        plain = torch.stack(plain_log_probs(model, document))
        torch.testing.assert_close(expected, plain, atol=1e-10, rtol=0)


@DEEPEST
def test_fresh_rows_begin_with_zeros_whatever_is_carried(case: Case) -> None:
    model = model_of(case)
    batch = whole(DOCUMENTS)
    shape = (len(DOCUMENTS), *model.start(1).layers.shape[1:])
    for value in (1.0, math.nan, math.inf):
        carried = torch.full(shape, value, dtype=torch.double, requires_grad=True)
        loss = outcome(model, batch, 0.0, carried).nats
        assert loss.equal(outcome(model, batch).nats)
        assert torch.autograd.grad(loss, carried)[0].eq(0).all()
    old = replace(batch, fresh=torch.tensor([True, False, True, True]))
    carried = torch.ones(shape, dtype=torch.double)
    outputs, plain = model.read(old, carried)[0], model.read(batch)[0]
    assert outputs[[0, 2, 3]].equal(plain[[0, 2, 3]])
    assert outputs[1].ne(plain[1]).any()


def test_what_is_carried_is_the_last_state_without_its_history() -> None:
    model = noisy_model(layers=2, hidden_size=6)
    carried = outcome(model, whole([DOCUMENTS[0]])).carried
    assert (carried.shape, carried.dtype) == ((1, 2, 12), torch.double)
    assert not carried.requires_grad
    assert carried.equal(model.read(whole([DOCUMENTS[0]]))[1].layers)
    assert model.device == torch.device("cpu")
    assert model.start(3).layers.equal(torch.zeros(3, 2, 12, dtype=torch.double))
    model.float()
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(model, whole([DOCUMENTS[0]]))
        outcome(model, stretch([DOCUMENTS[0]], [False]), 0.0, found.carried)
    assert found.carried.dtype == torch.float32


@DEEPEST
def test_padding_and_neighbours_change_nothing(case: Case) -> None:
    model = model_of(case)
    for documents, extra in ((DOCUMENTS, 0), (DOCUMENTS, 3), (DOCUMENTS[::-1], 1)):
        alone = torch.stack(
            [outcome(model, whole([document]), 0.1).nats for document in DOCUMENTS]
        ).sum()
        check_same(model, outcome(model, whole(documents, extra), 0.1).nats, alone)
    outputs = model.read(whole(DOCUMENTS))[0]
    turned = model.read(whole(DOCUMENTS[::-1]))[0].flip(0)
    torch.testing.assert_close(outputs, turned, atol=1e-10, rtol=0)


def test_rows_that_are_over_cost_nothing() -> None:
    model = noisy_model(activation=1.0, slowness=1.0)
    ours, theirs = (
        outcome(model, whole(DOCUMENTS[:2])),
        outcome(model, whole([*DOCUMENTS[:2], [], []])),
    )
    torch.testing.assert_close(ours.nats, theirs.nats)
    torch.testing.assert_close(ours.penalty, theirs.penalty)


# --- regularisation


def seen_by_head(model: LanguageModel, batch: TextBatch, patch: pytest.MonkeyPatch) -> Tensor:
    """Returns what the output layer sees of a batch."""
    seen: list[Tensor] = []
    loss = TokenHead.loss

    def watching(head: TokenHead, features: Tensor, targets: Padded, smoothing: float) -> Tensor:
        seen.append(features.detach())
        return loss(head, features, targets, smoothing)

    with patch.context() as local:
        local.setattr(TokenHead, "loss", watching)
        outcome(model, batch)
    return seen[0]


LONG = whole([[BOS, *[4 + step % 5 for step in range(40)], EOS]] * 20)


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_of_the_outputs(locked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = noisy_model(**LARGE, output_dropout=0.3, locked_dropout=locked)
    seen, outputs = seen_by_head(model, LONG, monkeypatch), model.read(LONG)[0]
    gone = seen == 0
    assert gone.double().mean().item() == pytest.approx(0.3, abs=0.06 if locked else 0.02)
    torch.testing.assert_close(seen[~gone], outputs[~gone] / 0.7)
    same = [before.equal(after) for before, after in pairwise(gone.unbind(1))]
    assert all(same) if locked else not any(same)
    rows = [one.equal(other) for one, other in pairwise(gone.unbind(0))]
    assert not any(rows)
    assert seen_by_head(model.eval(), LONG, monkeypatch).equal(outputs)


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_between_the_layers(locked: bool) -> None:
    settings: Case = {**LARGE, "layers": 2, "input_dropout": 0.0, "dropout": 0.5}
    model: Any = noisy_model(**settings, locked_dropout=locked)
    inputs: list[Tensor] = []
    for layer in model.decoder.layers.layers:
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0].detach()))
    model.read(LONG)
    assert inputs[0].equal(model.input.weight[LONG.target_in.values])
    gone = inputs[1] == 0
    assert gone.double().mean().item() == pytest.approx(0.5, abs=0.06)
    same = [before.equal(after) for before, after in pairwise(gone.unbind(1))]
    assert all(same) if locked else not any(same)


def test_embedding_dropout_leaves_out_types() -> None:
    model = noisy_model(embedding_dropout=0.4)
    ids = LONG.target_in.values
    torch.manual_seed(2)
    gone = model.input(ids).eq(0).all(dim=2)
    dropped = {token for token in range(VOCABULARY) if gone[ids == token].any()}
    assert dropped
    assert gone.equal(torch.isin(ids, torch.tensor(sorted(dropped))))
    assert not gone.all()


def plain_penalty(
    seen: Tensor, outputs: Tensor, batch: TextBatch, activation: float, slowness: float
) -> float:
    """Averages squares over real steps, and over pairs of real steps, one by one."""
    squares, changes = list[float](), list[float]()
    for row, length in enumerate(batch.target_out.lengths.tolist()):
        for step in range(length):
            squares += (seen[row, step] ** 2).tolist()
            if step:
                changes += ((outputs[row, step] - outputs[row, step - 1]) ** 2).tolist()
    mean = sum(changes) / len(changes) if changes else 0.0
    return activation * sum(squares) / len(squares) + slowness * mean


@pytest.mark.parametrize("weights", [(2.0, 0.0), (0.0, 3.0), (2.0, 3.0)])
@pytest.mark.parametrize("output_size", [0, 5])
def test_the_penalty(
    output_size: int, weights: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    activation, slowness = weights
    model = noisy_model(
        output_size=output_size, output_dropout=0.5, activation=activation, slowness=slowness
    )
    for batch in (whole(DOCUMENTS, extra=2), whole([DOCUMENTS[3]] * 2)):
        torch.manual_seed(3)
        penalty = outcome(model, batch).penalty
        torch.manual_seed(3)
        seen = seen_by_head(model, batch, monkeypatch)
        outputs = model.read(batch)[0]
        expected = plain_penalty(seen, outputs, batch, activation, slowness)
        assert penalty.item() == pytest.approx(expected, rel=1e-6)
    assert outcome(model.eval(), whole(DOCUMENTS)).penalty is None


def test_the_penalty_has_gradients_and_needs_a_weight() -> None:
    model = noisy_model(activation=1.0, slowness=1.0)
    found = gradients(model, outcome(model, whole(DOCUMENTS)).penalty)
    names = [name for name, _ in model.named_parameters()]
    assert {name for name, one in zip(names, found, strict=True) if one.eq(0).all()} == {
        "head.weight",
        "head.bias",
    }
    assert outcome(noisy_model(), whole(DOCUMENTS)).penalty is None


NOISE: Case = {
    "dropout": 0.4,
    "input_dropout": 0.3,
    "weight_drop": 0.5,
    "embedding_dropout": 0.3,
    "output_dropout": 0.4,
    "activation": 2.0,
    "slowness": 1.0,
}


@pytest.mark.parametrize("key", [*NOISE, "nothing"])
def test_noise_is_for_training(key: str) -> None:
    settings = {"layers": 2, "locked_dropout": True}
    model = noisy_model(**settings, **({key: NOISE[key]} if key in NOISE else {}))
    batch = whole(DOCUMENTS)
    quiet = outcome(noisy_model(**settings).eval(), batch).nats
    torch.manual_seed(4)
    first, second = outcome(model, batch), outcome(model, batch)
    drops = key.endswith("dropout") or key == "weight_drop"
    assert first.nats.equal(second.nats) != drops
    assert first.nats.equal(quiet) != drops
    found = outcome(model.eval(), batch)
    assert found.nats.equal(quiet)
    assert found.penalty is None


def test_all_noise_together_is_a_function_of_the_seed() -> None:
    model, losses = noisy_model(layers=2, locked_dropout=True, **NOISE), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(outcome(model, whole(DOCUMENTS)).nats.item())
    assert losses[0] == losses[1] != losses[2]


def test_a_tied_model_has_one_embedding_for_input_and_output() -> None:
    model = noisy_model(tie_embeddings=True, output_size=4)
    assert model.head.weight is model.input.weight
    assert model.decoder.output_projection is not None
    assert noisy_model().decoder.output_projection is None
    names = {name for name, _ in model.named_parameters()}
    assert "head.weight" not in names


# --- refusals


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"embedding_size": 0}, "embedding_size: must be at least 1, got 0"),
        ({"embedding_dropout": 1.0}, "embedding_dropout: must be in [0, 1), got 1.0"),
        ({"output_dropout": -0.5}, "output_dropout: must be in [0, 1), got -0.5"),
        ({"output_size": -1}, "output_size: must be at least 0, got -1"),
        ({"activation": -1.0}, "activation: must be at least 0, got -1.0"),
        ({"slowness": -2.0}, "slowness: must be at least 0, got -2.0"),
        (
            {"tie_embeddings": True, "embedding_size": 8, "output_size": 6},
            "output_size: must be embedding_size (8) where tie_embeddings is true, got 6",
        ),
        (
            {"tie_embeddings": True, "embedding_size": 8},
            "output_size: must be embedding_size (8) where tie_embeddings is true, got 0",
        ),
    ],
)
def test_refused_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        LanguageModelConfig(**settings)
    assert str(refusal.value) == text


def test_tied_widths_that_agree() -> None:
    layers = RecurrentConfig(hidden_size=8)
    LanguageModelConfig(embedding_size=8, tie_embeddings=True, layers=layers)
    LanguageModelConfig(embedding_size=6, tie_embeddings=True, output_size=6, layers=layers)
