"""Cells whose gates see the input alone, so that the recurrence is a scan: SRU and minGRU."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn.cell import Cell, Folded, SearchCell, last, padded_steps
from seq2seq.nn.linear import SearchPrecision
from seq2seq.nn.rows import row_linear
from seq2seq.nn.scan import scan

OPEN = 1e4
"""A gate's pre-activation that keeps the state: a float64 sigmoid of it is 1."""


class ScanCell(Cell):
    """A cell whose gates see the input alone: one product makes them for all steps, and what is
    left is a scan, ``c_t = f_t * c_{t-1} + (1 - f_t) * v_t`` with ``f = sigmoid(W_f x + b_f)`` and
    ``v = W x + b``.
    """  # noqa: D205

    highway: ClassVar[bool] = False
    """Whether a highway gate lets the input through beside what is carried."""
    SCALE: ClassVar[float] = 3**0.5
    """The SRU's ``a``: as much variance above a fresh layer as below (Lei et al., section 3.2)."""

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, weight_drop)
        self.projects = self.highway and input_size != hidden_size
        # Blocks of rows in the weights: forget gate, values, highway gate, projection.
        self.blocks = 2 + self.highway + self.projects
        self.weight_input = nn.Parameter(torch.empty(self.blocks * hidden_size, input_size))
        self.bias_input = nn.Parameter(torch.empty(self.blocks * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot, block by block."""
        for block in self.weight_input.chunk(self.blocks):
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(self.bias_input)

    @property
    def forget_bias(self) -> Tensor:
        """The bias of the first block of rows."""
        return self.bias_input[: self.hidden_size]

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences.

        Products follow autocast; what is carried is as precise as the weights.
        """
        products = row_linear(inputs, self.weight_input, self.bias_input, few=self.training)
        forget, values, *others = self._split(products)  # each [B, T, D]
        if lengths is not None:
            forget = forget.masked_fill(padded_steps(inputs, lengths)[..., None], OPEN)
        carried = scan(forget, values, state[:, -self.hidden_size :].to(forget.dtype))
        outputs, final = self._output(carried, others, inputs), carried[:, -1]
        if self.highway:
            final = torch.cat([last(outputs, lengths), final], dim=1)
        return outputs.to(products.dtype), final

    def step(
        self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]
    ) -> Float[Tensor, "B ND"]:
        """Runs one step and returns the new state; its first ``D`` features are the output."""
        products = functional.linear(inputs, self.weight_input, self.bias_input)
        return self.advance(products, state, inputs)

    def advance(
        self,
        products: Float[Tensor, "B G"],
        state: Float[Tensor, "B ND"],
        inputs: Float[Tensor, "B F"],
    ) -> Float[Tensor, "B ND"]:
        """Returns the new state, given what the weights make of the inputs."""
        forget, values, *others = self._split(products)
        before = state[:, -self.hidden_size :].to(forget.dtype)
        carried = torch.lerp(values, before, forget.sigmoid())
        output = self._output(carried, others, inputs)
        return torch.cat([output, carried], dim=1) if self.highway else output

    def fold(
        self, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
    ) -> SearchCell:
        """Packs the weights; see :class:`SearchCell`."""
        return _FoldedScan(self, vectors, precision, bounded)

    def _split(self, products: Float[Tensor, "*B G"]) -> tuple[Tensor, ...]:
        """Returns forget gate and values; for an SRU also the highway gate and any projection."""
        return products.to(self.weight_input.dtype).chunk(self.blocks, dim=-1)

    def _output(
        self, carried: Float[Tensor, "*B D"], others: list[Tensor], inputs: Float[Tensor, "*B F"]
    ) -> Float[Tensor, "*B D"]:
        """Lets a highway gate choose between what is carried and the input."""
        if not self.highway:
            return carried
        passed = others[1] if self.projects else inputs.to(carried.dtype)
        return torch.lerp(passed * self.SCALE, carried, others[0].sigmoid())


class MinGru(ScanCell):
    """A minGRU (Feng et al. 2024, section 3.1; its ``z`` is ``1 - f``)."""


class Sru(ScanCell):
    """A simple recurrent unit (Lei et al. 2018, section 3).

    A highway gate ``r = sigmoid(W_r x + b_r)`` makes the output ``r * c + (1 - r) * a * x``; ``x``
    is projected where the widths differ. The paper's terms ``v_f * c_{t-1}`` and ``v_r * c_{t-1}``
    in the gates are left out: with them the recurrence would not be linear.
    """

    states, highway = 2, True


class _FoldedScan(Folded):
    def __init__(
        self,
        cell: ScanCell,
        vectors: Float[Tensor, "V E"] | None,
        precision: SearchPrecision,
        bounded: bool,
    ) -> None:
        weight, bias = cell.weight_input, cell.bias_input
        super().__init__(cell.hidden_size, weight, bias, vectors, precision, bounded)
        self.cell = cell

    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        return self.cell.advance(products, state, inputs)
