"""Intervals that adapt: they hold where times change, go on, and see nothing of the future."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import ConfigError
from seq2seq.evaluation.forecast_metrics import quantile_levels
from seq2seq.tasks.forecasting import evaluation
from seq2seq.tasks.forecasting.adaptive import (
    RATES,
    WIDEST,
    Adaptive,
    asked_after,
    opened,
    total,
)
from seq2seq.tasks.forecasting.classical import NAIVE, SeasonalNaive
from seq2seq.tasks.forecasting.evaluation import Setting, compare
from seq2seq.tasks.forecasting.intervals import LEVELS, PERCENTS, Calibrated, calibrate
from seq2seq.tasks.forecasting.linear import fit_linear
from seq2seq.tasks.forecasting.prediction import Prediction, Predictor, ahead_of, truths
from seq2seq.tasks.forecasting.scaling import Transform
from tests.forecasting.making import changed_from, origins, panel_of, series_of, weekly

HORIZON = 4
ASKED = quantile_levels((80,))


def noisier(steps: int = 400) -> Series:
    """Returns a series that is twice as noisy from step 150 on."""
    noise = np.random.default_rng(0).standard_normal(steps)
    return series_of(10 + noise * np.where(np.arange(steps) < 150, 1, 2))


def adaptive(panel: Panel, model: Predictor = NAIVE) -> Adaptive:
    at = [one for number in range(len(panel.series)) for one in origins(40, 140, 2, series=number)]
    return Adaptive(Calibrated(model, calibrate(model, panel, at, HORIZON)))


def linear(panel: Panel) -> Predictor:
    transform = Transform.learned(panel, [(0, 140)] * len(panel.series), "last")
    return fit_linear(panel, origins(10, 136), 10, HORIZON, transform)


def same(one: Prediction, other: Prediction, within: float = 1e-9) -> bool:
    assert one.samples is not None
    assert other.samples is not None
    return all(
        np.abs(getattr(one, name) - getattr(other, name)).max() <= within
        for name in ("point", "quantiles", "samples")
    )


def test_intervals_hold_where_times_have_changed() -> None:
    panel = panel_of(noisier())
    at, model = origins(200, 396, 2), adaptive(panel, linear(panel))
    report = compare(Setting(panel, at, HORIZON, (80,)), {"still": model.model, "adaptive": model})
    still, moving = (one.coverage[80].value for one in report.models[:2])
    assert still < 65
    assert 75 < moving < 85


def test_what_is_asked_rises_by_misses_and_falls_by_hits() -> None:
    nominal, (slow, quick) = np.array(PERCENTS), RATES[:, 0, 0, 0]
    asked = np.zeros((2, len(PERCENTS), 1, 1))
    asked[0] = nominal[:, None, None]
    quantiles = np.arange(len(LEVELS), dtype=float)[None, None, None]
    middle = len(LEVELS) // 2
    prediction = Prediction(quantiles[..., middle], quantiles, LEVELS)
    hit, miss = np.full((1, 1, 1), float(middle)), np.full((1, 1, 1), 1e9)
    fallen = asked_after(asked, asked, prediction, hit)
    assert fallen[0, :, 0, 0] == pytest.approx(nominal - slow * (100 - nominal))
    assert (fallen[1] == 0).all(), "the quick part only widens"
    risen = asked_after(asked, asked, prediction, miss)
    assert risen[0, :, 0, 0] == pytest.approx(np.minimum(nominal * (1 + slow), WIDEST))
    assert risen[1, :, 0, 0] == pytest.approx(quick * nominal)
    assert total(risen)[:, 0, 0] == pytest.approx(
        np.minimum(nominal * (1 + slow + quick), WIDEST), abs=0.2
    )
    unknown = asked_after(asked, asked, prediction, np.full((1, 1, 1), np.nan))
    assert (unknown == asked).all()


def test_intervals_that_are_too_wide_become_narrower_in_time() -> None:
    panel = panel_of(weekly(1500))
    model = Calibrated(NAIVE, calibrate(NAIVE, panel, origins(50, 250, 4), HORIZON))
    wide = replace(model, offsets=replace(model.offsets, values=model.offsets.values + 3))
    at = origins(1000, 1490, 5)
    report = compare(Setting(panel, at, HORIZON, (80,)), {"still": wide, "moving": Adaptive(wide)})
    still, moving = (one.coverage[80].value for one in report.models[:2])
    assert still > 90
    assert 77 < moving < 86


def test_intervals_open_on_lines_between_those_known() -> None:
    half = len(PERCENTS)
    quantiles = np.concatenate([-np.array(PERCENTS)[::-1], [0.0], PERCENTS])[None, None, None]
    prediction = Prediction(np.zeros((1, 1, 1)), quantiles, LEVELS)
    same_again = opened(prediction, np.array(PERCENTS)[None, :, None, None])
    assert same_again.quantiles == pytest.approx(quantiles)
    for asked, wanted in ((25.0, 25.0), (85.0, 85.0), (99.0, 99.0), (99.5, 148.5), (100.0, 198.0)):
        found = opened(prediction, np.full((1, half, 1, 1), asked)).quantiles[0, 0, 0]
        assert found[half + 1 :] == pytest.approx(np.full(half, wanted))
        assert found[:half] == pytest.approx(np.full(half, -wanted))


@pytest.mark.parametrize("make", [lambda panel: NAIVE, lambda panel: SeasonalNaive(), linear])
def test_a_state_that_goes_on_is_that_of_the_whole(make: object) -> None:
    series = weekly(200, columns=2, future=True)
    series.targets[170:172, 0] = np.nan
    panel = panel_of(series)
    model = adaptive(panel, make(panel))  # type: ignore[operator]
    whole = model.predict(panel, origins(190, 191), HORIZON, LEVELS, samples=3)
    ahead = ahead_of(series, 190, HORIZON)
    for known in (130, 172, 190):
        state = model.state(panel, series.part(0, known))
        first = series.part(0, known).known
        for at in range(first, 190, 7):
            state = state.extended(series.part(at, min(190, at + 7)))
        assert same(state.forecast(ahead, LEVELS, samples=3), whole)
        assert len(state.waiting) == len(state.rows.times) == HORIZON - 1


def test_forecasts_without_their_covariates_are_not_judged() -> None:
    series = weekly(200, future=True)
    panel = panel_of(series)
    model = adaptive(panel, linear(panel))
    at = origins(190, 191)
    whole = model.predict(panel, at, HORIZON, LEVELS, samples=2)
    series.future[170] = np.nan
    found = model.predict(panel, at, HORIZON, LEVELS, samples=2)
    state = model.state(panel, series.part(0, 160)).extended(series.part(160, 190))
    assert same(found, state.forecast(ahead_of(series, 190, HORIZON), LEVELS, samples=2))
    assert np.abs(found.quantiles - whole.quantiles).max() > 0


def test_nothing_of_the_future_is_seen() -> None:
    series = weekly(210)
    panel = panel_of(series)
    model, at = adaptive(panel), origins(190, 201, 5)
    found = model.predict(panel, at, HORIZON, LEVELS, samples=2)
    again = model.predict(panel_of(changed_from(series, 200)), at, HORIZON, LEVELS, samples=2)
    assert same(found, again, 0)


def test_windows_may_stand_in_any_order_company_and_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = weekly(200, seed=1), replace(weekly(200, seed=2), name="other")
    panel, mirrored = panel_of(one, other), panel_of(other, one)
    model = adaptive(panel)
    at = [Window(1, 180), Window(0, 190), Window(1, 150), Window(0, 100), Window(0, 170)]
    swapped = [Window(1 - window.series, window.origin) for window in at]
    found = model.predict(panel, at, HORIZON, LEVELS, samples=2)
    again = model.predict(mirrored, swapped[::-1], HORIZON, LEVELS, samples=2)
    assert same(found, again.rows(np.arange(5)[::-1]))
    alone = model.predict(panel, at[:1], HORIZON, LEVELS, samples=2)
    assert same(alone, found.rows(np.arange(1)))
    setting = Setting(panel, [*origins(160, 168), *origins(160, 168, series=1)], HORIZON)
    whole = compare(setting, {"it": model}).models[0]
    monkeypatch.setattr(evaluation, "TOGETHER", HORIZON * 5 * 7)
    assert compare(setting, {"it": model}).models[0].coverage[80].value == pytest.approx(
        whole.coverage[80].value
    )


def test_before_calibration_ends_intervals_are_as_calibrated() -> None:
    panel = panel_of(weekly(200))
    model = adaptive(panel)
    at = origins(120, 144, 3)
    found = model.predict(panel, at, HORIZON, ASKED)
    assert found.quantiles == pytest.approx(
        model.model.predict(panel, at, HORIZON, ASKED).quantiles
    )


def test_other_levels_and_shorter_horizons_can_be_asked_for() -> None:
    panel = panel_of(weekly(200))
    model, at = adaptive(panel), origins(190, 191)
    whole = model.predict(panel, at, HORIZON, LEVELS)
    short = model.predict(panel, at, 2, quantile_levels((85,)))
    low, high = short.interval(85)
    for percent, inner in ((80, True), (90, False)):
        lower, upper = (end[:, :2] for end in whole.interval(percent))
        assert ((low < lower) & (upper < high)).all() == inner
    with pytest.raises(ConfigError, match=r"^levels: calibrated up to 99 %, got 99\.9"):
        model.predict(panel, at, HORIZON, quantile_levels((99.9,)))


def test_a_model_fitted_again_goes_on_to_adapt() -> None:
    panel = panel_of(weekly(200))
    model = adaptive(panel, linear(panel))
    again = model.refitted(panel, [(20, 200)])
    assert (again.model.offsets.values == np.maximum(model.model.offsets.values, 0)).all()
    assert again.name == "linear"
    ranges: Sequence[tuple[int, int]] = [(0, 200)]
    assert adaptive(panel).refitted(panel, ranges).model.model is NAIVE


def test_truths_are_those_of_the_panel() -> None:
    series = weekly(30)
    assert (truths(panel_of(series), origins(5, 6), 3)[0] == series.targets[5:8]).all()
