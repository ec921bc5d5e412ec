"""Lines of files, and of pipes and terminals that stay open: these are taken as they arrive."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from queue import Empty, Queue
from threading import Event, Thread
from typing import Literal, TypeVar

from seq2seq.data.files import STANDARD_INPUT, read_lines
from seq2seq.lists import chunks

LINES_AT_ONCE = 2000
ItemT = TypeVar("ItemT")


def read_arriving(
    files: Sequence[str], errors: Literal["strict", "replace"] = "strict", most: int = LINES_AT_ONCE
) -> Iterator[list[str]]:
    """Yields the lines of files, one file after the other, in lists of at most so many.

    From regular files alone, all but the last list are full. Where pipes or terminals are among
    them, a list holds what has arrived, and only the first line of it is waited for.

    Raises:
        DataError: As :func:`read_lines` does.
    """
    lines = chain.from_iterable(read_lines(file, errors) for file in files)
    return arriving(lines, most) if any(map(_stays_open, files)) else chunks(lines, most)


def _stays_open(file: str) -> bool:
    """Tells whether more of a file may come later."""
    try:
        found = os.fstat(sys.stdin.fileno()) if file == STANDARD_INPUT else os.stat(file)
    except (OSError, ValueError, AttributeError):  # there is none, or no file behind it
        return False
    return not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))


@dataclass(frozen=True)
class _End:
    """Stands after the last item: why there are no more."""

    error: BaseException | None = None


def arriving(items: Iterable[ItemT], most: int) -> Iterator[list[ItemT]]:
    """Yields lists of the items that are there, at most so many; waits only for the first.

    Another thread asks for the items, and is at most so many ahead.

    >>> [item for found in arriving("abcde", 2) for item in found]
    ['a', 'b', 'c', 'd', 'e']
    """
    queue: Queue[ItemT | _End] = Queue(most)
    left = Event()
    # A daemon: at the end of the process it may still wait for a line.
    Thread(target=_put, args=(items, queue, left), daemon=True).start()
    try:
        while True:
            found, end = _taken(queue, most)
            if found:
                yield found
            if end is not None and end.error is not None:
                raise end.error
            if end is not None:
                return
    finally:
        left.set()
        _taken(queue, 2 * most, wait=False)  # makes room for the item that the thread may hold


def _put(items: Iterable[ItemT], queue: "Queue[ItemT | _End]", left: Event) -> None:
    end = _End()
    try:
        for item in items:
            queue.put(item)
            if left.is_set():
                return
    except BaseException as error:
        end = _End(error)
    queue.put(end)


def _taken(
    queue: "Queue[ItemT | _End]", most: int, wait: bool = True
) -> tuple[list[ItemT], _End | None]:
    """Takes the items that are there, and the end if it is."""
    found: list[ItemT] = []
    with suppress(Empty):
        while len(found) < most:
            item = queue.get(block=wait and not found)
            if isinstance(item, _End):
                return found, item
            found.append(item)
    return found, None
