"""Independent pieces of work side by side on the threads of a processor."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

WORKERS = 4
"""Most pieces worked on at a time: between two operations of torch, Python takes turns."""
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def side_by_side(work: Callable[[ItemT], ResultT], items: Sequence[ItemT]) -> Iterator[ResultT]:
    """Yields ``work(item)`` of each item, in order.

    As many at a time as torch has threads, each with its share of them. Where operations are too
    small to fill several threads, as those of a search step are, this does.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items), WORKERS)
    if workers < 2:
        yield from map(work, items)
        return
    # The number is each thread's own, but new threads take over the last one that was set.
    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
        ) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)
