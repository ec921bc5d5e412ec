"""The files in which a pipeline is kept: plain JSON and models as other programs write them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from seq2seq.errors import CheckpointError, DataError, StorageError

FORMAT = 1
"""Version of the JSON files; raised when an older reader would misunderstand them."""


def to_json(content: Mapping[str, object]) -> bytes:
    """Returns ``content`` and the format version as readable UTF-8."""
    text = json.dumps({"format": FORMAT, **content}, ensure_ascii=False, indent=1)
    return (text + "\n").encode()


def sealed(content: Mapping[str, object], files: Mapping[str, bytes]) -> dict[str, object]:
    """Returns ``content`` with hashes of the files that belong to it, and of itself."""
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    whole = {**content, "files": hashes}
    return {**whole, "sha256": _hash(whole)}


def _hash(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def require_sealed(path: Path, content: Mapping[str, object]) -> None:
    """Makes sure that ``content``, read from ``path``, and its files are what was written together.

    Those of earlier versions have no hashes.

    Raises:
        CheckpointError: They are not; says which file.
    """
    if "sha256" not in content:
        return
    whole = {key: value for key, value in content.items() if key not in ("format", "sha256")}
    files = content.get("files")
    if content["sha256"] != _hash(whole) or not isinstance(files, dict):
        raise CheckpointError(f"{path}: is not as it was written; restore it")
    for name, told in files.items():
        file = path.with_name(Path(name).name)
        if hashlib.sha256(read(file)).hexdigest() != told:
            raise CheckpointError(
                f"{file}: is not the one that was written with {path.name}; restore it"
            )


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes ``files`` into ``folder``, which is made if missing.

    Raises:
        DataError: The folder cannot be made: a file is in its place.
        StorageError: The disk refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataError(f"{folder}: is no folder ({error.strerror}); name a new one") from error
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made: {error.strerror}") from error
    for name, content in files.items():
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            raise StorageError(f"{folder / name}: cannot be written: {error.strerror}") from error


def read(path: Path) -> bytes:
    """Returns the content of ``path``.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path, fields: Mapping[str, type]) -> dict[str, object]:
    """Returns the JSON object in ``path``, which has ``fields`` of these types.

    Raises:
        CheckpointError: It cannot be read, is not such an object, or is of another format version.
    """
    try:
        content = json.loads(read(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not JSON: {error}") from error
    if not isinstance(content, dict) or "format" not in content:
        raise CheckpointError(f"{path}: is not an object with a 'format' version")
    if content["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: has format {content['format']!r}, this version reads {FORMAT}"
        )
    for name, kind in fields.items():
        if type(content.get(name)) is not kind:
            raise CheckpointError(
                f"{path}: {name}: must be of type {kind.__name__}, got {content.get(name)!r}"
            )
    return content


def read_strings(path: Path, content: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Returns the list of different strings ``content[name]``, read from ``path``.

    Raises:
        CheckpointError: It is not one.
    """
    values = content.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise CheckpointError(f"{path}: {name}: must be a list of strings")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise CheckpointError(f"{path}: {name}: {twice!r} appears twice")
    return tuple(values)
