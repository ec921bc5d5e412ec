import datetime
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.rows import of_frame
from seq2seq.data.series.times import CLOCKS, DATES, FORMATS, ISO, localized, read_times
from seq2seq.errors import DataError

DAYS = pd.date_range("2019-01-01", "2019-03-31", freq="D")
HOURS = pd.date_range("2019-05-13 00:00", periods=30, freq="h")


def read(values: Sequence[object], written: str = "", zone: str = "") -> tuple[pd.Index, str]:
    return read_times(of_frame(pd.DataFrame({"t": values})), "t", written, zone)


def times(values: Sequence[object], written: str = "", zone: str = "") -> pd.Index:
    return read(values, written, zone)[0]


def refusal(values: Sequence[object], written: str = "", zone: str = "") -> str:
    with pytest.raises(DataError) as error:
        read(values, written, zone)
    return str(error.value)


@pytest.mark.parametrize("date", [date for date in DATES if "%d" in date])
@pytest.mark.parametrize("clock", CLOCKS)
def test_every_format_is_found(date: str, clock: str) -> None:
    expected = DAYS if not clock else HOURS
    texts = expected.strftime(date + clock)
    found, written = read(texts)
    assert found.equals(expected)
    assert times(texts, written).equals(expected)


@pytest.mark.parametrize("format_", ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%dT%H", "%Y-%m", "%b %Y"])
def test_iso_and_months(format_: str) -> None:
    expected = pd.date_range("2019-01-01", periods=14, freq="MS")
    assert times(expected.strftime(format_)).equals(expected)


@settings(max_examples=20)
@given(st.lists(st.datetimes(datetime.datetime(1700, 1, 1)), min_size=1, max_size=5, unique=True))
def test_iso_times_round_trip(values: list[datetime.datetime]) -> None:
    expected = pd.DatetimeIndex(values).as_unit("us")
    assert times([value.isoformat(" ") for value in values], ISO).equals(expected)
    assert times(values).equals(expected)


def test_numbers_are_steps_or_days() -> None:
    assert times([0, 10, 20]).tolist() == [0, 10, 20]
    assert times([1.0, 2.0]).tolist() == [1, 2]
    assert times([20190131, 20190201]).equals(pd.DatetimeIndex(["2019-01-31", "2019-02-01"]))
    assert times([20190131, 20190199]).tolist() == [20190131, 20190199]
    assert refusal([1, 2.5]) == (
        "the frame: row 1: t must be a time or the whole number of a step, got 2.5"
    )


def test_dates_that_cannot_be_read() -> None:
    assert refusal(["2019-01-31", "2019-02-30"]) == (
        "the frame: row 1: t must be a date or time as in ISO8601, got '2019-02-30'"
    )
    assert refusal(["12/31/2019", "13/31/2019", "x"]) == (
        "the frame: row 1: t must be a date or time as in %m/%d/%Y, got '13/31/2019'"
    )
    assert refusal(["soon"]) == (
        "the frame: row 0: t must be a date or time such as 2019-01-31 or 2019-01-31 14:00, got "
        "'soon'; set data.series.time_format if it is one"
    )
    assert refusal(["2019-01-31", None]) == "the frame: row 1: t is empty; each row needs its time"
    assert refusal([DAYS[0], 7]) == "the frame: row 1: t must be a date or time, got '7'"


def test_dates_that_can_be_read_in_two_ways() -> None:
    texts = ["01/02/2019", "02/02/2019"]
    assert refusal(texts) == (
        "the frame: row 0: t '01/02/2019' may be %m/%d/%Y or %d/%m/%Y; set data.series.time_format"
    )
    assert times(texts, "%d/%m/%Y").equals(pd.DatetimeIndex(["2019-02-01", "2019-02-02"]))
    assert read([*texts, "13/02/2019"])[1] == "%d/%m/%Y"
    assert times(["02/02/2019"]).equals(pd.DatetimeIndex(["2019-02-02"]))  # both ways are one day


def test_a_format_that_is_none() -> None:
    assert "t cannot be read as '%Q' (" in refusal(["2019"], "%Q")


def test_offsets_from_utc() -> None:
    assert str(times(["2019-01-01T10:00Z", "2019-01-01T11:00Z"]).tz) == "UTC"
    one = times(["2019-01-01 10:00+01:00", "2019-01-01 11:00+01:00"])
    assert one.strftime("%H %z").tolist() == ["10 +0100", "11 +0100"]
    mixed = ["2019-03-31 01:00+01:00", "2019-03-31 03:00+02:00"]
    assert refusal(mixed) == (
        "the frame: row 1: t has the offset +02:00 from UTC, others have +01:00; set data.timezone "
        "to the zone in which days are counted, such as UTC or Europe/Berlin"
    )
    local = times(mixed, zone="Europe/Berlin")
    assert local.hour.tolist() == [1, 3]
    assert (np.diff(local.asi8) == 3_600_000_000).all()
    assert refusal(["2019-01-01T10:00Z", "2019-01-01T11:00"]) == (
        "the frame: row 1: t '2019-01-01T11:00' has no offset from UTC, though others have one, "
        "such as '2019-01-01T10:00Z'; write all in one way"
    )
    objects = [datetime.datetime.fromisoformat(text) for text in mixed]
    assert "has the offset +02:00" in refusal(pd.Series(objects, dtype=object).tolist())
    assert times(objects, zone="UTC").hour.tolist() == [0, 1]


def test_times_of_frames() -> None:
    zoned = DAYS.tz_localize("UTC")
    assert times(zoned).equals(zoned)
    assert times(zoned, zone="Asia/Tokyo").hour.tolist() == [9] * len(DAYS)
    assert times(DAYS.to_period("D")).equals(DAYS)
    assert times([day.date() for day in DAYS]).equals(DAYS)


def local(texts: Sequence[str], zone: str = "Europe/Berlin") -> pd.Index:
    rows = of_frame(pd.DataFrame({"t": texts}))
    found, _ = read_times(rows, "t", "", zone)
    return localized(rows, found, np.zeros(len(texts), np.int64), zone)


def test_local_times_where_clocks_change() -> None:
    for start in ("2019-03-30 20:00", "2019-10-26 20:00"):
        expected = pd.date_range(start, periods=12, freq="h", tz="Europe/Berlin")
        assert local(expected.strftime("%Y-%m-%d %H:%M").tolist()).equals(expected)
    with pytest.raises(DataError) as error:
        local(["2019-03-31 01:00", "2019-03-31 02:00"])
    assert str(error.value) == (
        "the frame: row 1: 2019-03-31 02:00:00 does not exist in Europe/Berlin, where clocks "
        "change; give times with their offset from UTC, or set data.timezone to the zone in which "
        "they were written"
    )
    with pytest.raises(DataError, match="row 1: 2019-10-27 02:00:00 may be two hours in Europe"):
        local(["2019-10-27 01:00", "2019-10-27 02:00", "2019-10-27 03:00"])


def test_local_times_series_by_series() -> None:
    expected = pd.date_range("2019-10-27 00:00", periods=6, freq="h", tz="Europe/Berlin")
    texts = expected.strftime("%Y-%m-%d %H:%M").tolist()
    rows = of_frame(pd.DataFrame({"t": [text for text in texts for _ in range(2)]}))
    found, _ = read_times(rows, "t", "", "Europe/Berlin")
    codes = np.tile([0, 1], len(texts))
    both = localized(rows, found, codes, "Europe/Berlin")
    assert both[::2].equals(expected)
    assert both[1::2].equals(expected)


def test_the_table_of_formats_has_each_once() -> None:
    assert len(set(FORMATS)) == len(FORMATS)
