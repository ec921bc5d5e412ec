"""Forecasts that need no training: the last value, the last season, a straight line.

Their intervals are those of Hyndman & Athanasopoulos, "Forecasting: Principles and Practice" (3rd
edition, section 5.5): normal, from the residuals of all one-step forecasts before the origin.
Where numbers are missing, the last one known stands in, with an interval as wide as its age says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from seq2seq.data.series.panel import Panel, Series
from seq2seq.errors import DataError
from seq2seq.tasks.forecasting.prediction import Prediction, Rolling, State, generator, normal
from seq2seq.tasks.forecasting.scaling import named


@dataclass(frozen=True)
class Residuals:
    """Errors of one-step forecasts, added up for each column."""

    count: Int[np.ndarray, "C"]
    total: Float[np.ndarray, "C"]
    squares: Float[np.ndarray, "C"]

    @classmethod
    def none(cls, columns: int) -> "Residuals":
        """Returns the sums before the first error."""
        return cls(np.zeros(columns, dtype=int), np.zeros(columns), np.zeros(columns))

    def with_more(self, errors: Float[np.ndarray, "T C"]) -> "Residuals":
        """Returns the sums with those errors that are known."""
        known = np.isfinite(errors)
        errors = np.where(known, errors, 0.0)
        return Residuals(
            self.count + known.sum(axis=0),
            self.total + errors.sum(axis=0),
            self.squares + (errors**2).sum(axis=0),
        )

    def deviation(self, *, centred: bool) -> Float[np.ndarray, "C"]:
        """Returns the standard deviation, about the mean or about nothing; NaN where unknown."""
        squares = self.squares
        if centred:
            squares = squares - self.total**2 / np.maximum(self.count, 1)
        freedom = np.where(self.count > centred, self.count - centred, np.nan)
        deviation: Float[np.ndarray, C] = np.sqrt(np.maximum(squares, 0.0) / freedom)
        return deviation


@dataclass(frozen=True)
class LastSeason:
    """The state of the seasonal naive, and with a season of one step of the naive."""

    name: str
    """How messages call the series."""
    values: Float[np.ndarray, "m C"]
    """The last known value of each step of the season, the one that comes next first."""
    ages: Int[np.ndarray, "m C"]
    """How many seasons ago that was, beyond the last."""
    residuals: Residuals

    @classmethod
    def before(cls, series: Series, season: int) -> "LastSeason":
        """Returns the state before the first step."""
        shape = (season, series.targets.shape[1])
        return cls(named(series), np.full(shape, np.nan), np.zeros(shape, dtype=int),
                   Residuals.none(shape[1]))  # fmt: skip

    def extended(self, rows: Series) -> "LastSeason":
        """Returns the state after more steps."""
        season, steps = len(self.values), len(rows.times)
        # Whole seasons, so that steps of one season lie below each other.
        padding = -steps % season
        new = np.concatenate([rows.targets, np.full((padding, *self.values.shape[1:]), np.nan)])
        table = np.concatenate([self.values, new]).reshape(-1, season, self.values.shape[1])
        latest = np.where(np.isfinite(table), np.arange(len(table))[:, None, None], 0)
        latest = np.maximum.accumulate(latest, axis=0)
        ages = np.arange(len(table))[:, None, None] - latest
        ages[latest == 0] += np.broadcast_to(self.ages, ages.shape)[latest == 0]
        filled = np.take_along_axis(table, latest, axis=0)
        flat = (-1, self.values.shape[1])
        filled, ages = filled.reshape(flat), ages.reshape(flat)
        before = np.where(ages[:steps] == 0, filled[:steps], np.nan)
        kept = slice(steps, steps + season)
        return replace(
            self,
            values=filled[kept],
            ages=ages[kept],
            residuals=self.residuals.with_more(rows.targets - before),
        )

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``.

        Raises:
            DataError: A step of the season has never been seen.
        """
        steps, season = np.arange(len(ahead.times)), len(self.values)
        point = self.values[steps % season]
        if np.isnan(point).any():
            raise DataError(
                f"{self.name}: the season has {season} steps, of which not each is known "
                "before the origin; set data.season, or forecast from later on"
            )
        seasons = steps[:, None] // season + 1 + self.ages[steps % season]
        deviation = self.residuals.deviation(centred=False)
        drawn = None
        if samples:
            noise = generator(seed, ahead).standard_normal((*point.shape, samples))
            # The first season has the noise of the seasons since its values were known as well.
            noise[:season] *= np.sqrt(seasons[:season, :, None])
            drawn = point[..., None] + deviation[:, None] * _seasonal_sum(noise, season)
        quantiles = normal(point, deviation * np.sqrt(seasons), levels)
        return Prediction.of_one(point, quantiles, levels, drawn)


@dataclass(frozen=True)
class Line:
    """The state of the drift: a line through the first and the last value."""

    name: str
    """How messages call the series."""
    steps: int
    first: Float[np.ndarray, "C"]
    first_at: Int[np.ndarray, "C"]
    last: Float[np.ndarray, "C"]
    last_at: Int[np.ndarray, "C"]
    residuals: Residuals

    @classmethod
    def before(cls, series: Series) -> "Line":
        """Returns the state before the first step."""
        columns = series.targets.shape[1]
        unknown, nowhere = np.full(columns, np.nan), np.zeros(columns, dtype=int)
        return cls(named(series), 0, unknown, nowhere, unknown, nowhere, Residuals.none(columns))

    def extended(self, rows: Series) -> "Line":
        """Returns the state after more steps."""
        if not len(rows.times):
            return self
        values, known = rows.targets, np.isfinite(rows.targets)
        columns, some = np.arange(values.shape[1]), known.any(axis=0)
        first, last = known.argmax(axis=0), len(values) - 1 - known[::-1].argmax(axis=0)
        new = some & np.isnan(self.first)
        before = np.where(self.last_at == self.steps - 1, self.last, np.nan)
        return replace(
            self,
            steps=self.steps + len(values),
            first=np.where(new, values[first, columns], self.first),
            first_at=np.where(new, self.steps + first, self.first_at),
            last=np.where(some, values[last, columns], self.last),
            last_at=np.where(some, self.steps + last, self.last_at),
            residuals=self.residuals.with_more(np.diff(np.vstack([before, values]), axis=0)),
        )

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``.

        Raises:
            DataError: Fewer than two values are known.
        """
        length = (self.last_at - self.first_at).astype(float)
        if not (length > 0).all():
            raise DataError(f"{self.name}: the drift needs two known values")
        slope = (self.last - self.first) / length
        steps = np.arange(1, len(ahead.times) + 1)[:, None] + (self.steps - 1 - self.last_at)
        point = self.last + slope * steps
        deviation = self.residuals.deviation(centred=True)
        drawn = None
        if samples:
            random = generator(seed, ahead)
            noise = random.standard_normal((*point.shape, samples))
            noise[0] *= np.sqrt(steps[0])[:, None]
            tilt = random.standard_normal((1, point.shape[1], samples)) / np.sqrt(length)[:, None]
            course = noise.cumsum(axis=0) + tilt * steps[..., None]
            drawn = point[..., None] + deviation[:, None] * course
        width = deviation * np.sqrt(steps * (1 + steps / length))
        return Prediction.of_one(point, normal(point, width, levels), levels, drawn)


@dataclass(frozen=True)
class SeasonalNaive(Rolling):
    """Repeats the last season."""

    season: int = 0
    """Steps; 0: the panel's own."""
    name: str = "seasonal-naive"

    def start(self, panel: Panel, series: Series) -> State:
        """Returns the state before the first step."""
        return LastSeason.before(series, self.season or panel.season)


@dataclass(frozen=True)
class Drift(Rolling):
    """Draws a line through the first and the last value."""

    name: str = "drift"

    def start(self, panel: Panel, series: Series) -> State:
        """Returns the state before the first step."""
        return Line.before(series)


NAIVE = SeasonalNaive(1, "naive")
"""Repeats the last value."""
BASELINES: dict[str, Rolling] = {model.name: model for model in (NAIVE, SeasonalNaive(), Drift())}
"""What every table of models has in it."""


def _seasonal_sum(noise: Float[np.ndarray, "H C M"], season: int) -> Float[np.ndarray, "H C M"]:
    """Adds to the noise of each step that of the steps one season, two seasons, ... before it."""
    total = noise.copy()
    for step in range(season, len(total)):
        total[step] += total[step - season]
    return total
