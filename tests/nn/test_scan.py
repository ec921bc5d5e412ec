import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.nn import scan as module
from seq2seq.nn.scan import scan
from tests.structure import ROOT

Parts = tuple[Tensor, Tensor, Tensor]


def parts_of(rows: int, steps: int, width: int, *, apart: bool = False) -> Parts:
    """Returns gates, values and a first state in float64; ``apart``: pieces of a larger tensor."""
    torch.manual_seed(rows * 100 + steps)
    gate, values = 2 * torch.randn(2, rows, steps, width, dtype=torch.double)
    if apart:
        gate, values = torch.cat([gate, values], dim=2).chunk(2, dim=2)
    first = torch.randn(rows, width, dtype=torch.double)
    return gate.requires_grad_(), values.requires_grad_(), first.requires_grad_()


def sequential(gate: Tensor, values: Tensor, first: Tensor) -> Tensor:
    """The definition, a step at a time."""
    states, state = [], first
    for step in range(gate.shape[1]):
        forget = 1 / (1 + torch.exp(-gate[:, step]))
        state = forget * state + (1 - forget) * values[:, step]
        states.append(state)
    return torch.stack(states, dim=1)


@given(
    rows=st.integers(1, 4), steps=st.integers(1, 9), width=st.integers(1, 5), apart=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_values_and_gradients_are_those_of_the_definition(
    rows: int, steps: int, width: int, apart: bool
) -> None:
    parts = parts_of(rows, steps, width, apart=apart)
    ours, expected = scan(*parts), sequential(*parts)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)
    weights = torch.randn_like(ours)
    found = torch.autograd.grad(ours, parts, weights)
    for one, other in zip(found, torch.autograd.grad(expected, parts, weights), strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_gradients_are_those_of_finite_differences(steps: int) -> None:
    assert torch.autograd.gradcheck(scan, parts_of(2, steps, 3))


def test_half_open_gates_average() -> None:
    gate, values = torch.zeros(1, 3, 1), torch.tensor([[[1.0], [2.0], [3.0]]])
    assert scan(gate, values, torch.zeros(1, 1)).flatten().tolist() == [0.5, 1.25, 2.125]
    assert scan(gate, values, torch.ones(1, 1)).flatten().tolist() == [1.0, 1.5, 2.25]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("steps", [1, 5])
def test_an_open_gate_keeps_the_state_to_the_bit_and_a_closed_one_takes_the_value(
    steps: int, dtype: torch.dtype
) -> None:
    _, values, first = (part.detach().to(dtype).requires_grad_() for part in parts_of(3, steps, 4))
    gate = torch.full_like(values, 1e4).requires_grad_()
    kept = scan(gate, 1e3 * values, first)
    assert kept.equal(first[:, None].expand_as(kept))
    d_gate, d_values, d_first = torch.autograd.grad(kept.sum(), (gate, values, first))
    assert d_gate.count_nonzero() == d_values.count_nonzero() == 0
    assert d_first.eq(steps).all()
    assert scan(-gate, values, first).equal(values)


def test_only_the_gates_and_the_states_are_kept_for_backward() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    gate, values, first = parts_of(2, 8, 3)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        carried = scan(gate, values, first)
    assert sum(tensor.numel() for tensor in kept) == 2 * carried.numel() + first.numel()
    assert not any(tensor.data_ptr() == values.data_ptr() for tensor in kept)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_part_may_be_wanted_alone(wanted: int) -> None:
    parts = parts_of(2, 4, 3)
    expected = torch.autograd.grad(scan(*parts).sum(), parts)[wanted]
    free = [part if index == wanted else part.detach() for index, part in enumerate(parts)]
    ours = scan(free[0], free[1], free[2])
    assert torch.autograd.grad(ours.sum(), parts[wanted])[0].equal(expected)


def test_gradients_may_come_from_some_steps_only() -> None:
    parts: Any = parts_of(2, 6, 3)
    ours = torch.autograd.grad(scan(*parts)[:, 2].sum(), parts)
    expected = torch.autograd.grad(sequential(*parts)[:, 2].sum(), parts)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)
    assert ours[0][:, 3:].count_nonzero() == ours[1][:, 3:].count_nonzero() == 0


def test_single_precision_stays_near_double_over_long_sequences() -> None:
    gate, values, first = (part.detach() for part in parts_of(2, 2000, 4))
    exact = scan(gate + 4, values, first)
    single = scan((gate + 4).float(), values.float(), first.float())
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)


def test_on_the_processor_no_triton_is_imported() -> None:
    code = (
        "import sys, torch; from seq2seq.nn.scan import scan; before = set(sys.modules)\n"
        "scan(torch.zeros(1, 2, 3), torch.ones(1, 2, 3), torch.zeros(1, 3))\n"
        "print(*(name for name in set(sys.modules) - before if 'triton' in name))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == ""


def test_without_triton_there_is_no_kernel_which_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "seq2seq.nn.triton_scan", raising=False)
    module._fused.cache_clear()
    assert module._fused() is None
    assert module._fused() is None
    module._fused.cache_clear()
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "scans on the GPU run a step at a time, as Triton does not work: import of triton halted"
    )
