"""The language model: the translator's decoder without a memory."""

from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.errors import require
from seq2seq.models.step import Step
from seq2seq.nn.decoder import DecoderConfig, DecoderState, RecurrentDecoder
from seq2seq.nn.recurrent import RecurrentConfig, dropout
from seq2seq.nn.tokens import TokenHead, TokenInput
from seq2seq.tensors import Outcome, TextBatch


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Recurrent language model, regularised as AWD-LSTM is (Merity et al. 2018)."""

    embedding_size: int = 128
    """Width of the embeddings."""
    embedding_dropout: float = 0.0
    """Chance of leaving out a token wherever it stands in a batch, while training."""
    tie_embeddings: bool = False
    """Share the embedding with the output layer."""
    layers: RecurrentConfig = field(
        default_factory=lambda: RecurrentConfig(layers=2, locked_dropout=True)
    )
    """The recurrent layers."""
    output_size: int = 0
    """Width of a tanh layer between the recurrent layers and the output layer; 0: there is none."""
    output_dropout: float = 0.3
    """Chance of zeroing a feature that the output layer sees, while training; locked as the
    layers' is."""
    activation: float = 0.0
    """Pull of the outputs towards zero: the weight of their mean square."""
    slowness: float = 0.0
    """Pull of each output towards the one before: the weight of the mean square of the change."""

    def __post_init__(self) -> None:
        require(self.embedding_size >= 1, "embedding_size", "at least 1", self.embedding_size)
        for key in ("embedding_dropout", "output_dropout"):
            require(0 <= getattr(self, key) < 1, key, "in [0, 1)", getattr(self, key))
        for key in ("output_size", "activation", "slowness"):
            require(getattr(self, key) >= 0, key, "at least 0", getattr(self, key))
        width = self.output_size or self.layers.hidden_size
        require(
            not self.tie_embeddings or width == self.embedding_size,
            "output_size",
            f"embedding_size ({self.embedding_size}) where tie_embeddings is true",
            self.output_size,
        )


class LanguageModel(nn.Module):
    """Scores each token of a text after all those before it (Mikolov et al. 2010)."""

    def __init__(self, config: LanguageModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        size = config.embedding_size
        width = config.output_size or config.layers.hidden_size
        layers = DecoderConfig(attention="none", **asdict(config.layers))
        self.input = TokenInput(vocab_size, size, config.embedding_dropout, by_type=True)
        self.decoder = RecurrentDecoder(layers, size, 0, config.output_size)
        tied = self.input if config.tie_embeddings else None
        self.head = TokenHead(vocab_size, width, tied)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def start(self, rows: int) -> DecoderState:
        """Returns the state before any text."""
        like = self.head.weight.new_empty(rows, 0, 0)
        return self.decoder.start(self.decoder.layers.zero_state(like))

    def forward(
        self, batch: TextBatch, smoothing: float = 0.0, carried: Tensor | None = None
    ) -> Outcome:
        """Returns the cross-entropy of a stretch of text, and the state to go on from.

        Gradients end where the stretch begins; ``carried`` is the state there (None: all rows are
        fresh), and fresh rows begin with zeros whatever it says.
        """
        outputs, state = self.read(batch, carried)
        config = self.config
        locked = config.layers.locked_dropout
        seen = dropout(outputs, config.output_dropout, self.training, locked=locked)
        nats = self.head.loss(seen, batch.target_out, smoothing)
        left = state.layers.detach().to(self.head.weight.dtype)
        return Outcome(nats, self._penalty(seen, outputs, batch), left)

    def read(
        self, batch: TextBatch, carried: Tensor | None = None
    ) -> tuple[Float[Tensor, "B T O"], DecoderState]:
        """Runs over a stretch of text: returns what the output layer sees, and the last state."""
        state = self.start(len(batch.fresh))
        if carried is not None:
            layers = carried.masked_fill(batch.fresh[:, None, None], 0.0)
            state = DecoderState(layers.to(state.layers.dtype), state.feed)
        outputs, state = self.decoder(self.input(batch.target_in.values), state, None)
        return outputs, state

    def step(self, state: DecoderState, tokens: Int[Tensor, "R 1"]) -> Step:
        """Reads one token a row and scores all that may follow."""
        outputs, state, attention = self.decoder.step(self.input(tokens), state, None)
        return Step(self.head(outputs), state, attention)

    def _penalty(self, seen: Tensor, outputs: Tensor, batch: TextBatch) -> Tensor | None:
        """Returns activation regularisation, of what was not dropped, and that of its changes."""
        config = self.config
        if not self.training or not (config.activation or config.slowness):
            return None
        valid = batch.target_out.valid
        change = outputs[:, 1:] - outputs[:, :-1]
        return config.activation * _mean_square(seen, valid) + config.slowness * _mean_square(
            change, valid[:, 1:] & valid[:, :-1]
        )


def _mean_square(values: Float[Tensor, "B T O"], valid: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Returns the mean square over the valid steps; 0 where there are none."""
    squares = values.float().pow(2).masked_fill(~valid[..., None], 0.0).sum()
    return squares / (valid.sum() * values.shape[2]).clamp(min=1)
