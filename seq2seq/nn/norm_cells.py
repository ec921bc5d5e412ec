"""Cells that normalise what their units sum up, before the tanh (Ba et al. 2016)."""

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn.cell import Cell, Folded, SearchCell, draw_gates
from seq2seq.nn.dropout import dropout
from seq2seq.nn.linear import SearchPrecision, linear
from seq2seq.nn.rows import row_linear


class NormCell(Cell):
    """A cell whose gates' summed inputs, ``W x + U h``, are normalised over the units of each gate.

    The gain and the bias of the normalisation are the gate's own; there is no other bias. No kernel
    of torch does this: the products of all inputs are one, the recurrence goes step by step.
    """

    recurrent, bounded = True, True
    gates: ClassVar[int]
    """Blocks of ``D`` rows in the weights."""
    forget_gate: ClassVar[int | None] = None
    """The gate that says what is kept of the cell vector."""

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, weight_drop)
        rows = self.gates * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_recurrent = nn.Parameter(torch.empty(rows, hidden_size))
        self.gain = nn.Parameter(torch.empty(rows))
        self.bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for the inputs, orthogonal for the recurrence, gate by gate."""
        draw_gates(self.weight_input, self.weight_recurrent, self.gates)
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)

    @property
    def forget_bias(self) -> Tensor | None:
        """The bias of the forget gate's normalisation."""
        gate = self.forget_gate
        return None if gate is None else self.bias.chunk(self.gates)[gate]

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences.

        Products follow autocast; what is carried is as precise as the weights.
        """
        products = row_linear(inputs, self.weight_input, None, few=self.training)  # [B, T, G]
        weight = dropout(self.weight_recurrent, self.weight_drop, self.training)
        outputs = []
        for step, product in enumerate(products.unbind(1)):
            recurrent = functional.linear(state[:, : self.hidden_size], weight)
            new = self.advance(product + recurrent, state)
            outputs.append(new[:, : self.hidden_size])
            state = new if lengths is None else torch.where((step < lengths)[:, None], new, state)
        return torch.stack(outputs, dim=1).to(products.dtype), state

    def step(
        self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]
    ) -> Float[Tensor, "B ND"]:
        """Runs one step and returns the new state; its first ``D`` features are the output."""
        products = functional.linear(inputs, self.weight_input)
        recurrent = functional.linear(state[:, : self.hidden_size], self.weight_recurrent)
        return self.advance(products + recurrent, state)

    def advance(
        self, summed: Float[Tensor, "B G"], state: Float[Tensor, "B ND"]
    ) -> Float[Tensor, "B ND"]:
        """Returns the new state, given what the gates' units sum up."""
        gates = summed.to(self.gain.dtype).view(-1, self.gates, self.hidden_size)
        normal = functional.layer_norm(gates, (self.hidden_size,))
        return self.fire(normal.flatten(1) * self.gain + self.bias, state)

    def fold(
        self, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
    ) -> SearchCell:
        """Packs the weights; see :class:`SearchCell`."""
        return _FoldedNorm(self, vectors, precision, bounded)

    def fire(self, gates: Float[Tensor, "B G"], state: Float[Tensor, "B ND"]) -> Tensor:
        """Returns the new state, given the normalised gates."""
        raise NotImplementedError


class NormSimple(NormCell):
    """The simple layer, normalised before its tanh."""

    gates = 1

    def fire(self, gates: Float[Tensor, "B D"], state: Float[Tensor, "B D"]) -> Tensor:
        """Returns ``tanh(gates)``."""
        return gates.tanh()


class NormLstm(NormCell):
    """An LSTM whose gates are normalised, and whose cell vector is before its tanh (equation 22).

    Its gates stand in the order of :class:`seq2seq.nn.kernel_cells.Lstm`.
    """

    states, gates, forget_gate = 2, 4, 1

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__(input_size, hidden_size, weight_drop)
        self.norm = nn.LayerNorm(hidden_size)

    def fire(self, gates: Float[Tensor, "B G"], state: Float[Tensor, "B ND"]) -> Tensor:
        """Returns the hidden vector and the cell vector."""
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        before = state[:, self.hidden_size :].to(gates.dtype)
        cell = forget.sigmoid() * before + enter.sigmoid() * candidate.tanh()
        return torch.cat([leave.sigmoid() * self.norm(cell).tanh(), cell], dim=1)


class _FoldedNorm(Folded):
    def __init__(
        self,
        cell: NormCell,
        vectors: Float[Tensor, "V E"] | None,
        precision: SearchPrecision,
        bounded: bool,
    ) -> None:
        zeros = torch.zeros_like(cell.bias)
        super().__init__(cell.hidden_size, cell.weight_input, zeros, vectors, precision, bounded)
        self.cell = cell
        self.recurrent = linear(cell.weight_recurrent, precision, bounded=True)

    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        return self.cell.advance(self.recurrent(state[:, : self.hidden_size], products), state)
