"""Batches in parts: what does not fit into memory as a whole is worked on part by part."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Divisible(Protocol):
    """A batch whose rows are independent."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    def part(self: "PartT", first: int, last: int) -> "PartT":
        """Returns those from ``first`` on and before ``last``."""
        ...


PartT = TypeVar("PartT", bound=Divisible)
BatchT = TypeVar("BatchT")


def rows_of(batch: object) -> int:
    """Returns into how many parts a batch can be cut."""
    return batch.rows if isinstance(batch, Divisible) else 1


def cut(
    batch: BatchT, carried: Tensor | None, parts: int
) -> Iterator[tuple[BatchT, Tensor | None]]:
    """Yields a batch in so many parts, or single rows, each with its rows of the carried state."""
    if not isinstance(batch, Divisible) or min(parts, batch.rows) == 1:
        yield batch, carried
        return
    size = -(-batch.rows // parts)
    for first in range(0, batch.rows, size):
        last = min(first + size, batch.rows)
        yield batch.part(first, last), None if carried is None else carried[first:last]


def joined(states: Sequence[Tensor | None]) -> Tensor | None:
    """Returns the states that the parts of a batch left as that of the batch."""
    there = [state for state in states if state is not None]
    return torch.cat(there) if len(there) > 1 else next(iter(there), None)
