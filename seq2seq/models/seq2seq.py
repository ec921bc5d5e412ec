"""The encoder-decoder: from a batch of ids to its loss, and step by step for search."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.errors import require
from seq2seq.nn.attention import fold_keys
from seq2seq.nn.decoder import DecoderConfig, DecoderState, Memory, RecurrentDecoder
from seq2seq.nn.dropout import dropout
from seq2seq.nn.folding import folds
from seq2seq.nn.heads import Head, TokenHead
from seq2seq.nn.inputs import Input, TokenInput
from seq2seq.nn.linear import SearchPrecision
from seq2seq.nn.recurrent import FoldedRecurrent, Recurrent, RecurrentConfig
from seq2seq.nn.rows import RowLinear
from seq2seq.tensors import Batch, Features, Padded, Step


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(RecurrentConfig):
    """Recurrent encoder."""

    bidirectional: bool = True
    """Read the source in both directions; each gets half of `hidden_size`."""
    embedding_size: int = 0
    """Width of the source embeddings; 0: as the target's. As wide as `hidden_size`, and with
    `residual`, attention finds the words themselves beside what the layers made of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.embedding_size >= 0, "embedding_size", "at least 0", self.embedding_size)
        even = not self.bidirectional or self.hidden_size % 2 == 0
        require(even, "hidden_size", "even where bidirectional", self.hidden_size)


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """Encoder-decoder with recurrent layers."""

    embedding_size: int = 256
    """Width of the target's embeddings, and of the source's unless `encoder` says otherwise."""
    word_dropout: float = 0.0
    """Chance of leaving out a whole source or target input token, while training."""
    output_dropout: float = 0.3
    """Chance of zeroing a feature that the output layer sees, while training."""
    tie_embeddings: bool = True
    """Share the target embedding with the output layer."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """The decoder."""

    def __post_init__(self) -> None:
        require(self.embedding_size >= 1, "embedding_size", "at least 1", self.embedding_size)
        require(0 <= self.word_dropout < 1, "word_dropout", "in [0, 1)", self.word_dropout)
        require(0 <= self.output_dropout < 1, "output_dropout", "in [0, 1)", self.output_dropout)
        output = self.decoder.output_size
        require(
            not self.tie_embeddings or output in (0, self.embedding_size),
            "decoder.output_size",
            f"0 or embedding_size ({self.embedding_size}) where tie_embeddings is true",
            output,
        )
        widths = self.encoder.hidden_size, self.decoder.hidden_size
        require(
            self.decoder.attention != "dot" or widths[0] == widths[1],
            "decoder.hidden_size",
            f"encoder.hidden_size ({widths[0]}) where attention is dot",
            widths[1],
        )


class Bridge(nn.Module):
    """Makes every decoder layer's first state from an encoder layer's last one.

    ``tanh(W s + b)`` (Cho et al. 2014, appendix A.1.2); the top layers meet, and where the decoder
    is deeper its lowest layers share the encoder's lowest.
    """

    def __init__(self, encoder: Recurrent, decoder: Recurrent) -> None:
        super().__init__()
        lowest = len(encoder.layers) - len(decoder.layers)
        self.sources = [max(0, lowest + index) for index in range(len(decoder.layers))]
        self.layers = nn.ModuleList(
            RowLinear(encoder.state_size, decoder.state_size) for _ in self.sources
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, final: Float[Tensor, "B L _"]) -> Float[Tensor, "B M ND"]:
        """Returns the first state of all decoder layers."""
        states = [
            layer(final[:, source]) for layer, source in zip(self.layers, self.sources, strict=True)
        ]
        return torch.tanh(torch.stack(states, dim=1))


class Seq2Seq(nn.Module):
    """Recurrent encoder-decoder with attention (Sutskever et al. 2014; Bahdanau et al. 2015).

    It is made of parts, which :func:`build_seq2seq` builds from a configuration; others fit as
    well, such as an input for features in place of ids.
    """

    def __init__(
        self,
        source_input: Input,
        encoder: Recurrent,
        target_input: Input,
        decoder: RecurrentDecoder,
        bridge: nn.Module,
        head: Head,
        *,
        output_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.source_input = source_input
        self.encoder = encoder
        self.target_input = target_input
        self.decoder = decoder
        self.bridge = bridge
        """Makes the decoder's first state from the encoder's last one."""
        self.output_dropout = output_dropout
        self.head = head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def start(self, source: Padded) -> tuple[Memory, DecoderState]:
        """Reads the source: returns what the decoder looks at, and its first state."""
        vectors = self.source_input(source.values)  # [B, S, E]
        lengths = None if source.full else source.lengths
        outputs, final = self.encoder(vectors, self.encoder.zero_state(vectors), lengths)
        memory = self.decoder.remember(outputs, source.valid)
        return memory, self.decoder.start(self.bridge(final))

    def features(self, batch: Batch, carried: Tensor | None = None) -> Features:
        """Runs over a teacher-forced batch; pairs carry nothing to the next."""
        memory, state = self.start(batch.source)
        outputs, _ = self.decoder(self.target_input(batch.target_in.values), state, memory)
        vectors = dropout(outputs, self.output_dropout, self.training)  # [B, T, O]
        return Features(vectors, batch.target_out)

    def step(
        self, memory: Memory, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        outputs, state, attention = self.decoder.step(self.target_input(tokens), state, memory)
        return Step(self.head(outputs), state, attention)

    def fold(self, precision: SearchPrecision) -> "FoldedSeq2Seq":
        """Returns the model for search; to be made anew when the weights have changed."""
        return FoldedSeq2Seq(self, precision)


def build_seq2seq(config: Seq2SeqConfig, source_vocab: int, target_vocab: int) -> Seq2Seq:
    """Builds the parts that a configuration describes, for vocabularies of these sizes."""
    size, encoder, decoder = config.embedding_size, config.encoder, config.decoder
    output_size = decoder.output_size or size
    source_size = encoder.embedding_size or size
    # Weights are drawn as parts are made: their order decides what a seed gives.
    source_input = TokenInput(source_vocab, source_size, config.word_dropout)
    reader = Recurrent(encoder, source_size, bidirectional=encoder.bidirectional)
    target_input = TokenInput(target_vocab, size, config.word_dropout)
    writer = RecurrentDecoder(decoder, size, encoder.hidden_size, output_size)
    if not encoder.residual:
        # Both or neither: beside a small memory, of embeddings, a decoder of large states learns to
        # write by itself before it learns to look.
        reader.fit_inputs(source_input.std, source_size)
        writer.layers.fit_inputs(target_input.std, size)
    bridge = Bridge(reader, writer.layers)
    head = TokenHead(target_vocab, output_size, target_input if config.tie_embeddings else None)
    return Seq2Seq(
        source_input,
        reader,
        target_input,
        writer,
        bridge,
        head,
        output_dropout=config.output_dropout,
    )


class FoldedSeq2Seq:
    """An encoder-decoder for search: what does not change between steps is worked out once."""

    @torch.no_grad()
    def __init__(self, model: Seq2Seq, precision: SearchPrecision) -> None:
        self.model = model
        self.vectors = model.source_input.vectors
        self.encoder = FoldedRecurrent(model.encoder, self.vectors, precision)
        self.keys = fold_keys(model.decoder.attention, precision)
        self.decoder = model.decoder.fold(model.target_input, model.head, precision)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def start(self, source: Padded) -> tuple[Memory, DecoderState]:
        """Reads the source: returns what the decoder looks at, and its first state."""
        if self.vectors is not None:
            ids = source.values  # [B, S]
            inputs = functional.embedding(ids, self.vectors)  # [B, S, E]
        else:
            ids, inputs = None, self.model.source_input(source.values)
        outputs, final = self.encoder.read(ids, inputs, source.lengths)
        memory = Memory(outputs, self.keys(outputs), source.valid)
        return memory, self.model.decoder.start(self.model.bridge(final))

    def step(
        self, memory: Memory, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        return self.decoder.step(memory, state, tokens)


def fold_model(model: Seq2Seq, precision: SearchPrecision) -> Seq2Seq | FoldedSeq2Seq:
    """Returns a model for search: folded, or as it is where a subclass has a step of its own."""
    return model.fold(precision) if folds(model, "start", "step") else model
