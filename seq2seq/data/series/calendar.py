"""What the calendar says of a time: covariates that are known for any future."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from seq2seq.data.series.panel import Series
from seq2seq.data.series.times import shown
from seq2seq.errors import DataError

Entry: TypeAlias = Callable[[pd.DatetimeIndex], np.ndarray]
MINUTES = 24 * 60
WEEKEND = (5, 6)


def _one_hot(values: pd.Index, count: int) -> np.ndarray:
    return np.eye(count)[np.asarray(values, np.int64)]


def _circle(turns: np.ndarray) -> np.ndarray:
    """Returns sine and cosine of shares of a turn: the end lies beside the beginning."""
    angles = 2 * math.pi * np.asarray(turns, np.float64)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _minutes(times: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray(times.hour * 60 + times.minute) + np.asarray(times.second) / 60


def _month_length(times: pd.DatetimeIndex) -> np.ndarray:
    return np.asarray(times.days_in_month)


def _year_length(times: pd.DatetimeIndex) -> np.ndarray:
    return 365 + np.asarray(times.is_leap_year, np.int64)


CALENDAR: dict[str, Entry] = {
    "minute_of_day": lambda times: _circle(_minutes(times) / MINUTES),
    "hour": lambda times: _one_hot(times.hour, 24),
    "day_of_week": lambda times: _one_hot(times.day_of_week, 7),
    "weekend": lambda times: np.isin(times.day_of_week, WEEKEND)[:, None].astype(np.float64),
    "day_of_month": lambda times: _circle(
        (np.asarray(times.day) - 1) / np.asarray(times.days_in_month)
    ),
    "day_of_year": lambda times: _circle((np.asarray(times.day_of_year) - 1) / _year_length(times)),
    "week_of_year": lambda times: _circle((np.asarray(times.isocalendar().week) - 1) / 53),
    "month": lambda times: _one_hot(times.month - 1, 12),
    "quarter": lambda times: _one_hot(times.quarter - 1, 4),
}
"""What ``data.calendar`` may name: of T times, the numbers of shape [T, columns], in local time."""


def calendar_columns(entries: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of the columns of some entries, in order.

    >>> calendar_columns(["weekend", "day_of_year"])
    ('weekend.0', 'day_of_year.0', 'day_of_year.1')
    """
    one = pd.DatetimeIndex(["2024-01-01"])
    return tuple(
        f"{entry}.{number}" for entry in entries for number in range(CALENDAR[entry](one).shape[1])
    )


def calendar_of(
    times: pd.DatetimeIndex | pd.RangeIndex, entries: Sequence[str]
) -> Float[np.ndarray, "T F"]:
    """Returns what some entries say of times, side by side.

    Raises:
        DataError: The steps have numbers instead of times.
    """
    if not entries:
        return np.zeros((len(times), 0))
    if not isinstance(times, pd.DatetimeIndex):
        raise DataError(
            f"data.calendar: {', '.join(entries)} need times, but steps have numbers here; leave "
            "it out, or name a column of dates with data.series.time"
        )
    return np.concatenate([CALENDAR[entry](times) for entry in entries], axis=1)


def ahead(
    times: pd.DatetimeIndex | pd.RangeIndex, steps: int, frequency: str
) -> pd.DatetimeIndex | pd.RangeIndex:
    """Returns the ``steps`` steps that follow on those given."""
    if isinstance(times, pd.RangeIndex):
        after = times[-1] + times.step
        return pd.RangeIndex(after, after + steps * times.step, times.step)
    return pd.date_range(times[-1], periods=steps + 1, freq=frequency)[1:]


def extended(
    series: Series,
    steps: int,
    frequency: str,
    calendar: Sequence[str],
    names: Sequence[str] = (),
) -> Series:
    """Returns a series with all that is known of the ``steps`` steps after its present.

    Steps beyond the file get their times and what the calendar says. Other future covariates must
    stand in the file.

    Args:
        series: A series with at least one known target.
        steps: How many steps after the last known target.
        frequency: That of the panel.
        calendar: The entries of the calendar; their columns are the last future covariates.
        names: The names of all future covariates, for messages.

    Raises:
        DataError: A future covariate is missing at one of these steps.
    """
    needed = series.known + steps
    beyond = max(needed - len(series.times), 0)
    long = _longer(series, beyond, frequency, calendar) if beyond else series
    missing = np.isnan(long.future[series.known : needed])
    if missing.any():
        first = series.known + int(missing.any(axis=1).argmax())
        columns = np.flatnonzero(missing.any(axis=0)).tolist()
        called = ", ".join(names[column] if names else f"column {column}" for column in columns)
        where = f"series {series.name}: " if series.name else ""
        steps_known = first - series.known
        few = f", or forecast {steps_known} steps at most" if steps_known else ""
        raise DataError(
            f"{where}future covariates are missing from {shown(long.times[first])} on: {called}; "
            f"{steps} steps need them up to {shown(long.times[needed - 1])}; add rows that hold "
            f"them and no targets{few}"
        )
    return long


def last_origin(series: Series, horizon: int, calendar: Sequence[str]) -> int:
    """Returns the last step from which ``horizon`` steps can be forecast with what is known.

    It is the present, unless future covariates that are not the calendar's end too early. Negative:
    there is no such step.
    """
    own = series.future[:, : series.future.shape[1] - len(calendar_columns(calendar))]
    if own.shape[1] == 0:
        return series.known
    there = ~np.isnan(own).any(axis=1)
    ends = len(there) - int(there[::-1].argmax()) if there.any() else 0
    return min(series.known, ends - horizon)


def _longer(series: Series, steps: int, frequency: str, calendar: Sequence[str]) -> Series:
    times = ahead(series.times, steps, frequency)
    future = np.full((steps, series.future.shape[1]), np.nan)
    told = calendar_of(times, calendar)
    future[:, future.shape[1] - told.shape[1] :] = told
    return replace(
        series,
        times=series.times.append(times),
        targets=_with_unknown(series.targets, steps),
        past=_with_unknown(series.past, steps),
        future=np.concatenate([series.future, future]),
    )


def _with_unknown(values: np.ndarray, steps: int) -> np.ndarray:
    return np.concatenate([values, np.full((steps, values.shape[1]), np.nan)])
