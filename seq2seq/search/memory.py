"""Work on several texts at once, or on fewer where they are long, or memory is full."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TypeVar

from seq2seq.errors import OutOfMemory, is_out_of_memory

USUAL_TOKENS = 100
"""Texts up to this length are worked on in full batches."""
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
log = logging.getLogger("seq2seq")


def halving(
    work: Callable[[Sequence[ItemT]], list[ResultT]], items: Sequence[ItemT], remedy: str
) -> list[ResultT]:
    """Returns what ``work`` makes of the items: of all at once, or of each half by itself.

    Raises:
        OutOfMemory: Memory is full with a single item; ``remedy`` says what to do then.
    """
    try:
        return work(items)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    if len(items) == 1:
        raise OutOfMemory(f"memory is full with a single text; {remedy}")
    half = len(items) // 2
    _tell(len(items))
    return halving(work, items[:half], remedy) + halving(work, items[half:], remedy)


@cache
def _tell(count: int) -> None:
    log.warning("memory is full with %d texts at once; they are done in halves", count)


def alike(lengths: Sequence[int], texts: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yields those of some texts that share a batch, similar lengths together, no empty ones.

    Fewer than ``size`` texts where they are long: what a search remembers grows with both.
    """
    batch: list[int] = []
    for index in sorted(texts, key=lengths.__getitem__):
        if batch and (len(batch) == size or len(batch) * lengths[index] >= size * USUAL_TOKENS):
            yield batch
            batch = []
        if lengths[index]:
            batch.append(index)
    if batch:
        yield batch
