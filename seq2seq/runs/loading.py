"""How a model comes out of a run folder: only with the pipeline and settings of its training."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from seq2seq.device import pick_device
from seq2seq.errors import CheckpointError
from seq2seq.runs.changes import MAY_CHANGE
from seq2seq.runs.folder import CHECKPOINTS, CONFIG, PIPELINE, PROVENANCE, read_mapping
from seq2seq.runs.start import Start
from seq2seq.training.checkpoint import Checkpoint, Checkpoints
from seq2seq.training.state import load_weights

log = logging.getLogger("seq2seq")


def load_model(model: nn.Module, folder: Path, checkpoint: str, device: str) -> None:
    """Gives a model the weights of a checkpoint, and readies it for use.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or another model's; or the pipeline or
            the configuration is not what it was trained with.
        ConfigError: There is no such device.
    """
    place = pick_device(device, "device")
    found = Checkpoints(folder / CHECKPOINTS, training=False).get(checkpoint)
    require_own(folder, found)
    load_weights(model, found)
    model.to(place).eval()


def find_start(run: Path, checkpoint: str) -> Start:
    """Returns the checkpoint of another run that a user names, to begin from.

    Raises:
        CheckpointError: It is no run folder, or the checkpoint is missing, damaged or not its own.
    """
    read_mapping(run)
    found = Checkpoints(run / CHECKPOINTS, training=False).get(checkpoint)
    require_own(run, found)
    return Start.of(run, found.name)


def load_start(folder: Path, run: str, *, training: bool) -> Checkpoint:
    """Loads the checkpoint from which the run in ``folder`` begins, which lies in ``run``.

    Without ``training``, what only training needs is not read, and may be missing.

    Raises:
        CheckpointError: It is gone, damaged, or no longer as it was.
    """
    start = Start.remembered(folder)
    if start is None:
        raise CheckpointError(f"{folder / PROVENANCE}: does not tell from what the run begins")
    start.require_in(run, folder)
    return Checkpoints(Path(run) / CHECKPOINTS, training=training).load(start.checkpoint)


def own_checkpoints(folder: Path, keep: int) -> tuple[Checkpoints, Checkpoint | None]:
    """Returns a run's checkpoints as whoever trains it has them, and the latest.

    What a save left that was interrupted is mended; ``keep`` last checkpoints are to be kept.

    Raises:
        CheckpointError: All are damaged, or the pipeline or the configuration is not theirs.
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS, keep)
    checkpoints.run = belongings(folder)
    checkpoints.clear_leftovers()
    latest = checkpoints.latest()
    if latest is not None:
        require_own(folder, latest)
    return checkpoints, latest


def belongings(folder: Path) -> dict[str, Any]:
    """Returns what weights that are trained in a run belong to: its pipeline's files, by their
    hashes, and the settings that may not change.

    Raises:
        CheckpointError: The configuration cannot be read.
    """  # noqa: D205
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / PIPELINE).rglob("*"))
        if path.is_file()
    }
    fixed = {
        key: json.dumps(value, sort_keys=True, default=str)
        for key, value in _leaves(read_mapping(folder))
        if not any(free.covers(key) for free in MAY_CHANGE)
    }
    return {"files": files, "config": fixed}


def _leaves(mapping: Mapping[Any, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yields the dotted keys of a configuration as it is written, with their values."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def require_own(folder: Path, checkpoint: Checkpoint) -> None:
    """Makes sure that a checkpoint was trained with what lies beside it.

    Keys that only one of the two has are those of another version.

    Raises:
        CheckpointError: Another pipeline or configuration is there; says which file or key.
    """
    if not checkpoint.run:
        _tell(folder)
        return
    now = belongings(folder)
    for file, told in checkpoint.run.get("files", {}).items():
        if now["files"].get(file) != told:
            there = "is not the one that" if file in now["files"] else "is missing, with which"
            raise CheckpointError(
                f"{folder / file}: {there} {checkpoint.name} was trained with; restore it"
            )
    for key, told in checkpoint.run.get("config", {}).items():
        found = now["config"].get(key, told)
        if found != told:
            raise CheckpointError(
                f"{folder / CONFIG}: {key} is {found}, but {checkpoint.name} was trained with "
                f"{told}; restore it"
            )


@cache
def _tell(folder: Path) -> None:
    """Says that nothing can be compared; once."""
    log.warning(
        "%s: its checkpoints, of an earlier version, do not tell with which pipeline they were "
        "trained; `seq2seq train` adds it when it goes on",
        folder,
    )
