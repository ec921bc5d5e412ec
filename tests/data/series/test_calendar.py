from typing import Any

import numpy as np
import pandas as pd
import pytest

from seq2seq.data.series.calendar import (
    CALENDAR,
    ahead,
    calendar_columns,
    calendar_of,
    extended,
    last_origin,
)
from seq2seq.data.series.config import DataConfig
from seq2seq.data.series.panel import Series
from seq2seq.data.series.read import open_panel
from seq2seq.errors import DataError

SPANS = {"minute_of_day": ("min", 1440), "hour": ("h", 24), "day_of_week": ("D", 7)}
SPANS |= {"weekend": ("D", 7), "day_of_month": ("D", 31), "day_of_year": ("D", 365)}
SPANS |= {"week_of_year": ("W-MON", 52), "month": ("MS", 12), "quarter": ("QS-JAN", 4)}


def series(known: int, future: np.ndarray, times: Any = None) -> Series:
    times = pd.date_range("2019-12-25", periods=len(future), freq="D") if times is None else times
    targets = np.ones((len(future), 1))
    targets[known:] = np.nan
    return Series("a", times, targets, np.zeros((len(future), 1)), future, np.zeros(0))


@pytest.mark.parametrize("entry", CALENDAR)
def test_entries_repeat_and_tell_the_times_of_a_round_apart(entry: str) -> None:
    frequency, steps = SPANS[entry]
    times = pd.date_range("2019-01-01", periods=steps, freq=frequency)
    found = calendar_of(times, [entry])
    assert found.dtype == np.float64
    assert found.shape == (steps, len(calendar_columns([entry])))
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
    different = len(np.unique(found.round(9), axis=0))
    assert different == (2 if entry == "weekend" else steps)
    if found.shape[1] == 2:  # a circle: sine and cosine
        np.testing.assert_allclose((found**2).sum(axis=1), 1)
    elif entry != "weekend":
        assert (found.sum(axis=1) == 1).all()


def test_days_are_those_of_the_zone() -> None:
    utc = pd.DatetimeIndex(["2020-01-05 23:30"], tz="UTC")
    zones = (utc, utc.tz_convert("Asia/Tokyo"))
    assert [calendar_of(times, ["day_of_week"]).argmax() for times in zones] == [6, 0]


def test_leap_years_close_the_circle() -> None:
    for year, days in ((2019, 365), (2020, 366)):
        last = calendar_of(pd.DatetimeIndex([f"{year}-12-31"]), ["day_of_year"])[0]
        angle = np.arctan2(*last) % (2 * np.pi)
        assert angle == pytest.approx(2 * np.pi * (days - 1) / days)


def test_numbers_of_steps_have_no_calendar() -> None:
    with pytest.raises(DataError) as error:
        calendar_of(pd.RangeIndex(5), ["hour", "month"])
    assert str(error.value) == (
        "data.calendar: hour, month need times, but steps have numbers here; leave it out, or name "
        "a column of dates with data.series.time"
    )
    assert calendar_of(pd.RangeIndex(5), []).shape == (5, 0)


def test_an_entry_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALENDAR, "payday", lambda times: np.array(times.day == 15, float)[:, None])
    frame = pd.DataFrame({"ds": pd.date_range("2020-01-14", periods=3), "y": 1.0})
    panel = open_panel(DataConfig(calendar=("payday",)), frame)
    assert panel.columns.future == ("payday.0",)
    assert panel.series[0].future[:, 0].tolist() == [0, 1, 0]


def test_steps_ahead() -> None:
    month_ends = pd.date_range("2020-01-31", periods=2, freq="ME")
    assert ahead(month_ends, 2, "ME").equals(pd.DatetimeIndex(["2020-03-31", "2020-04-30"]))
    assert ahead(pd.RangeIndex(0, 30, 10), 2, "").tolist() == [30, 40]
    spring = pd.date_range("2020-03-29 00:00", periods=2, freq="h", tz="Europe/Berlin")
    assert ahead(spring, 2, "h").hour.tolist() == [3, 4]
    days = pd.date_range("2020-03-28", periods=1, freq="D", tz="Europe/Berlin")
    assert ahead(days, 2, "D").hour.tolist() == [0, 0]


def test_the_calendar_goes_on() -> None:
    entries = ["day_of_week", "day_of_year"]
    times = pd.date_range("2019-12-25", periods=20, freq="D")
    short = series(8, calendar_of(times[:8], entries), times[:8])
    long = extended(short, 12, "D", entries)
    assert long.times.equals(times)
    np.testing.assert_array_equal(long.future, calendar_of(times, entries))
    assert long.known == short.known
    np.testing.assert_array_equal(long.targets[:8], short.targets)
    assert np.isnan(long.targets[8:]).all()
    assert np.isnan(long.past[8:]).all()
    assert extended(long, 12, "D", entries) is long
    assert last_origin(short, 12, entries) == 8


def test_other_covariates_must_be_there() -> None:
    weather = np.arange(10.0)[:, None]
    calendar = calendar_of(pd.date_range("2019-12-25", periods=10, freq="D"), ["weekend"])
    whole = series(7, np.hstack([weather, calendar]))
    assert extended(whole, 3, "D", ["weekend"], ("rain", "weekend.0")) is whole
    with pytest.raises(DataError) as error:
        extended(whole, 5, "D", ["weekend"], ("rain", "weekend.0"))
    assert str(error.value) == (
        "series a: future covariates are missing from 2020-01-04 on: rain; 5 steps need them up to "
        "2020-01-05; add rows that hold them and no targets, or forecast 3 steps at most"
    )
    assert last_origin(whole, 3, ["weekend"]) == 7
    assert last_origin(whole, 5, ["weekend"]) == 5
    assert last_origin(whole, 14, ["weekend"]) == -4
