"""What a run folder came to, for tests that disturb runs."""

import hashlib
from pathlib import Path
from typing import Any

from seq2seq.training.checkpoint import MODEL, OPTIMIZER, Checkpoints
from seq2seq.training.journal import read_history

Outcome = dict[str, Any]
CALIBRATIONS, INSIDE = "calibration/*.json", "refit/*/config.yaml"
"""Where a run folder has what belongs to a checkpoint, and runs of its own."""


def outcome(folder: Path) -> Outcome:
    """Returns all that must be the same: weights, optimiser, scores, losses, rates."""
    checkpoints = Checkpoints(folder / "checkpoints")
    latest = checkpoints.latest()
    assert latest is not None
    hashes = {
        f"{which}: {name}/{file}": _hash(folder / "checkpoints" / name / file)
        for which, name in (("last", latest.name), ("best", checkpoints.best().name))
        for file in (MODEL, OPTIMIZER)
    }
    clocks = {"seconds", "window_seconds", "best_row"}
    state = {key: value for key, value in latest.state.items() if key not in clocks}
    rows = read_history(folder)
    clocks = {"minutes", "tokens_per_second"}
    columns = [{key: row[key] for key in row.keys() - clocks} for row in rows]
    best = latest.state.get("best_row", {})
    state["best"] = {key: best[key] for key in best.keys() - {"minutes"}}
    return {**hashes, "state": state, "metrics": columns, **_beside(folder)}


def _beside(folder: Path) -> Outcome:
    """Returns what some runs have beside their checkpoints: calibrations, and runs inside them."""
    hashes = {f"{file.parent.name}/{file.name}": _hash(file) for file in folder.glob(CALIBRATIONS)}
    inside = {str(path.parent.relative_to(folder)): path.parent for path in folder.glob(INSIDE)}
    return {**hashes, **{name: outcome(path) for name, path in inside.items()}}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def differing(one: Outcome, other: Outcome) -> list[str]:
    """Returns the names of what is not the same."""
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]


def leftovers(folder: Path) -> list[str]:
    """Returns the names of drafts that nobody has removed."""
    return [path.name for path in folder.rglob("*") if ".tmp-" in path.name]
