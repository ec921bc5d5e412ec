"""What a search needs of a model, where it begins, and what it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.asked import Asked, Bounds
from seq2seq.search.config import SearchConfig
from seq2seq.tensors import Padded, Step

RowsT = TypeVar("RowsT", bound="Rows")


@runtime_checkable
class Rows(Protocol):
    """Anything made of rows that can be picked, repeated and reordered."""

    def select(self: RowsT, rows: Int[Tensor, "R"]) -> RowsT:
        """Returns the given rows."""
        ...


MemoryT = TypeVar("MemoryT", bound=Rows | None)
StateT = TypeVar("StateT", bound=Rows)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Rows | None, contravariant=True)


@runtime_checkable
class Stepper(Protocol[MemoryT_contra, StateT]):
    """A model that scores one token after the other.

    What it looks at, its memory, is None for a language model.
    """

    def step(
        self, memory: MemoryT_contra, state: StateT, tokens: Int[Tensor, "B K"]
    ) -> Step[StateT]:
        """Reads one token of ``K`` beams a sequence."""
        ...


@runtime_checkable
class Reader(Protocol[MemoryT, StateT]):
    """A stepper that reads a source first."""

    def start(self, source: Padded) -> tuple[MemoryT, StateT]:
        """Reads the sources; the state's rows are ``B``."""
        ...

    def step(self, memory: MemoryT, state: StateT, tokens: Int[Tensor, "B K"]) -> Step[StateT]:
        """Reads one token of ``K`` beams a sequence."""
        ...


@dataclass(frozen=True)
class Start(Generic[MemoryT, StateT]):
    """Where a search of several texts begins."""

    memory: MemoryT
    """What is looked at, sequence by sequence; None: there is nothing."""
    state: StateT
    """The state before the first token; rows ``B``."""
    bounds: Bounds
    asked: Sequence[Asked]
    """What is asked of each text."""

    def select(self, rows: Int[Tensor, "R"]) -> "Start[MemoryT, StateT]":
        """Returns where a search of the given texts begins."""
        asked = [self.asked[row] for row in rows.tolist()]
        memory, state = selected(self.memory, rows), self.state.select(rows)
        return Start(memory, state, self.bounds.select(rows), asked)


@torch.inference_mode()
def begin(
    reader: Reader[MemoryT, StateT],
    source: Padded,
    config: SearchConfig,
    asked: Sequence[Asked] | None = None,
) -> Start[MemoryT, StateT]:
    """Reads the sources; by default the texts are numbered, and nothing else is asked of them."""
    memory, state = reader.start(source)
    if asked is None:
        asked = [Asked(number) for number in range(len(source.lengths))]
    return Start(memory, state, Bounds.of(config.limits(source), asked, source.lengths), asked)


def selected(memory: MemoryT, rows: Int[Tensor, "R"]) -> MemoryT:
    """Returns the memory of the given sequences, if there is one."""
    return memory if memory is None else memory.select(rows)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A finished sequence, without its end symbol."""

    ids: tuple[int, ...]
    score: float
    """Log-probability in nats, end symbol included, divided by length to the length penalty."""
    attention: Float[Tensor, "T S"] = field(repr=False)
    """Where each token, the end symbol included, looked; on the processor."""


Strategy: TypeAlias = Callable[
    [Stepper[Any, Any], Start[Any, Any], SearchConfig, int], list[list[Hypothesis]]
]
"""Searches: returns for each text its hypotheses, best first, at most as many as asked for."""
