"""Pipes given as files that are read more than once: they are copied when they are opened."""

import shutil
import tempfile
from functools import cache
from pathlib import Path, PosixPath

from seq2seq.data.files import STANDARD_INPUT, opened
from seq2seq.errors import StorageError


class Copied(PosixPath):
    """The path of a pipe, by which messages call it; it is read from a copy of what it held."""

    copy: str

    def __fspath__(self) -> str:
        """Returns the path that the system opens."""
        return self.copy


def rereadable(folder: Path, name: str) -> Path:
    """Returns a path that can be read again and again: of a pipe, and of ``-``, a copy.

    Raises:
        DataError: The pipe cannot be read.
        StorageError: There is no room for the copy.
    """
    path = folder / name
    if name != STANDARD_INPUT and (path.is_file() or path.is_dir() or not path.exists()):
        return path
    copied = Copied("standard input" if name == STANDARD_INPUT else path)
    with opened(name if name == STANDARD_INPUT else path) as pipe:
        try:
            with tempfile.NamedTemporaryFile(dir=_place().name, delete=False) as file:
                shutil.copyfileobj(pipe, file)
        except OSError as error:
            raise StorageError(
                f"{copied}: cannot be copied to {tempfile.gettempdir()} ({error.strerror}); "
                "make room there, or set TMPDIR"
            ) from error
    copied.copy = file.name
    return copied


@cache
def _place() -> "tempfile.TemporaryDirectory[str]":
    """Makes a folder that goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="seq2seq-pipes-")
