"""Stacks of recurrent layers: exact under padding without packed sequences, and steppable.

A stack's state is ``[B, L, N*D]``, each layer's as its cell has it (:mod:`seq2seq.nn.cell`); in a
layer of two directions, that of the forward cell stands before that of the backward cell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeAlias

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seq2seq.errors import OneOf, require, require_name
from seq2seq.nn.cell import Cell, SearchCell, fold_cell
from seq2seq.nn.cells import CELLS
from seq2seq.nn.dropout import dropout_mask, dropped
from seq2seq.nn.linear import SearchPrecision

FORWARD, BACKWARD = "ahead", "back"
"""The two directions of a layer, as checkpoints name them."""
ReadCell: TypeAlias = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]
"""Runs a cell over sequences, as :meth:`Cell.forward`."""
StepCell: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Runs a cell for one step, as :meth:`Cell.step`."""


def reverse(
    values: Shaped[Tensor, "B T F"], lengths: Int[Tensor, "B"] | None
) -> Shaped[Tensor, "B T F"]:
    """Turns each sequence around within its own length; padding stays at the end."""
    if lengths is None:
        return values.flip(1)
    steps = torch.arange(values.shape[1], device=values.device)
    mirrored = lengths[:, None] - 1 - steps
    index = torch.where(mirrored >= 0, mirrored, steps)
    turned: Tensor = _Turned.apply(values, index)  # type: ignore[no-untyped-call]
    return turned


class _Turned(torch.autograd.Function):
    """Reorders steps in a way that is undone by doing it again: so is the gradient's."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:  # noqa: ANN401
        """Returns the steps at ``index``."""
        ctx.save_for_backward(index)
        return values.gather(1, index[..., None].expand_as(values))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Turns the gradient around."""
        (index,) = ctx.saved_tensors
        return grad.gather(1, index[..., None].expand_as(grad)), None


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """A stack of recurrent layers."""

    cell: Annotated[str, OneOf(CELLS)] = "lstm"
    """Recurrent unit: `lstm`, `gru`, `rnn` (the simple tanh layer); `sru` and `mingru`, which train
    faster since their gates see a layer's input alone; `lstm-ln` and `rnn-ln`, which normalise what
    their units sum up."""
    layers: int = 1
    """Layers on top of each other."""
    hidden_size: int = 512
    """Width of a layer's output; a bidirectional layer gives half of it to each direction."""
    dropout: float = 0.3
    """Chance of zeroing a feature that one layer hands to the next, while training."""
    input_dropout: float | None = 0.0
    """The same for what the first layer reads; none: as `dropout`. Worth much where little text is
    read many times; short runs learn less with it."""
    locked_dropout: bool = False
    """Zero the same features at all steps of a sequence ("variational" dropout)."""
    forget_bias: float = 1.0
    """What the bias of the forget gate begins at, in cells with such a gate (all but `gru`, `rnn`
    and `rnn-ln`): 1 remembers from the start (Gers et al. 2000; Jozefowicz et al. 2015, section
    2.2)."""
    weight_drop: float = 0.0
    """Chance of leaving out a recurrent weight, while training (Merity et al. 2018, section 2)."""
    residual: bool = False
    """Add a layer's input to its output where the widths agree."""
    layer_norm: bool = False
    """Normalise each layer's output."""

    def __post_init__(self) -> None:
        require(self.layers >= 1, "layers", "at least 1", self.layers)
        require(self.hidden_size >= 1, "hidden_size", "at least 1", self.hidden_size)
        require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        first = self.input_dropout
        require(first is None or 0 <= first < 1, "input_dropout", "none or in [0, 1)", first)
        require_name(self.cell, "cell", CELLS)
        require(0 <= self.weight_drop < 1, "weight_drop", "in [0, 1)", self.weight_drop)
        recurrent = self.weight_drop == 0 or CELLS[self.cell].recurrent
        accepted = f"0 where cell is {self.cell}, which has no recurrent weights"
        require(recurrent, "weight_drop", accepted, self.weight_drop)


class Recurrent(nn.Module):
    """A stack of recurrent layers; the encoder, and the inside of the decoder.

    With ``bidirectional``, each layer is two cells of half the width, one in each direction
    (Schuster & Paliwal 1997).
    """

    def __init__(
        self, config: RecurrentConfig, input_size: int, *, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        cell = CELLS[config.cell]
        self.state_size = cell.states * config.hidden_size
        self.plain = not (config.residual or config.layer_norm)
        """Whether each layer's output is the next one's input as it is."""
        self.bounded = self.plain and cell.bounded
        """Whether all outputs lie in [-1, 1]."""
        self.sizes = [input_size] + [config.hidden_size] * (config.layers - 1)
        names = (FORWARD, BACKWARD) if bidirectional else (FORWARD,)
        width = config.hidden_size // len(names)
        self.directions = [
            [cell(size, width, config.weight_drop) for _ in names] for size in self.sizes
        ]
        """The cells of each layer: forward, and perhaps backward."""
        for bias in (one.forget_bias for cells in self.directions for one in cells):
            if bias is not None:
                nn.init.constant_(bias, config.forget_bias)
        self.layers = nn.ModuleList(
            nn.ModuleDict(dict(zip(names, cells, strict=True))) if bidirectional else cells[0]
            for cells in self.directions
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.hidden_size) if config.layer_norm else nn.Identity()
            for _ in self.sizes
        )

    def fit_inputs(self, std: float, width: int) -> None:
        """Fits the first layer to inputs whose first ``width`` features have this deviation.

        Weights are drawn for features of standard deviation 1. Of smaller ones, such as embeddings,
        the first layer would tell one from another only after many updates, so that their weights
        are made larger by as much. In a residual stack they are not: there the inputs themselves
        come out, and what the layer makes of them is small beside them at first.
        """
        if not self.config.residual:
            for first in self.directions[0]:
                first.weight_input.data[:, :width] /= std

    def zero_state(self, like: Float[Tensor, "B T F"]) -> Float[Tensor, "B L ND"]:
        """Returns the state before any input."""
        return like.new_zeros(like.shape[0], len(self.layers), self.state_size)

    def noise(self, like: Float[Tensor, "B T _"]) -> list[Tensor | None]:
        """Draws the dropout masks of all layers' inputs for a whole sequence.

        They are drawn beforehand, so that stepping and running the whole sequence see the same
        noise. ``None`` where nothing is dropped, as outside training.
        """
        config = self.config
        first = config.dropout if config.input_dropout is None else config.input_dropout
        rates = [first] + [config.dropout] * (len(self.sizes) - 1)
        return [
            dropout_mask(like.new_empty(*like.shape[:2], size), rate, config.locked_dropout)
            if self.training and rate
            else None
            for size, rate in zip(self.sizes, rates, strict=True)
        ]

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B L ND"],
        lengths: Int[Tensor, "B"] | None = None,
        folded: Sequence[Sequence[ReadCell]] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B L ND"]]:
        """Runs over whole sequences.

        Returns the top layer's outputs and each layer's state after the last real step. Search
        hands in ``folded`` cells, which take the place of the own ones, without dropout.
        """
        masks = self.noise(inputs) if folded is None else [None] * len(self.sizes)
        finals = []
        layers: Sequence[Sequence[ReadCell]] = self.directions if folded is None else folded
        for index, cells in enumerate(layers):
            seen = dropped(inputs, masks[index])  # [B, T, F]
            states = state[:, index].chunk(len(cells), dim=1)
            outputs, final = cells[0](seen, states[0], lengths)  # [B, T, D], [B, ND]
            if len(cells) > 1:
                mirrored, final_backward = cells[1](reverse(seen, lengths), states[1], lengths)
                outputs = torch.cat([outputs, reverse(mirrored, lengths)], dim=2)
                final = torch.cat([final, final_backward], dim=1)
            inputs = self.connect(index, inputs, outputs)
            finals.append(final)
        return inputs, torch.stack(finals, dim=1)

    def step(
        self,
        inputs: Float[Tensor, "B F"],
        state: Float[Tensor, "B L ND"],
        masks: Sequence[Float[Tensor, "B _"] | None] = (),
        folded: Sequence[StepCell] = (),
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Runs one step in the forward direction.

        ``masks`` are this step's slices of :meth:`noise`; ``folded`` are as in :meth:`forward`.
        """
        states = []
        for index, cells in enumerate(self.directions):
            step = folded[index] if folded else cells[0].step
            new = step(dropped(inputs, masks[index]) if masks else inputs, state[:, index])
            inputs = self.connect(index, inputs, new[:, : self.config.hidden_size])
            states.append(new)
        return inputs, torch.stack(states, dim=1)

    def connect(self, index: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Normalises a layer's output and adds the residual connection, where there are such."""
        if self.plain:
            return outputs
        outputs = self.norms[index](outputs)
        fits = self.config.residual and inputs.shape == outputs.shape
        return inputs + outputs if fits else outputs


class FoldedRecurrent:
    """A stack of recurrent layers for search: the same loops over folded cells."""

    def __init__(
        self, stack: Recurrent, vectors: Float[Tensor, "V E"] | None, precision: SearchPrecision
    ) -> None:
        """``vectors`` are those of all ids, if the first layer sees ids."""
        self.stack = stack

        def fold(index: int, cell: Cell) -> SearchCell:
            first = index == 0
            bounded = stack.bounded and not first
            return fold_cell(cell, vectors if first else None, precision, bounded)

        self.cells = [
            [fold(index, cell) for cell in cells] for index, cells in enumerate(stack.directions)
        ]

    def read(
        self,
        ids: Int[Tensor, "B T"] | None,
        inputs: Float[Tensor, "B T F"],
        lengths: Int[Tensor, "B"],
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B L ND"]]:
        """Runs over whole sequences from an empty state; ``ids`` are what the inputs stand for."""
        start = self.stack.zero_state(inputs)
        if inputs.is_cuda:  # where one kernel runs over a sequence, steps are many times slower
            outputs, finals = self.stack(inputs, start, lengths)
            return outputs, finals
        mirrored = None if ids is None else reverse(ids[..., None], lengths)[..., 0]
        folded = [
            [partial(cell.read, seen) for cell, seen in zip(cells, (ids, mirrored), strict=False)]
            for cells in self.cells
        ]
        outputs, finals = self.stack(inputs, start, lengths, folded)
        return outputs, finals

    def step(
        self,
        ids: Int[Tensor, "R"] | None,
        inputs: Float[Tensor, "R F"],
        state: Float[Tensor, "R L ND"],
    ) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R L ND"]]:
        """Runs one step."""
        folded = [partial(cells[0].step, ids) for cells in self.cells]
        return self.stack.step(inputs, state, folded=folded)
