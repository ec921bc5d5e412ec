"""Scores of forecasts: equal to the library's, exact at the edges, told with their signatures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation.forecast_metrics import (
    Compared,
    ade,
    coverage,
    fde,
    interval,
    mae,
    mase,
    msis,
    quantile_levels,
    rmse,
    seasonal_scale,
    smape,
    wql,
)
from seq2seq.measures import FORECAST_METRICS, ForecastMetric, lower_is_better
from seq2seq.training.config import TrainConfig
from tests.forecasting.making import shared

STEPS, SEASON, LEVELS = 12, 4, (0.025, 0.1, 0.5, 0.9, 0.975)


def compared(windows: int = 5, columns: int = 1, seed: int = 0) -> Compared:
    random = np.random.default_rng(seed)
    truth = random.normal(10, 5, (windows, STEPS, columns))
    quantiles = np.sort(truth[..., None] + random.normal(0, 4, (*truth.shape, len(LEVELS))), -1)
    point = truth + random.normal(0, 3, truth.shape)
    scale = random.uniform(1, 3, (windows, columns))
    return Compared(truth, point, quantiles, LEVELS, scale, SEASON)


def long(one: Compared) -> pd.DataFrame:
    """Returns the first column of each window as a series of the library's layout."""
    windows, steps = one.truth.shape[:2]
    names = {0.025: "lo-95", 0.1: "lo-80", 0.5: "median", 0.9: "hi-80", 0.975: "hi-95"}
    frame = {
        "unique_id": np.repeat([f"s{place}" for place in range(windows)], steps),
        "ds": np.tile(np.arange(steps), windows),
        "y": one.truth[..., 0].ravel(),
        "m": one.point[..., 0].ravel(),
    }
    quantiles = {
        f"m-{names[level]}": one.quantiles[:, :, 0, place].ravel()
        for place, level in enumerate(one.levels)
    }
    return pd.DataFrame(frame | quantiles)


def test_scores_equal_the_librarys() -> None:
    losses = pytest.importorskip("utilsforecast.losses", reason="utilsforecast is not installed")
    one = compared()
    frame, random = long(one), np.random.default_rng(1)
    history = random.normal(10, 5, (5, 40, 1))
    training = pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{place}" for place in range(5)], 40),
            "ds": np.tile(np.arange(40), 5) - 40,
            "y": history.ravel(),
        }
    )
    one = replace(one, scale=np.stack([seasonal_scale(rows, SEASON) for rows in history]))
    columns = [f"m-{name}" for name in ("lo-95", "lo-80", "median", "hi-80", "hi-95")]

    def theirs(found: pd.DataFrame) -> float:
        return float(found["m"].mean())

    assert mae(one).value == pytest.approx(theirs(losses.mae(frame, ["m"])))
    assert FORECAST_METRICS["mape"](one).value == pytest.approx(
        100 * theirs(losses.mape(frame, ["m"]))
    )
    # Theirs goes from 0 to 1, ours from 0 to 200.
    assert smape(one).value == pytest.approx(200 * theirs(losses.smape(frame, ["m"])))
    scaled = losses.mase(frame, ["m"], SEASON, training)
    assert mase(one).value == pytest.approx(theirs(scaled))
    assert coverage(one, 80).value == pytest.approx(100 * theirs(losses.coverage(frame, ["m"], 80)))
    width = losses.winkler_score(frame, ["m"], 95)["m"].to_numpy()
    assert msis(one).value == pytest.approx((width / one.scale[:, 0]).mean())
    first = replace(one, **{name: getattr(one, name)[:1] for name in
                            ("truth", "point", "quantiles", "scale")})  # fmt: skip
    assert rmse(first).value == pytest.approx(losses.rmse(frame, ["m"])["m"].iloc[0])
    crps = losses.scaled_crps(frame, {"m": columns}, np.array(LEVELS))
    assert wql(first).value == pytest.approx(crps["m"].iloc[0])


def test_the_seasonal_naive_has_the_published_scores_of_m4_hourly() -> None:
    past, future = (
        pd.read_csv(shared("series", "m4_hourly", f"Hourly-{part}.csv"), index_col=0).to_numpy(
            float
        )
        for part in ("train", "test")
    )
    known = [row[np.isfinite(row)][:, None] for row in past]
    point = np.stack([np.tile(row[-24:], (2, 1)) for row in known])
    scale = np.stack([seasonal_scale(row, 24) for row in known])
    one = Compared(future[..., None], point, point[..., None], (0.5,), scale, 24)
    assert smape(one).value == pytest.approx(13.912, abs=5e-4)
    assert mase(one).value == pytest.approx(1.193, abs=5e-4)


def test_distances_are_those_of_the_plane() -> None:
    truth = np.zeros((1, 2, 2))
    point = np.array([[[3.0, 4.0], [0.0, 2.0]]])
    one = Compared(truth, point, point[..., None], (0.5,), np.ones((1, 2)), 1)
    assert (ade(one).value, fde(one).value) == (3.5, 2)
    assert ade(one).per_step.tolist() == [5, 2]
    assert np.isnan(fde(one).per_step[0])


@pytest.mark.parametrize("name", FORECAST_METRICS)
def test_parts_add_up_to_the_whole(name: str) -> None:
    one = compared(6, columns=2)
    one.truth[2, 3:] = np.nan
    halves = [
        replace(one, **{key: getattr(one, key)[half] for key in
                        ("truth", "point", "quantiles", "scale")})
        for half in (slice(0, 2), slice(2, 6))
    ]  # fmt: skip
    whole = FORECAST_METRICS[name](one)
    again = FORECAST_METRICS[name](halves[0]) + FORECAST_METRICS[name](halves[1])
    assert again.score.value == pytest.approx(whole.score.value)
    assert again.score.signature == whole.score.signature
    assert whole.score.signature.startswith("origins:6|steps:12|season:4")
    known = np.isfinite(whole.per_step)
    assert whole.per_step[known].min() <= whole.value <= whole.per_step[known].max()


@pytest.mark.parametrize("name", FORECAST_METRICS)
def test_what_is_missing_counts_nowhere_and_what_is_no_number_everywhere(name: str) -> None:
    one = compared(3)
    one.truth[1] = np.nan
    without = replace(one, **{key: np.delete(getattr(one, key), 1, 0) for key in
                              ("truth", "point", "quantiles", "scale")})  # fmt: skip
    metric = FORECAST_METRICS[name]
    assert metric(one).value == pytest.approx(metric(without).value)
    one.point[0, -1] = np.nan
    one.quantiles[0, -1] = np.nan
    assert np.isnan(metric(one).value)


def test_what_cannot_be_divided_is_left_out() -> None:
    one = compared(2)
    one.truth[0, 0] = one.point[0, 0] = 0.0
    one.scale[1] = 0.0
    assert np.isfinite([FORECAST_METRICS[name](one).value for name in FORECAST_METRICS]).all()
    assert smape(one).over[0, 0] < mae(replace(one, truth=one.truth + 1)).over[0, 0] * 200
    assert FORECAST_METRICS["mape"](one).under[0, 0] == 1
    assert (mase(one).under == 1).all()
    one.scale[:] = np.nan
    assert np.isnan(mase(one).value)


def test_smape_is_200_where_the_sign_is_wrong_and_0_where_both_are_nothing() -> None:
    one = compared(1)
    assert smape(replace(one, point=-one.truth)).value == pytest.approx(200)
    nothing = np.zeros_like(one.truth)
    assert smape(replace(one, truth=nothing, point=nothing)).value == 0


def test_intervals_need_their_quantiles() -> None:
    assert quantile_levels((80, 95)) == LEVELS
    assert quantile_levels(()) == (0.5,)
    low, high = interval(np.arange(5.0), LEVELS, 80)
    assert (float(low), float(high)) == (1, 3)
    with pytest.raises(DataError, match=r"^no 90 % interval: it needs quantiles 0.05 and 0.95, "):
        coverage(compared(), 90)


def test_a_scale_is_that_of_known_steps() -> None:
    rows = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, 1.0], [np.nan, 2.0]])
    assert seasonal_scale(rows, 1).tolist() == [1.5, 1.0]
    assert np.isnan(seasonal_scale(rows[:1], 1)).all()


def test_the_table_says_which_way_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(lower_is_better(name) for name in FORECAST_METRICS)
    entry = ForecastMetric(lambda compared: compared, lower_is_better=False)
    monkeypatch.setitem(FORECAST_METRICS, "hits", entry)
    assert not lower_is_better("hits")


def test_a_task_has_its_own_scores() -> None:
    class Forecasts(TrainConfig):
        scores = FORECAST_METRICS

    assert Forecasts(steps=1, metric="mae").metric == "mae"
    with pytest.raises(ConfigError, match=r"^metric: must be one of loss, mae, .*'bleu'"):
        Forecasts(steps=1, metric="bleu")
    with pytest.raises(ConfigError, match=r"^metric: must be one of loss, bleu"):
        TrainConfig(steps=1, metric="mae")
