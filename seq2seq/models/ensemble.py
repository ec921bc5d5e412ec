"""Several models that search as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from seq2seq.nn.decoder import DecoderState, Memory
from seq2seq.tensors import Padded, Step


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
    """Models with the same vocabularies, whose probabilities are averaged at each step."""

    def __init__(self, models: Sequence[Member]) -> None:
        self.models = tuple(models)

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
        log_probs = torch.stack([step.log_probs for step in steps]).logsumexp(0)  # [B, K, V]
        return Step(
            log_probs - math.log(len(steps)),
            States(tuple(step.state for step in steps)),
            torch.stack([step.attention for step in steps]).mean(0),
        )
