"""Several models that search as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.models.folded import FoldedTranslator
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.nn.decoder import DecoderState, Memory
from seq2seq.tensors import Padded


@dataclass(frozen=True)
class Memories:
    """What each model looks at."""

    each: tuple[Memory, ...]

    def select(self, rows: Int[Tensor, "R"]) -> "Memories":
        """Returns the memories of the given sequences."""
        return Memories(tuple(one.select(rows) for one in self.each))


@dataclass(frozen=True)
class States:
    """What each model remembers between two steps."""

    each: tuple[DecoderState, ...]

    def select(self, rows: Int[Tensor, "Q"]) -> "States":
        """Returns the states of the given rows."""
        return States(tuple(one.select(rows) for one in self.each))


@dataclass(frozen=True)
class JointStep:
    """What one step of all models gives to a search."""

    log_probs: Float[Tensor, "B K V"]
    state: States
    attention: Float[Tensor, "B K S"]


class Ensemble:
    """Models with the same vocabularies, whose probabilities are averaged at each step."""

    def __init__(self, models: Sequence[Seq2Seq | FoldedTranslator]) -> None:
        self.models = tuple(models)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.models[0].device

    def start(self, source: Padded) -> tuple[Memories, States]:
        """Reads the source with every model."""
        memories, states = zip(*(model.start(source) for model in self.models), strict=True)
        return Memories(memories), States(states)

    def step(self, memory: Memories, state: States, tokens: Int[Tensor, "B K"]) -> JointStep:
        """Reads one token of ``K`` beams a sequence and scores all that may follow."""
        steps = [
            model.step(memory.each[index], state.each[index], tokens)
            for index, model in enumerate(self.models)
        ]
        log_probs = torch.stack([step.log_probs for step in steps]).logsumexp(0)
        return JointStep(
            log_probs - math.log(len(steps)),
            States(tuple(step.state for step in steps)),
            torch.stack([step.attention for step in steps]).mean(0),
        )
