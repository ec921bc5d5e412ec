import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.nn.cells import CELLS
from seq2seq.nn.dropout import dropout_mask
from seq2seq.nn.kernel_cells import KernelCell
from seq2seq.nn.norm_cells import NormCell
from seq2seq.nn.recurrent import BACKWARD, FORWARD, Recurrent, RecurrentConfig, reverse
from seq2seq.nn.scan_cells import ScanCell

CELL_NAMES = tuple(CELLS)
SCAN_NAMES = tuple(name for name, cell in CELLS.items() if issubclass(cell, ScanCell))
NORM_NAMES = tuple(name for name, cell in CELLS.items() if issubclass(cell, NormCell))
TORCH: dict[str, type[nn.LSTM | nn.GRU | nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}
KERNELS = {name: cell for name, cell in CELLS.items() if issubclass(cell, KernelCell)}
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def one_way(stack: Recurrent) -> list[list[KernelCell]]:
    """Returns the one-directional parts of every layer."""
    return [[cell for cell in cells if isinstance(cell, KernelCell)] for cells in stack.directions]


def torch_twin(stack: Recurrent, cell: str, input_size: int) -> nn.RNNBase:
    """Makes torch's own module with the same weights."""
    parts = one_way(stack)
    twin = TORCH[cell](
        input_size,
        parts[0][0].hidden_size,
        num_layers=len(parts),
        bidirectional=len(parts[0]) == 2,
        batch_first=True,
        dtype=parts[0][0].weight_input.dtype,
    )
    for weights, part in zip(twin.all_weights, [p for layer in parts for p in layer], strict=True):
        ours = (part.weight_input, part.weight_recurrent, part.bias_input, part.bias_recurrent)
        with torch.no_grad():
            for theirs, own in zip(weights, ours, strict=True):
                theirs.copy_(own)
    return twin


def random_biases(module: nn.Module) -> None:
    """Replaces the zeros of a fresh module, which would hide a bias that is not added."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.5, 0.5)


def stack_of(cell: str, *, bidirectional: bool = False, **settings: Any) -> Recurrent:
    torch.manual_seed(1)
    config = RecurrentConfig(
        cell=cell, hidden_size=6, **{"dropout": 0.0, "input_dropout": None, **settings}
    )
    stack = Recurrent(config, 4, bidirectional=bidirectional).double()
    random_biases(stack)
    return stack


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", TORCH)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_stack_is_torchs_own_over_packed_sequences(
    cell: str, bidirectional: bool, layers: int, dtype: torch.dtype, tolerance: float
) -> None:
    stack = stack_of(cell, bidirectional=bidirectional, layers=layers).to(dtype)
    twin = torch_twin(stack, cell, 4)
    lengths = torch.tensor([3, 5, 1, 4])
    inputs, state = torch.randn(4, 7, 4, dtype=dtype), stack.zero_state(torch.zeros(4, 1, 4))
    state = torch.randn(state.shape, dtype=dtype)
    # Ours: [B, L, (h, c) of each direction]; torch's: h and c apart, [L * directions, B, D].
    ways, vectors = 1 + bidirectional, CELLS[cell].states
    split = state.view(4, layers * ways, vectors, -1).permute(2, 1, 0, 3).contiguous()
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths, True, enforce_sorted=False)
    theirs, finals = twin(packed, tuple(split) if vectors == 2 else split[0])
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True)
    outputs, final = stack(inputs, state, lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(
            outputs[row, :length], expected[row, :length], atol=tolerance, rtol=0
        )
    final = final.view(4, layers * ways, vectors, -1).permute(2, 1, 0, 3)
    joined = torch.stack(finals) if vectors == 2 else finals[None]
    torch.testing.assert_close(final, joined, atol=tolerance, rtol=0)


@pytest.mark.parametrize("extra", [{}, {"residual": True}, {"layer_norm": True}])
@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_stepping_with_the_noise_of_a_sequence_is_running_it(
    cell: str, locked: bool, extra: dict[str, bool]
) -> None:
    stack = stack_of(cell, layers=3, dropout=0.4, locked_dropout=locked, **extra)
    inputs = torch.randn(5, 6, 4, dtype=torch.double)
    state = torch.randn(5, 3, stack.state_size, dtype=torch.double)
    torch.manual_seed(7)
    expected, final = stack(inputs, state)
    torch.manual_seed(7)
    masks = stack.noise(inputs)
    assert len(masks) == 3
    for step in range(6):
        own = [mask[:, step] for mask in masks if mask is not None]
        output, state = stack.step(inputs[:, step], state, own)
        torch.testing.assert_close(output, expected[:, step], atol=1e-10, rtol=0)
    torch.testing.assert_close(state, final, atol=1e-10, rtol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELL_NAMES)
def test_what_stands_in_the_padding_changes_nothing(cell: str, bidirectional: bool) -> None:
    stack = stack_of(cell, bidirectional=bidirectional, layers=2)
    lengths = torch.tensor([2, 4, 1])
    inputs = torch.randn(3, 9, 4, dtype=torch.double)
    padded = torch.arange(9) >= lengths[:, None]
    inputs[padded] = 1e3
    inputs.requires_grad_()
    outputs, final = stack(inputs, stack.zero_state(inputs), lengths)
    assert outputs.isfinite().all()
    for row, length in enumerate(lengths.tolist()):
        alone = inputs[row : row + 1, :length]
        expected, state = stack(alone, stack.zero_state(alone))
        torch.testing.assert_close(outputs[row, :length], expected[0], atol=1e-10, rtol=0)
        torch.testing.assert_close(final[row], state[0], atol=1e-10, rtol=0)
    (gradient,) = torch.autograd.grad(outputs[~padded].square().sum() + final.sum(), inputs)
    assert gradient[~padded].ne(0).all()
    assert gradient[padded].eq(0).all()


@pytest.mark.parametrize("extra", [{}, {"layer_norm": True}])
def test_residual_connections_join_equal_widths_only(extra: dict[str, bool]) -> None:
    stack = stack_of("gru", layers=2, residual=True, **extra)
    if extra:
        with torch.no_grad():
            for parameter in stack.norms.parameters():
                parameter.uniform_()
    inputs = torch.randn(2, 3, 4, dtype=torch.double)
    zeros = torch.zeros(2, 6, dtype=torch.double)
    lowest = stack.norms[0](stack.layers[0](inputs, zeros)[0])
    highest = stack.norms[1](stack.layers[1](lowest, zeros)[0])
    outputs, _ = stack(inputs, stack.zero_state(inputs))
    torch.testing.assert_close(outputs, lowest + highest)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_reverse_turns_each_row_within_its_length(lengths: list[int]) -> None:
    values = torch.arange(len(lengths) * 6.0).view(-1, 6, 1)
    turned = reverse(values, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert turned[row, :length].equal(values[row, :length].flip(0))
        assert turned[row, length:].equal(values[row, length:])
    assert reverse(turned, torch.tensor(lengths)).equal(values)
    assert reverse(values, None).equal(values.flip(1))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def constant_lstm(value: float, hidden: float, cell: float, weight: float) -> tuple[float, float]:
    """One unit, all weights and biases alike: so are the gates' pre-activations."""
    same = weight * value + weight * hidden + 2 * weight
    cell = sigmoid(same) * cell + sigmoid(same) * math.tanh(same)
    return sigmoid(same) * math.tanh(cell), cell


def constant_gru(value: float, hidden: float, weight: float) -> float:
    inputs, recurrent = weight * value + weight, weight * hidden + weight
    reset = update = sigmoid(inputs + recurrent)
    return (1 - update) * math.tanh(inputs + reset * recurrent) + update * hidden


# Weights and biases 0.1, inputs 1, -2, 3, first state 0: worked out with the functions above.
GOLDEN: dict[str, list[float]] = {
    "lstm": [0.095241188497, 0.044521563091, 0.207357389293],
    "gru": [0.107199421798, 0.03184863037, 0.183220588657],
    "rnn": [0.291312612452, 0.029123023484, 0.464404446083],
}


@pytest.mark.parametrize("cell", TORCH)
def test_constant_weights_give_the_numbers_of_the_equations(cell: str) -> None:
    layer = KERNELS[cell](1, 1).double()
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.1)
    hidden = carried = 0.0
    expected = []
    for value in (1.0, -2.0, 3.0):
        if cell == "lstm":
            hidden, carried = constant_lstm(value, hidden, carried, 0.1)
        elif cell == "gru":
            hidden = constant_gru(value, hidden, 0.1)
        else:
            hidden = math.tanh(0.1 * value + 0.1 * hidden + 0.2)
        expected.append(hidden)
    assert expected == pytest.approx(GOLDEN[cell], abs=1e-9)
    inputs = torch.tensor([[[1.0], [-2.0], [3.0]]], dtype=torch.double)
    zeros = torch.zeros(1, CELLS[cell].states, dtype=torch.double)
    outputs, final = layer(inputs, zeros)
    assert outputs.flatten().tolist() == pytest.approx(expected, abs=1e-12)
    assert final[0, 0].item() == pytest.approx(hidden, abs=1e-12)
    if cell == "lstm":
        assert final[0, 1].item() == pytest.approx(carried, abs=1e-12)


@pytest.mark.parametrize("cell", TORCH)
def test_initial_weights(cell: str) -> None:
    layer = KERNELS[cell](5, 8)
    gates = KERNELS[cell].gates
    for gate in layer.weight_recurrent.chunk(gates):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-5, rtol=0)
    widest = math.sqrt(6 / (5 + 8))
    assert 0.8 * widest < layer.weight_input.abs().max().item() <= widest
    assert layer.bias_input.count_nonzero() == 0
    assert layer.bias_recurrent.count_nonzero() == 0
    assert all(norm.weight.eq(1).all() for norm in stack_of_norms(cell))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [0.0, 1.0, -0.5])
def test_the_forget_gate_begins_with_its_bias(cell: str, value: float) -> None:
    config = RecurrentConfig(cell=cell, hidden_size=8, layers=2, forget_bias=value)
    for found in Recurrent(config, 5, bidirectional=True).directions:
        for one in found:
            biases = [bias for name, bias in one.named_parameters() if name.startswith("bias")]
            others = sum(bias.numel() for bias in biases)
            if one.forget_bias is None:
                assert cell in ("gru", "rnn", "rnn-ln")
                assert all(bias.count_nonzero() == 0 for bias in biases)
            else:
                assert one.forget_bias.eq(value).all()
                zeros = others - one.forget_bias.numel() * (value != 0)
                assert sum(int(bias.eq(0).sum()) for bias in biases) == zeros


def stack_of_norms(cell: str) -> list[nn.LayerNorm]:
    stack = Recurrent(RecurrentConfig(cell=cell, hidden_size=4, layer_norm=True, layers=2), 4)
    return [norm for norm in stack.norms if isinstance(norm, nn.LayerNorm)]


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_masks_have_the_rate_and_keep_the_mean(locked: bool) -> None:
    torch.manual_seed(3)
    mask = dropout_mask(torch.empty(50, 20, 60), 0.3, locked)
    assert sorted(set(mask.flatten().tolist())) == [0.0, pytest.approx(1 / 0.7)]
    assert mask.eq(0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    repeats = [before.equal(after) for before, after in pairwise(mask.unbind(1))]
    assert all(repeats) if locked else not any(repeats)


def share_of_zeros(mask: Tensor | None) -> float:
    return 0.0 if mask is None else mask.eq(0).double().mean().item()


def test_the_first_layer_s_input_may_have_a_rate_of_its_own() -> None:
    like = torch.randn(30, 20, 4, dtype=torch.double)
    for first, others in ((0.0, 0.5), (0.5, 0.0), (0.2, 0.6)):
        masks = stack_of("gru", layers=3, dropout=others, input_dropout=first).noise(like)
        assert [share_of_zeros(mask) for mask in masks] == pytest.approx(
            [first, others, others], abs=0.04
        )
        assert [mask is None for mask in masks] == [rate == 0 for rate in (first, others, others)]
    same = stack_of("gru", layers=2, dropout=0.3).noise(like)
    assert [share_of_zeros(mask) for mask in same] == pytest.approx([0.3] * 2, abs=0.04)
    assert stack_of("gru", dropout=0.0, input_dropout=0.0).noise(like) == [None]


def plain_sequence(layer: KernelCell, cell: str, inputs: Tensor, weight: Tensor) -> Tensor:
    """Runs torch's one-step kernel from zeros on with the given recurrent weights."""
    parts = [inputs.new_zeros(len(inputs), layer.hidden_size) for _ in range(CELLS[cell].states)]
    outputs = []
    for value in inputs.unbind(1):
        given = (layer.weight_input, weight, layer.bias_input, layer.bias_recurrent)
        new = KERNELS[cell].step_kernel(value, parts if len(parts) > 1 else parts[0], *given)
        parts = [new] if isinstance(new, Tensor) else [*new]
        outputs.append(parts[0])
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("cell", TORCH)
def test_weights_are_left_out_for_a_whole_sequence_while_training(cell: str) -> None:
    torch.manual_seed(1)
    layer = KERNELS[cell](3, 10, weight_drop=0.4).double()
    inputs, zeros = torch.randn(2, 5, 3), torch.zeros(2, 10 * CELLS[cell].states)
    inputs, zeros = inputs.double(), zeros.double()
    torch.manual_seed(2)
    outputs, _ = layer(inputs, zeros)
    (gradient,) = torch.autograd.grad(outputs.square().sum(), layer.weight_recurrent)
    left_out = gradient == 0
    assert left_out.double().mean().item() == pytest.approx(0.4, abs=0.1)
    kept = layer.weight_recurrent.detach().masked_fill(left_out, 0) / 0.6
    torch.testing.assert_close(outputs, plain_sequence(layer, cell, inputs, kept))
    assert not layer(inputs, zeros)[0].allclose(outputs)
    whole = layer.eval()(inputs, zeros)[0]
    torch.testing.assert_close(whole, plain_sequence(layer, cell, inputs, layer.weight_recurrent))
    torch.testing.assert_close(layer.step(inputs[:, 0], zeros)[:, :10], whole[:, 0])


def test_each_direction_leaves_out_its_own_weights() -> None:
    stack = stack_of("rnn", bidirectional=True, layers=2, weight_drop=0.5)
    inputs = torch.randn(2, 4, 4, dtype=torch.double)
    outputs, _ = stack(inputs, stack.zero_state(inputs), torch.tensor([4, 3]))
    weights = [part.weight_recurrent for layer in one_way(stack) for part in layer]
    gone = [one == 0 for one in torch.autograd.grad(outputs.square().sum(), weights)]
    assert len(gone) == 4
    assert all(0 < one.double().mean().item() < 1 for one in gone)
    assert not any(one.equal(other) for one, other in pairwise(gone))


def test_there_is_no_noise_outside_training_or_without_a_rate() -> None:
    like = torch.randn(2, 3, 4, dtype=torch.double)
    stack = stack_of("lstm", layers=2, dropout=0.5)
    shapes = [None if mask is None else tuple(mask.shape) for mask in stack.noise(like)]
    assert shapes == [(2, 3, 4), (2, 3, 6)]
    assert stack.eval().noise(like) == [None, None]
    assert stack_of("lstm", dropout=0.0).noise(like) == [None]
    first, second = (stack(like, stack.zero_state(like))[0] for _ in range(2))
    assert first.equal(second)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_stack_fit_to_small_inputs_sees_them_as_large_ones(
    cell: str, bidirectional: bool
) -> None:
    drawn, fitted, residual = (
        stack_of(cell, bidirectional=bidirectional, layers=2, residual=adds).eval()
        for adds in (False, False, True)
    )
    inputs = torch.randn(2, 5, 4, dtype=torch.double)
    small = torch.cat([inputs[..., :3] / 8, inputs[..., 3:]], dim=2)
    before = {name: value.clone() for name, value in residual.state_dict().items()}
    for stack in (fitted, residual):
        stack.fit_inputs(1 / 8, width=3)
    state = drawn.zero_state(inputs)
    torch.testing.assert_close(fitted(small, state), drawn(inputs, state))
    assert all(value.equal(before[name]) for name, value in residual.state_dict().items())


def test_a_bidirectional_layer_gives_half_its_width_to_each_direction() -> None:
    stack = Recurrent(RecurrentConfig(hidden_size=6), 3, bidirectional=True)
    outputs, state = stack(torch.randn(2, 4, 3), torch.zeros(2, 1, 12))
    assert (outputs.shape, state.shape) == ((2, 4, 6), (2, 1, 12))
    for cell in stack.directions[0]:
        half, _ = cell(torch.zeros(1, 1, 3), torch.zeros(1, 6))
        assert half.shape == (1, 1, 3)
    names = {name.split(".")[2] for name, _ in stack.named_parameters()}
    assert names == {FORWARD, BACKWARD}


def test_every_cell_name_has_its_cell() -> None:
    assert set(CELLS) == {*TORCH, *SCAN_NAMES, *NORM_NAMES}


# --- gates that see the input alone


def plain_scan(layer: Any, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Runs the papers' equations a step at a time; returns the outputs and the last state."""
    size = layer.hidden_size
    weights = layer.weight_input.view(-1, size, inputs.shape[2])
    biases = layer.bias_input.view(-1, size)
    hidden, carried, outputs = state[:, :size], state[:, -size:], []
    for value in inputs.unbind(1):
        forget, new, *others = (value @ w.T + b for w, b in zip(weights, biases, strict=True))
        forget = 1 / (1 + (-forget).exp())
        hidden = carried = forget * carried + (1 - forget) * new
        if len(others) > 0:
            reset = 1 / (1 + (-others[0]).exp())
            passed = others[1] if len(others) > 1 else value
            hidden = reset * carried + (1 - reset) * math.sqrt(3) * passed
        outputs.append(hidden)
    final = torch.cat([hidden, carried], dim=1)[:, : state.shape[1]]
    return torch.stack(outputs, dim=1), final


@pytest.mark.parametrize("width", [4, 6])
@pytest.mark.parametrize("cell", SCAN_NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_scan_layer_is_a_plain_loop_of_its_equations(
    cell: str, width: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(1)
    layer: Any = CELLS[cell](width, 6)
    random_biases(layer)
    layer.to(dtype)
    blocks = {("mingru", 4): 2, ("mingru", 6): 2, ("sru", 4): 4, ("sru", 6): 3}[cell, width]
    assert layer.weight_input.shape == (blocks * 6, width)
    inputs = torch.randn(3, 7, width, dtype=dtype, requires_grad=True)
    state = torch.randn(3, 6 * CELLS[cell].states, dtype=dtype, requires_grad=True)
    (ours, final), (expected, end) = layer(inputs, state), plain_scan(layer, inputs, state)
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)
    torch.testing.assert_close(final, end, atol=tolerance, rtol=0)
    wanted = [inputs, state, *layer.parameters()]
    found = torch.autograd.grad(ours.sin().sum() + final.sum(), wanted)
    plain = torch.autograd.grad(expected.sin().sum() + end.sum(), wanted)
    for one, other in zip(found, plain, strict=True):
        torch.testing.assert_close(one, other, atol=10 * tolerance, rtol=tolerance)


# Weights and biases 0.1, inputs 1, -2, 3, first state 0: worked out in plain Python.
SCAN_GOLDEN: dict[str, list[float]] = {
    "sru": [0.829213703037, -1.823203334242, 2.177896793138],
    "mingru": [0.090033200538, -0.009730274675, 0.154699540578],
}


@pytest.mark.parametrize("cell", SCAN_NAMES)
def test_constant_weights_give_the_numbers_of_a_scan_s_equations(cell: str) -> None:
    layer: Any = CELLS[cell](1, 1).double()
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.1)
    inputs = torch.tensor([[[1.0], [-2.0], [3.0]]], dtype=torch.double)
    outputs, _ = layer(inputs, torch.zeros(1, CELLS[cell].states, dtype=torch.double))
    assert outputs.flatten().tolist() == pytest.approx(SCAN_GOLDEN[cell], abs=1e-9)


@pytest.mark.parametrize(("width", "cell"), [(5, "mingru"), (5, "sru"), (8, "sru")])
def test_initial_weights_of_a_scan_layer(width: int, cell: str) -> None:
    layer: Any = CELLS[cell](width, 8)
    widest = math.sqrt(6 / (width + 8))
    for block in layer.weight_input.view(-1, 8, width):
        assert 0.7 * widest < block.abs().max().item() <= widest
    assert layer.bias_input.count_nonzero() == 0


@pytest.mark.parametrize("width", [16, 24])
@pytest.mark.parametrize("cell", SCAN_NAMES)
def test_a_scan_under_autocast_carries_single_precision(cell: str, width: int) -> None:
    torch.manual_seed(1)
    layer: Any = CELLS[cell](width, 24)
    nn.init.constant_(layer.bias_input[:24], 5.0)
    inputs, state = torch.randn(3, 200, width), torch.zeros(3, 24 * CELLS[cell].states)
    lengths = torch.tensor([200, 50, 1])
    expected, end = layer(inputs, state, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, final = layer(inputs, state, lengths)
        stepped = layer.step(inputs[:, 0], state.bfloat16())
    assert (outputs.dtype, final.dtype, stepped.dtype) == (
        torch.bfloat16,
        torch.float32,
        torch.float32,
    )
    assert (final - end).norm() < 0.01 * end.norm()
    assert (outputs[0] - expected[0]).norm() < 0.01 * expected[0].norm()
    found = torch.autograd.grad(outputs.float()[0].square().sum(), layer.weight_input)[0]
    exact = torch.autograd.grad(expected[0].square().sum(), layer.weight_input)[0]
    assert (found - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("cell", SCAN_NAMES)
def test_what_a_scan_carries_passes_padding_to_the_bit(cell: str) -> None:
    layer: Any = CELLS[cell](4, 6)
    inputs, state = torch.randn(3, 5, 4), torch.randn(3, 6 * CELLS[cell].states)
    _, over = layer(inputs, state, torch.tensor([0, 3, 5]))
    assert over[0, -6:].equal(state[0, -6:])
    _, three = layer(inputs[:, :3], state)
    torch.testing.assert_close(over[1], three[1])


# --- refusals


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"layers": 0}, "^layers: must be at least 1, got 0$"),
        ({"hidden_size": 0}, "^hidden_size: must be at least 1, got 0$"),
        ({"dropout": 1.0}, r"^dropout: must be in \[0, 1\), got 1.0$"),
        ({"dropout": -0.1}, r"^dropout: must be in \[0, 1\), got -0.1$"),
        ({"input_dropout": 1.0}, r"^input_dropout: must be none or in \[0, 1\), got 1.0$"),
        ({"input_dropout": -0.1}, r"^input_dropout: must be none or in \[0, 1\), got -0.1$"),
        ({"weight_drop": 1.0}, r"^weight_drop: must be in \[0, 1\), got 1.0$"),
        ({"weight_drop": -0.1}, r"^weight_drop: must be in \[0, 1\), got -0.1$"),
        *(
            (
                {"weight_drop": 0.5, "cell": cell},
                f"^weight_drop: must be 0 where cell is {cell}, which has no recurrent weights, "
                "got 0.5$",
            )
            for cell in SCAN_NAMES
        ),
    ],
)
def test_refused_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        RecurrentConfig(**settings)


def test_a_refused_cell() -> None:
    accepted = f"cell: must be one of {', '.join(CELLS)}, got 'lsm'; did you mean 'lstm'?"
    with pytest.raises(ConfigError) as error:
        RecurrentConfig(cell="lsm")
    assert str(error.value) == accepted


def test_states_are_passed_and_never_kept() -> None:
    stack = stack_of("lstm", layers=2)
    inputs = torch.randn(2, 3, 4, dtype=torch.double)
    first: Tensor = stack(inputs, stack.zero_state(inputs))[0]
    stack(inputs + 1, stack.zero_state(inputs))
    assert stack(inputs, stack.zero_state(inputs))[0].equal(first)
