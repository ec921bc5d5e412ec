"""What the loop needs of the data, and how batches reach the device while another is learned."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, runtime_checkable

import torch

from seq2seq.tensors.tree import tensors_in

AHEAD = 2
"""Batches that wait on the device."""
MovedT = TypeVar("MovedT", bound="TrainingBatch")


@runtime_checkable
class TrainingBatch(Protocol):
    """What the loop needs of a batch."""

    @property
    def predictions(self) -> int:
        """How many predictions its loss is a sum of."""
        ...

    def to(self: MovedT, device: torch.device) -> MovedT:
        """Returns the same batch on ``device``."""
        ...


BatchT = TypeVar("BatchT", bound=TrainingBatch)
BatchT_co = TypeVar("BatchT_co", bound=TrainingBatch, covariant=True)


@runtime_checkable
class BatchOrder(Protocol[BatchT_co]):
    """What the loop needs of the data: the batches of an epoch, from any position on."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[BatchT_co]:
        """Yields the batches of an epoch."""
        ...

    def size(self, epoch: int) -> int:
        """Returns the number of batches of an epoch."""
        ...


ItemT = TypeVar("ItemT")
ReadyT = TypeVar("ReadyT")


def ahead(
    batches: Iterator[ItemT], prepare: Callable[[ItemT], ReadyT], most: int = AHEAD
) -> Iterator[ReadyT]:
    """Yields what ``prepare`` makes of each batch, in order; a thread is up to ``most`` ahead.

    What the thread raises is raised here, in place of its batch.
    """

    def following() -> list[ReadyT]:
        return [prepare(batch) for batch in (next(batches, None),) if batch is not None]

    with ThreadPoolExecutor(1, "loader") as thread:
        waiting = deque(thread.submit(following) for _ in range(most))
        while found := waiting.popleft().result():
            waiting.append(thread.submit(following))
            yield found[0]


def brought(batches: Iterator[BatchT], device: torch.device) -> Iterator[BatchT]:
    """Yields batches, which on a GPU are copied there beside whatever runs; else as they are."""
    if device.type != "cuda":
        yield from batches
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def bring(batch: BatchT) -> tuple[BatchT, torch.cuda.Event]:
        with torch.cuda.stream(side):
            return batch.to(device), side.record_event()

    for batch, copied in ahead(batches, bring):
        here = torch.cuda.current_stream(device)
        here.wait_event(copied)
        for tensor in tensors_in(batch):
            tensor.record_stream(here)  # or its memory could be used again while it is read
        yield batch
