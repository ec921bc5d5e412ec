"""How well a model predicts text: cross-entropy in nats per token and bits per character."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from seq2seq.errors import is_out_of_memory
from seq2seq.evaluation.metrics import Score
from seq2seq.tensors import Features
from seq2seq.tensors.parts import cut, joined, rows_of

BatchT = TypeVar("BatchT", bound="Measured")
BatchT_co = TypeVar("BatchT_co", bound="Measured", covariant=True)
BatchT_contra = TypeVar("BatchT_contra", bound="Measured", contravariant=True)


@runtime_checkable
class Measured(Protocol):
    """What is needed of a batch."""

    @property
    def predictions(self) -> int:
        """How many predictions its loss is a sum of."""
        ...

    def to(self: BatchT, device: torch.device) -> BatchT:
        """Returns the same batch on ``device``."""
        ...


@runtime_checkable
class Order(Protocol[BatchT_co]):
    """Batches, epoch by epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[BatchT_co]:
        """Yields the batches of an epoch."""
        ...


@runtime_checkable
class Model(Protocol[BatchT_contra]):
    """Anything that has features, and a head that makes a loss of them."""

    if TYPE_CHECKING:  # since isinstance does not find the parts of a module from Python 3.12 on
        head: Any

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def features(self, batch: BatchT_contra, carried: Tensor | None = None) -> Features:
        """Returns what the head sees, and what is to be predicted."""
        ...


@dataclass(frozen=True)
class Loss:
    """The cross-entropy of a text."""

    nats: float
    tokens: int

    @property
    def per_token(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def bits(self) -> float:
        """Bits of the whole text."""
        return self.nats / math.log(2)


def measure(model: Model[BatchT], batches: Order[BatchT]) -> Loss:
    """Scores all batches in order, each beginning in the state that the one before left."""
    nats, tokens, carried = 0.0, 0, None
    with torch.inference_mode():
        for batch in batches.epoch(0):
            more, carried = _measure_one(model, batch, carried)
            nats += more
            tokens += batch.predictions
    return Loss(nats, tokens)


def _measure_one(
    model: Model[BatchT], batch: BatchT, carried: Tensor | None
) -> tuple[float, Tensor | None]:
    """Returns the nats of a batch and the state it leaves; of its halves, where memory is full."""
    try:
        features = model.features(batch.to(model.device), carried)
        return float(model.head.loss(features.vectors, features.targets)), features.carried
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or rows_of(batch) == 1:
            raise
    halves = [_measure_one(model, *half) for half in cut(batch, carried, 2)]
    return sum(nats for nats, _ in halves), joined([state for _, state in halves])


def text_scores(
    carried: Loss,
    windows: Loss | None,
    window: int,
    characters: int,
    *,
    unknown: float = 0.0,
    lossless: bool = True,
) -> list[Score]:
    """Returns the scores of a text: read as a whole, and window by window.

    Two things make the loss too low: characters that the pipeline drops are never predicted, and
    the unknown symbol is easier to predict than the real token. So signatures show the share of
    ``unknown`` tokens, and ``lossy`` where the pipeline is not ``lossless``.
    """
    caveats = (f"|unknown:{unknown:.2g}" if unknown else "") + ("" if lossless else "|lossy")

    def of_tokens_and_characters(suffix: str, loss: Loss, state: str) -> list[Score]:
        signature = f"tokens:{loss.tokens}|characters:{characters}|state:{state}{caveats}"
        return [
            Score(f"nats per token{suffix}", loss.per_token, signature, 4),
            Score(f"bits per character{suffix}", loss.bits / characters, signature, 4),
        ]

    scores = of_tokens_and_characters("", carried, "carried")
    scores.append(Score("perplexity", math.exp(carried.per_token), scores[0].signature, 3))
    if windows is not None:
        scores += of_tokens_and_characters(", windows", windows, f"zero every {window} tokens")
    return scores
