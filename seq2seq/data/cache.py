"""Files that are made once and found again: written under another name until they are whole."""

import logging
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq.errors import DataError, StorageError

LEFTOVER_SECONDS = 3600
"""Younger drafts in a cache that is shared may be those of a process at work."""
PART, PART_RECORD = ".part", ".part.json"
PART_SECONDS = 7 * 24 * 3600
"""After so long nobody goes on with what was made in part."""
log = logging.getLogger("seq2seq")


@contextmanager
def storing(cache: Path) -> Iterator[None]:
    """Turns a refused write into one line; a file where a folder should be is no disk's fault.

    Raises:
        DataError: A file is where the cache should be.
        StorageError: The disk refused.
    """
    try:
        yield
    except OSError as error:
        misnamed = isinstance(error, (FileExistsError, NotADirectoryError))
        raise (DataError if misnamed else StorageError)(
            f"{cache}: cannot keep encoded corpora ({error.strerror or error}); make room, or name "
            "another folder with data.cache"
        ) from error


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Gives a temporary name, which becomes ``path`` if all goes well, and is removed if not."""
    temporary = path.with_suffix(f".tmp-{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(cache: Path, age: float = LEFTOVER_SECONDS) -> None:
    """Removes drafts of processes that were killed: those not written to for ``age`` seconds; and
    what was made in part a week ago.

    By the clock of the file system, which may be another machine's; 0 removes all.
    """  # noqa: D205
    limits = {"*.tmp-*": age, f"*{PART}": age and PART_SECONDS}
    limits[f"*{PART_RECORD}"] = age and PART_SECONDS
    leftovers = [(file, limit) for name, limit in limits.items() for file in cache.glob(name)]
    now = _now_in(cache) if leftovers and age else math.inf
    for leftover, limit in sorted(leftovers):
        with suppress(OSError):  # another process was faster, or it is another user's
            if now - leftover.stat().st_mtime >= limit:
                leftover.unlink()
                log.info("removed %s, left over from an interrupted encoding", leftover)


def _now_in(folder: Path) -> float:
    """Returns the time that a file gets which is written now; before all others if none can be."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"now")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime
    except OSError:
        return -math.inf
