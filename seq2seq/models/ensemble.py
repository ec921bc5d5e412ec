"""Several models that search as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.errors import as_list, require, require_kind, require_name
from seq2seq.nn.decoder import DecoderState, Memory
from seq2seq.tensors import Padded, Step

Mean = Literal["arithmetic", "geometric"]
"""How probabilities are averaged: themselves, or their logarithms (and made to sum to 1 again)."""


@dataclass(frozen=True)
class Memories:
    """What each model looks at."""

    of_models: tuple[Memory, ...]

    def select(self, rows: Int[Tensor, "R"]) -> "Memories":
        """Returns the memories of the given sequences."""
        return Memories(tuple(memory.select(rows) for memory in self.of_models))


@dataclass(frozen=True)
class States:
    """What each model remembers between two steps."""

    of_models: tuple[DecoderState, ...]

    def select(self, rows: Int[Tensor, "Q"]) -> "States":
        """Returns the states of the given rows."""
        return States(tuple(state.select(rows) for state in self.of_models))


@runtime_checkable
class Member(Protocol):
    """A model that translates, with or without weights folded for search."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def start(self, source: Padded) -> tuple[Memory, DecoderState]:
        """Reads the source."""
        ...

    def step(
        self, memory: Memory, state: DecoderState, tokens: Int[Tensor, "B K"]
    ) -> Step[DecoderState]:
        """Reads one token for each of the ``K`` beams of every sequence."""
        ...


class Ensemble:
    """Models with the same target vocabulary, whose probabilities are averaged at each step."""

    def __init__(
        self,
        models: Sequence[Member],
        weights: Sequence[float] | None = None,
        mean: Mean = "arithmetic",
    ) -> None:
        """Weights count by their shares of their sum; a model whose weight is 0 is left out.

        Raises:
            ConfigError: The weights are not one a model, or there is no such mean.
        """
        require_name(mean, "mean", get_args(Mean))
        given = checked_weights(weights, len(models))
        self.models = tuple(model for model, weight in zip(models, given, strict=True) if weight)
        kept = [weight for weight in given if weight]
        self.equal = len(set(kept)) == 1
        self.shares = tuple(weight / sum(kept) for weight in kept)
        self.mean: Mean = mean

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.models[0].device

    def start(self, source: Padded) -> tuple[Memories, States]:
        """Reads the source with every model."""
        memories, states = zip(*(model.start(source) for model in self.models), strict=True)
        return Memories(memories), States(states)

    def step(self, memory: Memories, state: States, tokens: Int[Tensor, "B K"]) -> Step[States]:
        """Reads one token for each of the ``K`` beams of every sequence, and scores the next."""
        steps = [
            model.step(memory.of_models[index], state.of_models[index], tokens)
            for index, model in enumerate(self.models)
        ]
        return Step(
            self._averaged([step.log_probs for step in steps]),
            States(tuple(step.state for step in steps)),
            self._summed([step.attention for step in steps]),
        )

    def _averaged(self, log_probs: Sequence[Float[Tensor, "B K V"]]) -> Float[Tensor, "B K V"]:
        """Returns the logarithms of the mean probabilities."""
        if self.mean == "geometric":
            return self._summed(log_probs).log_softmax(-1)
        if self.equal:
            return torch.stack(list(log_probs)).logsumexp(0) - math.log(len(log_probs))
        parts = zip(self.shares, log_probs, strict=True)
        return torch.stack([one + math.log(share) for share, one in parts]).logsumexp(0)

    def _summed(self, parts: Sequence[Float[Tensor, "B K F"]]) -> Float[Tensor, "B K F"]:
        """Returns the mean of the models' numbers."""
        if self.equal:
            return torch.stack(list(parts)).mean(0)
        return torch.stack(
            [share * one for share, one in zip(self.shares, parts, strict=True)]
        ).sum(0)


def checked_weights(weights: Sequence[float] | None, models: int) -> Sequence[float]:
    """Returns the weights of so many models; by default all weigh the same.

    Raises:
        ConfigError: They are not one a model, or one is negative, or all are 0.
    """
    if weights is None:
        return [1.0] * models
    given = as_list(weights, "weights", "numbers")
    require(len(given) == models, "weights", f"one for each run ({models})", list(given))
    for weight in given:
        require_kind(weight, float, "weights")
    fits = min(given) >= 0 and sum(given) > 0
    require(fits, "weights", "at least 0, and one of them above", list(given))
    return given
