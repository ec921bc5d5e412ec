"""The recurrent decoder: with attention or without, with input feeding or without."""

from dataclasses import dataclass
from typing import get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.errors import require
from seq2seq.nn.attention import ATTENTIONS, AttentionName
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.nn.rows import RowLinear


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

    attention: AttentionName = "general"
    """How the source is looked at; `none` leaves it to the initial state (Sutskever et al. 2014).
    """
    input_feeding: bool = False
    """Feed the last attentional vector into the next step (Luong et al. 2015, section 3.3)."""
    output_size: int = 0
    """Width of the vector that the output layer sees; 0: the target embedding's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = get_args(AttentionName)
        require(self.attention in names, "attention", f"one of {', '.join(names)}", self.attention)
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
        joined = config.hidden_size + (memory_size if self.attention is not None else 0)
        self.join = RowLinear(joined, output_size) if output_size else None
        if self.join is not None:
            nn.init.xavier_uniform_(self.join.weight)
            nn.init.zeros_(self.join.bias)

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
        rows = torch.cat([inputs.flatten(0, 1), state.feed], dim=1)
        hidden, layers = self.layers.step(rows, state.layers)
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
        """Looks at the memory and joins what it saw with the hidden vectors."""
        seen, weights = self.look(hidden, memory)
        return seen if self.join is None else torch.tanh(self.join(seen)), weights

    def _forward_feeding(
        self, inputs: Float[Tensor, "B T E"], state: DecoderState, memory: Memory | None
    ) -> tuple[Float[Tensor, "B T O"], DecoderState]:
        """Runs step by step, each seeing the attentional vector of the one before."""
        layers, feed = state.layers, state.feed
        masks = self.layers.noise(inputs)
        outputs = []
        for step in range(inputs.shape[1]):
            rows = torch.cat([inputs[:, step], feed], dim=1)
            own = [None if mask is None else mask[:, step] for mask in masks]
            hidden, layers = self.layers.step(rows, layers, own)
            output, _ = self._attend(hidden[:, None], memory)
            feed = output[:, 0]
            outputs.append(feed)
        return torch.stack(outputs, dim=1), DecoderState(layers, feed)
