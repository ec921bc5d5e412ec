"""What a search needs of a model, what it may not generate, and what it returns."""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.errors import require
from seq2seq.symbols import EOS, PAD
from seq2seq.tensors import Padded

NEVER = slice(EOS)
"""The ids of padding, the unknown and the start symbol: no text is made of them."""
RowsT = TypeVar("RowsT", bound="Rows")


@runtime_checkable
class Rows(Protocol):
    """Anything made of rows that can be picked, repeated and reordered."""

    def select(self: RowsT, rows: Int[Tensor, "R"]) -> RowsT:
        """Returns the given rows."""
        ...


MemoryT = TypeVar("MemoryT", bound=Rows)
StateT = TypeVar("StateT", bound=Rows)
StateT_co = TypeVar("StateT_co", bound=Rows, covariant=True)


@runtime_checkable
class Scored(Protocol[StateT_co]):
    """The outcome of one step."""

    @property
    def log_probs(self) -> Float[Tensor, "B K V"]:
        """How likely each token is to follow; the search writes into it."""
        ...

    @property
    def state(self) -> StateT_co:
        """The state after the step; rows ``B*K``."""
        ...

    @property
    def attention(self) -> Float[Tensor, "B K S"]:
        """Where each beam looked; zero where there is no attention."""
        ...


@runtime_checkable
class Stepper(Protocol[MemoryT, StateT]):
    """A model that scores one token after the other."""

    def start(self, source: Padded) -> tuple[MemoryT, StateT]:
        """Reads the sources; the state's rows are ``B``."""
        ...

    def step(self, memory: MemoryT, state: StateT, tokens: Int[Tensor, "B K"]) -> Scored[StateT]:
        """Reads one token of ``K`` beams a sequence."""
        ...


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How a text is searched for; what `translate` and `evaluate` do unless told otherwise."""

    beam_size: int = 5
    """Hypotheses kept at each step; 1 is greedy search."""
    length_penalty: float = 1.0
    """A hypothesis scores its log-probability divided by its length to this power."""
    min_length: int = 0
    """Least tokens of a hypothesis."""
    max_length: int = 0
    """Most tokens of a hypothesis; 0: twice the source's, plus 20."""
    no_repeat_ngram: int = 0
    """Never generate the same n tokens in a row twice; 0: off."""

    def __post_init__(self) -> None:
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        require(self.length_penalty >= 0, "length_penalty", "at least 0", self.length_penalty)
        require(self.min_length >= 0, "min_length", "at least 0", self.min_length)
        fits = self.max_length == 0 or self.max_length >= max(1, self.min_length)
        require(fits, "max_length", "0, or at least 1 and min_length", self.max_length)
        require(self.no_repeat_ngram >= 0, "no_repeat_ngram", "at least 0", self.no_repeat_ngram)

    def limits(self, source: Padded) -> Int[Tensor, "B"]:
        """Returns the most tokens, the end symbol included, of each sentence's hypotheses.

        A function of the sentence alone: neighbours in the batch change nothing.
        """
        own = 2 * source.lengths + 20
        most = torch.full_like(own, self.max_length) if self.max_length else own
        return most.clamp(min=self.min_length) + 1


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A finished sequence, without its end symbol."""

    ids: tuple[int, ...]
    score: float
    """Log-probability in nats, end symbol included, divided by length to the length penalty."""
    attention: Float[Tensor, "T S"] = field(repr=False)
    """Where each token, the end symbol included, looked."""


def constrain(
    log_probs: Float[Tensor, "B K V"],
    prefix: Int[Tensor, "B K T"],
    limits: Int[Tensor, "B"],
    config: SearchConfig,
) -> Float[Tensor, "B K V"]:
    """Makes the log-probabilities ``-inf`` for all that may not follow ``prefix``, in place.

    Padding, the unknown and the start symbol never may; at a sentence's limit only the end symbol
    may.
    """
    log_probs.nan_to_num_(nan=-torch.inf, neginf=-torch.inf)
    log_probs[..., NEVER] = -torch.inf
    length = prefix.shape[2] + 1
    if length <= config.min_length:
        log_probs[..., EOS] = -torch.inf
    size = config.no_repeat_ngram
    if size and length > size:
        windows = prefix.unfold(2, size, 1)
        tail = prefix[:, :, prefix.shape[2] - size + 1 :]
        repeats = (windows[..., :-1] == tail[:, :, None]).all(dim=3)
        log_probs.scatter_(2, torch.where(repeats, windows[..., -1], PAD), -torch.inf)
    last = (limits <= length).nonzero().flatten()
    if len(last):
        end = log_probs[last][..., EOS]
        log_probs[last] = -torch.inf
        log_probs[last, :, EOS] = end
    return log_probs
