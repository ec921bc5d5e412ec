"""Windows of series: inputs, and the targets that follow, cut by time alone."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2seq.data.series.config import Part, as_period, is_step
from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.times import shown
from seq2seq.errors import ConfigError, DataError

SHOWN = 3
log = logging.getLogger("seq2seq")


class Window(NamedTuple):
    """A place to forecast from."""

    series: int
    """The number of the series in its panel."""
    origin: int
    """The first step of the targets; inputs end before it."""


def inside(panel: Panel, part: Part) -> list[tuple[int, int]]:
    """Returns of each series the steps of a part: the first, and that after the last.

    No step lies after the last known target.

    Raises:
        ConfigError: The part is bounded by dates and steps have numbers, or the other way round.
    """
    return [_range(series, part) for series in panel.series]


def windows(panel: Panel, part: Part, window: int, horizon: int, stride: int = 1) -> list[Window]:
    """Returns all windows of a part, series by series, in the order of time.

    A window counts only if its inputs and targets lie wholly inside the part (of one that reaches
    back: the targets), and if something is known of both. Series that are too short are left out,
    which is told.

    Args:
        panel: The series.
        part: Which part of their time.
        window: Steps of the inputs.
        horizon: Steps of the targets.
        stride: Steps from one window to the next.

    Raises:
        DataError: No series is long enough.
    """
    found: list[Window] = []
    short: dict[str, str] = {}
    for number, (series, (first, last)) in enumerate(
        zip(panel.series, inside(panel, part), strict=True)
    ):
        earliest = max(first, window) if part.reach else first + window
        origins = np.arange(earliest, last - horizon + 1, stride)
        if len(origins) == 0:
            before = f" after {first:,} others" if part.reach else ""
            short[series.name] = f"{last - first:,}{before}"
        counted = _counts(series, origins, window, horizon)
        found += [Window(number, origin) for origin in origins[counted].tolist()]
    needed = f"window + horizon = {window} + {horizon} = {window + horizon} steps"
    if part.reach:
        needed += f" ({horizon} of them in the part)"
    if not found:
        raise DataError(_none(panel, part, short, needed))
    if short:
        _tell_of_short(part.name, len(panel.series), needed, tuple(short.items()))
    return found


def _range(series: Series, part: Part) -> tuple[int, int]:
    first, last = 0, series.known
    if part.since:
        first = max(first, _step(series.times, part.since, part.name, end=False))
    if part.after:
        first = max(first, _step(series.times, part.after, part.name, end=True))
    if part.until:
        last = min(last, _step(series.times, part.until, part.name, end=True))
    if part.before:
        last = min(last, _step(series.times, part.before, part.name, end=False))
    last = min(last, series.known - part.later)
    if part.last:
        first = max(first, last - part.last)
    return first, max(first, last)


def _step(times: pd.DatetimeIndex | pd.RangeIndex, bound: str, name: str, end: bool) -> int:
    """Returns how many steps lie before a bound, or up to its end."""
    if isinstance(times, pd.DatetimeIndex):
        period = as_period(bound)
        if period is None:
            wrong = f"must be a date such as 2019-01-31, got {bound}"
            raise ConfigError(f"data.{name}: {wrong}; the steps of the series have times")
        return int(times.searchsorted(_moment(period, times, end), side="left"))
    if not is_step(bound):
        wrong = f"must be the number of a step, got {bound}"
        raise ConfigError(f"data.{name}: {wrong}; the steps of the series have numbers, no times")
    return int(times.searchsorted(int(bound), side="right" if end else "left"))


def _moment(period: pd.Period, times: pd.DatetimeIndex, end: bool) -> pd.Timestamp:
    """Returns where a period begins, or the next one, in the zone of some times."""
    begin = (period + 1 if end else period).start_time
    if times.tz is None:
        return begin
    return begin.tz_localize(times.tz, ambiguous=True, nonexistent="shift_forward")


def _counts(series: Series, origins: np.ndarray, window: int, horizon: int) -> np.ndarray:
    """Marks the origins with a known number in the inputs, and in the targets."""
    known = np.isfinite(series.targets).any(axis=1)
    total = np.concatenate([[0], known.cumsum()])
    before = total[origins] - total[origins - window]
    after = total[origins + horizon] - total[origins]
    counted: np.ndarray = (before > 0) & (after > 0)
    return counted


def _none(panel: Panel, part: Part, short: dict[str, str], needed: str) -> str:
    """Says why no window was found."""
    begins, ends = (min(s.times[0] for s in panel.series), max(s.times[-1] for s in panel.series))
    span = f"series run from {shown(begins)} to {shown(ends)}"
    if len(short) < len(panel.series):
        return f"data.{part.name}: no window of {needed} has a known target; {span}"
    if all(first == last for first, last in inside(panel, part)):
        return f"data.{part.name}: holds no step of the data; {span}"
    return (
        f"data.{part.name}: no series is long enough: {_listed(tuple(short.items()))}; {needed} "
        "are needed; widen the part, or make model.window or model.horizon smaller"
    )


def _listed(short: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{name or 'the series'} has {steps}" for name, steps in short[:SHOWN])
    return f"{shown} and so on" if len(short) > SHOWN else shown


@cache  # told once a part, though windows are cut again and again
def _tell_of_short(name: str, count: int, needed: str, short: tuple[tuple[str, str], ...]) -> None:
    log.warning(
        "data.%s: %s of %s series are shorter than %s and left out: %s",
        *(name, f"{len(short):,}", f"{count:,}", needed, _listed(short)),
    )
