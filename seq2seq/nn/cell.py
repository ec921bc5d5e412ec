"""What every recurrent cell is: one layer in one direction, and its twin for search.

A layer's state is one tensor ``[B, N*D]``: the hidden vector, followed by the cell vector of an
LSTM or SRU. The cells themselves are in :mod:`seq2seq.nn.cells`. To fold a cell is to work out
beforehand what search would otherwise compute from fixed weights at each step.

Shapes: B sequences, R rows (sequences times beams), T steps, F input features, D hidden size,
N state vectors (:attr:`Cell.states`), ND = N*D, G pre-activations of all gates, V ids, E size of an
id's vector.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.nn.folding import folds
from seq2seq.nn.linear import SearchPrecision, linear

MOST_TABLE_BYTES = 2**28
"""Of a table of pre-activations; for a larger one the time saved is not worth the memory."""
HALF, TWO = torch.tensor(0.5), torch.tensor(2.0)
"""Kept as tensors: torch takes longer to convert a number than to multiply a small row by it."""


def last(values: Float[Tensor, "B T F"], lengths: Int[Tensor, "B"] | None) -> Float[Tensor, "B F"]:
    """Returns each sequence's last real step."""
    if lengths is None:
        return values[:, -1]
    found: Tensor = _Last.apply(values, (lengths - 1).clamp(min=0))  # type: ignore[no-untyped-call]
    return found


class _Last(torch.autograd.Function):
    """Takes one step of each sequence. The gradient is written in one pass, without adding up:
    so it is the same each time on a GPU, and torch has no reason to wait there.
    """  # noqa: D205

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:  # noqa: ANN401
        """Returns the steps at ``places``."""
        ctx.save_for_backward(places)
        ctx.steps = values.shape[1]
        return values.gather(1, places[:, None, None].expand(-1, 1, values.shape[2]))[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Puts each gradient back to its step."""
        (places,) = ctx.saved_tensors
        there = torch.arange(ctx.steps, device=places.device) == places[:, None]  # [B, T]
        return torch.where(there[..., None], grad[:, None], 0), None


def padded_steps(values: Shaped[Tensor, "B T F"], lengths: Int[Tensor, "B"]) -> Tensor:
    """Returns ``[B, T]``, true where a step is padding."""
    return torch.arange(values.shape[1], device=values.device) >= lengths[:, None]


@runtime_checkable
class SearchCell(Protocol):
    """What search asks of a cell, folded or not.

    Besides the inputs it is given the ids that they stand for, or None: the first layer looks up
    what its weights make of each id.
    """

    def read(
        self,
        ids: Int[Tensor, "B T"] | None,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences, as :meth:`Cell.forward`."""
        ...

    def step(
        self,
        ids: Int[Tensor, "R"] | None,
        inputs: Float[Tensor, "R F"],
        state: Float[Tensor, "R ND"],
    ) -> Float[Tensor, "R ND"]:
        """Runs one step, as :meth:`Cell.step`."""
        ...


class Cell(nn.Module):
    """One recurrent layer in one direction.

    A subclass has a ``weight_input``, and says how it runs over sequences and how it makes one
    step. It may add
    ``fold(vectors, precision, bounded)``, which returns a :class:`SearchCell`; without it, search
    uses :meth:`forward` and :meth:`step`.
    """

    states: ClassVar[int] = 1
    """State vectors: hidden and cell for an LSTM, hidden for most others."""
    recurrent: ClassVar[bool] = False
    """Whether there are recurrent weights, which ``weight_drop`` can leave out."""
    bounded: ClassVar[bool] = False
    """Whether all outputs lie in [-1, 1]: products of eight-bit integers can then use one fixed
    scale instead of one a row."""

    weight_input: nn.Parameter
    """What inputs are multiplied with; drawn for inputs of standard deviation 1."""

    def __init__(self, input_size: int, hidden_size: int, weight_drop: float = 0.0) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_drop = weight_drop

    @property
    def forget_bias(self) -> Tensor | None:
        """The bias of the gate that says what is kept, if there is such a gate: a view."""
        return None

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences.

        Returns the outputs and the state after each sequence's last real step. Outputs at padded
        steps are finite and meaningless. ``lengths=None`` says that every step is real.
        """
        raise NotImplementedError

    def step(
        self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]
    ) -> Float[Tensor, "B ND"]:
        """Runs one step and returns the new state; its first ``D`` features are the output."""
        raise NotImplementedError


def fold_cell(
    cell: Cell, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision, bounded: bool
) -> SearchCell:
    """Returns a cell for search: folded, or with its own methods.

    Args:
        cell: The cell.
        vectors: For the first layer, the vectors of all ids.
        precision: The number format of the products, such as float32 or int8.
        bounded: Whether all inputs lie in [-1, 1].
    """
    if not folds(cell, "forward", "step"):
        return _Unfolded(cell)
    folded: SearchCell = cell.fold(vectors, precision, bounded)  # type: ignore[operator]
    return folded


class _Unfolded:
    """A cell that is searched through its own methods."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def read(
        self,
        ids: Int[Tensor, "B T"] | None,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences."""
        outputs, final = self.cell(inputs, state, lengths)
        return outputs, final

    def step(
        self,
        ids: Int[Tensor, "R"] | None,
        inputs: Float[Tensor, "R F"],
        state: Float[Tensor, "R ND"],
    ) -> Float[Tensor, "R ND"]:
        """Runs one step."""
        return self.cell.step(inputs, state)


class Folded(ABC):
    """A cell that works ``weight @ inputs + bias`` out before its recurrence.

    Where ``vectors`` are given, and the table is not too large, this is done once for every id;
    ``linear`` then multiplies only the input columns after the id's vector.
    """

    def __init__(
        self,
        hidden_size: int,
        weight: Float[Tensor, "G F"],
        bias: Float[Tensor, "G"],
        vectors: Float[Tensor, "V E"] | None,
        precision: SearchPrecision,
        bounded: bool,
    ) -> None:
        self.hidden_size = hidden_size
        self.table, self.bias, self.width = None, bias, 0
        if vectors is not None and len(vectors) * bias.nbytes <= MOST_TABLE_BYTES:
            self.width = vectors.shape[1]
            self.table = functional.linear(vectors, weight[:, : self.width], bias)  # [V, G]
        rest = weight[:, self.width :]
        self.linear = linear(rest, precision, bounded=bounded) if rest.shape[1] else None

    @abstractmethod
    def advance(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        """Returns the new state; may overwrite ``products``, but not ``state``.

        ``inputs`` are for cells that let them through beside their recurrence.
        """

    def products(
        self, ids: Int[Tensor, "R"] | None, inputs: Float[Tensor, "R F"]
    ) -> Float[Tensor, "R G"]:
        """Returns ``weight @ inputs + bias``; the part of the ids is looked up in the table."""
        if self.table is None or ids is None:
            base = self.bias
        else:
            base = functional.embedding(ids, self.table)
        return base if self.linear is None else self.linear(inputs[:, self.width :], base)

    def step(
        self,
        ids: Int[Tensor, "R"] | None,
        inputs: Float[Tensor, "R F"],
        state: Float[Tensor, "R ND"],
    ) -> Float[Tensor, "R ND"]:
        """Runs one step."""
        return self.advance(self.products(ids, inputs), state, inputs)

    def read(
        self,
        ids: Int[Tensor, "B T"] | None,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences: the products of all inputs at once, then step by step."""
        # Time first, [T, B, ...]: a step's rows stand together.
        inputs = inputs.transpose(0, 1)
        flat = self.products(None if ids is None else ids.t().flatten(), inputs.flatten(0, 1))
        products = flat.view(*inputs.shape[:2], -1)
        steps = torch.arange(len(inputs), device=lengths.device)[:, None, None]
        going = steps < lengths[:, None]  # [T, B, 1]
        outputs = []
        for step in range(len(inputs)):
            new = self.advance(products[step], state, inputs[step])
            outputs.append(new[:, : self.hidden_size])
            state = torch.where(going[step], new, state)
        return torch.stack(outputs, dim=1), state


def tanh_(values: Tensor) -> Tensor:
    """Takes the tanh in place: ``2 (sigmoid(2 x) - 1/2)``, to rounding.

    On a CPU torch's sigmoid is six times as fast as its tanh.
    """
    if values.is_cuda:
        return values.tanh_()  # one kernel instead of four
    return values.mul_(TWO).sigmoid_().sub_(HALF).mul_(TWO)


def draw_gates(inputs: nn.Parameter, recurrent: nn.Parameter, gates: int) -> None:
    """Draws weights gate by gate: Glorot for the inputs, orthogonal for the recurrence."""
    for gate in inputs.chunk(gates):
        nn.init.xavier_uniform_(gate)
    for gate in recurrent.chunk(gates):
        nn.init.orthogonal_(gate)
