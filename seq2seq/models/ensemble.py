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

    each: tuple[Memory, ...]

    def select(self, rows: Int[Tensor, "R"]) -> "Memories":
        """Returns the memories of the given sequences."""
        return Memories(tuple(each.select(rows) for each in self.each))


@dataclass(frozen=True)
class States:
    """What each model remembers between two steps."""

    each: tuple[DecoderState, ...]

    def select(self, rows: Int[Tensor, "Q"]) -> "States":
        """Returns the states of the given rows."""
        return States(tuple(each.select(rows) for each in self.each))


@runtime_checkable
class Member(Protocol):
    """A model that translates, folded or not."""

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
        """Reads one token of ``K`` beams a sequence."""
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
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        steps = [
            model.step(memory.each[index], state.each[index], tokens)
            for index, model in enumerate(self.models)
        ]
        log_probs = torch.stack([step.log_probs for step in steps]).logsumexp(0)  # [B, K, V]
        return Step(
            log_probs - math.log(len(steps)),
            States(tuple(step.state for step in steps)),
            torch.stack([step.attention for step in steps]).mean(0),
        )
