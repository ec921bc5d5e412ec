"""A trained run in use: tables in, forecasts out, from any point in time."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from torch import nn

from seq2seq.data.series.calendar import ahead, extended
from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.times import shown
from seq2seq.errors import DataError, as_list, as_path, require_kind
from seq2seq.evaluation.plots.forecast import plot_forecast
from seq2seq.runs.folder import PIPELINE
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.forecasts import (
    PERCENTS,
    Forecasts,
    Request,
    forecast_panel,
    own_panel,
)
from seq2seq.tasks.forecasting.learned import Learned, Table, require_table
from seq2seq.tasks.forecasting.prediction import State, ahead_of, followed, joined
from seq2seq.tasks.forecasting.scaling import named
from seq2seq.tasks.forecasting.trained import Trained, load_trained
from seq2seq.tasks.task import read_config_of


@dataclass(frozen=True)
class Followed:
    """A series that is followed as it goes on."""

    state: State
    tail: Series
    """Its last known step, and the steps after it of which future covariates are known."""


class Forecaster:
    """Forecasts series: ``Forecaster.load("runs/ridership")(frame, horizon=14)``.

    One that has been given rows by :meth:`update` goes on from there.
    """

    def __init__(
        self,
        trained: Trained,
        learned: Learned,
        config: ForecastConfig,
        run: Path = Path(),
        series: Mapping[str, Followed] | None = None,
    ) -> None:
        """``series`` are those that have been read, by name."""
        self.trained, self.learned, self.config, self.run = trained, learned, config, run
        self.series = dict(series or {})

    @classmethod
    def load(
        cls, run: str | Path, *, checkpoint: str = "best", device: str = "auto"
    ) -> "Forecaster":
        """Loads a run folder.

        Raises:
            CheckpointError: It is no run folder of a forecaster, or the checkpoint is missing or
                damaged.
        """
        folder = as_path(run, "run")
        config = read_config_of(ForecastConfig, folder)
        learned = Learned.load(folder / PIPELINE)
        trained = load_trained(config, learned, folder, checkpoint, device)
        return cls(trained, learned, config, folder)

    @property
    def models(self) -> Sequence[nn.Module]:
        """The network, as every :class:`seq2seq.tasks.task.Use` has it; other kinds have none."""
        return self.trained.networks

    def __call__(
        self,
        table: Table = None,
        horizon: int | None = None,
        *,
        levels: Sequence[float | int] = PERCENTS,
        samples: int = 0,
        seed: int = 1,
    ) -> pd.DataFrame:
        """Returns the steps after the present of each series, in a long table.

        Its columns are ``unique_id`` (where series have names), ``ds``, ``target`` (where there are
        several), ``forecast``, for each interval ``lo-80`` and ``hi-80``, and ``sample-1`` and so
        on.

        Args:
            table: A frame of pandas, or the path of a file, with the columns of that which the run
                has learned from; it may go on after the present with future covariates. Without it:
                the series that were given to :meth:`update`, else the run's own data, from the last
                step from which all that a forecast needs is known.
            horizon: Steps; without it, the model's own.
            levels: The intervals, in per cent.
            samples: How many courses that things may take.
            seed: The same seed gives the same courses.

        Raises:
            DataError: The table cannot be used, or lacks something that a forecast needs.
            ConfigError: A setting makes no sense.
        """
        request = self._request(horizon, levels, samples, seed)
        if table is None and self.series:
            return self._onwards(request).frame()
        return self.forecasts(table, request).frame()

    def forecasts(self, table: Table, request: Request) -> Forecasts:
        """Forecasts a table, or without one the run's own data; tells the series beside it.

        Errors are those of :meth:`__call__`.
        """
        require_kind(request, Request, "request")
        self.trained.check(request.levels, request.horizon)
        origins = None
        if table is None:
            panel, origins = own_panel(self.config, self.learned, self.run, request.horizon)
        else:
            require_table(table, "table")
            panel = self.learned.read(self.config, table)
        return forecast_panel(self.trained.predictor, self.config, panel, request, origins)

    def update(self, rows: pd.DataFrame | str | os.PathLike[str]) -> "Forecaster":
        """Returns a forecaster that has read more rows, and goes on from there.

        Of a series that has been read before, rows begin where it ended; what that costs depends on
        these rows alone, and forecasts are those after reading the whole again. Rows after the
        present, with future covariates and no targets, are kept until the next update.

        Raises:
            DataError: The rows cannot be used, or do not follow on what was read.
        """
        require_table(rows, "rows")
        panel = self.learned.read(self.config, rows)
        read = {one.name: self._read(panel, one, self.series.get(one.name)) for one in panel.series}
        return Forecaster(self.trained, self.learned, self.config, self.run, self.series | read)

    def plot(
        self,
        path: str | Path | None = None,
        table: Table = None,
        horizon: int | None = None,
        *,
        levels: Sequence[float | int] = PERCENTS,
        samples: int = 0,
        seed: int = 1,
    ) -> Path:
        """Draws history, forecast and intervals, and what came where that is known.

        Arguments are those of :meth:`__call__`; without a table, the run's own data are drawn.
        Returns the picture's path.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        path = as_path("forecast.png" if path is None else path, "path")
        made = self.forecasts(table, self._request(horizon, levels, samples, seed))
        plot_forecast(made.courses(), path)
        return path

    def _request(
        self, horizon: int | None, levels: Sequence[float | int], samples: int, seed: int
    ) -> Request:
        """Returns what is asked for, the model's own horizon in place of none."""
        steps = self.config.model.horizon if horizon is None else horizon
        return Request(steps, tuple(as_list(levels, "levels", "numbers")), samples, seed)

    def _read(self, panel: Panel, series: Series, before: Followed | None) -> Followed:
        """Returns a series that begins with new rows, or goes on with them."""
        known = series.known
        if before is None:
            if known == 0:
                raise DataError(f"{named(series)}: no target is known in the rows to begin with")
            state = self.trained.predictor.state(panel, series.part(0, known))
            return Followed(state, series.part(known - 1, len(series.times)))
        last = before.tail.part(0, 1)
        (expected,) = ahead(last.times, 1, panel.frequency)
        if series.times[0] != expected:
            raise DataError(
                f"{named(series)}: rows begin at {shown(series.times[0])}, and what was read ended "
                f"at {shown(last.times[0])}; give those from {shown(expected)} on"
            )
        if known == 0:
            return Followed(before.state, followed(last, series))
        state = before.state.extended(series.part(0, known))
        return Followed(state, series.part(known - 1, len(series.times)))

    def _onwards(self, request: Request) -> Forecasts:
        """Forecasts the series that have been read."""
        self.trained.check(request.levels, request.horizon)
        like, calendar = self.learned.like, self.config.data.calendar
        asked = request.quantiles, request.samples, request.seed
        tails, found = [], []
        for one in self.series.values():
            names = like.columns.future
            tail = extended(one.tail, request.horizon, like.frequency, calendar, names)
            tails.append(tail)
            found.append(one.state.forecast(ahead_of(tail, 1, request.horizon), *asked))
        panel = replace(like, series=tails)
        return Forecasts(panel, [1] * len(tails), joined(found), request.levels)
