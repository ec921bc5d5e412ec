import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.frequency import (
    CALENDAR_STEPS,
    UNITS,
    check_frequency,
    find_frequency,
    regular_steps,
    season_of,
)
from seq2seq.errors import ConfigError

ALIASES = (*CALENDAR_STEPS, *UNITS, "B", "W-MON", "2W-TUE", "2D", "15min", "90s", "36h", "us")


@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_every_frequency_is_found(alias: str, zone: str | None) -> None:
    times = pd.date_range("2019-02-28", periods=60, freq=alias, tz=zone)
    assert find_frequency(times) == alias


@settings(max_examples=25)
@given(st.sampled_from(ALIASES), st.data())
def test_gaps_do_not_hide_a_frequency(alias: str, data: st.DataObject) -> None:
    times = pd.date_range("2019-02-28", periods=30, freq=alias)
    keep = np.ones(30, bool)
    keep[data.draw(st.lists(st.integers(1, 28), max_size=6))] = False
    left = times[keep]
    found = find_frequency(left)
    assert found is not None
    steps = regular_steps(left, found)
    assert steps is not None
    assert left.isin(steps).all()
    assert len(steps) <= len(times)


def test_irregular_times_have_none() -> None:
    hours = pd.date_range("2019-01-01", periods=50, freq="h")
    shaken = hours + pd.to_timedelta(np.random.default_rng(1).integers(0, 3000, 50), unit="s")
    assert find_frequency(shaken) is None
    assert find_frequency(hours.delete(3).insert(3, hours[3] + pd.Timedelta("17min"))) is None


def test_short_series() -> None:
    for days, alias in ((["2019-01-01", "2019-01-02"], "D"), (["2019-01-01", "2019-02-01"], "MS")):
        assert find_frequency(pd.DatetimeIndex(days)) == alias


def test_workdays_need_a_weekend_to_be_told_from_days() -> None:
    assert find_frequency(pd.date_range("2019-01-07", periods=5, freq="B")) == "D"
    assert find_frequency(pd.date_range("2019-01-07", periods=6, freq="B")) == "B"


@pytest.mark.parametrize("alias", ["auto", *ALIASES])
def test_aliases_are_accepted(alias: str) -> None:
    check_frequency(alias, "frequency")


@pytest.mark.parametrize("alias", ["hourly", "H", "0D", "-1h", "", "T"])
def test_others_are_not(alias: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_frequency(alias, "frequency")
    assert str(error.value) == (
        "frequency: must be auto or a frequency of pandas such as D, h, 15min, B, W-MON, MS or QE, "
        f"got {alias!r}"
    )


def test_seasons() -> None:
    expected = {"h": 24, "30min": 48, "15min": 96, "min": 1440, "2h": 12, "7h": 1, "36h": 1}
    expected |= {"D": 7, "2D": 1, "B": 5, "W-SUN": 52, "2W-SUN": 26, "MS": 12, "ME": 12, "": 1}
    expected |= {"QS-JAN": 4, "QE-DEC": 4, "YS-JAN": 1, "BMS": 12}
    assert {alias: season_of(alias) for alias in expected} == expected
