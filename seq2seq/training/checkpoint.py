"""Checkpoints: one folder each, safe against crashes, full disks and bit flips; no pickle.

A checkpoint holds ``model.safetensors``, ``optimizer.safetensors``, ``state.json`` and
``MANIFEST.json`` (format version, sizes, SHA-256). It is written under a temporary name, synced,
read back and compared, and renamed, so a folder called ``step-`` and digits is whole. Which one is
the latest, and which the best, is computed, never stored.
"""

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import save
from torch import Tensor

from seq2seq.errors import CheckpointError, require_kind
from seq2seq.training.disk import (
    MANIFEST,
    facts_of,
    failpoint,
    json_of,
    put,
    storage,
    sync,
    tensors_of,
    uncached,
    verified,
)

FORMAT = 1
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
DRAFT, OLD = ".tmp-", "-old"
"""How the names of folders begin and end that are not yet, or no longer, checkpoints."""
TRIES = 20
"""How often a run that is being trained is listed again, as a checkpoint went while it was read."""
FoundT = TypeVar("FoundT")
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on, or a model to be used."""

    name: str
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    """With what it was trained; empty: an earlier version did not tell."""


class Checkpoints:
    """The checkpoints of one run: saved, found, verified, thinned out."""

    def __init__(self, folder: Path, keep: int = 3, *, training: bool = True) -> None:
        """Uses ``folder`` and keeps the last ``keep`` checkpoints and the best one.

        Without ``training``, what only training needs is neither read nor verified.
        """
        self.folder = folder
        self.keep = keep
        self.training = training
        self.run: Mapping[str, Any] = {}
        """What is told in each checkpoint of that with which it is trained."""

    def names(self) -> list[str]:
        """Returns the names of the numbered checkpoints, newest first.

        Raises:
            CheckpointError: The folder cannot be read.
        """
        found = [step for name in self._entries() if (step := step_of(name)) is not None]
        return [name_of(step) for step in sorted(found, reverse=True)]

    def _entries(self) -> dict[str, int]:
        """Returns the real folders inside, and the number that the disk gives each."""
        try:
            with os.scandir(self.folder) as entries:
                return {
                    entry.name: entry.inode()
                    for entry in entries
                    if entry.is_dir(follow_symlinks=False)
                }
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self.folder.is_symlink():
                return {}
            raise CheckpointError(
                f"{self.folder}: cannot be read ({error.strerror}); nothing was changed"
            ) from error

    def save(
        self,
        name: str,
        model: Mapping[str, Tensor],
        optimizer: Mapping[str, Tensor],
        state: Mapping[str, Any],
    ) -> Path:
        """Writes a checkpoint, compares what the disk has of it, and only then removes old ones.

        Raises:
            StorageError: The disk is full, refuses the write, or has something else than what was
                written; earlier checkpoints are intact.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        final, draft = self.folder / name, self.folder / f"{DRAFT}{name}-{os.getpid()}"
        old = draft.with_name(f"{draft.name}{OLD}")
        with storage(self.folder, sum(map(_size, [*model.values(), *optimizer.values()]))):
            try:
                _write(draft, model, optimizer, state, self.run)
                if os.path.lexists(final):  # damaged, or saved before this step's validation
                    final.rename(old)
                failpoint("before_rename")
                draft.rename(final)
                sync(self.folder)
            except BaseException:
                if not os.path.lexists(final) and os.path.lexists(old):
                    old.rename(final)
                raise
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        failpoint("after_rename")
        _discard(old)
        self._thin(name, state.get("best_step"))
        return final

    def latest(self) -> Checkpoint | None:
        """Returns the newest undamaged checkpoint, or None where there is none at all.

        Damaged ones are reported and left where they are.

        Raises:
            CheckpointError: There are checkpoints, and all are damaged; or they cannot be listed.
        """
        return self._settled(self._latest)

    def _settled(self, find: Callable[[], FoundT]) -> FoundT:
        """Returns what is found, looking again where checkpoints came or went meanwhile."""
        for _ in range(TRIES):
            before = self._entries()
            try:
                return find()
            except CheckpointError:
                if self._entries() == before:
                    raise
        return find()

    def _latest(self) -> Checkpoint | None:
        """Looks once for the newest undamaged checkpoint."""
        damaged = []
        for name in self.names():
            try:
                checkpoint = self.load(name)
            except CheckpointError as error:
                if name not in self._entries():
                    raise  # thinned out by a run that goes on; there are newer ones
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
        return self._settled(self._best)

    def _best(self) -> Checkpoint:
        """Looks once for the checkpoint with the best validation."""
        latest = self._latest()
        if latest is None:
            raise CheckpointError(f"{self.folder}: no checkpoint; has the run been trained?")
        best = latest.state.get("best_step")
        if best is None or name_of(best) == latest.name:
            return latest
        try:
            return self.load(name_of(best))
        except CheckpointError as error:
            if latest.name != self.names()[0]:
                raise  # a newer one has come, which may have another best
            log.warning("%s; using %s", error, latest.name)
            return latest

    def get(self, name: str) -> Checkpoint:
        """Returns the checkpoint that a user names: best, last, a step, or a folder's name.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
            ConfigError: The name is no text.
        """
        require_kind(name, str, "checkpoint")
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
        try:
            manifest = json_of(folder, MANIFEST, (folder / MANIFEST).read_bytes())
        except OSError as error:
            raise CheckpointError(
                f"checkpoint {name} is damaged ({MANIFEST}: {error.strerror})"
            ) from None
        if manifest.get("format") != FORMAT:
            raise CheckpointError(
                f"checkpoint {name}: format {manifest.get('format')!r}, this version reads {FORMAT}"
            )
        files = manifest.get("files")
        if not isinstance(files, dict) or set(files) != {MODEL, OPTIMIZER, STATE}:
            raise CheckpointError(f"checkpoint {name} is damaged ({MANIFEST}: incomplete)")
        content = {
            file: verified(folder, file, facts)
            for file, facts in files.items()
            if self.training or file != OPTIMIZER
        }
        model = tensors_of(folder, MODEL, content[MODEL])
        if strange := [key for key, tensor in model.items() if not tensor.isfinite().all()]:
            raise CheckpointError(
                f"checkpoint {name} is damaged ({MODEL}: {strange[0]} holds what is no number)"
            )
        return Checkpoint(
            name,
            model,
            tensors_of(folder, OPTIMIZER, content[OPTIMIZER]) if self.training else {},
            json_of(folder, STATE, content[STATE]),
            manifest.get("run") or {},
        )

    def clear_leftovers(self) -> None:
        """Mends what a save left that was interrupted: whoever owns the run calls it first.

        A checkpoint that was about to be replaced comes back, or its draft if that is whole.
        """
        for name in sorted(self._entries()):
            if name.startswith(DRAFT) and name.endswith(OLD):
                self._put_back(self.folder / name)
        for name in sorted(self._entries()):
            if name.startswith(DRAFT):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                log.info("removed %s, left over from an interrupted save", name)

    def _put_back(self, old: Path) -> None:
        """Gives a checkpoint its name again, or gives it to the draft that is whole."""
        draft = old.with_name(old.name.removesuffix(OLD))
        final = old.with_name(draft.name.removeprefix(DRAFT).rpartition("-")[0])
        if final.exists():
            return
        try:
            self.load(draft.name)
            whole = draft
        except CheckpointError:
            whole = old
        whole.rename(final)
        log.info("%s: restored after an interrupted save", final.name)

    def _thin(self, newest: str, best_step: int | None) -> None:
        """Removes old checkpoints but the best; later ones than ``newest`` are damaged."""
        spared = {best_step, None}
        last = step_of(newest)
        steps = [step_of(name) for name in self.names()]
        early = [step for step in steps if last is not None and step is not None and step <= last]
        for step in early[self.keep :]:
            if step not in spared:
                _remove(self.folder / name_of(step))


def name_of(step: int) -> str:
    """Returns the name of the checkpoint after ``step`` updates."""
    return f"step-{step:07d}"


def step_of(name: str) -> int | None:
    """Returns the step of a numbered checkpoint; None for all other names.

    >>> [step_of(name) for name in ("step-0000020", "step-12345678", "step-20", "step-0000020-x")]
    [20, 12345678, None, None]
    """
    digits = name.removeprefix("step-")
    step = int(digits) if digits.isdecimal() and digits.isascii() else None
    return step if step is not None and name_of(step) == name else None


def _discard(path: Path) -> None:
    """Removes what had the name of a checkpoint: a folder, or a file or link of somebody's."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def _remove(folder: Path) -> None:
    """Removes a checkpoint: at once for whoever reads it, and with a warning where it cannot be."""
    gone = folder.with_name(f"{DRAFT}{folder.name}-gone")
    try:
        folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        log.warning("%s: cannot be removed (%s)", folder, error.strerror)


def _write(
    draft: Path,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    state: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Writes the files of a checkpoint and its manifest; makes sure that the disk has them.

    Hashes are of what is in memory: what goes wrong on the way to the disk is found here.

    Raises:
        OSError: The disk has something else.
    """
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    files = {MODEL: put(draft / MODEL, save({key: one.contiguous() for key, one in model.items()}))}
    failpoint("after_model_write")
    slots = save({key: one.contiguous() for key, one in optimizer.items()})
    files[OPTIMIZER] = put(draft / OPTIMIZER, slots)
    failpoint("after_optimizer_write")
    files[STATE] = put(draft / STATE, json.dumps(state, indent=1, allow_nan=False).encode())
    manifest = json.dumps({"format": FORMAT, "files": files, "run": run}, indent=1).encode()
    written = {**files, MANIFEST: put(draft / MANIFEST, manifest)}
    sync(draft)
    for file, facts in written.items():
        if facts_of(uncached(draft / file)) != facts:
            raise OSError(errno.EIO, f"{file} reads back different", str(draft / file))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
