from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.autocorrelation import (
    autocorrelation,
    find_season,
    partial_autocorrelation,
    white_noise_bound,
)
from seq2seq.data.series.check import MOST_CURVES, Curve, check, curves, open_to_check
from seq2seq.data.series.config import DataConfig, PartConfig
from seq2seq.errors import DataError
from seq2seq.evaluation.plots.series_check import plot_series_check

RANDOM = np.random.default_rng(7)
WEEKS = 30 + 10 * np.sin(np.arange(140) * 2 * np.pi / 7) + RANDOM.normal(0, 1, 140)


def days(values: Any, first: str = "2020-01-01") -> pd.DataFrame:
    times = pd.date_range(first, periods=len(values), freq="D")
    return pd.DataFrame({"ds": times, "y": np.asarray(values, float)})


def problems(frame: pd.DataFrame, **settings_: Any) -> list[str]:
    config = DataConfig(**settings_)
    panel, told = open_to_check(config, frame)
    return list(check(panel, config, told).problems)


def cells(frame: pd.DataFrame) -> dict[str, str]:
    panel, _ = open_to_check(DataConfig(), frame)
    return {label: cell for label, cell, *_ in check(panel, DataConfig()).rows}


def curve(values: Any, season: int = 1) -> Curve:
    return Curve("y", pd.RangeIndex(len(values)), np.asarray(values, float), season)


def test_a_faultless_series_has_no_problems() -> None:
    assert problems(days(WEEKS)) == []
    found = cells(days(WEEKS))
    assert found["steps"] == "140"
    assert (found["first"], found["last"]) == ("2020-01-01", "2020-05-19")
    assert (found["season"], found["seems to repeat after"]) == ("7", "7")
    assert float(found["mean"]) == pytest.approx(WEEKS.mean(), rel=1e-5)
    assert float(found["autocorrelation, 1 season"]) > 0.9
    assert [found[label] for label in ("missing", "outliers")] == ["0", "0"]
    assert found["longest constant stretch"] == "1"


def test_what_would_be_refused_is_told_and_read() -> None:
    frame = days(WEEKS)
    frame = pd.concat([frame.drop(index=[20, 21, 50]), frame.head(2)])
    assert problems(frame, order="refuse") == [
        "the frame: row 137: 2020-01-01 stands again after row 0 (2 such rows, all alike); set "
        "data.duplicates: drop",
        "the frame: row 19: the step 2020-01-21 is missing after this row (3 steps of frequency D "
        "are); set data.missing: mask, with which they count neither as input nor as target",
        "y: 3 of 140 values are missing (2.1%), at most 2 in a row, from 2020-01-21",
    ]
    assert "set data.order: sort" in problems(days(WEEKS).iloc[::-1], order="refuse")[0]


def test_outliers_are_judged_by_their_season() -> None:
    values = WEEKS.copy()
    values[40] = values[43]  # an everyday value on the wrong day
    values[80] = 1234567
    assert problems(days(values)) == [
        "y: far from the seasons around: 2020-02-10 "
        f"({values[40]:.6g}), 2020-03-21 (1,234,567) (2 in all); perhaps holidays or faults"
    ]
    assert curve(values, 7).outliers.nonzero()[0].tolist() == [40, 80]
    assert not curve(np.ones(50)).outliers.any()
    assert not curve([1, 2]).outliers.any()
    assert not curve([np.nan, 1, np.nan]).outliers.any()


def test_constant_stretches() -> None:
    values = WEEKS.copy()
    values[60:90] = 12.5
    found = problems(days(values))
    assert "y: the same value, 12.5, for 30 steps from 2020-03-01" in found
    assert curve([1, 2, 2, np.nan, np.nan, 3, 3, 3]).stretch == (5, 3)


def test_seasons_that_differ_from_the_configured_one() -> None:
    assert problems(days(WEEKS), season=1) == ["y: seems to repeat after 7 steps; data.season is 1"]
    assert problems(days(WEEKS), season=5)[-1] == (
        "y: seems to repeat after 7 steps; data.season is 5"
    )


def test_parts_without_data() -> None:
    found = problems(days(WEEKS), train=PartConfig(until="2020-04"), test=PartConfig(from_="2021"))
    assert found == ["data.test: holds no step of the data"]


def test_many_series_are_shown_in_part() -> None:
    count = MOST_CURVES + 4
    values = np.tile(np.where(np.arange(140) == 70, 500, WEEKS), count)
    frame = pd.concat([days(WEEKS)] * count).assign(
        y=values, unique_id=np.repeat([f"s{n:02}" for n in range(count)], 140)
    )
    panel, _ = open_to_check(DataConfig(), frame)
    report = check(panel, DataConfig())
    assert report.columns[0] == "s00 y"
    assert len(report.columns) == MOST_CURVES
    assert report.problems[0] == f"the table shows {MOST_CURVES} of {count} series and columns"
    assert len(report.problems) == 4
    assert report.problems[-1].endswith("; the like in 9 more")
    lines = report.table().split("\n")
    assert len({len(line) for line in lines if line.endswith("  7")}) == 1


@settings(max_examples=8)
@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=15))
def test_any_series_can_be_checked(values: list[int | None]) -> None:
    frame = days([np.nan if value is None else value for value in values])
    panel, told = open_to_check(DataConfig(frequency="D"), frame)
    if curves(panel):
        check(panel, DataConfig(), told)


def test_autocorrelation_by_its_definition() -> None:
    values = RANDOM.normal(0, 1, 60).cumsum()
    found = autocorrelation(values, 12)
    away = values - values.mean()
    for lag in range(13):
        expected = (away[lag:] * away[: len(away) - lag]).sum() / (away**2).sum()
        assert found[lag] == pytest.approx(expected)
    assert autocorrelation(np.ones(9), 3).tolist() == [1, 0, 0, 0]
    assert autocorrelation(np.full(9, np.nan), 2).tolist() == [1, 0, 0]


def test_partial_autocorrelation_is_the_last_weight_of_a_regression() -> None:
    """That of Yule and Walker, of as many lags."""
    values = RANDOM.normal(0, 1, 80).cumsum()
    whole = autocorrelation(values, 8)
    found = partial_autocorrelation(values, 8)
    for lag in range(1, 9):
        places = np.arange(lag)
        matrix = whole[np.abs(places[:, None] - places)]
        assert found[lag] == pytest.approx(np.linalg.solve(matrix, whole[1 : lag + 1])[-1])
    assert partial_autocorrelation(np.ones(9), 2).tolist() == [1, 0, 0]


@pytest.mark.parametrize("gaps", [False, True])
def test_both_equal_those_of_statsmodels(gaps: bool) -> None:
    stattools = pytest.importorskip("statsmodels.tsa.stattools", reason="needs the extra forecast")
    values = WEEKS + RANDOM.normal(0, 1, 140).cumsum()
    if gaps:
        values[[3, 60, 61, 100]] = np.nan
    expected = stattools.acf(values, nlags=30, fft=False, missing="conservative")
    np.testing.assert_allclose(autocorrelation(values, 30), expected, atol=1e-12)
    if not gaps:
        expected = stattools.pacf(values, nlags=30, method="ywm")
        np.testing.assert_allclose(partial_autocorrelation(values, 30), expected, atol=1e-10)


def test_bounds_of_white_noise() -> None:
    noise = RANDOM.normal(0, 1, 2000)
    outside = np.abs(autocorrelation(noise, 400)[1:]) > white_noise_bound(noise)
    assert 0.02 < outside.mean() < 0.08


@pytest.mark.parametrize("season", [4, 7, 12, 24])
@pytest.mark.parametrize("trend", [0.0, 1.0])
def test_a_season_is_found(season: int, trend: float) -> None:
    shape = 9 * np.exp(-((np.arange(season) - season / 2) ** 2) / season)
    steps = np.arange(12 * season)
    values = shape[steps % season] + trend * steps + RANDOM.normal(0, 0.5, len(steps))
    assert find_season(values, 3 * season) == season


def test_no_season_is_found() -> None:
    assert find_season(RANDOM.normal(0, 1, 500), 100) == 1
    assert find_season(RANDOM.normal(0, 1, 500).cumsum(), 100) == 1
    assert find_season(np.arange(50.0), 10) == 1
    assert find_season(np.array([1.0, 2.0]), 10) == 1


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    frame = days(WEEKS).assign(other=WEEKS[::-1]).drop(index=[5, 6])
    panel, _ = open_to_check(DataConfig(), frame.rename(columns={"y": "$a"}))
    path = tmp_path / "check.png"
    figure = plot_series_check(curves(panel), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [
        *("$a", "autocorrelation", "partial autocorrelation"),
        *("other", "autocorrelation", "partial autocorrelation"),
    ]
    with pytest.raises(DataError, match="check: no series has a known value"):
        plot_series_check([])
