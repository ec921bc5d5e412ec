"""What a run folder tells, and what can be made of its checkpoints."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from seq2seq.errors import ConfigError
from seq2seq.lists import aligned
from seq2seq.runs.folder import CHECKPOINTS, PIPELINE, Run, read_mapping
from seq2seq.runs.loading import require_own
from seq2seq.runs.start import Start
from seq2seq.text.pipeline import FILE, Pipeline
from seq2seq.training.checkpoint import Checkpoints, name_of
from seq2seq.training.state import weights

AVERAGE_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


def summary(model: nn.Module) -> list[str]:
    """Returns a table of the model's weights, their shapes and their numbers."""
    return _table(weights(model))


def kept(folder: Path) -> list[str]:
    """Returns the same of a run without a network: of the arrays that its checkpoint has.

    Raises:
        CheckpointError: There is no checkpoint that can be used.
    """
    best = Checkpoints(folder / CHECKPOINTS, training=False).best()
    require_own(folder, best)
    return _table(best.model) if best.model else ["weights      none: this kind of model has none"]


def _table(tensors: Mapping[str, Tensor]) -> list[str]:
    """Returns a table of tensors, and how many numbers they have in all."""
    rows = [
        (name, "x".join(map(str, tensor.shape)), f"{tensor.numel():,}")
        for name, tensor in tensors.items()
    ]
    total = sum(tensor.numel() for tensor in tensors.values())
    return aligned("<>>", [*rows, ("parameters", "", f"{total:,}")]).splitlines()


def describe(folder: Path) -> str:
    """Returns what a run folder holds, as text.

    Raises:
        CheckpointError: The folder is no run folder, or all its checkpoints are damaged.
    """
    rows = [("run", str(folder)), ("task", str(read_mapping(folder).get("task")))]
    if start := Start.remembered(folder):
        where = f"{start.run}, {start.checkpoint}, SHA-256 {start.sha256}"
        rows.append(("began from", where))
    rows += [("vocabulary", sizes)] if (sizes := _vocabularies(folder / PIPELINE)) else []
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    latest = checkpoints.latest()
    if latest:
        count = sum(tensor.numel() for tensor in latest.model.values())
        rows.append(("parameters", f"{count:,}"))
        require_own(folder, latest)
    rows.append(("checkpoints", ", ".join(checkpoints.names()) or "none"))
    if latest:
        state = latest.state
        rows.append(("trained", f"{state['step']:,} steps, {state['seconds'] / 60:.1f} minutes"))
        scores = Run.of(folder).scores
        if scores:
            rows.append(("best", f"{name_of(state['best_step'])}: {scores}"))
    return aligned("<<", rows)


def _vocabularies(folder: Path) -> str:
    """Returns the sizes of a run's vocabularies, with their names where there are several; empty
    where it reads no text.
    """  # noqa: D205
    if (folder / FILE).is_file():
        return f"{len(Pipeline.load(folder)):,}"
    places = sorted(path.parent for path in folder.glob(f"*/{FILE}"))
    return ", ".join(f"{len(Pipeline.load(place)):,} {place.name}" for place in places)


def average(folder: Path, keep: int, last: int, name: str) -> Path:
    """Averages the weights of the last checkpoints into a new one (Junczys-Dowmunt et al. 2016).

    ``keep`` is how many last checkpoints the run keeps.

    Raises:
        ConfigError: The run has fewer checkpoints, or the name cannot be used.
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS, keep)
    if not AVERAGE_NAME.fullmatch(name) or name in ("best", "last") or name.startswith("step-"):
        raise ConfigError(
            "--name: must be letters, digits, dots and dashes, begin with a letter, "
            f"and be none of best, last and step-..., got {name!r}"
        )
    names = checkpoints.names()[: max(0, last)]
    if not 1 <= last <= len(names):
        raise ConfigError(
            f"--last: must be at least 1 and at most {len(checkpoints.names())}, the checkpoints "
            f"that train.keep left, got {last}"
        )
    loaded = [checkpoints.load(step) for step in names]
    for checkpoint in loaded:
        require_own(folder, checkpoint)
    checkpoints.run = loaded[0].run
    mean = {
        key: torch.stack([checkpoint.model[key].double() for checkpoint in loaded])
        .mean(0)
        .to(tensor.dtype)
        for key, tensor in loaded[0].model.items()
    }
    return checkpoints.save(name, mean, {}, {**loaded[0].state, "averaged": names})
