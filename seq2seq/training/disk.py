"""Files of a checkpoint: written so that they are on the disk, read so that they are whole."""

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from seq2seq.errors import CheckpointError, StorageError

MANIFEST = "MANIFEST.json"
"""The file that lists the others, with sizes and hashes."""


def failpoint(name: str) -> None:
    """Kills the process here when SEQ_FAILPOINT names this place: crash tests use it."""
    if os.environ.get("SEQ_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def put(path: Path, content: bytes) -> dict[str, Any]:
    """Writes a file to the disk; returns what its content is known by."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return facts_of(content)


def uncached(path: Path) -> bytes:
    """Returns the content of a file, where possible from the disk rather than from memory."""
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


def facts_of(content: bytes) -> dict[str, Any]:
    """Returns size and SHA-256 of some content."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def verified(folder: Path, file: str, facts: object) -> bytes:
    """Returns the content of a file, which is what its manifest entry says."""
    damaged = f"checkpoint {folder.name} is damaged ({file}:"
    if not isinstance(facts, dict):
        raise CheckpointError(f"{damaged} no entry in {MANIFEST})")
    try:
        content = (folder / file).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{damaged} {error.strerror})") from None
    found = facts_of(content)
    if found["size"] != facts.get("size"):
        expected = facts.get("size")
        shown = f"{expected:,}" if isinstance(expected, int) else repr(expected)
        raise CheckpointError(f"{damaged} expected {shown} bytes, found {found['size']:,})")
    if found["sha256"] != facts.get("sha256"):
        raise CheckpointError(f"{damaged} SHA-256 differs)")
    return content


def json_of(folder: Path, file: str, content: bytes) -> dict[str, Any]:
    """Returns the JSON object that a file of a checkpoint is."""
    try:
        value = json.loads(content)
    except ValueError:
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: not JSON)") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: not a JSON object)")
    return value


def tensors_of(folder: Path, file: str, content: bytes) -> dict[str, Tensor]:
    """Returns the tensors that a file of a checkpoint holds."""
    try:
        return load(content)
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: {error})") from None


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def storage(folder: Path, needed: int) -> Iterator[None]:
    """Turns a refused write into a message with the bytes needed and free."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(folder).free
        raise StorageError(
            f"{folder}: cannot save a checkpoint ({error.strerror}): "
            f"{needed:,} bytes needed, {free:,} free; earlier checkpoints are intact"
        ) from error
