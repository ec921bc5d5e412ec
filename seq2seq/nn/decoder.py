"""The recurrent decoder: with attention or without, with input feeding or without."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.errors import OneOf, require, require_name
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cell import Folded, tanh_
from seq2seq.nn.heads import Head, fold_head
from seq2seq.nn.inputs import Input
from seq2seq.nn.linear import SearchPrecision, linear
from seq2seq.nn.recurrent import FoldedRecurrent, Recurrent, RecurrentConfig
from seq2seq.nn.rows import RowLinear
from seq2seq.tensors import Step


@dataclass(frozen=True)
class Memory:
    """What the decoder looks at: the encoder's outputs, and the keys made from them."""

    values: Float[Tensor, "B S H"]
    keys: Float[Tensor, "B S A"]
    valid: Bool[Tensor, "B S"]

    def select(self, rows: Int[Tensor, "R"]) -> "Memory":
        """Returns the memory of the given sequences."""
        return Memory(
            self.values.index_select(0, rows),
            self.keys.index_select(0, rows),
            self.valid.index_select(0, rows),
        )


@dataclass(frozen=True)
class DecoderState:
    """What the decoder remembers between two steps."""

    layers: Float[Tensor, "R L ND"]
    """Each layer's state."""
    feed: Float[Tensor, "R O"]
    """The last attentional vector, for input feeding; without it, no columns."""

    def select(self, rows: Int[Tensor, "Q"]) -> "DecoderState":
        """Returns the state of the given rows."""
        return DecoderState(self.layers.index_select(0, rows), self.feed.index_select(0, rows))


@dataclass(frozen=True, kw_only=True)
class DecoderConfig(RecurrentConfig):
    """Recurrent decoder with attention."""

    attention: Annotated[str, OneOf(ATTENTIONS)] = "general"
    """How the source is looked at; `none` leaves it to the initial state (Sutskever et al. 2014).
    """
    input_feeding: bool = False
    """Feed the last attentional vector into the next step (Luong et al. 2015, section 3.3)."""
    output_size: int = 0
    """Width of the vector that the output layer sees; 0: the target embedding's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_name(self.attention, "attention", ATTENTIONS)
        require(self.output_size >= 0, "output_size", "at least 0", self.output_size)
        whole = self.weight_drop == 0 or not self.input_feeding
        require(whole, "weight_drop", "0 where input_feeding is true", self.weight_drop)


class RecurrentDecoder(nn.Module):
    """Vectors in, attentional vectors out (Luong et al. 2015, equation 5).

    With an ``output_size`` of 0, which needs ``attention: none``, the layers' own vectors come out.
    Without input feeding the layers run over a whole target at once, and attention answers all
    its steps together; with it, step by step.
    """

    def __init__(
        self, config: DecoderConfig, input_size: int, memory_size: int, output_size: int
    ) -> None:
        super().__init__()
        self.config = config
        self.feed_size = output_size if config.input_feeding else 0
        self.layers = Recurrent(config, input_size + self.feed_size)
        self.attention = ATTENTIONS[config.attention](config.hidden_size, memory_size)
        width = config.hidden_size + (memory_size if self.attention is not None else 0)
        self.output_projection = RowLinear(width, output_size) if output_size else None
        if self.output_projection is not None:
            nn.init.xavier_uniform_(self.output_projection.weight)
            nn.init.zeros_(self.output_projection.bias)

    def remember(self, values: Float[Tensor, "B S H"], valid: Bool[Tensor, "B S"]) -> Memory:
        """Makes the memory, keys included, once for all steps."""
        keys = values if self.attention is None else self.attention.keys(values)
        return Memory(values, keys, valid)

    def start(self, layers: Float[Tensor, "B L ND"]) -> DecoderState:
        """Returns the state before the first step."""
        return DecoderState(layers, layers.new_zeros(layers.shape[0], self.feed_size))

    def forward(
        self, inputs: Float[Tensor, "B T E"], state: DecoderState, memory: Memory | None
    ) -> tuple[Float[Tensor, "B T O"], DecoderState]:
        """Runs over a whole teacher-forced target."""
        if self.feed_size:
            return self._forward_feeding(inputs, state, memory)
        hidden, layers = self.layers(inputs, state.layers)
        outputs, _ = self._attend(hidden, memory)
        return outputs, DecoderState(layers, state.feed)

    def step(
        self, inputs: Float[Tensor, "B K E"], state: DecoderState, memory: Memory | None
    ) -> tuple[Float[Tensor, "B K O"], DecoderState, Float[Tensor, "B K S"]]:
        """Runs one step for ``K`` beams a sequence; the state's rows are ``B*K``.

        Returns the attentional vectors, the new state and the attention weights.
        """
        rows = torch.cat([inputs.flatten(0, 1), state.feed], dim=1)  # [B*K, E+O]
        hidden, layers = self.layers.step(rows, state.layers)  # [B*K, D], [B*K, L, ND]
        outputs, weights = self._attend(hidden.view(*inputs.shape[:2], -1), memory)
        feed = outputs.flatten(0, 1) if self.feed_size else state.feed
        return outputs, DecoderState(layers, feed), weights

    def look(
        self, hidden: Float[Tensor, "B T D"], memory: Memory | None
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B T S"]]:
        """Puts what is seen in the memory before the hidden vectors.

        Weights are zero where there is no attention, and have no columns where there is no memory.
        """
        if self.attention is not None and memory is not None:
            context, weights = self.attention(hidden, memory.keys, memory.values, memory.valid)
            return torch.cat([context, hidden], dim=2), weights
        if memory is None:
            return hidden, hidden[..., :0]
        return hidden, hidden.new_zeros(*hidden.shape[:2], memory.values.shape[1])

    def _attend(
        self, hidden: Float[Tensor, "B T D"], memory: Memory | None
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"]]:
        """Looks at the memory, and makes one vector of what it saw and the hidden vector."""
        seen, weights = self.look(hidden, memory)
        if self.output_projection is None:
            return seen, weights
        return torch.tanh(self.output_projection(seen)), weights

    def _forward_feeding(
        self, inputs: Float[Tensor, "B T E"], state: DecoderState, memory: Memory | None
    ) -> tuple[Float[Tensor, "B T O"], DecoderState]:
        """Runs step by step, each seeing the attentional vector of the one before."""
        layers, feed = state.layers, state.feed
        masks = self.layers.noise(inputs)
        outputs = []
        for step in range(inputs.shape[1]):
            rows = torch.cat([inputs[:, step], feed], dim=1)
            masks_now = [None if mask is None else mask[:, step] for mask in masks]
            hidden, layers = self.layers.step(rows, layers, masks_now)
            output, _ = self._attend(hidden[:, None], memory)
            feed = output[:, 0]
            outputs.append(feed)
        return torch.stack(outputs, dim=1), DecoderState(layers, feed)

    def fold(self, inputs: Input, head: Head, precision: SearchPrecision) -> "FoldedDecoder":
        """Returns the decoder for search, from tokens to log-probabilities."""
        return FoldedDecoder(self, inputs, head, precision)


class FoldedDecoder:
    """One step of a decoder in search, from tokens to log-probabilities.

    The embedding and the first layer's input weights are one table of pre-activations, biases
    added; all other weights are packed, as float32 or int8. What comes out is what the decoder's
    own step gives, to rounding.
    """

    def __init__(
        self, decoder: RecurrentDecoder, inputs: Input, head: Head, precision: SearchPrecision
    ) -> None:
        self.decoder = decoder
        self.inputs = inputs
        self.vectors = inputs.vectors
        self.layers = FoldedRecurrent(decoder.layers, self.vectors, precision)
        project = decoder.output_projection
        self.project = None if project is None else linear(project.weight, precision)
        self.bias = None if project is None else project.bias
        bounded = project is not None or decoder.layers.bounded
        self.scores = fold_head(head, precision, bounded)

    @property
    def batch_invariant(self) -> bool:
        """Whether layers and head may give a row the same bits however many rows there are.

        torch's own products, which cells use that have no fold, do not.
        """
        packed = all(isinstance(cell, Folded) for cells in self.layers.cells for cell in cells)
        return packed and getattr(self.scores, "batch_invariant", False)

    def step(
        self, memory: Memory | None, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        decoder, ids = self.decoder, tokens.flatten()  # [B*K]
        if self.vectors is not None:
            inputs = functional.embedding(ids, self.vectors)  # [B*K, E]
        else:
            inputs = self.inputs(tokens).flatten(0, 1)
        if decoder.feed_size:
            inputs = torch.cat([inputs, state.feed], dim=1)  # [B*K, E+O]
        hidden, layers = self.layers.step(ids, inputs, state.layers)  # [B*K, D], [B*K, L, ND]
        outputs, looked = self._attend(hidden.view(*tokens.shape, -1), memory)  # [B*K, O]
        log_probs = self.scores(outputs).view(*tokens.shape, -1)  # [B, K, V]
        feed = outputs if decoder.feed_size else state.feed
        return Step(log_probs, DecoderState(layers, feed), looked)

    def _attend(
        self, hidden: Float[Tensor, "B K D"], memory: Memory | None
    ) -> tuple[Float[Tensor, "R O"], Float[Tensor, "B K S"]]:
        """Looks at the memory, and makes one vector of what it saw and the hidden vector."""
        seen, looked = self.decoder.look(hidden, memory)
        rows = seen.flatten(0, 1)  # [B*K, H+D]
        if self.project is None or self.bias is None:
            return rows, looked
        return tanh_(self.project(rows, self.bias)), looked
