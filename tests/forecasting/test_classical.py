"""The baselines: what they say, how wide, after gaps, and never of the future."""

from dataclasses import replace

import numpy as np
import pytest

from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.evaluation.forecast_metrics import Compared, mae
from seq2seq.tasks.forecasting.classical import BASELINES, NAIVE, Drift, SeasonalNaive
from seq2seq.tasks.forecasting.prediction import LastSteps, Prediction, Rolling, ahead_of, truths
from tests.forecasting.making import (
    LEVELS,
    changed_from,
    origins,
    panel_of,
    series_of,
    shared,
    weekly,
)

BELL = 1.2815515655446004
"""The 90 % point of the normal distribution."""
MODELS = list(BASELINES.values())


def width(prediction: Prediction) -> np.ndarray:
    """Returns half the width of the 80 % interval of one window and column, in deviations."""
    half: np.ndarray = (prediction.quantiles - prediction.point[..., None])[0, :, 0, 2] / BELL
    return half


def forecast(model: Rolling, values: list[float], horizon: int, season: int = 3) -> Prediction:
    series = series_of([*values, *[np.nan] * horizon])
    window = [Window(0, len(values))]
    return model.predict(panel_of(series, season=season), window, horizon, LEVELS)


def test_intervals_are_those_of_the_textbook() -> None:
    values = [3.0, 7.0, 4.0, 6.0, 10.0, 5.0, 9.0, 12.0, 10.0]
    steps = np.arange(1, 6)
    naive = forecast(NAIVE, values, 5)
    assert naive.point[0, :, 0].tolist() == [10.0] * 5
    sigma = np.sqrt(np.mean(np.diff(values) ** 2))
    assert width(naive) == pytest.approx(sigma * np.sqrt(steps))

    seasonal = forecast(SeasonalNaive(), values, 5)
    assert seasonal.point[0, :, 0].tolist() == [9.0, 12.0, 10.0, 9.0, 12.0]
    sigma = np.sqrt(np.mean((np.array(values[3:]) - np.array(values[:-3])) ** 2))
    assert width(seasonal) == pytest.approx(sigma * np.sqrt([1, 1, 1, 2, 2]))

    drift = forecast(Drift(), values, 5)
    slope = 7 / 8
    assert drift.point[0, :, 0] == pytest.approx(10 + slope * steps)
    sigma = np.sqrt(np.sum((np.diff(values) - slope) ** 2) / 7)
    assert width(drift) == pytest.approx(sigma * np.sqrt(steps * (1 + steps / 8)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_samples_are_as_wide_as_the_intervals(model: Rolling) -> None:
    series = weekly(60)
    panel, at = panel_of(series, season=3), [Window(0, 50)]
    found = model.predict(panel, at, 8, LEVELS, samples=4000)
    assert found.samples is not None
    assert found.samples.shape == (1, 8, 1, 4000)
    drawn = np.quantile(found.samples, LEVELS, axis=-1)
    assert np.moveaxis(drawn, 0, -1) == pytest.approx(
        found.quantiles, abs=0.15 * width(found).max()
    )
    again = model.predict(panel, at, 8, LEVELS, samples=4000)
    assert again.samples is not None
    assert np.array_equal(again.samples, found.samples)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_nothing_of_the_future_is_seen(model: Rolling) -> None:
    series = weekly(80, columns=2)
    at = origins(40, 43)
    before = model.predict(panel_of(series), at, 10, LEVELS, samples=2)
    after = model.predict(panel_of(changed_from(series, 42)), at, 10, LEVELS, samples=2)
    for name in ("point", "quantiles", "samples"):
        assert (getattr(before, name) == getattr(after, name)).all()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_state_that_goes_on_is_that_of_the_whole(model: Rolling, missing: float) -> None:
    series = weekly(90, columns=2)
    gone = np.random.default_rng(3).random(series.targets.shape) < missing
    series.targets[gone] = np.nan
    series.targets[79] = 1.0
    panel = panel_of(series)
    ahead = ahead_of(series, 80, 10)
    whole = model.state(panel, series.part(0, 80)).forecast(ahead, LEVELS)
    step_by_step = model.state(panel, series.part(0, 30))
    for cut in (31, 45, 46, 80):
        first = {31: 30, 45: 31, 46: 45, 80: 46}[cut]
        step_by_step = step_by_step.extended(series.part(first, cut))
    found = step_by_step.forecast(ahead, LEVELS)
    assert found.point == pytest.approx(whole.point, abs=1e-9)
    assert found.quantiles == pytest.approx(whole.quantiles, abs=1e-9)
    rolled = model.predict(panel, [Window(0, 80)], 10, LEVELS)
    assert (rolled.quantiles == whole.quantiles).all()


def test_windows_may_stand_in_any_order_and_company() -> None:
    one, other = weekly(60, seed=1), replace(weekly(70, seed=2), name="other")
    panel, mirrored = panel_of(one, other), panel_of(other, one)
    at = [Window(1, 50), Window(0, 44), Window(1, 40), Window(0, 50)]
    swapped = [Window(1 - window.series, window.origin) for window in at]
    for model in MODELS:
        found = model.predict(panel, at, 5, LEVELS, samples=3)
        again = model.predict(mirrored, swapped[::-1], 5, LEVELS, samples=3)
        for name in ("point", "quantiles", "samples"):
            assert (getattr(found, name) == getattr(again, name)[::-1]).all()


def test_after_a_gap_the_last_known_number_stands_in_and_intervals_are_wider() -> None:
    values = [3.0, 7.0, 4.0, 6.0, 10.0, 5.0, 9.0, 12.0, 10.0]
    nan = float("nan")
    there, gone = forecast(NAIVE, values, 2), forecast(NAIVE, [*values, nan, nan], 2)
    assert (gone.point == there.point).all()
    assert width(gone) == pytest.approx(width(there)[0] * np.sqrt([3, 4]))
    there, gone = (forecast(SeasonalNaive(), given, 3) for given in (values, [*values, nan, nan]))
    assert gone.point[0, :, 0].tolist() == [10.0, 9.0, 12.0]
    assert width(gone) == pytest.approx(width(there)[0] * np.sqrt([1, 2, 2]))
    gone = forecast(Drift(), [*values, nan, nan], 2)
    assert gone.point[0, :, 0] == pytest.approx(10 + 7 / 8 * np.array([3, 4]))


def test_a_season_that_was_not_seen_is_refused() -> None:
    with pytest.raises(DataError, match=r"^the series: the season has 12 steps, of which not each"):
        forecast(SeasonalNaive(), [1.0, 2.0, 3.0], 2, season=12)
    with pytest.raises(DataError, match=r"^the series: the drift needs two known values$"):
        forecast(Drift(), [1.0], 2)


def test_steps_beyond_the_file_need_their_covariates() -> None:
    with pytest.raises(DataError, match=r"^the series: 5 steps are to be forecast from step 57"):
        NAIVE.predict(panel_of(weekly(60)), [Window(0, 56)], 5, LEVELS)


def test_the_state_of_a_windowed_model_keeps_its_last_steps_alone() -> None:
    series = weekly(40, future=True)
    panel = panel_of(series)
    state = LastSteps(NAIVE, panel, 5, series.part(0, 5)).extended(series.part(5, 30))
    assert len(state.series.times) == 5
    found = state.forecast(ahead_of(series, 30, 4), LEVELS)
    assert (found.point == series.targets[29]).all()


def test_the_naive_rows_of_the_ridership_protocol() -> None:
    import pandas as pd

    path = shared("ridership", "CTA_-_Ridership_-_Daily_Boarding_Totals.csv")
    frame = pd.read_csv(path).drop_duplicates()
    frame = frame.set_index(pd.to_datetime(frame["service_date"], format="%m/%d/%Y")).sort_index()
    days = frame.loc["2019-02-01":"2019-05-31", ["rail_boardings", "bus"]]
    series = series_of(days.to_numpy(float))
    panel, at = panel_of(series), origins(28, len(days))
    found = SeasonalNaive().predict(panel, at, 1, LEVELS)
    one = Compared(truths(panel, at, 1), found.point, found.quantiles, LEVELS,
                   np.ones((len(at), 2)), 7)  # fmt: skip
    assert mae(one).per_column == pytest.approx([42_143, 43_916], abs=0.5)
