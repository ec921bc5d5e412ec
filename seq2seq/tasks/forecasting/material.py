"""Series, and how a model learns to forecast them."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from seq2seq.data.series.calendar import last_origin
from seq2seq.data.series.config import Role
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.read import fingerprint, open_panel
from seq2seq.data.series.windows import Window, inside, windows
from seq2seq.errors import DataError, brief, require
from seq2seq.runs.folder import CONFIG, PIPELINE, begin
from seq2seq.runs.start import Start
from seq2seq.tasks.forecasting.batches import SeriesBatches, SeriesStore
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.fitting import calibrate_best, fit_and_keep
from seq2seq.tasks.forecasting.forecasts import Request, forecast_panel
from seq2seq.tasks.forecasting.kinds import RECURRENT, Learning
from seq2seq.tasks.forecasting.learned import Learned, windows_of
from seq2seq.tasks.forecasting.recurrent import RecurrentPredictor
from seq2seq.tasks.forecasting.trained import (
    best_of,
    build_model,
    load_trained,
    refitted_in,
    updates_of,
)
from seq2seq.tasks.forecasting.validation import SeriesValidation
from seq2seq.tasks.task import ROLES, Data, Material, Ready

log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class SeriesMaterial(Material[ForecastConfig, Learned]):
    """Series, for a forecaster."""

    panel: Panel
    until: Role = "train"
    """The last part that is learned from: of a run that is fitted again, the validation part."""

    @classmethod
    def open(cls, config: ForecastConfig, data: Data) -> "SeriesMaterial":
        """Opens the table that the configuration names, or frames of pandas.

        A frame holds all parts, as a table does; where there are two, the second goes on where the
        first ends.
        """
        frames = [_frame(data[role], role) for role in ROLES if role in data]
        frame = pd.concat(frames, ignore_index=True) if frames else None
        panel = open_panel(config.data, frame)
        for role in ROLES:
            windows_of(config, panel, role)  # an error now costs less than one after an hour
        return cls(config, panel)

    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of each part: of where it lies, and of all that is seen up to its end.

        So rows may be added after the validation part.
        """
        found: dict[str, str] = {}
        for role in ROLES:
            part = self.config.data.part(role)
            ranges = inside(self.panel, part)
            pairs = zip(self.panel.series, ranges, strict=True)
            seen = [series.part(0, last) for series, (_, last) in pairs]
            facts = [fingerprint(replace(self.panel, series=seen)), ranges, part.reach]
            found[role] = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return found

    def first(self, start: Start | None) -> Learned:
        """Returns what the training part teaches; no forecaster begins from another run."""
        require(start is None, "train.start", "left out for a forecaster", self.config.train.start)
        return super().first(start)

    def learn(self) -> Learned:
        """Learns columns and units."""
        return Learned.of(self.config, self.panel)

    def load(self, folder: Path) -> Learned:
        """Reads what was learned earlier."""
        return Learned.load(folder)

    def ready(self, pipelines: Learned, folder: Path, device: torch.device) -> Ready:
        """Cuts windows, and makes the network and its validation."""
        config, panel = self.config, self.panel
        model = build_model(config, pipelines).to(device)
        shape = model.shape
        store = SeriesStore(panel, pipelines.transform, shape.window, shape.horizon, shape.reach)
        windows = self._windows()
        batches = SeriesBatches(
            store, windows, model.mode.arrange, config.data.batch.rows, config.train.seed
        )
        predictor = RecurrentPredictor(model, pipelines.transform)
        valid = windows_of(config, panel, "valid")
        facts = (
            f"{_counted(panel)}; {len(windows):,} windows to learn from, "
            f"{batches.size(0):,} batches an epoch; {len(valid):,} windows to validate with"
        )
        return Ready(batches, model, SeriesValidation(config, predictor, store, valid), facts)

    def shortened(self, folder: Path, cache: str) -> "SeriesMaterial":
        """Returns the same for two updates in another folder."""
        return replace(self, config=self.config.shortened(str(folder), cache))

    def try_out(self, folder: Path) -> None:
        """Forecasts once."""
        config = self.config
        model = load_trained(config, Learned.load(folder / PIPELINE), folder, "best", "auto")
        horizon, calendar = config.model.horizon, config.data.calendar
        origins = [last_origin(series, horizon, calendar) for series in self.panel.series]
        forecast_panel(model.predictor, config, self.panel, Request(horizon), origins)

    def fit(self, pipelines: Learned, folder: Path, elapsed: Callable[[], float]) -> None:
        """Fits the model, calibrates its intervals, and fits it again where that is asked for."""
        self._fit_once(pipelines, folder, elapsed)
        if self.until == "valid":
            return
        if self.config.intervals != "model":
            calibrate_best(self.config, pipelines, self.panel, folder)
        if self.config.train.refit:
            self._fit_again(pipelines, folder)

    def _fit_once(self, pipelines: Learned, folder: Path, elapsed: Callable[[], float]) -> None:
        """Trains the network, or fits what is none."""
        if self.config.model.kind == RECURRENT:
            super().fit(pipelines, folder, elapsed)
            return
        config, panel, model = self.config, self.panel, self.config.model
        learned_from = panel, self._ranges(), self._windows(), pipelines.transform
        learning = Learning(*learned_from, model.window, model.horizon, model.choice)
        log.info("data: %s", _counted(panel))
        fit_and_keep(config, learning, windows_of(config, panel, "valid"), folder, elapsed)

    def _fit_again(self, pipelines: Learned, folder: Path) -> None:
        """Fits the model to training and validation part, in a run folder inside the run's."""
        started = time.monotonic()
        config, best = self.config, best_of(folder)
        place, updates = refitted_in(folder, best), updates_of(best)
        for old in set(place.parent.glob("*")) - {place}:
            shutil.rmtree(old)  # of another best checkpoint
        # Validated as often as before, though by what it has learned: each time it is saved.
        loop = replace(config.train, steps=updates, epochs=0, minutes=0.0, patience=0)
        again = replace(self, config=replace(config, folder=str(place), train=loop), until="valid")
        if not (place / CONFIG).exists():
            pipelines.save(place / PIPELINE)
            begin(again.config, place, self.fingerprints())
        log.info(
            "fitting again, on training and validation part together (train.refit); the scores "
            "that follow are of data that it learns from"
        )
        again.fit(pipelines, place, lambda: time.monotonic() - started)

    def _windows(self) -> Sequence[Window]:
        """Returns the windows to learn from."""
        model, data = self.config.model, self.config.data
        part = data.part("train", to=self.until)
        return windows(self.panel, part, model.window, model.horizon, data.batch.stride)

    def _ranges(self) -> Sequence[tuple[int, int]]:
        """Returns of each series the steps to learn from."""
        return inside(self.panel, self.config.data.part("train", to=self.until))


def _counted(panel: Panel) -> str:
    """Says how large a panel is."""
    steps = sum(series.known for series in panel.series)
    named = "1 series" if len(panel.series) == 1 else f"{len(panel.series):,} series"
    return f"{named} of {', '.join(panel.columns.targets)}, {steps:,} steps in all"


def _frame(data: object, role: str) -> pd.DataFrame:
    """Returns a frame that was given as the data of a role."""
    if not isinstance(data, pd.DataFrame):
        raise DataError(
            f"{role} data: must be a frame of pandas with a row for each step, got {brief(data)}"
        )
    return data
