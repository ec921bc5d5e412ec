"""Files that are made in parts: whoever is killed over one goes on after its last whole part."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from seq2seq.data.cache import PART, PART_RECORD, draft

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BLOCK_BYTES = 2**20


class Growing:
    """A file to which parts are added; beside it stands how far it is whole."""

    def __init__(self, file: IO[bytes], record: Path | None) -> None:
        """Goes on after the last part that ``record`` tells of; None: nothing is remembered."""
        self._file, self._record = file, record
        self._sha256 = hashlib.sha256()
        self.told: Mapping[str, Any] = {}
        """What was told of the last whole part; empty where the file begins."""
        if record is not None:
            self._go_on(record)

    def _go_on(self, record: Path) -> None:
        found, size = hashlib.sha256(), 0
        with suppress(OSError, ValueError, KeyError, TypeError):  # no record, or a damaged one
            told = json.loads(record.read_text(encoding="utf-8"))
            for start in range(0, told["bytes"], BLOCK_BYTES):
                found.update(self._file.read(min(BLOCK_BYTES, told["bytes"] - start)))
            if found.hexdigest() == told["sha256"]:
                self.told, self._sha256, size = dict(told["told"]), found, told["bytes"]
        self._file.seek(size)
        self._file.truncate()

    def write(self, content: bytes | memoryview) -> None:
        """Adds bytes to the part that is being made."""
        self._sha256.update(content)
        self._file.write(content)

    def end_part(self, told: Mapping[str, Any]) -> None:
        """Ends a part: whoever goes on begins after it, and is told this."""
        self._file.flush()
        if self._record is not None:
            facts = {"bytes": self._file.tell(), "sha256": self.sha256, "told": told}
            with draft(self._record) as temporary:
                temporary.write_text(json.dumps(facts), encoding="utf-8")
            self.told = told

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that was written, earlier parts included."""
        return self._sha256.hexdigest()


@contextmanager
def growing(path: Path) -> Iterator[Growing]:
    """Gives a file that becomes ``path`` if all goes well.

    What a killed or interrupted process leaves of it is gone on with; after any other error nothing
    stays. While another process is at the same file, one of its own is made, from the beginning.
    """
    part, record = path.with_suffix(PART), path.with_suffix(PART_RECORD)
    file = _claimed(part)
    if file is None:
        with draft(path) as temporary, temporary.open("wb") as own:
            yield Growing(own, None)
        return
    with file:  # until it is closed nobody else can claim it
        made = Growing(file, record)
        try:
            yield made
            file.flush()
        except BaseException as error:
            if isinstance(error, Exception) or not made.told:
                record.unlink(missing_ok=True)
                part.unlink(missing_ok=True)
            raise
        record.unlink(missing_ok=True)  # before the name is free for another process
        part.replace(path)


def _claimed(path: Path) -> IO[bytes] | None:
    """Opens a file, or makes it, for this process alone; None where that cannot be had."""
    if fcntl is None:
        return None
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except PermissionError:  # another user has begun it
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # not yet finished or removed
            return file
    except OSError:  # another process has it, or this file system has no locks
        pass
    file.close()
    return None
