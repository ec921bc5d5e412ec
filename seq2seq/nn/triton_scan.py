"""The scan of ``seq2seq.nn.scan`` as two kernels for GPUs; it imports Triton, which may be missing.

A step computes next to nothing, so memory sets the pace, and each tensor crosses it once. What is
kept for the backward pass are the gates, which exist already, and not their sigmoids, which would
have to be written to be read in the gates' place: 8 numbers move per feature and step, and not 9.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

# Features of one program, which is one warp: no warp waits for another, and 64 rows of 256 features
# make 256 programs, enough for the 132 multiprocessors of an H100.
BLOCK = 64
# Depth of the pipeline: steps whose loads are under way while one is worked on, so that the loop
# does not wait for memory once a step.
AHEAD = 8
# Any number of steps is the same kernel: no batch of a new length waits for a compiler, or needs
# one while a graph is captured.
_jit = triton.jit(do_not_specialize=["steps"])


def triton_scan(
    gate: Float[Tensor, "B T D"], values: Float[Tensor, "B T D"], first: Float[Tensor, "B D"]
) -> Float[Tensor, "B T D"]:
    """Does what ``seq2seq.nn.scan.scan`` does; pieces of wider tensors are read where they are."""
    carried: Tensor = _TritonScan.apply(gate, values, first)  # type: ignore[no-untyped-call]
    return carried


class _TritonScan(torch.autograd.Function):
    """A loop over time inside a kernel, forward and backward; see ``_Scan`` for the gradients."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        gate: Tensor,
        values: Tensor,
        first: Tensor,
    ) -> Tensor:
        """Carries the state from step to step."""
        gate, values, first = _readable(gate), _readable(values), _readable(first)
        carried = gate.new_empty(gate.shape)
        _launch(_forward, carried, gate, values, first)
        ctx.save_for_backward(gate, carried, first)
        return carried

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Carries the gradient back from the last step to the first."""
        gate, carried, first = ctx.saved_tensors
        d_gate, d_values = torch.empty_like(carried), torch.empty_like(carried)
        d_first = first.new_empty(first.shape)
        _launch(_backward, carried, gate, _readable(grad), first, d_gate, d_values, d_first)
        return d_gate, d_values, d_first


def _readable(tensor: Tensor) -> Tensor:
    """Returns a tensor whose features lie side by side; rows and steps may lie anywhere."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _launch(
    kernel: Any,  # noqa: ANN401
    carried: Tensor,
    gate: Tensor,
    other: Tensor,
    first: Tensor,
    *results: Tensor,
) -> None:
    """Starts a program for each row and block of features. ``other``: values or gradients."""
    rows, steps, width = carried.shape
    strides = *gate.stride()[:2], *other.stride()[:2], first.stride(0)
    with torch.cuda.device_of(carried):  # type: ignore[no-untyped-call]
        kernel[rows, triton.cdiv(width, BLOCK)](
            carried, gate, other, first, *results, steps, width, *strides, BLOCK, AHEAD, num_warps=1
        )


@triton.jit
@no_type_check
def _sigmoid(gate):  # noqa: ANN001, ANN202
    below = 1 + tl.exp(-gate)  # `/` rounds float32 anyhow: 1 / 1 must be 1, to keep the state
    return tl.div_rn(1.0, below) if gate.dtype == tl.float32 else 1 / below


@_jit
@no_type_check
def _forward(  # noqa: ANN202, PLR0913
    carried, gate, values, first, steps, width,  # noqa: ANN001
    gate_row, gate_step, values_row, values_step, first_row,  # noqa: ANN001
    BLOCK: tl.constexpr, AHEAD: tl.constexpr,  # noqa: N803
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)  # times a stride it may pass 32 bits
    lanes = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lanes < width
    carried += row * steps * width + lanes
    gate += row * gate_row + lanes
    values += row * values_row + lanes
    state = tl.load(first + row * first_row + lanes, mask=inside)
    for step in tl.range(steps, num_stages=AHEAD):
        forget = _sigmoid(tl.load(gate + step * gate_step, mask=inside))
        value = tl.load(values + step * values_step, mask=inside)
        change = state - value  # as torch.lerp, exact at both ends
        kept = state - change * (1 - forget)
        state = tl.where(forget < 0.5, value + change * forget, kept)
        tl.store(carried + step * width, state, mask=inside)


@_jit
@no_type_check
def _backward(  # noqa: ANN202, PLR0913
    carried, gate, grad, first, d_gate, d_values, d_first, steps, width,  # noqa: ANN001
    gate_row, gate_step, grad_row, grad_step, first_row,  # noqa: ANN001
    BLOCK: tl.constexpr, AHEAD: tl.constexpr,  # noqa: N803
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    lanes = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lanes < width
    start = row * steps * width + lanes
    gate += row * gate_row + lanes
    grad += row * grad_row + lanes
    begun = tl.load(first + row * first_row + lanes, mask=inside)
    state = tl.load(carried + start + (steps - 1) * width, mask=inside)
    later = tl.zeros_like(state)
    for done in tl.range(steps, num_stages=AHEAD):
        step = steps - 1 - done
        at = start + step * width
        forget = _sigmoid(tl.load(gate + step * gate_step, mask=inside))
        mine = tl.load(grad + step * grad_step, mask=inside)
        before = tl.load(carried + at - width, mask=inside & (step > 0))
        before = tl.where(step > 0, before, begun)
        mine += later
        later = mine * forget
        tl.store(d_gate + at, later * (before - state), mask=inside)
        tl.store(d_values + at, mine - later, mask=inside)
        state = before
    tl.store(d_first + row * width + lanes, later, mask=inside)
