"""Independent pieces of work side by side on the threads of a processor."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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
    with _starting:  # while workers start, torch would tell another thread their number
        threads = torch.get_num_threads()
        workers = min(threads, len(items), WORKERS)
        pool = _pool(workers, threads) if workers > 1 else None
    return map(work, items) if pool is None else pool.map(work, items)


_starting = threading.Lock()


@cache
def _pool(workers: int, threads: int) -> ThreadPoolExecutor:
    """Starts the workers, once: each has its share of ``threads`` from then on.

    torch keeps a number of threads for each thread, but whoever sets it sets that of later threads,
    too. So all workers start at once, and that number is put back before any of them works: no
    search changes anything for the rest of the process.
    """
    started = threading.Barrier(workers + 1)

    def settle() -> None:
        torch.get_num_threads()  # or torch would put the number for later threads back here, too
        torch.set_num_threads(threads // workers)
        started.wait()

    pool = ThreadPoolExecutor(workers, "search", initializer=settle)
    for _ in range(workers):
        pool.submit(int)  # a new worker starts for each, as none is idle before all have started
    started.wait()
    torch.set_num_threads(threads)
    return pool


def _forget() -> None:
    """Lets a forked child start its own workers: threads do not live on in it."""
    global _starting
    _starting = threading.Lock()
    _pool.cache_clear()


os.register_at_fork(after_in_child=_forget)
