"""Recurrent layers: exact under padding without packed sequences, and steppable.

A layer's state is one tensor ``[B, N*D]``: the hidden vector, followed by the cell vector of an
LSTM or SRU. A stack's state is ``[B, L, N*D]``. torch's ``[L, B, D]`` appears only in this file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.errors import require
from seq2seq.nn.rows import row_linear
from seq2seq.nn.scan import scan

CellName = Literal["lstm", "gru", "rnn", "sru", "mingru"]


@dataclass(frozen=True)
class Kernel:
    """What differs between the units whose gates see the last hidden vector."""

    states: int
    """State vectors: hidden and cell for an LSTM, hidden for the others."""
    gates: int
    """Blocks of ``D`` rows in the weights, in torch's order."""
    sequence: Callable[..., tuple[Tensor, ...]]
    """torch's kernel over a whole sequence."""
    step: Callable[..., Tensor | tuple[Tensor, Tensor]]
    """torch's kernel for one step."""
    hold: tuple[float, ...] = ()
    """Pre-activations (one a gate) that keep the cell vector as it is; empty: there is none."""
    forget: int | None = None
    """The gate whose bias begins at 1 (Gers et al. 2000; Jozefowicz et al. 2015, section 2.2)."""


@dataclass(frozen=True)
class Scan:
    """What differs between the units whose gates see the input alone."""

    states: int
    """State vectors: an SRU's output differs from what it carries; a minGRU's does not."""


# Far outside the range where a float64 sigmoid differs from 0 or 1.
_CLOSED, _OPEN = -1e4, 1e4

CELLS: dict[CellName, Kernel | Scan] = {
    "lstm": Kernel(2, 4, torch.lstm, torch.lstm_cell, (_CLOSED, _OPEN, 0.0, 0.0), forget=1),
    "gru": Kernel(1, 3, torch.gru, torch.gru_cell),
    "rnn": Kernel(1, 1, torch.rnn_tanh, torch.rnn_tanh_cell),
    "sru": Scan(states=2),
    "mingru": Scan(states=1),
}


def reverse(
    values: Shaped[Tensor, "B T F"], lengths: Int[Tensor, "B"] | None
) -> Shaped[Tensor, "B T F"]:
    """Turns each sequence around within its own length; padding stays at the end."""
    if lengths is None:
        return values.flip(1)
    steps = torch.arange(values.shape[1], device=values.device)
    mirrored = lengths[:, None] - 1 - steps
    index = torch.where(mirrored >= 0, mirrored, steps)
    return values.gather(1, index[..., None].expand_as(values))


def last(values: Float[Tensor, "B T F"], lengths: Int[Tensor, "B"] | None) -> Float[Tensor, "B F"]:
    """Returns each sequence's last real step."""
    if lengths is None:
        return values[:, -1]
    index = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, values.shape[2])
    return values.gather(1, index)[:, 0]


class RecurrentLayer(nn.Module):
    """One layer in one direction: LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014) or
    simple tanh layer (Elman 1990), with torch's equations, gate order and two biases.
    """  # noqa: D205

    def __init__(
        self, cell: CellName, input_size: int, hidden_size: int, weight_drop: float = 0.0
    ) -> None:
        super().__init__()
        kernel = CELLS[cell]
        assert isinstance(kernel, Kernel)
        self.cell = kernel
        self.hidden_size = hidden_size
        self.weight_drop = weight_drop
        rows = self.cell.gates * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_recurrent = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_input = nn.Parameter(torch.empty(rows))
        self.bias_recurrent = nn.Parameter(torch.empty(rows))
        hold = torch.tensor(self.cell.hold).repeat_interleave(hidden_size)[:, None]
        self.register_buffer("hold", hold, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for the inputs, orthogonal for the recurrence (Saxe et al. 2014), gate by gate."""
        for gate in self.weight_input.chunk(self.cell.gates):
            nn.init.xavier_uniform_(gate)
        for gate in self.weight_recurrent.chunk(self.cell.gates):
            nn.init.orthogonal_(gate)
        nn.init.zeros_(self.bias_input)
        nn.init.zeros_(self.bias_recurrent)
        if self.cell.forget is not None:
            nn.init.ones_(self.bias_input.chunk(self.cell.gates)[self.cell.forget])

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
        weight: Tensor = self.weight_input
        if lengths is not None and self.cell.hold:
            # The kernels return the cell vector of the last step only. A feature that is 1 at
            # padded steps, with fixed weights that shut the input gate and open the forget gate,
            # carries the cell vector of the last real step there unchanged.
            weight = torch.cat([weight, self.get_buffer("hold")], dim=1)
            padded = torch.arange(inputs.shape[1], device=inputs.device) >= lengths[:, None]
            inputs = torch.cat([inputs, padded[..., None].to(inputs.dtype)], dim=2)
        states = tuple(part[None].contiguous() for part in state.chunk(self.cell.states, dim=1))
        outputs, *finals = self.cell.sequence(
            inputs,
            states if self.cell.states > 1 else states[0],
            (weight, self._recurrence(), self.bias_input, self.bias_recurrent),
            True,  # biases
            1,  # layers
            0.0,  # dropout
            torch.is_grad_enabled(),  # keep what backward needs
            False,  # bidirectional
            True,  # batch first
        )
        if lengths is None:
            return outputs, torch.cat([final[0] for final in finals], dim=1)
        kept = (final[0] for final in finals[1:])
        return outputs, torch.cat([last(outputs, lengths), *kept], dim=1)

    def _recurrence(self) -> Tensor:
        """Returns the recurrent weights: while training, some are left out for a whole sequence."""
        return dropout(self.weight_recurrent, self.weight_drop, self.training)

    def step(self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]) -> Tensor:
        """Runs one step and returns the new state; its first ``D`` features are the output."""
        parts = state.chunk(self.cell.states, dim=1)
        new = self.cell.step(
            inputs,
            parts if self.cell.states > 1 else parts[0],
            self.weight_input,
            self.weight_recurrent,
            self.bias_input,
            self.bias_recurrent,
        )
        return new if isinstance(new, Tensor) else torch.cat(new, dim=1)


class ScanLayer(nn.Module):
    """One layer in one direction whose gates see the input alone: one product makes them for all
    steps, and what is left is a scan, ``c_t = f_t * c_{t-1} + (1 - f_t) * v_t`` with
    ``f = sigmoid(W_f x + b_f)`` and ``v = W x + b``.

    That is a minGRU (Feng et al. 2024, section 3.1; its ``z`` is ``1 - f``). An SRU (Lei et al.
    2018, section 3) adds a highway gate ``r = sigmoid(W_r x + b_r)``, and its output is
    ``r * c + (1 - r) * a * x``; ``x`` is projected where the widths differ. The paper's terms
    ``v_f * c_{t-1}`` and ``v_r * c_{t-1}`` in the gates are left out: with them the recurrence
    would not be linear.
    """  # noqa: D205

    # The SRU's ``a``: as much variance above a fresh layer as below (Lei et al., section 3.2).
    SCALE = 3**0.5

    def __init__(self, cell: CellName, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.highway = CELLS[cell].states > 1
        self.projects = self.highway and input_size != hidden_size
        # Blocks of rows in the weights: forget gate, values, highway gate, projection.
        self.blocks = 2 + self.highway + self.projects
        self.weight_input = nn.Parameter(torch.empty(self.blocks * hidden_size, input_size))
        self.bias_input = nn.Parameter(torch.empty(self.blocks * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot, block by block; the forget gate's bias begins at 1, as an LSTM's."""
        for block in self.weight_input.chunk(self.blocks):
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(self.bias_input)
        nn.init.ones_(self.bias_input[: self.hidden_size])

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences, as :meth:`RecurrentLayer.forward`.

        Products follow autocast; what is carried is as precise as the weights.
        """
        products = row_linear(inputs, self.weight_input, self.bias_input, few=self.training)
        forget, values, *others = self._blocks(products)
        if lengths is not None:
            padded = torch.arange(inputs.shape[1], device=inputs.device) >= lengths[:, None]
            forget = forget.masked_fill(padded[..., None], _OPEN)
        carried = scan(forget, values, state[:, -self.hidden_size :].to(forget.dtype))
        outputs, final = self._output(carried, others, inputs), carried[:, -1]
        if self.highway:
            final = torch.cat([last(outputs, lengths), final], dim=1)
        return outputs.to(products.dtype), final

    def step(self, inputs: Float[Tensor, "B F"], state: Float[Tensor, "B ND"]) -> Tensor:
        """Runs one step, as :meth:`RecurrentLayer.step`."""
        products = functional.linear(inputs, self.weight_input, self.bias_input)
        return self.advance(products, state, inputs)

    def advance(
        self,
        products: Float[Tensor, "B G"],
        state: Float[Tensor, "B ND"],
        inputs: Float[Tensor, "B F"],
    ) -> Float[Tensor, "B ND"]:
        """Returns the new state, given what the weights make of the inputs."""
        forget, values, *others = self._blocks(products)
        before = state[:, -self.hidden_size :].to(forget.dtype)
        carried = torch.lerp(values, before, forget.sigmoid())
        output = self._output(carried, others, inputs)
        return torch.cat([output, carried], dim=1) if self.highway else output

    def _blocks(self, products: Float[Tensor, "*B G"]) -> tuple[Tensor, ...]:
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


def make_layer(
    cell: CellName, input_size: int, hidden_size: int, weight_drop: float = 0.0
) -> RecurrentLayer | ScanLayer:
    """Makes one layer in one direction."""
    if isinstance(CELLS[cell], Scan):
        return ScanLayer(cell, input_size, hidden_size)
    return RecurrentLayer(cell, input_size, hidden_size, weight_drop)


class BidirectionalLayer(nn.Module):
    """Two layers of half the width, one in each direction (Schuster & Paliwal 1997)."""

    def __init__(
        self, cell: CellName, input_size: int, hidden_size: int, weight_drop: float = 0.0
    ) -> None:
        super().__init__()
        self.ahead = make_layer(cell, input_size, hidden_size // 2, weight_drop)
        self.back = make_layer(cell, input_size, hidden_size // 2, weight_drop)

    def forward(
        self,
        inputs: Float[Tensor, "B T F"],
        state: Float[Tensor, "B ND"],
        lengths: Int[Tensor, "B"] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences, as :meth:`RecurrentLayer.forward`."""
        ahead_state, back_state = state.chunk(2, dim=1)
        ahead, ahead_final = self.ahead(inputs, ahead_state, lengths)
        back, back_final = self.back(reverse(inputs, lengths), back_state, lengths)
        outputs = torch.cat([ahead, reverse(back, lengths)], dim=2)
        return outputs, torch.cat([ahead_final, back_final], dim=1)


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """A stack of recurrent layers."""

    cell: CellName = "lstm"
    """Recurrent unit: `lstm`, `gru`, `rnn` (the simple tanh layer), or `sru` and `mingru`, which
    train faster since their gates see a layer's input alone."""
    layers: int = 1
    """Depth."""
    hidden_size: int = 512
    """Width of a layer's output; a bidirectional layer gives half of it to each direction."""
    dropout: float = 0.3
    """Chance of zeroing a feature of a layer's input, while training."""
    input_dropout: float | None = None
    """The same for the first layer's input; none: as `dropout`."""
    locked_dropout: bool = False
    """Zero the same features at all steps of a sequence ("variational" dropout)."""
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
        require(self.cell in CELLS, "cell", f"one of {', '.join(CELLS)}", self.cell)
        require(0 <= self.weight_drop < 1, "weight_drop", "in [0, 1)", self.weight_drop)
        recurrent = self.weight_drop == 0 or isinstance(CELLS[self.cell], Kernel)
        accepted = f"0 where cell is {self.cell}, which has no recurrent weights"
        require(recurrent, "weight_drop", accepted, self.weight_drop)


def dropout_mask(like: Float[Tensor, "*B F"], rate: float, locked: bool) -> Tensor:
    """Returns what a dropout layer multiplies with: zeros and ``1 / (1 - rate)``.

    ``locked`` draws one mask a sequence, ``[B, T, F]``, and repeats it over time (Gal &
    Ghahramani 2016).
    """
    shape = (like[:, :1] if locked else like).shape
    # On a processor uniform numbers are drawn three times as fast as zeros and ones.
    kept = torch.rand(shape, device=like.device).lt_(1 - rate).div_(1 - rate)
    return kept.to(like.dtype).expand(like.shape)


def dropped(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Returns what a dropout mask leaves of the inputs; ``None`` leaves all."""
    return inputs if mask is None else inputs * mask


def dropout(
    inputs: Float[Tensor, "*B F"], rate: float, training: bool, *, locked: bool = False
) -> Float[Tensor, "*B F"]:
    """Drops features at a rate, while training."""
    return dropped(inputs, dropout_mask(inputs, rate, locked) if training and rate else None)


class Recurrent(nn.Module):
    """A stack of recurrent layers; the encoder, and the inside of the decoder."""

    def __init__(
        self, config: RecurrentConfig, input_size: int, *, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.state_size = CELLS[config.cell].states * config.hidden_size
        layer = BidirectionalLayer if bidirectional else make_layer
        self.sizes = [input_size] + [config.hidden_size] * (config.layers - 1)
        self.layers = nn.ModuleList(
            layer(config.cell, size, config.hidden_size, config.weight_drop) for size in self.sizes
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(config.hidden_size) if config.layer_norm else nn.Identity()
            for _ in self.sizes
        )

    def zero_state(self, like: Float[Tensor, "B T F"]) -> Float[Tensor, "B L ND"]:
        """Returns the state before any input."""
        return like.new_zeros(like.shape[0], len(self.layers), self.state_size)

    def noise(self, like: Float[Tensor, "B T _"]) -> list[Tensor | None]:
        """Draws the dropout masks of all layers' inputs for a whole sequence.

        Drawn ahead, so that stepping and running the whole sequence see the same noise. ``None``
        where nothing is dropped, as outside training.
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
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B L ND"]]:
        """Runs over whole sequences.

        Returns the top layer's outputs and each layer's state after the last real step.
        """
        masks = self.noise(inputs)
        finals = []
        for index, layer in enumerate(self.layers):
            outputs, final = layer(dropped(inputs, masks[index]), state[:, index], lengths)
            inputs = self.join(index, inputs, outputs)
            finals.append(final)
        return inputs, torch.stack(finals, dim=1)

    def step(
        self,
        inputs: Float[Tensor, "B F"],
        state: Float[Tensor, "B L ND"],
        masks: Sequence[Float[Tensor, "B _"] | None] = (),
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Runs one step; ``masks`` are this step's slices of :meth:`noise`."""
        states = []
        for index, layer in enumerate(self.layers):
            # Only one direction can be stepped.
            assert isinstance(layer, RecurrentLayer | ScanLayer)
            seen = dropped(inputs, masks[index]) if masks else inputs
            states.append(layer.step(seen, state[:, index]))
            inputs = self.join(index, inputs, states[-1][:, : self.config.hidden_size])
        return inputs, torch.stack(states, dim=1)

    def join(self, index: int, inputs: Tensor, outputs: Tensor) -> Tensor:
        """Normalises a layer's output and adds the residual connection, where there are such."""
        outputs = self.norms[index](outputs)
        fits = self.config.residual and inputs.shape == outputs.shape
        return inputs + outputs if fits else outputs
