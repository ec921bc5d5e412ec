"""What may change in the configuration when a run goes on.

The refusal of a change and the README tell the same list; it is made here.
"""

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from seq2seq import config as configuration
from seq2seq.device import pick_device, pick_precision
from seq2seq.errors import ConfigError
from seq2seq.runs.folder import begun_hashes, write_config
from seq2seq.runs.start import Start
from seq2seq.training.config import LIMITS, TrainConfig

BITS = "the weights are then no longer, bit for bit, those of an undisturbed run"
log = logging.getLogger("seq2seq")


@runtime_checkable
class RunConfig(Protocol):
    """What is asked here of a run's configuration; it is a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def task(self) -> str:
        """What the run is for."""
        ...

    @property
    def train(self) -> TrainConfig:
        """The training loop."""
        ...


ConfigT = TypeVar("ConfigT", bound=RunConfig)


@dataclass(frozen=True)
class Comparison:
    """A run as it was begun, and as it is to go on."""

    begun: RunConfig
    now: RunConfig
    begun_hashes: Mapping[str, str]
    hashes: Mapping[str, str]
    """Hashes of the data by role: ``train``, ``valid``."""
    start: Start | None = None
    """From what the run was begun, if it was another run."""

    @property
    def other_content(self) -> list[str]:
        """The roles whose data are not those that the run was begun with."""
        return [role for role, now in self.hashes.items() if now != self.begun_hashes.get(role)]


def _always(comparison: Comparison) -> bool:
    return True


def _same_content(comparison: Comparison) -> bool:
    return not comparison.other_content


def _same_start(comparison: Comparison) -> bool:
    run, start = comparison.now.train.start, comparison.start
    return start is not None and start.lies_in(run)


def _no_end_by_validation(comparison: Comparison) -> bool:
    train = comparison.now.train
    return not train.patience and train.optimizer.schedule.name != "plateau"


def _same_precision(comparison: Comparison) -> bool:
    device = pick_device(comparison.now.train.device, "train.device")
    settings = (comparison.begun.train, comparison.now.train)
    return len({pick_precision(train.precision, device) for train in settings}) == 1


@dataclass(frozen=True)
class Free:
    """Keys that may change."""

    keys: tuple[str, ...]
    """Dotted keys; of a section, all keys below it."""
    condition: str = ""
    """When, in words."""
    holds: Callable[[Comparison], bool] = _always
    told: str = ""
    """What whoever changes them is told."""

    def covers(self, key: str) -> bool:
        """Tells whether a dotted key is one of these."""
        return any(f"{key}.".startswith(f"{free}.") for free in self.keys)


MAY_CHANGE = (
    Free(tuple(f"train.{limit}" for limit in LIMITS)),
    Free(("train.keep", "train.log_every")),
    Free(("search", "sampling", "intervals", "train.refit")),
    Free(("data.test", "data.folder", "data.cache", "folder")),
    Free(
        ("data.train", "data.valid", "data.series.path", "data.series.more"),
        "with the same content",
        _same_content,
    ),
    Free(("train.start",), "where the same checkpoint lies now", _same_start),
    Free(
        ("validation",),
        "without `train.patience` and a plateau schedule, which go by it",
        _no_end_by_validation,
    ),
    Free(("train.precision",), "to what comes to the same on this machine", _same_precision),
    Free(("train.threads", "train.device", "train.deterministic"), BITS, told=BITS),
)
"""What the weights do not depend on, or not beyond their last bits."""


_LEARNING = {"train.optimizer.learning_rate": 1e-3, "train.optimizer.schedule.name": "cosine"}
_PAIRS = {f"model.{side}.input_dropout": None for side in ("encoder", "decoder")} | _LEARNING
_LAYERS = {"model.layers.input_dropout": None}
FORMER_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "translation": _PAIRS,
    "transduction": _PAIRS,
    "language-model": _LAYERS | _LEARNING,
    "forecasting": _LAYERS,
}
"""What keys of a task were by default until December 2026; runs that were begun so go on so."""


def with_former_defaults(config: ConfigT, begun: RunConfig, given: Container[str]) -> ConfigT:
    """Returns a configuration with what was a default when the run began, where it says nothing."""
    then, now = configuration.flatten(begun), configuration.flatten(config)
    kept = {
        key: value
        for key, value in FORMER_DEFAULTS.get(config.task, {}).items()
        if key in now and key not in given and then.get(key, now[key]) == value != now[key]
    }
    if not kept:
        return config
    log.info("as when the run was begun, since nothing else is said: %s", ", ".join(kept))
    return configuration.from_mapping(type(config), configuration.plain(config), kept)


def may_change() -> list[str]:
    """Returns the list for people, one line for each entry of :data:`MAY_CHANGE`."""
    lines = []
    for free in MAY_CHANGE:
        keys = ", ".join(f"`{key}`" for key in free.keys)
        lines.append(f"{keys} ({free.condition})" if free.condition else keys)
    return lines


def accept_changes(
    begun: RunConfig, now: RunConfig, folder: Path, hashes: Mapping[str, str]
) -> None:
    """Writes the configuration with which a run goes on, and tells what has changed.

    Raises:
        ConfigError: Something has changed that the weights depend on.
        CheckpointError: The run no longer knows with which data it was begun.
    """
    comparison = Comparison(begun, now, begun_hashes(folder), hashes, Start.remembered(folder))
    changed = configuration.differences(begun, now)
    frozen = [line for line in changed if _freedom(line, comparison) is None]
    frozen += [f"data.{role}: other content" for role in comparison.other_content]
    if frozen:
        raise ConfigError(
            f"{folder} was begun with another configuration ({'; '.join(frozen)}); "
            "undo the change, or name a new folder with --folder; "
            f"what may change: {'; '.join(may_change())}"
        )
    for line in changed:
        log.info("changed: %s", line)
    for told in {free.told for line in changed if (free := _freedom(line, comparison))} - {""}:
        log.warning("%s: %s", folder, told)
    write_config(now, folder)


def _freedom(line: str, comparison: Comparison) -> Free | None:
    """Returns the entry that allows a difference, ``key: old -> new``, or None."""
    key = line.partition(":")[0]
    free = (entry for entry in MAY_CHANGE if entry.covers(key) and entry.holds(comparison))
    return next(free, None)
