"""Least squares on the window: exact where it can be, in every scaling, never of the future."""

import json
from dataclasses import replace

import numpy as np
import pytest

from seq2seq.data.series.panel import Panel
from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.forecasting.linear import Linear, fit_linear
from seq2seq.tasks.forecasting.prediction import ahead_of, truths
from seq2seq.tasks.forecasting.scaling import SCALINGS, Transform
from tests.forecasting.making import LEVELS, changed_from, origins, panel_of, series_of, weekly

WINDOW, HORIZON = 10, 5


def fit(panel: Panel, last: int = 150, scaling: str = "window", **transform: object) -> Linear:
    learned = Transform.learned(
        panel,
        [(0, last)] * len(panel.series),
        scaling,
        **transform,  # type: ignore[arg-type]
    )
    at = [
        one
        for series in range(len(panel.series))
        for one in origins(WINDOW + learned.reach, last - HORIZON + 1, series=series)
    ]
    return fit_linear(panel, at, WINDOW, HORIZON, learned)


@pytest.mark.parametrize("difference", [(), (7,)])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_what_is_linear_is_told_exactly(scaling: str, difference: tuple[int, ...]) -> None:
    at = np.arange(200)
    values = np.stack([50 + 3 * np.sin(2 * np.pi * at / 7), 20 - np.cos(2 * np.pi * at / 5)], 1)
    panel = panel_of(series_of(values, np.random.default_rng(0).random((200, 1))))
    model = fit(panel, scaling=scaling, difference=difference)
    found = model.predict(panel, origins(150, 190), HORIZON, LEVELS)
    assert found.point == pytest.approx(truths(panel, origins(150, 190), HORIZON), abs=1e-5)
    assert found.quantiles[..., 1] == pytest.approx(found.point, abs=1e-5)


@pytest.mark.parametrize("scaling", ["none", "train"])
def test_covariates_past_and_future_and_of_the_series_count(scaling: str) -> None:
    random = np.random.default_rng(0)
    future, past = random.random((2, 200, 1))
    values = 10 + 5 * future[:, 0]
    values[1:] += 3 * past[:-1, 0]
    series = [
        replace(series_of(values + own, future, past, name), static=np.array([own]))
        for name, own in (("a", 0.0), ("b", 40.0))
    ]
    panel = panel_of(*series)
    model = fit(panel, scaling=scaling)
    at = origins(150, 190, series=1)
    # Of the past covariate, only what was known at the origin is.
    assert model.predict(panel, at, 1, LEVELS).point == pytest.approx(truths(panel, at, 1))


def test_weights_are_least_squares() -> None:
    series = weekly(160, future=True)
    panel = panel_of(series)
    model = fit(panel, scaling="none")
    rows = range(WINDOW, 146)
    for step in (0, 4):
        design = np.stack(
            [
                [1.0, *series.targets[row - WINDOW : row, 0], series.future[row + step, 0]]
                for row in rows
            ]
        )
        wanted = np.array([series.targets[row + step, 0] for row in rows])
        weights = np.linalg.lstsq(design, wanted, rcond=None)[0]
        assert model.weights[0, step] == pytest.approx(weights, abs=1e-8)


def test_missing_targets_do_not_count_and_missing_inputs_are_stood_in_for() -> None:
    series = weekly(220)
    gone = np.random.default_rng(1).random(series.targets.shape) < 0.1
    holes = replace(series, targets=np.where(gone, np.nan, series.targets))
    panel, whole = panel_of(holes), panel_of(series)
    at = origins(160, 210)
    truth = truths(whole, at, HORIZON)
    error = [
        np.abs(fit(one).predict(one, at, HORIZON, LEVELS).point - truth).mean()
        for one in (whole, panel)
    ]
    assert np.isfinite(error[1])
    assert error[1] < 1.5 * error[0]


def test_nothing_of_the_future_is_seen() -> None:
    series = weekly(200, columns=2, future=True)
    panel, changed = panel_of(series), panel_of(changed_from(series, 155))
    at = origins(150, 156)
    one, other = fit(panel, difference=(1,)), fit(changed, difference=(1,))
    found, again = (
        model.predict(panel, at, HORIZON, LEVELS, samples=2)
        for model, panel in ((one, panel), (other, changed))
    )
    for name in ("point", "quantiles", "samples"):
        assert (getattr(found, name) == getattr(again, name)).all()


def test_windows_and_series_may_stand_in_any_order() -> None:
    one, other = weekly(200, seed=1), replace(weekly(200, seed=2), name="other")
    panel, mirrored = panel_of(one, other), panel_of(other, one)
    at = [*origins(160, 163), *origins(150, 152, series=1)]
    swapped = [one._replace(series=1 - one.series) for one in at]
    found = fit(panel).predict(panel, at, HORIZON, LEVELS, samples=2)
    again = fit(mirrored).predict(mirrored, swapped[::-1], HORIZON, LEVELS, samples=2)
    for name in ("point", "quantiles", "samples"):
        assert getattr(found, name) == pytest.approx(getattr(again, name)[::-1], abs=1e-9)


def test_a_state_that_goes_on_is_that_of_the_whole() -> None:
    series = weekly(200, columns=2, future=True)
    panel = panel_of(series)
    model = fit(panel, difference=(7,))
    ahead = ahead_of(series, 190, HORIZON)
    whole = model.predict(panel, origins(190, 191), HORIZON, LEVELS, samples=2)
    state = model.state(panel, series.part(0, 160))
    for first in (160, 170, 171):
        state = state.extended(series.part(first, {160: 170, 170: 171, 171: 190}[first]))
    found = state.forecast(ahead, LEVELS, samples=2)
    for name in ("point", "quantiles", "samples"):
        assert getattr(found, name) == pytest.approx(getattr(whole, name), abs=1e-9)
    assert len(state.series.times) == WINDOW + 7


def test_a_model_is_kept_as_plain_numbers() -> None:
    panel = panel_of(weekly(200, columns=2, future=True))
    model = fit(panel)
    again = Linear.restored(model.arrays(), json.loads(json.dumps(model.facts())))
    at = origins(150, 160)
    found, wanted = (one.predict(panel, at, HORIZON, LEVELS) for one in (again, model))
    assert (found.quantiles == wanted.quantiles).all()


def test_residuals_tell_the_spread_and_samples_go_whole_ways() -> None:
    panel = panel_of(weekly(600))
    model = fit(panel, last=400)
    at = origins(400, 590)
    found = model.predict(panel, at, HORIZON, LEVELS, samples=400)
    truth = truths(panel, at, HORIZON)
    low, high = found.interval(80)
    assert 0.7 < ((truth >= low) & (truth <= high)).mean() < 0.9
    assert found.samples is not None
    drawn = np.quantile(found.samples, LEVELS, axis=-1)
    assert np.abs(np.moveaxis(drawn, 0, -1) - found.quantiles).mean() < 0.2
    steps = found.samples[0, :2, 0] - found.point[0, :2]
    assert np.corrcoef(steps)[0, 1] > 0.3


def test_a_fit_again_is_one_of_the_given_steps() -> None:
    panel = panel_of(weekly(200))
    model = fit(panel)
    again = model.refitted(panel, [(0, 150)])
    assert again.weights == pytest.approx(model.weights)
    assert np.abs(model.refitted(panel, [(20, 190)]).weights - model.weights).max() > 1e-4


def test_bad_input_is_told_in_one_line() -> None:
    series = weekly(200, future=True)
    panel = panel_of(series)
    model = fit(panel)
    with pytest.raises(ConfigError, match=r"^horizon: linear was fitted for 5 steps at once"):
        model.predict(panel, origins(150, 151), 6, LEVELS)
    with pytest.raises(DataError, match=r"linear reads 10 steps before a forecast, and only 9 are"):
        model.predict(panel, origins(9, 10), HORIZON, LEVELS)
    with pytest.raises(DataError, match=r"^no training window of 10 \+ 5 steps"):
        fit_linear(panel, [], WINDOW, HORIZON, model.transform)
    series.future[153] = np.nan
    with pytest.raises(DataError, match=r"^the series: future0 is not known at 2024-06-02"):
        model.predict(panel, origins(150, 151), HORIZON, LEVELS)
