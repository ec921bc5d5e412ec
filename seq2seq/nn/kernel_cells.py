"""Cells whose gates see the last hidden vector, with torch's kernels: LSTM, GRU, simple layers."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn.cell import (
    HALF,
    TWO,
    Cell,
    Folded,
    SearchCell,
    draw_gates,
    last,
    padded_steps,
    tanh_,
)
from seq2seq.nn.dropout import dropout
from seq2seq.nn.linear import SearchPrecision, linear

# Far outside the range where a float64 sigmoid differs from 0 or 1.
CLOSED, OPEN = -1e4, 1e4
WHOLE = 8
"""Columns of 16 bits that tensor cores take at once; products of other widths are slower."""
Kernel: TypeAlias = Callable[..., tuple[Tensor, ...]]
log = logging.getLogger("seq2seq")


def laid_together(weights: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Returns the same weights one after the other in one stretch of memory, as cuDNN reads them.

    It would copy others together itself, at each call, and warn of it.
    """
    flat = torch.cat([weight.flatten() for weight in weights]).to(dtype)
    parts = torch.split(flat, [weight.numel() for weight in weights])
    return tuple(part.view_as(weight) for part, weight in zip(parts, weights, strict=True))


def run(
    kernel: Kernel, inputs: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Runs a kernel of torch over whole sequences, one layer in one direction."""
    outputs: tuple[Tensor, ...] = kernel(
        inputs,
        states if len(states) > 1 else states[0],  # each [1, B, D]
        weights,
        True,  # biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),  # keep what backward needs
        False,  # bidirectional
        True,  # batch first
    )
    return outputs


def run_on_gpu(
    kernel: Kernel, inputs: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Does the same with cuDNN, in the numbers that autocast names.

    Autocast itself would take float16 whatever it is told, and in that small gradients vanish.
    """
    kept = dtype = weights[0].dtype
    if kept == torch.float32 and torch.is_autocast_enabled("cuda"):
        dtype = torch.get_autocast_dtype("cuda")
        shapes = tuple(weight.shape for weight in weights)
        kept = dtype if _has(kernel, len(states), shapes, dtype) else kept
        inputs, states = inputs.to(kept), [state.to(kept) for state in states]
    with torch.autocast("cuda", enabled=False):
        outputs, *finals = run(kernel, inputs, states, laid_together(weights, kept))
    return outputs.to(dtype), *finals


@cache
def _has(kernel: Kernel, states: int, shapes: Sequence[torch.Size], dtype: torch.dtype) -> bool:
    """Tells whether a kernel works in such numbers: cuDNN has learnt bfloat16 late."""
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cuda", enabled=False),
        ):
            given: dict[str, Any] = {"dtype": dtype, "device": "cuda", "requires_grad": True}
            weights = [torch.zeros(shape, **given) for shape in shapes]
            inputs = torch.zeros(8, 2, shapes[0][1], **given)
            first = [torch.zeros(1, 8, shapes[1][1], **given)] * states
            loss: Any = run(kernel, inputs, first, laid_together(weights, dtype))[0].sum()
            loss.backward()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        log.warning("recurrent layers run in float32, as %s does not work: %s", dtype, reason)
        return False
    return True


class KernelCell(Cell):
    """A cell with torch's own kernels, equations, gate order and two biases.

    >>> class Relu(KernelCell):
    ...     gates = 1
    ...     sequence_kernel = staticmethod(torch.rnn_relu)
    ...     step_kernel = staticmethod(torch.rnn_relu_cell)
    >>> Relu(2, 3).step(torch.ones(1, 2), torch.zeros(1, 3)).shape
    torch.Size([1, 3])
    """

    recurrent = True
    gates: ClassVar[int]
    """Blocks of ``D`` rows in the weights, in torch's order."""
    sequence_kernel: ClassVar[Kernel]
    """torch's kernel over a whole sequence."""
    step_kernel: ClassVar[Callable[..., Tensor | tuple[Tensor, Tensor]]]
    """torch's kernel for one step."""
    hold_gates: ClassVar[tuple[float, ...]] = ()
    """Pre-activations (one a gate) that keep the cell vector as it is; empty: there is none."""
    forget_gate: ClassVar[int | None] = None
    """The gate that says what is kept of the cell vector."""

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, weight_drop)
        rows = self.gates * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_recurrent = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_input = nn.Parameter(torch.empty(rows))
        self.bias_recurrent = nn.Parameter(torch.empty(rows))
        hold = torch.tensor(self.hold_gates).repeat_interleave(hidden_size)[:, None]
        self.register_buffer("hold", hold, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for the inputs, orthogonal for the recurrence (Saxe et al. 2014), gate by gate."""
        draw_gates(self.weight_input, self.weight_recurrent, self.gates)
        nn.init.zeros_(self.bias_input)
        nn.init.zeros_(self.bias_recurrent)

    @property
    def forget_bias(self) -> Tensor | None:
        """One of the forget gate's two biases, which are added up."""
        gate = self.forget_gate
        return None if gate is None else self.bias_input.chunk(self.gates)[gate]

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences, exact under padding without packing them."""
        weight: Tensor = self.weight_input
        if lengths is not None and self.hold_gates:
            # The kernels return the cell vector of the last step only. A feature that is 1 at
            # padded steps, with fixed weights that shut the input gate and open the forget gate,
            # carries the cell vector of the last real step there unchanged.
            hold, padded = self.get_buffer("hold"), padded_steps(inputs, lengths)[..., None]
            if inputs.is_cuda:  # columns of zeros, up to a width that it likes
                room = (0, -(inputs.shape[2] + 1) % WHOLE)
                hold, padded = functional.pad(hold, room), functional.pad(padded, room)
            weight = torch.cat([weight, hold], dim=1)  # [G, F+1]
            inputs = torch.cat([inputs, padded.to(inputs.dtype)], dim=2)  # [B, T, F+1]
        states = tuple(part[None].contiguous() for part in state.chunk(self.states, dim=1))
        weights = weight, self._recurrence(), self.bias_input, self.bias_recurrent
        over = run_on_gpu if inputs.is_cuda else run
        outputs, *finals = over(self.sequence_kernel, inputs, states, weights)
        if lengths is None:
            return outputs, torch.cat([final[0] for final in finals], dim=1)
        held = (final[0] for final in finals[1:])
        return outputs, torch.cat([last(outputs, lengths), *held], dim=1)

    def _recurrence(self) -> Tensor:
        """Returns the recurrent weights: while training, some are left out for a whole sequence."""
        return dropout(self.weight_recurrent, self.weight_drop, self.training)

    def step(
        self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]
    ) -> Float[Tensor, "B ND"]:
        """Runs one step and returns the new state; its first ``D`` features are the output."""
        parts = state.chunk(self.states, dim=1)
        new = self.step_kernel(
            inputs,
            parts if self.states > 1 else parts[0],
            self.weight_input,
            self.weight_recurrent,
            self.bias_input,
            self.bias_recurrent,
        )
        return new if isinstance(new, Tensor) else torch.cat(new, dim=1)


class Lstm(KernelCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997)."""

    states, gates, bounded = 2, 4, True
    sequence_kernel = staticmethod(torch.lstm)
    step_kernel = staticmethod(torch.lstm_cell)
    hold_gates = (CLOSED, OPEN, 0.0, 0.0)
    forget_gate = 1

    def fold(
        self, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
    ) -> SearchCell:
        """Packs the weights; see :class:`SearchCell`."""
        return _FoldedLstm(self, vectors, precision, bounded)


class Gru(KernelCell):
    """Gated recurrent unit (Cho et al. 2014)."""

    gates, bounded = 3, True
    sequence_kernel = staticmethod(torch.gru)
    step_kernel = staticmethod(torch.gru_cell)

    def fold(
        self, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
    ) -> SearchCell:
        """Packs the weights; see :class:`SearchCell`."""
        return _FoldedGru(self, vectors, precision, bounded)


class Simple(KernelCell):
    """The simple tanh layer (Elman 1990)."""

    gates, bounded = 1, True
    sequence_kernel = staticmethod(torch.rnn_tanh)
    step_kernel = staticmethod(torch.rnn_tanh_cell)

    def fold(
        self, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
    ) -> SearchCell:
        """Packs the weights; see :class:`SearchCell`."""
        return _FoldedSimple(self, vectors, precision, bounded)


class _FoldedKernel(Folded):
    """The twin of a :class:`KernelCell`."""

    joins_biases = True
    """Whether both biases may be added up before the recurrence."""

    def __init__(
        self,
        cell: KernelCell,
        vectors: Float[Tensor, "V E"] | None,
        precision: SearchPrecision,
        bounded: bool,
    ) -> None:
        bias = self.arranged(cell.bias_input)
        self.bias_recurrent = self.arranged(cell.bias_recurrent)
        self.recurrent = linear(
            self.arranged(cell.weight_recurrent), precision, bounded=cell.bounded
        )
        if self.joins_biases:
            bias = bias + self.bias_recurrent
        weight = self.arranged(cell.weight_input)
        super().__init__(cell.hidden_size, weight, bias, vectors, precision, bounded)

    def arranged(self, blocks: Shaped[Tensor, "G *F"]) -> Shaped[Tensor, "G *F"]:
        """Returns weights or biases, gate by gate, as :meth:`advance` expects them."""
        return blocks


class _FoldedLstm(_FoldedKernel):
    def arranged(self, blocks: Shaped[Tensor, "G *F"]) -> Shaped[Tensor, "G *F"]:
        """Returns the gates in the order input, forget, output, candidate.

        The candidate's are doubled, so that one sigmoid serves all four (see :func:`tanh_`).
        """
        enter, forget, candidate, leave = blocks.chunk(4)
        return torch.cat([enter, forget, leave, 2 * candidate])

    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        gates = self.recurrent(state[:, : self.hidden_size], products)  # [R, 4D]
        enter, forget, leave, candidate = gates.sigmoid_().chunk(4, dim=1)
        new = torch.empty_like(state)
        hidden, cell = new.chunk(2, dim=1)
        torch.mul(forget, state[:, cell.shape[1] :], out=cell)
        cell.addcmul_(enter, candidate.sub_(HALF), value=2)
        torch.mul(cell, TWO, out=hidden).sigmoid_().sub_(HALF).mul_(leave).mul_(TWO)
        return new


class _FoldedGru(_FoldedKernel):
    joins_biases = False  # the reset gate stands between the two

    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        size = self.hidden_size
        recurrent = self.recurrent(state, self.bias_recurrent)  # [R, 3D]
        gates = (products[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid_()
        reset, update = gates.chunk(2, dim=1)
        candidate = torch.addcmul(products[:, 2 * size :], reset, recurrent[:, 2 * size :])
        return torch.lerp(tanh_(candidate), state, update)


class _FoldedSimple(_FoldedKernel):
    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        return tanh_(self.recurrent(state, products))
