"""Forecasts of all series of a panel, and the long table that they are given in."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seq2seq.data.series.calendar import ahead, extended, last_origin
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.times import shown
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError, require, require_kind, require_whole
from seq2seq.evaluation.forecast_metrics import quantile_levels
from seq2seq.evaluation.plots.forecast import Course
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.learned import Learned
from seq2seq.tasks.forecasting.prediction import Prediction, Predictor
from seq2seq.tasks.forecasting.scaling import named

PERCENTS = (80, 95)
"""The intervals that a forecast has unless told."""
SEASONS_DRAWN, STEPS_DRAWN = 6, 40
"""How much of the history a picture shows: so many seasons, or so many steps where that is more;
and at least three times what is forecast."""
DIGITS = 8
"""Of a number that is written."""
log = logging.getLogger("seq2seq")


def require_levels(levels: Sequence[float | int]) -> None:
    """Raises a :class:`ConfigError` unless all intervals are numbers between 0 and 100."""
    for level in levels:
        require_kind(level, float, "levels")
        require(0 < level < 100, "levels", "numbers between 0 and 100, such as (80, 95)", level)


@dataclass(frozen=True)
class Request:
    """What is to be forecast."""

    horizon: int
    levels: tuple[float | int, ...] = PERCENTS
    """The intervals, in per cent."""
    samples: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        require_whole(self.horizon, "horizon", 1)
        require_whole(self.samples, "samples", 0)
        require_whole(self.seed, "seed", 0)
        require_levels(self.levels)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantile levels that the intervals need."""
        return quantile_levels(self.levels)


@dataclass(frozen=True)
class Forecasts:
    """What was forecast of some series, each from its own origin."""

    panel: Panel
    """With the steps that were forecast."""
    origins: Sequence[int]
    prediction: Prediction
    percents: tuple[float | int, ...]

    def frame(self) -> pd.DataFrame:
        """Returns a long table: a row for each step of each series and target."""
        targets = self.panel.columns.targets
        rows: list[pd.DataFrame] = []
        for number, (series, origin) in enumerate(
            zip(self.panel.series, self.origins, strict=True)
        ):
            for column, target in enumerate(targets):
                values = self._values(number, column)
                times = series.times[origin : origin + self.prediction.point.shape[1]]
                names = {"unique_id": series.name} if series.name else {}
                names |= {"ds": times} | ({"target": target} if len(targets) > 1 else {})
                rows.append(pd.DataFrame(names | values))
        return pd.concat(rows, ignore_index=True)

    def _values(self, number: int, column: int) -> dict[str, np.ndarray]:
        """Returns the columns of one series and target: lower ends, upper ends, samples."""
        made = self.prediction
        values = {"forecast": made.point[number, :, column]}
        for percent in self.percents:
            low, high = (end[number, :, column] for end in made.interval(percent))
            values |= {f"lo-{percent:g}": low, f"hi-{percent:g}": high}
        if made.samples is not None:
            courses = made.samples[number, :, column].T
            values |= {f"sample-{place}": one for place, one in enumerate(courses, start=1)}
        return values

    def courses(self) -> list[Course]:
        """Returns what a picture shows of each series and target."""
        targets = range(len(self.panel.columns.targets))
        return [self._course(one, column) for one in range(len(self.origins)) for column in targets]

    def _course(self, number: int, column: int) -> Course:
        """Returns what a picture shows of one target of a series."""
        series, origin = self.panel.series[number], self.origins[number]
        made, steps = self.prediction, self.prediction.point.shape[1]
        drawn = max(SEASONS_DRAWN * self.panel.season, STEPS_DRAWN, 3 * steps)
        before = series.part(max(0, origin - drawn), origin)
        after = series.part(origin, origin + steps)
        ends = {one: made.interval(one) for one in self.percents}
        return Course(
            f"{series.name} {self.panel.columns.targets[column]}".strip(),
            before.times,
            before.targets[:, column],
            after.times,
            made.point[number, :, column],
            {one: (low[number, :, column], high[number, :, column])
             for one, (low, high) in ends.items()},
            after.targets[:, column],
            None if made.samples is None else made.samples[number, :, column],
        )  # fmt: skip


def forecast_panel(
    predictor: Predictor,
    config: ForecastConfig,
    panel: Panel,
    request: Request,
    origins: Sequence[int] | None = None,
) -> Forecasts:
    """Forecasts each series of a panel, from its present unless ``origins`` say from where.

    Raises:
        DataError: Something is not known that a forecast needs.
    """
    origins = [series.known for series in panel.series] if origins is None else origins
    calendar, names = config.data.calendar, panel.columns.future
    longer = []
    for series, origin in zip(panel.series, origins, strict=True):
        present = origin == series.known
        asked = request.horizon, panel.frequency, calendar, names
        longer.append(extended(series, *asked) if present else series)
    panel = replace(panel, series=longer)
    windows = [Window(number, origin) for number, origin in enumerate(origins)]
    prediction = predictor.predict(
        panel, windows, request.horizon, request.quantiles, request.samples, request.seed
    )
    return Forecasts(panel, origins, prediction, request.levels)


def own_panel(
    config: ForecastConfig, learned: Learned, run: Path, horizon: int
) -> tuple[Panel, list[int]]:
    """Returns a run's own data, and of each series the last step from which all needed is known.

    Raises:
        ConfigError: The run has learned from frames.
        DataError: There is no such step.
    """
    panel = learned.read_own(config, run)
    origins = [last_origin(one, horizon, config.data.calendar) for one in panel.series]
    for series, origin in zip(panel.series, origins, strict=True):
        if origin < 1:
            raise DataError(f"{named(series)}: future covariates are not known for {horizon} steps")
    firsts = {shown(_time(panel, number, at)) for number, at in enumerate(origins)}
    early = any(at < one.known for at, one in zip(origins, panel.series, strict=True))
    why = ", the last time from which all future covariates are known" if early else ""
    log.info("forecasting from %s on%s", min(firsts), why)
    return panel, origins


def _time(panel: Panel, number: int, step: int) -> object:
    """Returns the time of a step of a series, or of that after its last."""
    times = panel.series[number].times
    return times[step] if step < len(times) else ahead(times, 1, panel.frequency)[0]


def told_of(frame: pd.DataFrame) -> list[Mapping[str, Any]]:
    """Returns the rows of a long table as JSON has them."""
    times = frame["ds"].map(shown)
    rows: list[dict[str, Any]] = frame.assign(ds=times).to_dict("records")
    return [{name: _written(value) for name, value in row.items()} for row in rows]


def _written(value: Any) -> Any:  # noqa: ANN401
    """Returns a number with as many digits as are written; of what is no number, nothing."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
