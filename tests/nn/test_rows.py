import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn import heads
from seq2seq.nn.attention import Attention
from seq2seq.nn.cells import CELLS
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.nn.rows import ROWS, RowLinear, filled
from seq2seq.nn.scan_cells import ScanCell


@given(st.integers(0, 3 * ROWS), st.integers(1, 3))
def test_rows_are_filled_up_with_zeros(count: int, width: int) -> None:
    rows = torch.randn(count, width)
    whole = filled(rows)
    assert len(whole) % ROWS == 0
    assert len(whole) - count < ROWS
    assert torch.equal(whole[:count], rows)
    assert not whole[count:].any()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.booleans())
def test_outputs_and_gradients_are_those_of_a_linear_layer(shape: list[int], bias: bool) -> None:
    layer = RowLinear(4, 3, bias=bias, dtype=torch.float64)
    plain = nn.Linear(4, 3, bias=bias, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    inputs = torch.randn(*shape, 4, dtype=torch.float64)
    outputs = layer(inputs)
    torch.testing.assert_close(outputs, plain(inputs))
    torch.testing.assert_close(layer.eval()(inputs), outputs)
    weights = torch.randn_like(outputs)
    for one in (outputs, plain(inputs)):
        (one * weights).sum().backward()
    for one, other in zip(layer.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_training_multiplies_few_numbers_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    product = torch.addmm

    def counted(shift: Tensor, left: Tensor, right: Tensor) -> Tensor:
        seen.add(len(left))
        return product(shift, left, right)

    monkeypatch.setattr(torch, "addmm", counted)
    weight, bias = torch.randn(9, 4), torch.zeros(9)
    for count in range(1, 2 * ROWS, 7):
        targets = torch.zeros(count, dtype=torch.long)
        heads.smoothed_cross_entropy(torch.randn(count, 4), weight, bias, targets, 0.1)
    assert seen == {ROWS, 2 * ROWS}


@pytest.mark.parametrize("cell", [name for name, one in CELLS.items() if issubclass(one, ScanCell)])
def test_scans_multiply_few_numbers_of_rows_too(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    product = functional.linear

    def counted(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.add(inputs.shape[:-1].numel())
        return product(inputs, weight, bias)

    monkeypatch.setattr(functional, "linear", counted)
    config = RecurrentConfig(cell=cell, hidden_size=6, dropout=0.0)
    layer = Recurrent(config, 4, bidirectional=True)
    plain = copy.deepcopy(layer).eval()
    for steps in range(1, 2 * ROWS // 3, 7):
        inputs, lengths = torch.randn(3, steps, 4), torch.tensor([steps, 1, steps])
        state = torch.zeros(3, 1, 6 * CELLS[cell].states)
        outputs, final = layer(inputs, state, lengths)
        assert seen <= {ROWS, 2 * ROWS}
        torch.testing.assert_close((outputs, final), plain(inputs, state, lengths))
        seen.clear()


def test_attention_on_a_cpu_is_float32_at_least() -> None:
    query, memory = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    valid = torch.ones(2, 5, dtype=torch.bool)
    exact, _ = Attention(4, 4)(query, memory, memory, valid)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = Attention(4, 4)(query, memory, memory, valid)
    assert torch.equal(found, exact)
