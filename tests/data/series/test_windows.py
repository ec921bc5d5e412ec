import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series import windows as module
from seq2seq.data.series.config import Part
from seq2seq.data.series.panel import Columns, Panel, Series
from seq2seq.data.series.windows import Window, inside, windows
from seq2seq.errors import ConfigError, DataError

NONE = np.zeros((0, 0))
PARTS = st.builds(
    Part,
    name=st.just("valid"),
    since=st.sampled_from(["", "3", "8"]),
    until=st.sampled_from(["", "9", "15"]),
    last=st.sampled_from([0, 0, 6]),
    later=st.sampled_from([0, 0, 2]),
    reach=st.booleans(),
)


def series(
    targets: list[float] | int, name: str = "", first: str | int = 0, frequency: str = "D"
) -> Series:
    values = np.arange(targets, dtype=float) if isinstance(targets, int) else np.array(targets)
    count = len(values)
    times: Any = pd.RangeIndex(int(first), int(first) + count) if isinstance(first, int) else None
    if times is None:
        times = pd.date_range(first, periods=count, freq=frequency)
    empty = np.zeros((count, 0))
    return Series(name, times, values[:, None], empty, empty, np.zeros(0))


def panel(*several: Series) -> Panel:
    return Panel(several, Columns(("y",)), "", 1)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=3),
    PARTS,
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_windows_lie_inside_their_part(
    lengths: list[int], part: Part, window: int, horizon: int, stride: int
) -> None:
    """Just as a loop over all places finds them."""
    several = [series(length, str(n)) for n, length in enumerate(lengths)]
    expected = []
    for number, one in enumerate(several):
        last = min(int(part.until or 99) + 1, len(one.times) - part.later)
        first = max(int(part.since or 0), last - part.last if part.last else 0, 0)
        found = inside(panel(*several), part)[number]
        assert found == (first, last) if first < last else found[0] == found[1]
        places = [
            origin
            for origin in range(len(one.times))
            if origin >= window
            and (origin >= first if part.reach else origin - window >= first)
            and origin + horizon <= last
        ]
        expected += [Window(number, origin) for origin in places[::stride]]
    if expected:
        assert windows(panel(*several), part, window, horizon, stride) == expected
    else:
        with pytest.raises(DataError):
            windows(panel(*several), part, window, horizon, stride)


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_dates_count_to_their_end(zone: str | None) -> None:
    times = pd.date_range("2019-01-01", "2019-12-31 23:00", freq="h", tz=zone)
    empty = np.zeros((len(times), 0))
    hours = Series("", times, np.ones((len(times), 1)), empty, empty, np.zeros(0))
    for since, until in (("2019-03-10", "2019-03-10"), ("2019-03", "2019-11-03"), ("2019", "2019")):
        ((first, last),) = inside(panel(hours), Part("p", since=since, until=until))
        found = times[first:last]
        assert str(found[0]).startswith(since)
        assert str(found[-1]).startswith(until)
        assert first == 0 or not str(times[first - 1]).startswith(since)
        assert last == len(times) or not str(times[last]).startswith(until)
        ((after, before),) = inside(panel(hours), Part("p", after=until, before=since))
        assert (after, before) == (last, max(first, last))


def test_parts_of_one_time_share_no_target() -> None:
    days = series(100, first="2019-01-01")
    early, late = Part("train", until="2019-02"), Part("valid", after="2019-02", reach=True)
    ((_, end),) = inside(panel(days), early)
    ((begin, _),) = inside(panel(days), late)
    assert end == begin == 59
    assert windows(panel(days), late, 20, 5)[0] == Window(0, 59)
    assert windows(panel(days), early, 20, 5)[-1] == Window(0, 54)


def test_steps_after_the_present_are_in_no_window() -> None:
    known = series([1.0, 2, 3, 4, np.nan, np.nan])
    assert windows(panel(known), Part("test"), 2, 1) == [Window(0, 2), Window(0, 3)]


def test_windows_of_which_nothing_is_known_do_not_count() -> None:
    gap = series([1.0, np.nan, np.nan, 4, 5])
    found = windows(panel(gap), Part("train"), 2, 1)
    assert found == [Window(0, 4)]  # of that at 2 no target is known, of that at 3 no input


def test_short_series_are_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    module._tell_of_short.cache_clear()
    several = [series(length, f"H{length}") for length in (3, 20, 5)]
    with caplog.at_level(logging.WARNING, "seq2seq"):
        for _ in range(2):
            found = windows(panel(*several), Part("train"), 4, 2)
    assert {window.series for window in found} == {1}
    assert caplog.messages == [
        "data.train: 2 of 3 series are shorter than window + horizon = 4 + 2 = 6 steps and left "
        "out: H3 has 3, H5 has 5"
    ]


def refusal(*arguments: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        windows(*arguments)
    return str(error.value)


def test_all_series_too_short() -> None:
    several = [series(length, f"H{length}") for length in (3, 4, 5, 2)]
    assert refusal(panel(*several), Part("train"), 4, 2) == (
        "data.train: no series is long enough: H3 has 3, H4 has 4, H5 has 5 and so on; window + "
        "horizon = 4 + 2 = 6 steps are needed; widen the part, or make model.window or "
        "model.horizon smaller"
    )
    assert refusal(panel(series(9)), Part("test", last=2, reach=True), 4, 3) == (
        "data.test: no series is long enough: the series has 2 after 7 others; window + "
        "horizon = 4 + 3 = 7 steps (3 of them in the part) are needed; widen the part, or "
        "make model.window or model.horizon smaller"
    )


def test_parts_beyond_the_data() -> None:
    days = series(20, first="2019-01-01")
    assert refusal(panel(days), Part("test", since="2020"), 4, 2) == (
        "data.test: holds no step of the data; series run from 2019-01-01 to 2019-01-20"
    )
    unknown = series([1.0, 2, np.nan, np.nan, np.nan, 3])
    assert refusal(panel(unknown), Part("test", until="4"), 2, 1).startswith(
        "data.test: no window of window + horizon = 2 + 1 = 3 steps has a known target; series run"
    )


def test_bounds_of_the_other_kind() -> None:
    assert refusal(panel(series(20)), Part("test", since="2019-01-01"), 4, 2) == (
        "data.test: must be the number of a step, got 2019-01-01; the steps of the series have "
        "numbers, no times"
    )
    days = series(20, first="2019-01-01")
    assert refusal(panel(days), Part("test", since="12000"), 4, 2) == (
        "data.test: must be a date such as 2019-01-31, got 12000; the steps of the series "
        "have times"
    )
