"""One experiment, from a configuration to a run folder, and from there to use and scores."""

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

from seq2seq import config as configuration
from seq2seq.errors import ConfigError, StorageError, as_path, nearest, require, require_kind
from seq2seq.evaluation.metrics import Score
from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.runs import describe
from seq2seq.runs.changes import accept_changes, with_former_defaults
from seq2seq.runs.folder import CONFIG, PIPELINE, Run, begin, owned
from seq2seq.runs.loading import find_start
from seq2seq.tasks.task import (
    ROLES,
    Data,
    Material,
    PipelineT,
    TaskConfig,
    Use,
    named,
    read_config,
    task_in,
    task_of,
)

log = logging.getLogger("seq2seq")


def train(
    config: str | os.PathLike[str] | TaskConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    data: Data | None = None,
    train_pairs: Iterable[Any] | None = None,
    valid_pairs: Iterable[Any] | None = None,
    train_texts: Iterable[Any] | None = None,
    valid_texts: Iterable[Any] | None = None,
    dry_run: bool = False,
) -> Run:
    """Trains, or goes on where an earlier call stopped, and returns the run.

    Args:
        config: A YAML file, its content, or a configuration.
        overrides: ``{"model.encoder.cell": "gru"}`` or the words of a command line.
        data: ``{"train": ..., "valid": ...}``: data from Python instead of those that the
            configuration names; pairs of texts for a translator, documents for a language model.
        train_pairs: Until 0.3 the same as ``data["train"]``.
        valid_pairs: Until 0.3 the same as ``data["valid"]``.
        train_texts: Until 0.3 the same as ``data["train"]``.
        valid_texts: Until 0.3 the same as ``data["valid"]``.
        dry_run: Do two updates of everything, saving and use included, and leave nothing.

    Raises:
        Seq2SeqError: Something that the user can mend; see :mod:`seq2seq.errors`.
    """
    started = time.monotonic()
    require_kind(dry_run, bool, "dry_run")
    resolved = resolve(config, overrides)
    require(data is None or isinstance(data, Mapping), "data", "a mapping of roles to data", data)
    given = dict(data or {})
    for role, pairs, texts in (
        ("train", train_pairs, train_texts),
        ("valid", valid_pairs, valid_texts),
    ):
        for name, old in ((f"{role}_pairs", pairs), (f"{role}_texts", texts)):
            if old is not None:
                _tell_of_alias(name, f'data={{"{role}": ...}}')
                given[role] = old
    for role in given:
        if role not in ROLES:
            raise ConfigError(
                f"data: must have the keys {' and '.join(ROLES)}, got {role!r}"
                f"{nearest(str(role), ROLES)}"
            )
    material = named(resolved.task).open(resolved, given)
    if dry_run:
        return _dry_run(material)
    folder = Path(resolved.folder)
    with owned(folder):
        return _train(material, folder, started)


def _tell_of_alias(old: str, new: str) -> None:
    """Says that a keyword has another name now."""
    warnings.warn(f"{old} is now {new}; it goes in version 0.3", FutureWarning, stacklevel=3)


def _train(material: Material[Any, Any], folder: Path, started: float) -> Run:
    """Does the work of :func:`train` in a run folder that is ours."""
    begun = read_config(folder) if (folder / CONFIG).exists() else None
    material = material.settled(begun)
    pipelines = _prepare(material, folder, begun)
    material.fit(pipelines, folder, lambda: time.monotonic() - started)
    return finish(folder)


def _prepare(
    material: Material[Any, PipelineT], folder: Path, begun: TaskConfig | None
) -> PipelineT:
    """Loads what a begun run has learned after comparing it with this one, or learns it."""
    hashes = material.fingerprints()
    if begun is not None:
        accept_changes(begun, material.config, folder, hashes)
        if (folder / PIPELINE).exists():
            return material.load(folder / PIPELINE)
    train = material.config.train
    start = find_start(Path(train.start), train.start_checkpoint) if train.start else None
    pipelines = material.first(start)
    pipelines.save(folder / PIPELINE)
    facts = asdict(start) if start else None
    begin(material.config, folder, hashes, facts, material.origins())
    return pipelines


def finish(folder: Path) -> Run:
    """Draws the learning curve and returns the run."""
    run = Run.of(folder)
    picture = folder / "plots" / "learning_curve.png"
    try:
        picture.parent.mkdir(exist_ok=True)
        plot_learning_curve(run.history, picture)
    except ConfigError as error:
        log.info("no learning curve: %s", error)
    except (StorageError, OSError) as error:
        log.warning("no learning curve: %s", error)
    return run


def resolve(
    config: str | os.PathLike[str] | TaskConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
) -> TaskConfig:
    """Returns the whole configuration, with the run folder named and nothing left open.

    Raises:
        ConfigError: A file, key or value cannot be used.
    """
    mapping, name, where = _mapping(config)
    words = isinstance(overrides, list | tuple) and all(isinstance(one, str) for one in overrides)
    accepted = "a mapping of keys to values, or the words of a command line in a list"
    require(words or isinstance(overrides, Mapping), "overrides", accepted, overrides)
    named_task = configuration.single_override(overrides, "task")
    task = task_of(mapping if named_task is None else {**mapping, "task": named_task}, where)
    settled = configuration.settle(task.config, mapping, overrides, where)
    resolved: TaskConfig = settled.config.settled()
    ends = resolved.train.steps or resolved.train.minutes
    if ends and "train.epochs" not in settled.given:
        # The task's usual number of epochs is for want of another end.
        resolved = replace(resolved, train=replace(resolved.train, epochs=0))
    if not resolved.folder:
        resolved = replace(resolved, folder=f"runs/{name}")
    folder = Path(resolved.folder)
    if not (folder / CONFIG).exists():
        return resolved
    return with_former_defaults(resolved, read_config(folder), settled.given)


def _mapping(
    config: str | os.PathLike[str] | TaskConfig | Mapping[str, object],
) -> tuple[Mapping[Any, object], str, str]:
    """Returns a configuration as a mapping, a name for its run, and what messages call it."""
    if isinstance(config, Mapping):
        return config, "run", "config"
    if isinstance(config, str | os.PathLike):
        path = as_path(config, "config")
        whole = path.resolve()
        name = whole.stem if whole.stem != "config" else whole.parent.name
        return configuration.read(path), name, str(path)
    known = is_dataclass(config) and not isinstance(config, type)
    require(known, "config", "a YAML file, its content as a mapping, or a configuration", config)
    return configuration.plain(config), "run", "config"


def _dry_run(material: Material[Any, Any]) -> Run:
    """Does two updates of everything in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="seq2seq-dry-run-") as place:
        folder = Path(place) / "run"
        folder.mkdir()
        run = _train(material.shortened(folder, f"{place}/cache"), folder, time.monotonic())
        material.try_out(folder)
        log.info("dry run: two updates, validation, save, load and use work")
        return replace(run, folder=Path(material.config.folder))


def load(run: str | os.PathLike[str], *, checkpoint: str = "best", device: str = "auto") -> Use:
    """Loads a trained run as what its task makes of it, such as a translator or a generator.

    Raises:
        CheckpointError: It is no run folder, or the checkpoint is missing or damaged.
    """
    folder = as_path(run, "run")
    task = named(task_in(folder))
    return task.load(folder, checkpoint=checkpoint, device=device)


def evaluate(
    run: str | os.PathLike[str],
    data: Iterable[Any] | None = None,
    settings: Mapping[str, object] | None = None,
    *,
    checkpoint: str = "best",
    device: str = "auto",
) -> list[Score]:
    """Measures a trained run, as ``seq2seq evaluate`` does.

    Args:
        run: The run folder.
        data: What to measure on, such as pairs or documents; without them, the test data that the
            run's configuration names.
        settings: The task's own settings, such as ``{"metrics": ["bleu", "chrf"]}``.
        checkpoint: ``best``, ``last``, a step, or a name.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda-graphs``.

    Raises:
        Seq2SeqError: Something that the user can mend; see :mod:`seq2seq.errors`.
    """
    folder = as_path(run, "run")
    settings = {} if settings is None else settings
    require(isinstance(settings, Mapping), "settings", "a mapping of names to values", settings)
    task = named(task_in(folder))
    return task.evaluate(folder, data, settings, checkpoint=checkpoint, device=device)


def average(run: str | os.PathLike[str], last: int = 3, name: str = "average") -> Path:
    """Averages the weights of a run's last checkpoints into a new one, and returns its folder.

    Raises:
        ConfigError: The run has fewer checkpoints, or the name cannot be used.
    """
    folder = as_path(run, "run")
    return describe.average(folder, read_config(folder).train.keep, last, name)
