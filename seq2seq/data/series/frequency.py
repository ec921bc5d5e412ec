"""How far the steps of a series lie apart: found from its times, and after how many it repeats."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from seq2seq.errors import require

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
CALENDAR_STEPS = (
    *(f"{start}-{month}" for start in ("YS", "YE") for month in MONTHS),
    *(f"{start}-{month}" for start in ("QS", "QE") for month in MONTHS[:3]),
    *("MS", "ME"),
)
UNITS = {"D": 86_400_000_000, "h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000}
"""Microseconds of the units of frequencies."""
DAY = UNITS["D"]
SEASONS = {"D": 7, "B": 5, "W": 52, "M": 12, "Q": 4, "Y": 1}
"""Steps of a week or year, by the first letter of a frequency that is longer than an hour."""
FILLED = 0.5
"""The least share of a regular series' steps that must be there for its frequency to be found."""


def check_frequency(alias: str, key: str) -> None:
    """Raises a :class:`ConfigError` unless ``alias`` is a frequency of pandas, or ``auto``."""
    accepted = "auto or a frequency of pandas such as D, h, 15min, B, W-MON, MS or QE"
    try:
        valid = alias == "auto" or to_offset(alias).n > 0
    except (ValueError, AttributeError):
        valid = False
    require(valid, key, accepted, alias)


def find_frequency(times: pd.DatetimeIndex) -> str | None:
    """Returns the longest time between steps such that every time given is a step.

    Args:
        times: Those of one series, rising, at least two.

    Returns:
        An alias of pandas; None where times are irregular: more than half of the steps would be
        missing.

    >>> find_frequency(pd.DatetimeIndex(["2024-01-31", "2024-02-29", "2024-04-30"]))
    'ME'
    """
    found = [
        (len(steps), alias)
        for alias in _candidates(times)
        if (steps := regular_steps(times, alias)) is not None and times.isin(steps).all()
    ]
    if not found:
        return None
    count, alias = min(found, key=lambda one: one[0])  # of several the first
    return alias if len(times) >= FILLED * count else None


def regular_steps(times: pd.DatetimeIndex, frequency: str) -> pd.DatetimeIndex | None:
    """Returns the steps from the first to the last of some times; None if the first is no step."""
    steps = pd.date_range(times[0], times[-1], freq=frequency)
    return steps if len(steps) and steps[0] == times[0] else None


def usual_step(times: pd.Index) -> int:
    """Returns the most frequent difference of rising times or numbers, in microseconds or ones."""
    steps, counts = np.unique(np.diff(_ticks(times)), return_counts=True)
    return int(steps[counts.argmax()])


def _candidates(times: pd.DatetimeIndex) -> Iterator[str]:
    local = _ticks(times.tz_localize(None))
    apart = int(np.gcd.reduce(np.diff(local)))
    whole_days = apart > 0 and apart % DAY == 0
    if whole_days:
        ends = pd.DatetimeIndex([times[0], times[-1]])
        yield from (alias for alias in CALENDAR_STEPS if _on(ends, alias))
        yield _of_days(apart // DAY, times[0])
        if apart == DAY and (times.day_of_week < 5).all():
            yield "B"
    else:
        yield _of_microseconds(int(np.gcd.reduce(np.diff(_ticks(times)))))


def _on(ends: pd.DatetimeIndex, alias: str) -> bool:
    offset = to_offset(alias)
    return all(offset.is_on_offset(end) for end in ends)


def _of_days(days: int, first: pd.Timestamp) -> str:
    weeks, rest = divmod(days, 7)
    if rest:
        return f"{days}D" if days > 1 else "D"
    return f"{weeks if weeks > 1 else ''}W-{DAYS[first.day_of_week]}"


def _of_microseconds(count: int) -> str:
    unit = next((unit for unit, size in UNITS.items() if unit != "D" and count % size == 0), "us")
    number = count // UNITS.get(unit, 1)
    return f"{number if number > 1 else ''}{unit}"


def _ticks(times: pd.Index) -> np.ndarray:
    timed = isinstance(times, pd.DatetimeIndex)
    return np.asarray(times.as_unit("us").asi8 if timed else times)


def season_of(frequency: str) -> int:
    """Returns after how many steps a series of a frequency is expected to repeat.

    >>> [season_of(alias) for alias in ("h", "15min", "D", "W-SUN", "MS", "QE-DEC", "YS-JAN", "")]
    [24, 96, 7, 52, 12, 4, 1, 1]
    """
    if not frequency:
        return 1
    offset = to_offset(frequency)
    if isinstance(offset, pd.offsets.Tick) and not frequency.endswith("D"):
        length = pd.Timedelta(offset) // pd.Timedelta(1, "us")
        return DAY // length if length < DAY and DAY % length == 0 else 1
    name = offset.rule_code.partition("-")[0].lstrip("B") or "B"
    whole = SEASONS.get(name[0], 1)
    return whole // offset.n if whole % offset.n == 0 else 1
