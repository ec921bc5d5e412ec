"""The scan's kernel on a GPU; where there is none, in Triton's interpreter.

Triton decides for the interpreter when it is imported, so that is another process: there pytest
runs this file once more.
"""

import os
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from torch import Tensor

from seq2seq.nn.scan import scan
from tests.structure import ROOT

GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# The interpreter of 3.6 runs no loop to a given end beside NumPy 2.4.
pytest.importorskip(
    "triton", minversion="3.6" if GPU else "3.7", reason="Triton is missing or too old"
)
runs_kernels = pytest.mark.skipif(
    not GPU and not INTERPRETED, reason="no GPU; done by test_all_pass_in_the_interpreter"
)
on_a_gpu = pytest.mark.skipif(not GPU or INTERPRETED, reason="torch finds no CUDA device here")
DEVICE = torch.device("cuda" if GPU and not INTERPRETED else "cpu")
Parts = tuple[Tensor, Tensor, Tensor]
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
SHAPES = [(1, 1, 1), (3, 1, 5), (2, 2, 33), (3, 11, 64), (2, 20, 130)]


def make(rows: int, steps: int, width: int, dtype: torch.dtype) -> Parts:
    """Returns gates, values and a first state, all of them pieces of wider tensors."""
    torch.manual_seed(rows * 100 + steps)
    products = (torch.rand(rows, steps, 3 * width, dtype=dtype) * 2 - 1).to(DEVICE)
    gate, values, _ = products.chunk(3, dim=2)
    gate *= 3
    first = torch.rand(rows, 2 * width, dtype=dtype).to(DEVICE)[:, -width:]
    return gate.requires_grad_(), values.requires_grad_(), first.requires_grad_()


def ours(gate: Tensor, values: Tensor, first: Tensor) -> Tensor:
    kernels = import_module("seq2seq.nn.triton_scan")
    result: Tensor = kernels.triton_scan(gate, values, first)
    return result


def plain(gate: Tensor, values: Tensor, first: Tensor) -> Tensor:
    """On the processor, where it never is the kernel."""
    return scan(gate.cpu(), values.cpu(), first.cpu())


def assert_same(found: Tensor, expected: Tensor) -> None:
    tolerance = TOLERANCE[expected.dtype]
    torch.testing.assert_close(found.cpu(), expected.cpu(), atol=tolerance, rtol=tolerance)


@pytest.mark.skipif(GPU or INTERPRETED, reason="the tests run here")
def test_all_pass_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@runs_kernels
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_the_plain_scan(
    shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    parts = make(*shape, dtype)
    found, expected = ours(*parts), plain(*parts)
    assert_same(found, expected)
    weights = torch.rand_like(expected)
    d_found = torch.autograd.grad(found, parts, weights.to(DEVICE))
    for one, other in zip(d_found, torch.autograd.grad(expected, parts, weights), strict=True):
        assert_same(one, other)


@runs_kernels
def test_any_strides_are_read() -> None:
    gate, values, first = (part.detach() for part in make(3, 4, 5, torch.float64))
    parts = gate.mT.contiguous().mT, values.transpose(0, 1).contiguous().transpose(0, 1), first
    assert_same(ours(*parts), plain(gate, values, first))
    everywhere = values[:1, :1].expand_as(values)
    assert_same(ours(gate, everywhere, first), plain(gate, everywhere, first))


@runs_kernels
def test_gradients_may_come_from_some_steps_only_or_be_one_number_for_all() -> None:
    parts = make(2, 6, 3, torch.float64)
    for steps in (slice(2, 3), slice(None)):
        found = torch.autograd.grad(ours(*parts)[:, steps].sum(), parts)
        expected = torch.autograd.grad(plain(*parts)[:, steps].sum(), parts)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


@runs_kernels
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # NumPy's, of the interpreter
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("steps", [1, 12])
def test_an_open_gate_keeps_the_state_to_the_bit_and_a_closed_one_takes_the_value(
    steps: int, dtype: torch.dtype
) -> None:
    gate, values, first = make(3, steps, 33, dtype)
    gate = torch.full_like(gate, 1e4).requires_grad_()
    kept = ours(gate, 1e3 * values, first)
    assert kept.equal(first[:, None].expand_as(kept))
    d_gate, d_values, d_first = torch.autograd.grad(kept.sum(), (gate, values, first))
    assert d_gate.count_nonzero() == d_values.count_nonzero() == 0
    assert d_first.eq(steps).all()
    assert ours(-gate, values, first).equal(values)


@on_a_gpu
def test_scan_is_the_kernel_and_can_be_captured_in_a_graph() -> None:
    parts = make(4, 20, 64, torch.float32)
    weights = torch.rand(4, 20, 64).to(DEVICE)

    def both() -> tuple[Tensor, ...]:
        carried = scan(*parts)
        assert type(carried.grad_fn).__name__ == "_TritonScanBackward"
        return carried.detach(), *torch.autograd.grad(carried, parts, weights)

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(aside):  # compiles, which no graph can hold
        both()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = both()
    with torch.no_grad():
        parts[1].mul_(-0.5)
    graph.replay()
    expected = plain(*parts)
    gradients = torch.autograd.grad(expected, parts, weights.cpu())
    for one, other in zip(captured, (expected.detach(), *gradients), strict=True):
        assert_same(one, other)
