import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series import steps as module
from seq2seq.data.series.steps import (
    Table,
    Unsettled,
    in_order,
    panel_frequency,
    regular,
    without_duplicates,
)
from seq2seq.errors import DataError

DAYS = pd.date_range("2020-01-01", periods=6, freq="D")


def table(times: Any, names: str | None = None, **values: Any) -> Table:
    index = pd.Index(times) if isinstance(times, list) else times
    if isinstance(times, list) and isinstance(times[0], str):
        index = pd.DatetimeIndex(times).as_unit("us")
    ids = list(names or "a" * len(index))
    ordered = sorted(set(ids))
    frame = pd.DataFrame(values or {"x": np.arange(len(index), dtype=np.float64)})
    called = tuple(ordered) if names else ("",)
    codes = np.array([ordered.index(one) for one in ids], np.int64)
    return Table("f.csv", lambda row: f"f.csv: line {row + 2}", called, codes, index, frame)


def refusal(call: Any, *arguments: Any) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments)
    return str(error.value)


TWICE = ["2020-01-01", "2020-01-02", "2020-01-01", "2020-01-02", "2020-01-03"]


def test_duplicates_that_are_alike() -> None:
    rows = table(TWICE, x=[1.0, np.nan, 1.0, np.nan, 3.0], day=["a", "b", "a", "b", "c"])
    assert refusal(without_duplicates, rows, "refuse") == (
        "f.csv: line 4: 2020-01-01 stands again after line 2 (2 such rows, all alike); set "
        "data.duplicates: drop"
    )
    left = without_duplicates(rows, "drop")
    assert left.times.equals(DAYS[:3])
    assert left.values["day"].tolist() == ["a", "b", "c"]
    assert left.values.index.tolist() == [0, 1, 4]


def test_duplicates_that_differ() -> None:
    rows = table(TWICE, x=[1.0, 2.0, 1.0, 4.0, 5.0])
    for setting in ("refuse", "drop"):
        assert refusal(without_duplicates, rows, setting) == (
            "f.csv: line 5: 2020-01-02 stands again after line 3 (2 such rows, 1 with other "
            "values); set data.duplicates: first, last, mean or sum"
        )
    expected: dict[Any, list[int]] = {
        "first": [1, 2, 5],
        "last": [1, 4, 5],
        "mean": [1, 3, 5],
        "sum": [2, 6, 5],
    }
    for setting, values in expected.items():
        left = in_order(without_duplicates(rows, setting), "sort")
        assert left.values["x"].tolist() == values, setting
        assert left.times.equals(DAYS[:3])


def test_sums_leave_out_what_is_missing() -> None:
    rows = table(["2020-01-01"] * 2 + ["2020-01-02"] * 2, x=[1.0, np.nan, np.nan, np.nan])
    for setting in ("mean", "sum"):
        found = without_duplicates(rows, setting).values["x"]
        np.testing.assert_array_equal(found, [1, np.nan])


def test_texts_are_not_added_up() -> None:
    rows = table(["2020-01-01"] * 2, x=[1.0, 2.0], day=["a", "b"])
    assert refusal(without_duplicates, rows, "sum") == (
        "f.csv: line 3: day is 'b', not as in the row with the same time before; "
        "data.duplicates: sum adds up numbers only"
    )


def test_the_same_time_of_two_series_is_no_duplicate() -> None:
    rows = table(["2020-01-01", "2020-01-01"], "ab")
    assert without_duplicates(rows, "refuse") is rows


@settings(max_examples=20)
@given(st.permutations(range(12)))
def test_any_order_is_sorted(order: list[int]) -> None:
    times = DAYS.append(DAYS)
    ordered = table(times, "aaaaaabbbbbb")
    names = "".join("ab"[place // 6] for place in order)
    shuffled = table(times[order], names, x=np.array(order, float))
    found = in_order(shuffled, "sort")
    assert found.times.equals(ordered.times)
    assert found.codes.tolist() == ordered.codes.tolist()
    assert found.values["x"].tolist() == list(range(12))


def test_rows_out_of_order_are_told(caplog: pytest.LogCaptureFixture) -> None:
    module._tell.cache_clear()
    rows = table(["2020-01-02", "2020-01-01", "2020-01-03"])
    line = "f.csv: line 3: 2020-01-01 stands after 2020-01-02 (1 such rows)"
    assert refusal(in_order, rows, "refuse") == f"{line}; set data.order: sort"
    with caplog.at_level(logging.WARNING, "seq2seq"):
        in_order(rows, "sort")
        in_order(rows, "sort")
    assert caplog.messages == [f"{line}: rows are sorted by time"]


def test_rows_of_series_may_alternate() -> None:
    rows = table([0, 0, 1, 1], "abab")
    assert in_order(rows, "refuse").values["x"].tolist() == [0, 2, 1, 3]


def test_frequencies_come_from_the_longest_series() -> None:
    times = pd.DatetimeIndex(["2020-01-01", *DAYS])
    assert panel_frequency(in_order(table(times, "baaaaaa"), "sort")) == "D"
    assert panel_frequency(table([3, 4, 5])) == ""


def test_one_time_tells_no_frequency() -> None:
    assert refusal(panel_frequency, table(["2020-01-01"])) == (
        "f.csv: line 2: one time alone tells no frequency; set data.frequency, such as D or h"
    )


def test_irregular_times() -> None:
    hours = pd.date_range("2020-01-01", periods=20, freq="h").as_unit("us")
    shaken = hours.delete(7).insert(7, hours[7] + pd.Timedelta("17min"))
    assert refusal(panel_frequency, table(shaken)) == (
        "f.csv: line 9: times are irregular: 2020-01-01 07:17:00 is 0 days 01:17:00 after the time "
        "before, most are 0 days 01:00:00 (11% are no multiple of it); bring them to regular "
        "steps, or set data.frequency"
    )
    assert refusal(regular, table(shaken), "h", "mask") == (
        "f.csv: line 9: 2020-01-01 07:17:00 is no step of frequency h; bring times to regular "
        "steps, or set data.frequency"
    )
    assert "2020-01-01 is no step of frequency W-SUN" in refusal(
        regular, table(DAYS), "W-SUN", "mask"
    )


def test_gaps() -> None:
    rows = table(DAYS.delete([2, 3]))
    with pytest.raises(Unsettled) as error:
        regular(rows, "D", "refuse")
    assert str(error.value) == (
        "f.csv: line 3: the step 2020-01-03 is missing after this row (2 steps of frequency D "
        "are); set data.missing: mask, with which they count neither as input nor as target"
    )
    assert (error.value.setting, error.value.value) == ("missing", "mask")
    (found,) = regular(rows, "D", "mask")
    assert found.times.equals(DAYS)
    assert found.at.tolist() == [0, 1, 4, 5]


def test_gaps_in_numbered_steps() -> None:
    rows = table([0, 10, 30, 40, 5, 15], "aaaabb")
    assert "series a: the step 20 is missing after this row (1 steps are)" in refusal(
        regular, rows, "", "refuse"
    )
    first, second = regular(rows, "", "mask")
    assert first.times.tolist() == [0, 10, 20, 30, 40]
    assert second.times.tolist() == [5, 15]
    assert refusal(regular, table([0, 10, 20, 30, 41, 50]), "", "mask") == (
        "f.csv: line 6: the numbers of steps are irregular: of 51 steps 1 apart only 6 are there"
    )


def test_clock_changes_are_suspected() -> None:
    zone = "Europe/Berlin"
    spring = pd.date_range("2020-03-28", periods=72, freq="h", tz=zone).tz_localize(None)
    autumn = pd.date_range("2020-10-24", periods=72, freq="h", tz=zone).tz_localize(None)
    hint = "; or, as clocks seem to change there, data.timezone, such as Europe/Berlin"
    assert refusal(regular, table(spring), "h", "refuse").endswith(hint)
    assert refusal(without_duplicates, table(autumn), "refuse").endswith(hint)
    sundays = pd.date_range("2020-03-01", periods=72, freq="D")
    assert not refusal(regular, table(sundays.delete(7)), "D", "refuse").endswith(hint)
