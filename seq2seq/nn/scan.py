"""Linear elementwise recurrences: what is left of a recurrent layer once its products are made."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

log = logging.getLogger("seq2seq")


def scan(
    gate: Float[Tensor, "B T D"], values: Float[Tensor, "B T D"], first: Float[Tensor, "B D"]
) -> Float[Tensor, "B T D"]:
    """Returns ``c_t = f_t * c_{t-1} + (1 - f_t) * v_t`` for all steps, with ``f = sigmoid(gate)``.

    ``first`` is the state before the first step. A gate far above 0 keeps the state as it is, to
    the bit, and gives its step no gradient. All three must be of one type. On a GPU that Triton
    can make kernels for it is one kernel, else one a step.
    """
    if gate.is_cuda and gate.dtype in (torch.float32, torch.float64) and (fused := _fused()):
        return fused(gate, values, first)
    carried: Tensor = _Scan.apply(gate, values, first)  # type: ignore[no-untyped-call]
    return carried


@cache
def _fused() -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """Returns the scan in one kernel, if it works here.

    It is tried: Triton may be missing or too old, the GPU too old, and Triton needs a C compiler.
    """
    try:
        from seq2seq.nn.triton_scan import BLOCK, triton_scan

        with torch.inference_mode(False), torch.enable_grad():
            trial = torch.zeros(1, 1, BLOCK, device="cuda", requires_grad=True)
            loss: Any = triton_scan(trial, trial, trial[:, 0]).sum()
            loss.backward()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        log.warning("scans on the GPU run a step at a time, as Triton does not work: %s", reason)
        return None
    return triton_scan


class _Scan(torch.autograd.Function):
    """A loop over time of one fused operation a step, forward and backward.

    Of the whole sequence only ``f`` and ``c`` are kept: since ``c_{t-1} - c_t`` is
    ``(1 - f_t) * (c_{t-1} - v_t)``, the gate's gradient needs neither ``v`` nor a division.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        gate: Tensor,
        values: Tensor,
        first: Tensor,
    ) -> Tensor:
        """Carries the state from step to step."""
        forget = gate.sigmoid()
        carried = torch.empty_like(forget)
        state = first
        for f, v, c in zip(*(part.unbind(1) for part in (forget, values, carried)), strict=True):
            state = torch.lerp(v, state, f, out=c)
        ctx.save_for_backward(forget, carried, first)
        return carried

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        """Carries the gradient back: each state's is its own and ``f`` times the next one's."""
        forget, carried, first = ctx.saved_tensors
        d_carried, kept = torch.empty_like(forget), torch.empty_like(forget)
        later = torch.zeros_like(first)
        steps = zip(*(part.unbind(1) for part in (grad, forget, d_carried, kept)), strict=True)
        for g, f, d, k in reversed(list(steps)):
            torch.add(g, later, out=d)
            later = torch.mul(d, f, out=k)
        d_values, d_first = d_carried.sub_(kept), later.clone()
        kept[:, 0] *= first - carried[:, 0]
        kept[:, 1:] *= carried[:, :-1] - carried[:, 1:]
        return kept, d_values, d_first
