"""Intervals that hold: widened or narrowed until they cover what validation says they do.

Split conformal prediction, for each step and column: of every validation window it is counted how
far the truth lies outside an interval (negative: inside), and the interval is moved by the quantile
of these distances that a new window stays below with the wanted probability (Romano, Patterson &
Candès 2019, "Conformalized Quantile Regression"). A model that has no spread of its own begins with
intervals of no width. Where there are several series, distances are counted in units of each one's
mean absolute seasonal difference; where a model forecasts logarithms, they are those of logarithms,
so that intervals grow with the series.

The guarantee holds where what comes is like the validation part; windows that overlap, and times
that change, make it an approximation, so reports show the measured coverage beside the nominal one.
"""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.evaluation.forecast_metrics import quantile_levels, seasonal_scale
from seq2seq.tasks.forecasting.prediction import Prediction, Predictor, State, generator, truths

PERCENTS = (50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0)
"""The intervals that are calibrated; others lie between them."""
LEVELS = quantile_levels(PERCENTS)
LEAST = 1e-300
"""In place of what has no logarithm."""
FIRST, FIRST_SEASONS = 100, 4
"""Steps, or seasons where these are longer, that tell the unit of a series not seen in training."""
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Offsets:
    """How far both ends of each interval are moved outwards."""

    percents: tuple[float, ...]
    """Ascending."""
    values: Float[np.ndarray, "L H C"]
    """In the units of the data, or of each series."""
    windows: int
    """From how many validation windows they come, where that is least."""
    point_only: bool
    """Whether the model has no spread, so that its intervals begin at its point."""
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Of each series, by columns; none: the units of the data."""
    until: str = ""
    """The last time, or the number of the last step, that they come from."""
    logarithm: bool = False
    """Whether they are distances between logarithms."""

    def scaled(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Returns numbers as distances are measured between them."""
        found: np.ndarray = np.log(np.maximum(values, LEAST)) if self.logarithm else values
        return found

    def restored(self, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Undoes :meth:`scaled`."""
        found: np.ndarray = np.exp(values) if self.logarithm else values
        return found

    def at(self, percent: float | int, horizon: int) -> Float[np.ndarray, "H C"]:
        """Returns the offsets of an interval, on a line between those of its neighbours.

        Raises:
            ConfigError: It is wider than all that were calibrated.
        """
        require_narrow(percent, self.percents[-1])
        # An interval of nothing is moved by nothing.
        percents = np.array([0.0, *self.percents])
        values = np.concatenate([np.zeros((1, *self.values.shape[1:])), self.values])
        values = reaching(values, horizon)
        above = max(1, int(np.searchsorted(percents, percent)))
        share = (percent - percents[above - 1]) / (percents[above] - percents[above - 1])
        found: np.ndarray = values[above - 1] + share * (values[above] - values[above - 1])
        return found

    @property
    def horizon(self) -> int:
        """How many steps were calibrated."""
        return int(self.values.shape[1])

    def unit(self, series: Series, origin: int, season: int) -> Float[np.ndarray, "C"]:
        """Returns a series' unit; of one not seen in training, that of its first steps."""
        if not self.units or self.logarithm:
            return np.ones(series.targets.shape[1])
        known = self.units.get(series.name)
        first = min(origin, max(FIRST, FIRST_SEASONS * season))
        return np.array(known) if known else _unit(series.targets[:first], season)

    def to_json(self) -> str:
        """Returns the offsets as a file keeps them, with their SHA-256."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        told |= {"values": self.values.tolist()}
        return json.dumps({"sha256": _hash(told), "offsets": told})

    @classmethod
    def read(cls, path: Path) -> "Offsets":
        """Reads what :meth:`to_json` made.

        Raises:
            CheckpointError: The file is damaged.
        """
        try:
            written: Any = json.loads(path.read_text(encoding="utf-8"))
            told = written["offsets"]
            if _hash(told) != written["sha256"]:
                raise ValueError("SHA-256 differs")
            values, percents = np.array(told["values"], dtype=float), tuple(told["percents"])
            units = {name: tuple(unit) for name, unit in told["units"].items()}
            facts = told["windows"], told["point_only"], units, told["until"]
            return cls(percents, values, *facts, logarithm=told["logarithm"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: is damaged ({error!r})") from error


def reaching(values: Float[np.ndarray, "L T C"], horizon: int) -> Float[np.ndarray, "L H C"]:
    """Returns what is known step by step for ``horizon`` steps: the last goes on."""
    return values[:, np.minimum(np.arange(horizon), values.shape[1] - 1)]


def _hash(told: object) -> str:
    """Returns the SHA-256 of what a file tells, however it is spaced."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def require_narrow(percent: float | int, widest: float = PERCENTS[-1]) -> None:
    """Raises a :class:`ConfigError` if an interval is wider than all that were calibrated."""
    if percent > widest:
        raise ConfigError(f"levels: calibrated up to {widest:g} %, got {percent:g}; give less")


def units_of(panel: Panel, ranges: Sequence[tuple[int, int]]) -> dict[str, tuple[float, ...]]:
    """Returns each series' unit, from a range of its steps; none where there is one series only."""
    if len(panel.series) == 1:
        return {}
    return {
        series.name: tuple(_unit(series.targets[slice(*steps)], panel.season).tolist())
        for series, steps in zip(panel.series, ranges, strict=True)
    }


def _unit(history: Float[np.ndarray, "T C"], season: int) -> Float[np.ndarray, "C"]:
    """Returns the mean absolute seasonal difference, or one where it is nothing or not known."""
    scale = seasonal_scale(history, season)
    return np.where(scale > 0, scale, 1.0)


def calibrate(
    model: Predictor,
    panel: Panel,
    windows: Sequence[Window],
    horizon: int,
    units: Mapping[str, tuple[float, ...]] | None = None,
    *,
    logarithm: bool = False,
    narrows: bool = True,
) -> Offsets:
    """Finds by how much a model's intervals must be moved.

    Args:
        model: Whose intervals.
        panel: The series.
        windows: Those of the validation part.
        horizon: Steps to forecast.
        units: Those of the series, as from :func:`units_of`.
        logarithm: Whether distances are those of logarithms, which have no unit.
        narrows: Whether intervals may become narrower than the model has them. Not where the same
            windows have chosen the model: on these it errs less than it will.
    """
    prediction = model.predict(panel, windows, horizon, LEVELS)
    truth = truths(panel, windows, horizon)
    shape = np.zeros((0, horizon, truth.shape[2]))
    point_only = not _spread(prediction)
    until = max(panel.series[one.series].times[one.origin + horizon - 1] for one in windows)
    empty = Offsets((), shape, 0, point_only, units or {}, str(until), logarithm)
    unit = np.stack(
        [empty.unit(panel.series[one.series], one.origin, panel.season) for one in windows]
    )
    outside = [_outside(empty, prediction, truth, percent) / unit[:, None] for percent in PERCENTS]
    offsets = np.stack(
        [_quantile(one, percent / 100) for one, percent in zip(outside, PERCENTS, strict=True)]
    )
    known = min(int(np.isfinite(one).sum(axis=0).min()) for one in outside)
    values = offsets if narrows else np.maximum(offsets, 0.0)
    return replace(empty, percents=PERCENTS, values=values, windows=known)


def _outside(
    offsets: Offsets, prediction: Prediction, truth: Float[np.ndarray, "N H C"], percent: float
) -> Float[np.ndarray, "N H C"]:
    """Returns how far truths lie outside an interval; inside, less than nothing."""
    ends = (prediction.point,) * 2 if offsets.point_only else prediction.interval(percent)
    low, high, value = map(offsets.scaled, (*ends, truth))
    outside: Float[np.ndarray, "N H C"] = np.maximum(low - value, value - high)
    return outside


def _spread(prediction: Prediction) -> bool:
    """Tells whether a model's quantiles are there, and differ from its point."""
    known = np.isfinite(prediction.quantiles)
    return bool((known & (prediction.quantiles != prediction.point[..., None])).any())


def _quantile(outside: Float[np.ndarray, "N H C"], share: float) -> Float[np.ndarray, "H C"]:
    """Returns the ``ceil((n + 1) share)``-th of ``n`` distances, or the last; NaN where is none."""
    known = np.isfinite(outside).sum(axis=0)
    ordered = np.sort(np.where(np.isfinite(outside), outside, np.inf), axis=0)
    place = np.ceil(np.round((known + 1) * share, 9)).astype(int)
    chosen = np.clip(np.minimum(place, known) - 1, 0, None)
    found = np.take_along_axis(ordered, chosen[None], axis=0)[0]
    return np.where(known > 0, found, np.nan)


def calibrated(
    prediction: Prediction, offsets: Offsets, units: Float[np.ndarray, "N C"]
) -> Prediction:
    """Returns a prediction with its quantiles, and its samples, moved.

    Raises:
        ConfigError: An interval is wider than all that were calibrated.
    """
    before, horizon = prediction.quantiles, prediction.point.shape[1]
    if offsets.point_only:
        before = np.broadcast_to(prediction.point[..., None], before.shape)
    before = offsets.scaled(before)
    half, moved = len(prediction.levels) // 2, np.array(before)
    middle = before[..., half]
    for low in range(half):
        percent = round(100 * (1 - 2 * prediction.levels[low]), 6)
        offset = offsets.at(percent, horizon) * units[:, None]
        moved[..., low] = np.minimum(before[..., low] - offset, middle)
        high = len(prediction.levels) - 1 - low
        moved[..., high] = np.maximum(before[..., high] + offset, middle)
    # From the median outwards no interval may lie inside a narrower one.
    below = np.minimum.accumulate(moved[..., half::-1], axis=-1)[..., ::-1]
    above = np.maximum.accumulate(moved[..., half:], axis=-1)
    quantiles = offsets.restored(np.concatenate([below[..., :-1], above], axis=-1))
    return replace(prediction, quantiles=quantiles)


@cache
def tell_of_few(percent: float | int, windows: int) -> None:
    """Says so where an interval needs more validation windows than there were; once."""
    needed = math.ceil(round(percent / (100 - percent), 6))
    if windows < needed:
        log.warning(
            "%g %% intervals need %s validation windows and have %s; the largest error seen bounds "
            "them, and they may hold less",
            *(percent, f"{needed:,}", f"{windows:,}"),
        )


@dataclass(frozen=True)
class CalibratedState:
    """The state of a calibrated model."""

    inner: State
    offsets: Offsets
    unit: Float[np.ndarray, "C"]

    def extended(self, rows: Series) -> "CalibratedState":
        """Returns the state after more steps."""
        return replace(self, inner=self.inner.extended(rows))

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``."""
        fine = finer(levels, samples)
        prediction = self.inner.forecast(ahead, fine, samples, seed)
        return _moved(prediction, self.offsets, self.unit[None], levels, [generator(seed, ahead)])


@dataclass(frozen=True)
class Calibrated:
    """A model whose intervals are moved as validation says."""

    model: Predictor
    offsets: Offsets

    @property
    def name(self) -> str:
        """The model's own."""
        return self.model.name

    def state(self, panel: Panel, series: Series) -> CalibratedState:
        """Returns what is kept of the known steps of a series."""
        unit = self.offsets.unit(series, series.known, panel.season)
        return CalibratedState(self.model.state(panel, series), self.offsets, unit)

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        """Forecasts from each origin."""
        fine = finer(levels, samples)
        prediction = self.model.predict(panel, windows, horizon, fine, samples, seed)
        of = [(panel.series[window.series], window.origin) for window in windows]
        units = [self.offsets.unit(series, origin, panel.season) for series, origin in of]
        random = [generator(seed, series.part(origin, origin + 1)) for series, origin in of]
        return _moved(prediction, self.offsets, np.stack(units), levels, random)

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Calibrated":
        """Returns the same model fitted again, where it can be.

        Its intervals are its own, perhaps narrower ones: they are widened as before, not narrowed.
        """
        refitted = getattr(self.model, "refitted", None)
        if refitted is None:
            return self
        wider = replace(self.offsets, values=np.maximum(self.offsets.values, 0.0))
        return replace(self, model=refitted(panel, ranges), offsets=wider)


def finer(levels: Sequence[float], samples: int) -> tuple[float, ...]:
    """Returns the levels to ask a model for: with samples all that show how these are moved."""
    return tuple(sorted({*levels, *LEVELS})) if samples else tuple(levels)


def _moved(
    prediction: Prediction,
    offsets: Offsets,
    units: Float[np.ndarray, "N C"],
    levels: Sequence[float],
    random: Sequence[np.random.Generator],
) -> Prediction:
    """Returns a calibrated prediction at some of its levels, its samples moved with them."""
    moved, before = calibrated(prediction, offsets, units), prediction
    if offsets.point_only and prediction.samples is not None:
        # Steps are drawn apart: nothing says how they hang together.
        places = np.array(prediction.levels)
        drawn = [one.random(prediction.samples.shape[1:]) for one in random]
        quantiles = np.broadcast_to(places, prediction.quantiles.shape)
        before = replace(prediction, quantiles=quantiles, samples=np.stack(drawn))
    return at_levels(moved_along(before, moved), levels)


def at_levels(prediction: Prediction, levels: Sequence[float]) -> Prediction:
    """Returns a prediction at some of its levels."""
    chosen = [prediction.levels.index(level) for level in levels]
    return replace(prediction, quantiles=prediction.quantiles[..., chosen], levels=tuple(levels))


def moved_along(before: Prediction, after: Prediction) -> Prediction:
    """Returns ``after`` with the samples of ``before``, moved as the quantiles about them were."""
    if before.samples is None:
        return after
    samples = np.empty_like(before.samples)
    for place in np.ndindex(*before.point.shape):
        drawn, here, there = before.samples[place], before.quantiles[place], after.quantiles[place]
        outside = np.minimum(drawn - here[0], 0) + np.maximum(drawn - here[-1], 0)
        samples[place] = np.interp(drawn, here, there) + outside
    return replace(after, samples=samples)
