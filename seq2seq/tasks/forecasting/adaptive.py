"""Intervals that go on to hold: soon wider after misses, slowly narrower after hits.

Adaptive conformal inference (Gibbs & Candès 2021): what an interval is asked to cover rises by a
little whenever a truth lay outside, and falls whenever it lay inside, so that over a long time as
many lie outside as should, however the series changes. A summer's validation says little of the
winter; the weeks before say more. Two parts are added: one moves slowly, up and down; the other is
quick, and never below nothing. Were the first as quick, intervals would be too narrow after each
quiet stretch, just when something happens. Forecasts are judged once all of their steps are known,
step by step and column by column, from the end of the part on which intervals were calibrated.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.lists import chunks
from seq2seq.tasks.forecasting.intervals import (
    LEVELS,
    PERCENTS,
    Calibrated,
    CalibratedState,
    moved_along,
    reaching,
    require_narrow,
)
from seq2seq.tasks.forecasting.prediction import (
    MEDIAN,
    Prediction,
    ahead_of,
    followed,
    joined,
    truths,
)

RATES = np.array([0.008, 0.02])[:, None, None, None]
"""How far one miss moves the slow part and the quick part, in shares of one."""
DELAY = 4
"""Steps that a forecast may wait for its judgement at these rates. The longer it waits, the more
forecasts share one miss: of longer horizons each moves less, by the root of their length, or
intervals would swing.
"""
WIDEST = 100.0
"""Most that is asked: twice the width of the widest calibrated interval, which stands at 99."""
TOGETHER = 256
"""Origins that are forecast at once."""
Asked: TypeAlias = Float[np.ndarray, "2 L H C"]
"""What each of the intervals is asked to cover, by step and column: the slow and the quick part."""


def total(asked: Asked) -> Float[np.ndarray, "L H C"]:
    """Returns what is asked in all."""
    both: np.ndarray = np.clip(asked.sum(axis=0), 0.0, WIDEST)
    return both


def opened(prediction: Prediction, asked: Float[np.ndarray, "N L H C"]) -> Prediction:
    """Returns a prediction, at :data:`LEVELS`, whose intervals cover what they are asked to."""
    return _of_sides(prediction, LEVELS, np.moveaxis(asked, 1, -1))


def _of_sides(
    prediction: Prediction, levels: Sequence[float], asked: Float[np.ndarray, "N H C L"]
) -> Prediction:
    """Returns a prediction with the ends of those intervals that cover what is asked."""
    half, edges = len(LEVELS) // 2, prediction.quantiles
    below, above = (_edges(side, asked) for side in (edges[..., half::-1], edges[..., half:]))
    below = np.minimum.accumulate(below, axis=-1)[..., ::-1]
    above = np.maximum.accumulate(above, axis=-1)
    quantiles = np.concatenate([below, edges[..., half : half + 1], above], axis=-1)
    return replace(prediction, quantiles=quantiles, levels=tuple(levels))


def _edges(
    side: Float[np.ndarray, "N H C E"], asked: Float[np.ndarray, "N H C L"]
) -> Float[np.ndarray, "N H C L"]:
    """Returns ends on one side: on lines between those that are known, from the median outwards."""
    percents = np.array([0.0, *PERCENTS])
    inner = np.clip(np.searchsorted(percents, asked) - 1, 0, len(PERCENTS) - 1)
    share = np.clip((asked - percents[inner]) / np.diff(percents)[inner], 0.0, 1.0)
    here, there = (np.take_along_axis(side, place, -1) for place in (inner, inner + 1))
    beyond = 1 + np.maximum(asked - PERCENTS[-1], 0.0)
    middle = side[..., :1]
    found: np.ndarray = middle + (here + share * (there - here) - middle) * beyond
    return found


def _answered(plain: Prediction, asked: Float[np.ndarray, "N L H C"], levels: Sequence[float]
              ) -> Prediction:  # fmt: skip
    """Returns a plain prediction, at :data:`LEVELS`, opened, at the levels of a question."""
    found = moved_along(plain, opened(plain, asked))
    if tuple(levels) == LEVELS:
        return found
    lower = [level for level in levels if level < MEDIAN]
    percents = [round(100 * (1 - 2 * level), 6) for level in reversed(lower)]
    require_narrow(max(percents, default=0.0))
    shape = (*found.point.shape, len(percents))
    return _of_sides(found, levels, np.broadcast_to(np.array(percents), shape))


def asked_after(
    asked: Asked, then: Asked, prediction: Prediction, truth: Float[np.ndarray, "1 H C"]
) -> Asked:
    """Returns what is asked once a forecast of one window can be judged.

    Args:
        asked: What was asked until now.
        then: What was asked when the forecast was made.
        prediction: What was forecast, before it was opened.
        truth: What came; NaN moves nothing.
    """
    quantiles = opened(prediction, total(then)[None]).quantiles[0]
    half = len(LEVELS) // 2
    below, above = quantiles[..., half - 1 :: -1], quantiles[..., half + 1 :]
    value = truth[0][..., None]
    missed = np.moveaxis((value < below) | (value > above), -1, 0)
    known = np.isfinite(truth[0]) & np.isfinite(quantiles).all(axis=-1)
    rise = 100.0 * missed - (100.0 - np.array(PERCENTS)[:, None, None])
    rates = RATES * min(1.0, math.sqrt(DELAY / asked.shape[2]))
    return np.where(known, np.clip(asked + rates * rise, 0.0, WIDEST), asked)


@dataclass(frozen=True)
class AdaptiveState:
    """The state of such a model: what is asked, and the forecasts that cannot be judged yet."""

    inner: CalibratedState
    until: str
    needed: int
    """How many steps a series must have before the model can forecast."""
    at: int
    """How many steps there were."""
    asked: Asked
    waiting: tuple[tuple[CalibratedState, Asked], ...]
    """State, and what was asked, at each origin not judged yet, the oldest first."""
    rows: Series
    """The steps since the oldest of these."""

    def extended(self, rows: Series) -> "AdaptiveState":
        """Returns the state after more steps; each makes one forecast, which is judged."""
        state = self
        for step in range(len(rows.times)):
            state = state.after(rows.part(step, step + 1))
        return state

    def after(self, row: Series) -> "AdaptiveState":
        """Returns the state after one more step."""
        counts = self.at >= self.needed and first_after(row, self.until) == 0
        waiting = (*self.waiting, (self.inner, self.asked)) if counts else self.waiting
        rows, asked = followed(self.rows, row) if counts else self.rows, self.asked
        if len(waiting) == self.inner.offsets.horizon:
            (then, was_asked), *later = waiting
            if _told(rows):
                prediction = then.forecast(ahead_of(rows, 0, len(rows.times)), LEVELS)
                asked = asked_after(asked, was_asked, prediction, rows.targets[None])
            waiting, rows = tuple(later), rows.part(1, len(rows.times))
        return replace(self, inner=self.inner.extended(row), at=self.at + 1, asked=asked,
                       waiting=waiting, rows=rows)  # fmt: skip

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``."""
        plain = self.inner.forecast(ahead, LEVELS, samples, seed)
        return _answered(plain, reaching(total(self.asked), len(ahead.times))[None], levels)


@dataclass(frozen=True)
class Adaptive:
    """A calibrated model that learns from how its intervals have done since it was calibrated."""

    model: Calibrated

    @property
    def name(self) -> str:
        """The model's own."""
        return self.model.name

    def state(self, panel: Panel, series: Series) -> AdaptiveState:
        """Returns what is kept of the known steps of a series."""
        horizon, known = self.model.offsets.horizon, series.known
        alone = replace(panel, series=[series])
        asked = dict(self._course(alone, 0, known, TOGETHER))
        nominal = asked[min(asked)]
        begun = series.part(0, max(0, known - horizon + 1))
        state = AdaptiveState(
            self.model.state(panel, begun),
            self.model.offsets.until,
            self._needed(panel),
            begun.known,
            asked.get(begun.known, nominal),
            (),
            series.part(0, 0),
        )
        for step in range(begun.known, known):
            state = replace(state.after(series.part(step, step + 1)),
                            asked=asked.get(step + 1, nominal))  # fmt: skip
        return state

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
        order = sorted(range(len(windows)), key=lambda place: windows[place])
        ordered = [windows[place] for place in order]
        parts = self.pieces(panel, ordered, horizon, levels, TOGETHER, samples, seed)
        return joined([prediction for _, prediction in parts]).rows(np.argsort(order))

    def pieces(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        size: int,
        samples: int = 0,
        seed: int = 1,
    ) -> Iterator[tuple[list[Window], Prediction]]:
        """Yields forecasts of up to ``size`` windows, which must come series by series, in order.

        So every origin of a series is judged once, however many are asked for.
        """
        for number in sorted({window.series for window in windows}):
            own = [window for window in windows if window.series == number]
            course = self._course(panel, number, own[-1].origin, size)
            at, asked = next(course)
            for piece in chunks(own, size):
                found = []
                for window in piece:
                    while at < window.origin and (later := next(course, None)) is not None:
                        at, asked = later
                    found.append(reaching(total(asked), horizon))
                plain = self.model.predict(panel, piece, horizon, LEVELS, samples, seed)
                yield piece, _answered(plain, np.stack(found), levels)

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Adaptive":
        """Returns the same model fitted again, where it can be."""
        return replace(self, model=self.model.refitted(panel, ranges))

    def _needed(self, panel: Panel) -> int:
        return max(panel.season, getattr(self.model.model, "reads", 0))

    def _course(
        self, panel: Panel, number: int, last: int, size: int
    ) -> Iterator[tuple[int, Asked]]:
        """Yields each origin from the end of calibration to ``last``, and what is asked there."""
        offsets, series = self.model.offsets, panel.series[number]
        steps = offsets.horizon
        first = min(last, max(self._needed(panel), first_after(series, offsets.until)))
        asked: Asked = np.zeros((2, *offsets.values.shape))
        asked[0] = np.array(PERCENTS)[:, None, None]
        before: deque[Asked] = deque()
        for origin in range(first, min(first + steps - 1, last) + 1):
            yield origin, asked
            before.append(asked)
        judged = [Window(number, origin) for origin in range(first, last - steps + 1)]
        for piece in chunks(judged, size):
            told = [one for one in piece if _told(series.part(one.origin, one.origin + steps))]
            forecasts = self.model.predict(panel, told, steps, LEVELS) if told else None
            for window in piece:
                then = before.popleft()
                if forecasts is not None and window in told:
                    one = forecasts.rows(np.array([told.index(window)]))
                    asked = asked_after(asked, then, one, truths(panel, [window], steps))
                yield window.origin + steps, asked
                before.append(asked)


def _told(rows: Series) -> bool:
    """Tells whether all that a forecast of some steps needs is known of them."""
    return bool(np.isfinite(rows.future).all())


def first_after(series: Series, until: str) -> int:
    """Returns the first step of a series after a time, or the number of a step."""
    times = series.times
    if not isinstance(times, pd.DatetimeIndex):
        return int(times.searchsorted(int(until), side="right"))
    return int(times.searchsorted(pd.Timestamp(until), side="right"))
