"""The language model: the translator's decoder without a memory."""

from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.errors import require
from seq2seq.nn.decoder import DecoderConfig, DecoderState, RecurrentDecoder
from seq2seq.nn.dropout import dropout
from seq2seq.nn.folding import folds
from seq2seq.nn.heads import Head, TokenHead
from seq2seq.nn.inputs import Input, TokenInput
from seq2seq.nn.linear import SearchPrecision
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tensors import Features, Step, TextBatch

TRIED_ROWS = (64, 1, 2, 7, 33)
"""Numbers of rows that are compared to see whether a row's scores depend on how many there are."""


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
    """Scores each token of a text after all those before it (Mikolov et al. 2010).

    It is made of parts, which :func:`build_language_model` builds from a configuration.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        inputs: Input,
        decoder: RecurrentDecoder,
        head: Head,
    ) -> None:
        """Of ``config``, only the regularisation of the outputs counts here."""
        super().__init__()
        self.config = config
        self.input = inputs
        self.decoder = decoder
        self.head = head

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    batch_invariant = False
    """Whether a row's scores are the same to the bit however many rows there are."""

    def start(self, rows: int) -> DecoderState:
        """Returns the state before any text."""
        like = next(self.parameters()).new_empty(rows, 0, 0)
        return self.decoder.start(self.decoder.layers.zero_state(like))

    def features(self, batch: TextBatch, carried: Tensor | None = None) -> Features:
        """Runs over a stretch of text.

        Gradients end where the stretch begins; ``carried`` is the state there (None: all rows are
        fresh), and fresh rows begin with zeros whatever it says.
        """
        outputs, state = self.read(batch, carried)  # [B, T, O]
        config = self.config
        locked = config.layers.locked_dropout
        vectors = dropout(outputs, config.output_dropout, self.training, locked=locked)
        left = state.layers.detach().to(next(self.parameters()).dtype)  # [B, L, ND]
        penalty = self._penalty(vectors, outputs, batch)
        return Features(vectors, batch.target_out, left, penalty)

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

    def step(
        self, memory: None, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token a row and scores all that may follow; there is no memory."""
        outputs, state, attention = self.decoder.step(self.input(tokens), state, memory)
        return Step(self.head(outputs), state, attention)

    def fold(self, precision: SearchPrecision) -> "FoldedLanguageModel":
        """Returns the model for generation; to be made anew when the weights have changed."""
        return FoldedLanguageModel(self, precision)

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


def build_language_model(config: LanguageModelConfig, vocab_size: int) -> LanguageModel:
    """Builds the parts that a configuration describes, for a vocabulary of this size."""
    size = config.embedding_size
    width = config.output_size or config.layers.hidden_size
    layers = DecoderConfig(attention="none", **asdict(config.layers))
    # Weights are drawn as parts are made: their order decides what a seed gives.
    inputs = TokenInput(vocab_size, size, config.embedding_dropout, by_type=True)
    decoder = RecurrentDecoder(layers, size, 0, config.output_size)
    decoder.layers.fit_inputs(inputs.std, size)
    head = TokenHead(vocab_size, width, inputs if config.tie_embeddings else None)
    return LanguageModel(config, inputs, decoder, head)


class FoldedLanguageModel:
    """A language model for generation: what does not change between steps is worked out once."""

    @torch.no_grad()
    def __init__(self, model: LanguageModel, precision: SearchPrecision) -> None:
        self.decoder = model.decoder.fold(model.input, model.head, precision)
        self.batch_invariant = self.decoder.batch_invariant and self._invariant(model.start(1))
        """Whether a row's scores are the same to the bit however many rows there are."""

    def step(
        self, memory: None, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token a row and scores all that may follow."""
        return self.decoder.step(memory, state, tokens)

    def _invariant(self, start: DecoderState) -> bool:
        """Tries several numbers of rows, and compares the bits of what comes out.

        Besides the products, torch's sigmoid depends on the number of rows: it treats the last
        numbers of a tensor in another way than the others. Which are the last does not matter only
        where the numbers of a row fill whole registers.
        """
        most = max(TRIED_ROWS)
        tokens = torch.arange(most, device=start.layers.device)[:, None]  # [R, 1]
        state = start.select(torch.zeros_like(tokens[:, 0]))
        vocabulary = self.step(None, start, tokens[:1]).log_probs.shape[2]
        tokens = tokens % vocabulary
        scores = []
        for count in TRIED_ROWS:
            first = self.step(
                None, DecoderState(state.layers[:count], state.feed[:count]), tokens[:count]
            )
            scores.append(self.step(None, first.state, tokens[:count]).log_probs)
        return all(
            log_probs.equal(scores[0][:count])
            for log_probs, count in zip(scores, TRIED_ROWS, strict=True)
        )


def fold_language_model(
    model: LanguageModel, precision: SearchPrecision
) -> LanguageModel | FoldedLanguageModel:
    """Returns a model for generation: folded, or as it is where a subclass has its own step."""
    return model.fold(precision) if folds(model, "step") else model
