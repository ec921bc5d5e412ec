"""Models for search: what does not change between steps is worked out once.

The embedding and the first layer's input weights become one table of pre-activations, biases are
added to it, and all other weights are packed, as float32 or int8. What comes out is what the
model's own ``start`` and ``step`` give, to rounding.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seq2seq.models.language_model import LanguageModel
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.models.step import Step
from seq2seq.nn.decoder import DecoderState, Memory, RecurrentDecoder
from seq2seq.nn.linear import SearchPrecision, linear
from seq2seq.nn.recurrent import (
    CELLS,
    BidirectionalLayer,
    CellName,
    Kernel,
    Recurrent,
    RecurrentLayer,
    ScanLayer,
    reverse,
)
from seq2seq.nn.tokens import TokenHead, TokenInput
from seq2seq.tensors import Padded

TABLE_BYTES = 2**28
"""A larger table would cost more memory than it saves time."""


TRIED = (64, 1, 2, 7, 33)
"""Numbers of rows that are compared to see whether rows stand apart."""
HALF, TWO = torch.tensor(0.5), torch.tensor(2.0)
"""As tensors: torch takes longer to wrap a number than to multiply one row by it."""


def _tanh_(values: Tensor) -> Tensor:
    """Takes the tanh in place: ``2 (sigmoid(2 x) - 1/2)``, to rounding.

    On a processor torch's sigmoid is six times as fast as its tanh.
    """
    return values.mul_(TWO).sigmoid_().sub_(HALF).mul_(TWO)


def _lstm(gates: Float[Tensor, "R G"], state: Float[Tensor, "R ND"]) -> Float[Tensor, "R ND"]:
    """Advances an LSTM; its gates are as :func:`_ordered` leaves them."""
    enter, forget, leave, candidate = gates.sigmoid_().chunk(4, dim=1)
    new = torch.empty_like(state)
    hidden, cell = new.chunk(2, dim=1)
    torch.mul(forget, state[:, cell.shape[1] :], out=cell)
    cell.addcmul_(enter, candidate.sub_(HALF), value=2)
    torch.mul(cell, TWO, out=hidden).sigmoid_().sub_(HALF).mul_(leave).mul_(TWO)
    return new


def _gru(
    inputs: Float[Tensor, "R G"], recurrent: Float[Tensor, "R G"], state: Float[Tensor, "R D"]
) -> Float[Tensor, "R D"]:
    """Advances a GRU; its gates are in the order reset, update, candidate."""
    size = state.shape[1]
    gates = (inputs[:, : 2 * size] + recurrent[:, : 2 * size]).sigmoid_()
    reset, update = gates.chunk(2, dim=1)
    candidate = torch.addcmul(inputs[:, 2 * size :], reset, recurrent[:, 2 * size :])
    return torch.lerp(_tanh_(candidate), state, update)


class _Layer:
    """One layer in one direction; ``vectors`` are those of all tokens, in the first layer.

    ``bounded`` says that its inputs are in [-1, 1].
    """

    def __init__(
        self,
        cell: CellName,
        layer: RecurrentLayer | ScanLayer,
        vectors: Float[Tensor, "V E"] | None,
        precision: SearchPrecision,
        bounded: bool,
    ) -> None:
        self.cell: CellName = cell
        self.layer = layer
        weight: Tensor = layer.weight_input
        bias: Tensor = layer.bias_input
        if isinstance(layer, RecurrentLayer):
            weight, bias = _ordered(cell, weight), _ordered(cell, bias)
            self.bias_recurrent = _ordered(cell, layer.bias_recurrent)
            self.recurrent = linear(_ordered(cell, layer.weight_recurrent), precision, bounded=True)
            if cell != "gru":  # whose reset gate stands between the two
                bias = bias + self.bias_recurrent
        self.table, self.bias, self.width = None, bias, 0
        if vectors is not None and len(vectors) * bias.nbytes <= TABLE_BYTES:
            self.width = vectors.shape[1]
            self.table = functional.linear(vectors, weight[:, : self.width], bias)
        rest = weight[:, self.width :]
        self.linear = linear(rest, precision, bounded=bounded) if rest.shape[1] else None

    def products(
        self, tokens: Int[Tensor, "R"], inputs: Float[Tensor, "R F"]
    ) -> Float[Tensor, "R G"]:
        """Returns the pre-activations that the inputs make; the tokens' own are in the table."""
        base = self.bias if self.table is None else functional.embedding(tokens, self.table)
        return base if self.linear is None else self.linear(inputs[:, self.width :], base)

    def step(
        self,
        products: Float[Tensor, "R G"],
        state: Float[Tensor, "R ND"],
        inputs: Float[Tensor, "R F"],
    ) -> Float[Tensor, "R ND"]:
        """Returns the new state; its first ``D`` features are the output."""
        if isinstance(self.layer, ScanLayer):
            return self.layer.advance(products, state, inputs)
        hidden = state[:, : self.layer.hidden_size]
        if self.cell == "gru":
            return _gru(products, self.recurrent(hidden, self.bias_recurrent), state)
        gates = self.recurrent(hidden, products)
        return _lstm(gates, state) if self.cell == "lstm" else _tanh_(gates)

    def read(
        self,
        tokens: Int[Tensor, "B S"],
        inputs: Float[Tensor, "B S F"],
        lengths: Int[Tensor, "B"],
        state: Float[Tensor, "B ND"],
    ) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B ND"]]:
        """Runs over whole sequences: the products of all inputs at once, then step by step."""
        # Time first: a step's rows stand together.
        tokens, inputs = tokens.t(), inputs.transpose(0, 1)
        flat = self.products(tokens.flatten(), inputs.flatten(0, 1))
        products = flat.view(*tokens.shape, -1)
        going = torch.arange(len(tokens), device=lengths.device)[:, None, None] < lengths[:, None]
        outputs = []
        for step in range(len(tokens)):
            new = self.step(products[step], state, inputs[step])
            outputs.append(new[:, : self.layer.hidden_size])
            state = torch.where(going[step], new, state)
        return torch.stack(outputs, dim=1), state


def _ordered(cell: CellName, blocks: Tensor) -> Tensor:
    """Returns an LSTM's weights in the order input, forget, output gate, candidate.

    The candidate's are doubled, so that one sigmoid serves all four (see :func:`_tanh_`).
    """
    if cell != "lstm":
        return blocks
    enter, forget, candidate, leave = blocks.chunk(4)
    return torch.cat([enter, forget, leave, 2 * candidate])


def _plain(stack: Recurrent) -> bool:
    """Returns whether each layer's output is the next one's input as it is."""
    return not (stack.config.residual or stack.config.layer_norm)


def _bounded(stack: Recurrent) -> bool:
    """Returns whether what a stack's layers give out is in [-1, 1]: a tanh, or a mean of such."""
    return _plain(stack) and isinstance(CELLS[stack.config.cell], Kernel)


def _layers(
    stack: Recurrent, vectors: Float[Tensor, "V E"], precision: SearchPrecision
) -> list[list[_Layer]]:
    """Folds a stack: the directions of each layer."""
    found = []
    for index, layer in enumerate(stack.layers):
        both = [layer.ahead, layer.back] if isinstance(layer, BidirectionalLayer) else [layer]
        own = vectors if index == 0 else None
        directions = []
        for one in both:
            assert isinstance(one, RecurrentLayer | ScanLayer)
            bounded = index > 0 and _bounded(stack)
            directions.append(_Layer(stack.config.cell, one, own, precision, bounded))
        found.append(directions)
    return found


class _Encoder:
    """The encoder over whole sources."""

    def __init__(self, tokens: TokenInput, encoder: Recurrent, precision: SearchPrecision) -> None:
        self.encoder = encoder
        self.vectors = tokens.weight
        self.layers = _layers(encoder, tokens.weight, precision)

    def __call__(self, source: Padded) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B L ND"]]:
        """Returns the top layer's outputs and each layer's state after the last real step."""
        ids, lengths = source.values, source.lengths
        mirrored = reverse(ids[..., None], lengths)[..., 0]
        inputs, finals = functional.embedding(ids, self.vectors), []
        start = self.encoder.zero_state(inputs)
        for index, directions in enumerate(self.layers):
            states = start[:, index].chunk(len(directions), dim=1)
            outputs, final = directions[0].read(ids, inputs, lengths, states[0])
            if len(directions) == 2:
                back, last = directions[1].read(
                    mirrored, reverse(inputs, lengths), lengths, states[1]
                )
                outputs = torch.cat([outputs, reverse(back, lengths)], dim=2)
                final = torch.cat([final, last], dim=1)
            inputs = self.encoder.join(index, inputs, outputs)
            finals.append(final)
        return inputs, torch.stack(finals, dim=1)


class _Decoder:
    """One step of a decoder, from tokens to log-probabilities."""

    def __init__(
        self,
        tokens: TokenInput,
        decoder: RecurrentDecoder,
        head: TokenHead,
        precision: SearchPrecision,
    ) -> None:
        self.decoder = decoder
        self.vectors = tokens.weight
        self.plain = _plain(decoder.layers)
        self.layers = [only for [only] in _layers(decoder.layers, tokens.weight, precision)]
        self.join = None if decoder.join is None else linear(decoder.join.weight, precision)
        bounded = self.join is not None or _bounded(decoder.layers)
        self.head = linear(head.weight, precision, bounded=bounded)
        self.bias = head.bias

    def step(self, memory: Memory | None, state: DecoderState, tokens: Int[Tensor, "B K"]) -> Step:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        decoder, ids, states = self.decoder, tokens.flatten(), []
        inputs = functional.embedding(ids, self.vectors)
        if decoder.feed_size:
            inputs = torch.cat([inputs, state.feed], dim=1)
        for index, layer in enumerate(self.layers):
            products = layer.products(ids, inputs)
            states.append(layer.step(products, state.layers[:, index], inputs))
            outputs = states[-1][:, : decoder.config.hidden_size]
            inputs = outputs if self.plain else decoder.layers.join(index, inputs, outputs)
        outputs, looked = self._attend(inputs.view(*tokens.shape, -1), memory)
        log_probs = self.head(outputs, self.bias).log_softmax(dim=1)
        feed = outputs if decoder.feed_size else state.feed
        layers = torch.stack(states, dim=1)
        return Step(log_probs.view(*tokens.shape, -1), DecoderState(layers, feed), looked)

    def _attend(
        self, hidden: Float[Tensor, "B K D"], memory: Memory | None
    ) -> tuple[Float[Tensor, "R O"], Float[Tensor, "B K S"]]:
        """Looks at the memory and joins what it saw with the hidden vectors."""
        rows, looked = self.decoder.look(hidden, memory)
        rows = rows.flatten(0, 1)
        if self.join is None or self.decoder.join is None:
            return rows, looked
        return _tanh_(self.join(rows, self.decoder.join.bias)), looked


class FoldedTranslator:
    """A translator's model for search; to be made anew when the weights have changed."""

    @torch.no_grad()
    def __init__(self, model: Seq2Seq, precision: SearchPrecision = "float32") -> None:
        self.model = model
        self.encoder = _Encoder(model.source_input, model.encoder, precision)
        self.decoder = _Decoder(model.target_input, model.decoder, model.head, precision)
        attention = model.decoder.attention
        project = None if attention is None else attention.memory
        self.keys = None if project is None else linear(project.weight, precision)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def start(self, source: Padded) -> tuple[Memory, DecoderState]:
        """Reads the source: returns what the decoder looks at, and its first state."""
        values, final = self.encoder(source)
        keys = values
        if self.keys is not None:
            rows = values.flatten(0, 1)
            flat = self.keys(rows, rows.new_zeros(self.model.decoder.config.hidden_size))
            keys = flat.view(*values.shape[:2], -1)
        state = self.model.decoder.start(self.model.bridge(final))
        return Memory(values, keys, source.valid), state

    def step(self, memory: Memory, state: DecoderState, tokens: Int[Tensor, "B K"]) -> Step:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        return self.decoder.step(memory, state, tokens)


class FoldedLanguageModel:
    """A language model for generation; to be made anew when the weights have changed."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel, precision: SearchPrecision = "float32") -> None:
        self.decoder = _Decoder(model.input, model.decoder, model.head, precision)
        self.apart = self.decoder.head.apart and self._apart(model.start(1))
        """Whether a row's scores are the same to the bit however many rows there are."""

    def step(self, state: DecoderState, tokens: Int[Tensor, "R 1"]) -> Step:
        """Reads one token a row and scores all that may follow."""
        return self.decoder.step(None, state, tokens)

    def _apart(self, start: DecoderState) -> bool:
        """Tries it: besides the products, torch's sigmoid depends on the number of rows.

        It treats the last numbers of a tensor another way than the others, and which are the last
        is no matter only where a row's numbers fill whole registers.
        """
        vocabulary = len(self.decoder.bias)
        tokens = torch.arange(max(TRIED), device=start.layers.device)[:, None] % vocabulary
        state = start.select(torch.zeros_like(tokens[:, 0]))
        found = []
        for count in TRIED:
            first = self.step(
                DecoderState(state.layers[:count], state.feed[:count]), tokens[:count]
            )
            found.append(self.step(first.state, tokens[:count]))
        return all(
            one.log_probs.equal(found[0].log_probs[:count])
            for one, count in zip(found, TRIED, strict=True)
        )
