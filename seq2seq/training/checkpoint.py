"""Checkpoints: one folder each, safe against crashes, full disks and bit flips; no pickle.

A checkpoint holds ``model.safetensors``, ``optimizer.safetensors``, ``state.json`` and
``MANIFEST.json`` (format version, sizes, SHA-256). It is written under a temporary name, synced,
and renamed, so a folder called ``step-...`` is whole. Which one is the latest, and which the best,
is computed, never stored.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seq2seq.errors import CheckpointError, StorageError

FORMAT = 1
MODEL, OPTIMIZER, STATE, MANIFEST = (
    "model.safetensors",
    "optimizer.safetensors",
    "state.json",
    "MANIFEST.json",
)
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on, or a model to be used."""

    name: str
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run: saved, found, verified, thinned out."""

    def __init__(self, folder: Path, keep: int = 3, *, training: bool = True) -> None:
        """Uses ``folder`` and keeps the last ``keep`` checkpoints and the best one.

        Without ``training``, what only training needs is neither read nor verified.
        """
        self.folder = folder
        self.keep = keep
        self.training = training

    def names(self) -> list[str]:
        """Returns the names of the numbered checkpoints, newest first."""
        return sorted((path.name for path in self.folder.glob("step-*")), reverse=True)

    def save(
        self,
        name: str,
        model: Mapping[str, Tensor],
        optimizer: Mapping[str, Tensor],
        state: Mapping[str, Any],
    ) -> Path:
        """Writes a checkpoint, verifies it, and only then removes old ones.

        Raises:
            StorageError: The disk is full or refuses the write; earlier checkpoints are intact.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        final, draft = self.folder / name, self.folder / f".tmp-{name}-{os.getpid()}"
        old = draft.with_name(f"{draft.name}-old")
        with _storage(self.folder, sum(map(_size, [*model.values(), *optimizer.values()]))):
            try:
                _write(draft, model, optimizer, state)
                if final.exists():  # damaged, or saved at a signal before this step's validation
                    final.rename(old)
                failpoint("before_rename")
                draft.rename(final)
                _sync(self.folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        failpoint("after_rename")
        shutil.rmtree(old, ignore_errors=True)
        self._thin(name, state.get("best_step"))
        return final

    def latest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint, or None where there is none at all.

        Damaged ones are reported and left where they are.

        Raises:
            CheckpointError: There are checkpoints, and all are damaged.
        """
        damaged = []
        for name in self.names():
            try:
                checkpoint = self.load(name)
            except CheckpointError as error:
                damaged.append(str(error))
                continue
            for text in damaged:
                log.warning("%s; using %s", text, name)
            return checkpoint
        if damaged:
            raise CheckpointError(f"{damaged[0]}; no undamaged checkpoint is left in {self.folder}")
        return None

    def best(self) -> Checkpoint:
        """Returns the checkpoint with the best validation, else the newest undamaged one.

        Raises:
            CheckpointError: No checkpoint can be used.
        """
        latest = self.latest()
        if latest is None:
            raise CheckpointError(f"{self.folder}: no checkpoint; has the run been trained?")
        best = latest.state.get("best_step")
        if best is None or name_of(best) == latest.name:
            return latest
        try:
            return self.load(name_of(best))
        except CheckpointError as error:
            log.warning("%s; using %s", error, latest.name)
            return latest

    def get(self, name: str) -> Checkpoint:
        """Returns the checkpoint that a user names: best, last, a step, or a folder's name.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        if name == "best":
            return self.best()
        if name == "last":
            latest = self.latest()
            if latest is None:
                raise CheckpointError(f"{self.folder}: no checkpoint; has the run been trained?")
            return latest
        wanted = name_of(int(name)) if name.isdigit() else name
        if not (self.folder / wanted).is_dir() or "/" in wanted or wanted[:1] in ("", "."):
            have = ", ".join(["best", "last", *self.names()])
            raise CheckpointError(f"{self.folder}: no checkpoint {name!r}; accepted: {have}")
        return self.load(wanted)

    def load(self, name: str) -> Checkpoint:
        """Reads and verifies one checkpoint.

        Raises:
            CheckpointError: It is damaged; says which file, what was expected and found.
        """
        folder = self.folder / name
        manifest = _read_json(folder, MANIFEST)
        if manifest.get("format") != FORMAT:
            raise CheckpointError(
                f"checkpoint {name}: format {manifest.get('format')!r}, this version reads {FORMAT}"
            )
        files = manifest.get("files")
        if not isinstance(files, dict) or set(files) != {MODEL, OPTIMIZER, STATE}:
            raise CheckpointError(f"checkpoint {name} is damaged ({MANIFEST}: incomplete)")
        for file, facts in files.items():
            if self.training or file != OPTIMIZER:
                _verify(folder, file, facts)
        return Checkpoint(
            name,
            _read_tensors(folder, MODEL),
            _read_tensors(folder, OPTIMIZER) if self.training else {},
            _read_json(folder, STATE),
        )

    def clear_leftovers(self) -> None:
        """Removes drafts that a crash left behind."""
        for draft in sorted(self.folder.glob(".tmp-*")):
            shutil.rmtree(draft, ignore_errors=True)
            log.info("removed %s, left over from an interrupted save", draft.name)

    def _thin(self, newest: str, best_step: int | None) -> None:
        """Removes old checkpoints but the best; later ones than ``newest`` are damaged."""
        spared = {name_of(best_step)} if best_step is not None else set()
        for name in [name for name in self.names() if name <= newest][self.keep :]:
            if name not in spared:
                shutil.rmtree(self.folder / name)


def name_of(step: int) -> str:
    """Returns the name of the checkpoint after ``step`` updates."""
    return f"step-{step:07d}"


def failpoint(name: str) -> None:
    """Kills the process here when SEQ_FAILPOINT names this place: crash tests use it."""
    if os.environ.get("SEQ_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def _write(
    draft: Path,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    state: Mapping[str, Any],
) -> None:
    """Writes the files of a checkpoint and its manifest, and syncs them to the disk."""
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in model.items()}, draft / MODEL)
    failpoint("after_model_write")
    save_file({name: tensor.contiguous() for name, tensor in optimizer.items()}, draft / OPTIMIZER)
    failpoint("after_optimizer_write")
    (draft / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
    files = {file: _facts(draft / file) for file in (MODEL, OPTIMIZER, STATE)}
    manifest = {"format": FORMAT, "files": files}
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for path in draft.iterdir():
        _sync(path)
    _sync(draft)


def _facts(path: Path) -> dict[str, Any]:
    """Returns size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _verify(folder: Path, file: str, facts: object) -> None:
    """Compares a file with its manifest entry."""
    damaged = f"checkpoint {folder.name} is damaged ({file}:"
    if not isinstance(facts, dict):
        raise CheckpointError(f"{damaged} no entry in {MANIFEST})")
    try:
        found = _facts(folder / file)
    except OSError as error:
        raise CheckpointError(f"{damaged} {error.strerror})") from None
    if found["size"] != facts.get("size"):
        expected = facts.get("size")
        shown = f"{expected:,}" if isinstance(expected, int) else repr(expected)
        raise CheckpointError(f"{damaged} expected {shown} bytes, found {found['size']:,})")
    if found["sha256"] != facts.get("sha256"):
        raise CheckpointError(f"{damaged} SHA-256 differs)")


def _read_json(folder: Path, file: str) -> dict[str, Any]:
    """Reads a JSON object of a checkpoint."""
    try:
        value = json.loads((folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not JSON"
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: {why})") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: not a JSON object)")
    return value


def _read_tensors(folder: Path, file: str) -> dict[str, Tensor]:
    """Reads the tensors of a checkpoint."""
    try:
        return load_file(folder / file)
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {folder.name} is damaged ({file}: {error})") from None


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _storage(folder: Path, needed: int) -> Iterator[None]:
    """Turns a refused write into a message with the bytes needed and free."""
    try:
        yield
    except Exception as error:  # safetensors wraps the operating system's error in its own
        full = "No space left" in str(error) or "File too large" in str(error)
        code = getattr(error, "errno", errno.ENOSPC if full else None)
        if code is None:
            raise
        free = shutil.disk_usage(folder).free
        raise StorageError(
            f"{folder}: cannot save a checkpoint ({os.strerror(code)}): "
            f"{needed:,} bytes needed, {free:,} free; earlier checkpoints are intact"
        ) from error
