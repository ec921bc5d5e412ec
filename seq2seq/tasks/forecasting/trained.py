"""How a model comes out of a run folder, with the intervals that belong to it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.device import pick_device
from seq2seq.device.memory import build
from seq2seq.errors import CheckpointError
from seq2seq.runs.folder import CHECKPOINTS
from seq2seq.runs.loading import load_model, require_own
from seq2seq.tasks.forecasting.adaptive import Adaptive
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.intervals import Calibrated, Offsets, tell_of_few
from seq2seq.tasks.forecasting.kinds import FITTED, RECURRENT
from seq2seq.tasks.forecasting.learned import Learned
from seq2seq.tasks.forecasting.network import Forecasting, shape_of
from seq2seq.tasks.forecasting.prediction import Predictor
from seq2seq.tasks.forecasting.recurrent import RecurrentPredictor
from seq2seq.training.checkpoint import Checkpoint, Checkpoints, name_of

FACTS = "facts"
"""Where a checkpoint's state has what is not numbers of a model that is fitted."""
CALIBRATION, REFIT = "calibration", "refit"
"""Folders of a run: offsets of intervals by checkpoint; the run that was fitted again."""
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Trained:
    """A model of a run."""

    predictor: Predictor
    networks: tuple[Forecasting, ...] = ()
    """The network inside, if it is one."""
    offsets: Offsets | None = None
    """Where its intervals come from; None: they are its own."""

    def check(self, percents: Sequence[float | int], horizon: int) -> None:
        """Says so where intervals are asked for that validation could not calibrate well."""
        if self.offsets is None:
            return
        for percent in percents:
            tell_of_few(percent, self.offsets.windows)
        if horizon > self.offsets.horizon:
            last = self.offsets.horizon
            log.warning("intervals after step %d are moved as those of that step", last)


def build_model(config: ForecastConfig, learned: Learned) -> Forecasting:
    """Returns a network with fresh weights, drawn from the seed."""
    masked = config.data.missing == "mask"
    shape = shape_of(config.model, learned.like.columns, masked=masked)
    return build(lambda: Forecasting(config.model, shape), config.train.seed)


def restored(
    config: ForecastConfig, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> Predictor:
    """Returns a model that was fitted, from what a run keeps of it."""
    return FITTED[config.model.kind].restored(config.model.choice, arrays, facts)


def bare(
    config: ForecastConfig, learned: Learned, folder: Path, checkpoint: str, device: str
) -> Trained:
    """Returns the model of a checkpoint, its intervals as it makes them itself.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or another model's.
    """
    if config.model.kind == RECURRENT:
        model = build_model(config, learned)
        load_model(model, folder, checkpoint, device)
        return Trained(RecurrentPredictor(model, learned.transform), (model,))
    pick_device(device, "device")  # where nothing is computed on it, but a wrong name is one
    return _fitted(config, folder, checkpoint)


def _fitted(config: ForecastConfig, folder: Path, checkpoint: str) -> Trained:
    """Returns a model that is no network."""
    found = Checkpoints(folder / CHECKPOINTS, training=False).get(checkpoint)
    require_own(folder, found)
    arrays = {name: tensor.numpy() for name, tensor in found.model.items()}
    try:
        return Trained(restored(config, arrays, found.state[FACTS]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"checkpoint {found.name} does not fit this configuration ({error!r})"
        ) from error


def load_trained(
    config: ForecastConfig, learned: Learned, folder: Path, checkpoint: str, device: str
) -> Trained:
    """Returns the model that a run is used with: fitted again, and calibrated, as it says.

    Raises:
        CheckpointError: The checkpoint is missing, damaged, or another model's.
    """
    found = Checkpoints(folder / CHECKPOINTS, training=False).get(checkpoint)
    require_own(folder, found)  # by whose pipeline a model that was fitted again is used, too
    place = refitted_in(folder, found)
    if checkpoint == "best" and config.train.refit and fitted_again(place, found):
        log.info("%s: fitted again on training and validation part", folder)
        one = bare(config, learned, place, "last", device)
    else:
        one = bare(config, learned, folder, checkpoint, device)
    path = calibration(folder, found.name)
    if config.intervals == "model":
        return one
    if not path.is_file():
        log.warning("%s: %s has no calibrated intervals; these are the model's own", folder, path)
        return one
    offsets = Offsets.read(path)
    calibrated = Calibrated(one.predictor, offsets)
    adaptive = config.intervals == "adaptive"
    return Trained(Adaptive(calibrated) if adaptive else calibrated, one.networks, offsets)


def best_of(folder: Path) -> Checkpoint:
    """Returns the best checkpoint of a run."""
    return Checkpoints(folder / CHECKPOINTS, training=False).best()


def calibration(folder: Path, checkpoint: str) -> Path:
    """Returns where a run keeps the offsets of a checkpoint's intervals."""
    return folder / CALIBRATION / f"{checkpoint}.json"


def updates_of(best: Checkpoint) -> int:
    """Returns how many updates a run that is fitted again has, at the best checkpoint's example."""
    return max(1, int(best.state.get("best_step") or best.state["step"]))


def refitted_in(folder: Path, best: Checkpoint) -> Path:
    """Returns the run folder, inside a run's, of the model that is fitted again."""
    return folder / REFIT / name_of(updates_of(best))


def fitted_again(place: Path, best: Checkpoint) -> bool:
    """Tells whether a model was fitted again, to the end."""
    there = name_of(updates_of(best)) in Checkpoints(place / CHECKPOINTS, training=False).names()
    if not there:
        log.warning("%s: not fitted again yet, as train.refit says; `seq2seq train` does it", place)
    return there
