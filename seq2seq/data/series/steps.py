"""Rows as steps of series: each once, in order, none missing; what to do otherwise is told."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Int

from seq2seq.data.series.frequency import find_frequency, regular_steps, usual_step
from seq2seq.data.series.rows import Place
from seq2seq.data.series.times import shown
from seq2seq.errors import DataError

Duplicates = Literal["refuse", "drop", "first", "last", "mean", "sum"]
Missing = Literal["refuse", "mask"]
Order = Literal["refuse", "sort"]
FILLED = 0.5
SUNDAY = 6
log = logging.getLogger("seq2seq")


class Unsettled(DataError):  # noqa: N818
    """Data that are read only if the configuration says how."""

    def __init__(self, text: str, setting: str, value: str) -> None:
        """Takes the line to show, and a setting of ``data`` with which the data would be read."""
        super().__init__(text)
        self.setting, self.value = setting, value


@dataclass(frozen=True)
class Table:
    """Rows with the series and the time of each, ``R`` in all."""

    name: str
    """What messages call the file."""
    place: Place
    names: tuple[str, ...]
    """Those of the series, in order."""
    codes: Int[np.ndarray, "R"]
    """The number of the series of each row."""
    times: pd.Index
    """Times, or whole numbers."""
    values: pd.DataFrame
    """Columns of numbers and of texts; its index says the place of each row."""

    def where(self, row: int) -> str:
        """Says where a row stands, and of which series it is, unless that has no name."""
        name = self.names[int(self.codes[row])]
        return self.line(row) + (f": series {name}" if name else "")

    def line(self, row: int) -> str:
        """Says where a row stands."""
        return self.place(int(self.values.index[row]))

    def rows(self, chosen: np.ndarray) -> "Table":
        """Returns the rows chosen by a mask or by their numbers."""
        return replace(
            self,
            codes=self.codes[chosen],
            times=self.times[chosen],
            values=self.values.iloc[np.arange(len(self.codes))[chosen]],
        )


@dataclass(frozen=True)
class Steps:
    """The steps of one series, none left out, and the rows that fill them."""

    code: int
    times: pd.DatetimeIndex | pd.RangeIndex
    rows: Int[np.ndarray, "R"]
    """Numbers of the table's rows."""
    at: Int[np.ndarray, "R"]
    """The step of each of these."""


def without_duplicates(table: Table, duplicates: Duplicates) -> Table:
    """Returns a table in which each series has each time once.

    Raises:
        Unsettled: Times stand twice, and the setting does not say which row counts.
        DataError: Texts differ where numbers are to be added up.
    """
    keys = pd.DataFrame({"code": table.codes, "time": table.times})
    again = keys.duplicated().to_numpy()
    if not again.any():
        return table
    if duplicates == "refuse" or duplicates == "drop":
        same = pd.concat([keys, table.values.set_axis(keys.index)], axis=1).duplicated().to_numpy()
        if duplicates == "refuse" or (again & ~same).any():
            raise _twice(table, keys, again, same)
        return table.rows(~same)
    if duplicates == "first" or duplicates == "last":
        return table.rows(~keys.duplicated(keep=duplicates).to_numpy())
    return _combined(table, keys, again, duplicates)


def _twice(table: Table, keys: pd.DataFrame, again: np.ndarray, same: np.ndarray) -> Unsettled:
    differing = again & ~same
    row = int((differing if differing.any() else again).argmax())
    first = int((keys == keys.iloc[row]).all(axis=1).to_numpy().argmax())
    alike = "all alike" if not differing.any() else f"{differing.sum():,} with other values"
    ways = "first, last, mean or sum" if differing.any() else "drop"
    return Unsettled(
        f"{table.where(row)}: {shown(table.times[row])} stands "
        f"again after {table.line(first).rpartition(': ')[2]} ({again.sum():,} such rows, "
        f"{alike}); set data.duplicates: {ways}{_clocks(table.times[again])}",
        "duplicates",
        "first" if differing.any() else "drop",
    )


def _combined(
    table: Table, keys: pd.DataFrame, again: np.ndarray, how: Literal["mean", "sum"]
) -> Table:
    group = keys.groupby(["code", "time"], sort=False).ngroup().to_numpy()
    first = ~again
    kept = table.rows(first)
    combined = {}
    for column in table.values:
        values = table.values[column].set_axis(group)
        groups = values.groupby(level=0, sort=True)
        if values.dtype.kind != "f":
            odd = (groups.nunique(dropna=False) > 1).to_numpy()
            if odd.any():
                row = int(np.flatnonzero(again & (group == odd.argmax()))[0])
                raise DataError(
                    f"{table.where(row)}: {column} is {values.iloc[row]!r}, not as in the row "
                    f"with the same time before; data.duplicates: {how} adds up numbers only"
                )
            combined[column] = groups.first()
        else:
            combined[column] = groups.mean() if how == "mean" else groups.sum(min_count=1)
    values = pd.DataFrame(combined)[list(table.values.columns)].set_axis(kept.values.index)
    return replace(kept, values=values)


def in_order(table: Table, order: Order) -> Table:
    """Returns the rows series by series, in the order of time; tells if they stood otherwise.

    Raises:
        Unsettled: A row lies before the one that stands above it, and that is refused.
    """
    by_series = table.rows(np.argsort(table.codes, kind="stable"))
    times, codes = by_series.times, by_series.codes
    earlier = np.zeros(len(codes), bool)
    earlier[1:] = (codes[1:] == codes[:-1]) & np.asarray(times[1:] < times[:-1])
    if not earlier.any():
        return by_series
    row = int(earlier.argmax())
    line = (
        f"{by_series.where(row)}: {shown(times[row])} stands "
        f"after {shown(times[row - 1])} ({earlier.sum():,} such rows)"
    )
    if order == "refuse":
        raise Unsettled(f"{line}; set data.order: sort", "order", "sort")
    _tell(f"{line}: rows are sorted by time")
    return table.rows(np.lexsort((table.times.argsort().argsort(), table.codes)))


def panel_frequency(table: Table) -> str:
    """Returns the frequency of the longest series; empty where steps have numbers.

    Raises:
        DataError: It has one time only, or its times are irregular.
    """
    if not isinstance(table.times, pd.DatetimeIndex):
        return ""
    code = int(np.bincount(table.codes).argmax())
    own = table.rows(table.codes == code)
    if len(own.times) == 1:
        raise DataError(
            f"{own.where(0)}: one time alone tells no frequency; set data.frequency, such as D or h"
        )
    frequency = find_frequency(own.times)
    if frequency is None:
        raise _irregular(own)
    return frequency


def _irregular(table: Table) -> DataError:
    """Returns the error that names the first row off the grid on which most rows are."""
    usual = usual_step(table.times)
    apart = np.diff(table.times.as_unit("us").asi8)
    off = apart % usual != 0
    row = int(off.argmax()) + 1 if off.any() else 1
    step = pd.Timedelta(usual, "us")
    return DataError(
        f"{table.where(row)}: times are irregular: "
        f"{shown(table.times[row])} is {pd.Timedelta(apart[row - 1], 'us')} after the time before,"
        f" most are {step} ({off.mean():.0%} are no multiple of it); bring them to regular steps, "
        "or set data.frequency"
    )


def regular(table: Table, frequency: str, missing: Missing) -> list[Steps]:
    """Returns the steps of each series, without a gap: those that no row fills are among them.

    Args:
        table: Rows in order.
        frequency: An alias of pandas; empty where steps have numbers.
        missing: Whether steps may be missing.

    Raises:
        Unsettled: Steps are missing.
        DataError: A time is none of the steps.
    """
    numbered = not isinstance(table.times, pd.DatetimeIndex)
    grid = _numbered(table) if numbered else _timed(table, frequency)
    found = list(_steps(table, grid))
    gaps = [(steps, len(steps.times) - len(steps.at)) for steps in found]
    total = sum(count for _, count in gaps)
    if total and missing == "refuse":
        steps = next(steps for steps, count in gaps if count)
        raise _gap(table, steps, total, frequency)
    return found


def _steps(
    table: Table, grid: Callable[[int, pd.Index], pd.DatetimeIndex | pd.RangeIndex]
) -> Iterator[Steps]:
    ends = np.flatnonzero(np.diff(table.codes)) + 1
    for rows in np.split(np.arange(len(table.codes)), ends):
        times = table.times[rows[0] : rows[-1] + 1]
        steps = grid(int(rows[0]), times)
        at = steps.get_indexer(times)
        if (at < 0).any():
            raise _off(table, int(rows[(at < 0).argmax()]), steps)
        yield Steps(int(table.codes[rows[0]]), steps, rows, at)


def _timed(table: Table, frequency: str) -> Callable[[int, pd.Index], pd.DatetimeIndex]:
    def grid(row: int, times: pd.Index) -> pd.DatetimeIndex:
        steps = regular_steps(times, frequency)
        if steps is None:
            raise _off(table, row, pd.DatetimeIndex([]), frequency)
        return steps

    return grid


def _numbered(table: Table) -> Callable[[int, pd.Index], pd.RangeIndex]:
    within = table.codes[1:] == table.codes[:-1]
    apart = np.diff(table.times.to_numpy())[within]
    step = int(np.gcd.reduce(apart)) if len(apart) else 1
    steps = apart.sum() // step + len(set(table.codes))
    if len(table.codes) < FILLED * steps:
        row = int((apart % usual_step(table.times) != 0).argmax()) + 1
        raise DataError(
            f"{table.where(row)}: the numbers of steps are "
            f"irregular: of {steps:,} steps {step} apart only {len(table.codes):,} are there"
        )
    return lambda row, times: pd.RangeIndex(times[0], times[-1] + 1, step)


def _off(table: Table, row: int, steps: pd.Index, frequency: str = "") -> DataError:
    alias = frequency or getattr(steps, "freqstr", None) or f"{getattr(steps, 'step', 1)}"
    return DataError(
        f"{table.where(row)}: {shown(table.times[row])} is no "
        f"step of frequency {alias}; bring times to regular steps, or set data.frequency"
    )


def _gap(table: Table, steps: Steps, total: int, frequency: str) -> Unsettled:
    absent = steps.times.delete(steps.at)
    before = int(steps.rows[steps.at < steps.times.get_loc(absent[0])][-1])
    every = f" of frequency {frequency}" if frequency else ""
    return Unsettled(
        f"{table.where(before)}: the step {shown(absent[0])} is missing "
        f"after this row ({total:,} steps{every} are); set data.missing: mask, with which they "
        f"count neither as input nor as target{_clocks(absent)}",
        "missing",
        "mask",
    )


def _clocks(times: pd.Index) -> str:
    """Returns the hint that clocks may have changed, if all times are at night on Sundays."""
    if not isinstance(times, pd.DatetimeIndex) or times.tz is not None:
        return ""
    nights = (times.day_of_week == SUNDAY) & (times.hour < 4) & (times.normalize() != times)
    hint = "; or, as clocks seem to change there, data.timezone, such as Europe/Berlin"
    return hint if nights.all() else ""


@cache  # told once, though a file is read again and again
def _tell(line: str) -> None:
    log.warning("%s", line)
