"""Conformal calibration: the finite-sample rule, coverage, units, what is kept."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.evaluation.forecast_metrics import quantile_levels
from seq2seq.tasks.forecasting.classical import NAIVE, SeasonalNaive
from seq2seq.tasks.forecasting.intervals import (
    PERCENTS,
    Calibrated,
    Offsets,
    calibrate,
    tell_of_few,
    units_of,
)
from seq2seq.tasks.forecasting.linear import fit_linear
from seq2seq.tasks.forecasting.prediction import Prediction, Rolling, ahead_of, truths
from seq2seq.tasks.forecasting.scaling import Transform
from tests.forecasting.making import changed_from, origins, panel_of, series_of, weekly

LEVELS = quantile_levels((80, 95))


@dataclass(frozen=True)
class Point(Rolling):
    """The seasonal naive without a spread."""

    name: str = "point"

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        found = SeasonalNaive().predict(panel, windows, horizon, levels, samples, seed)
        point = found.point[..., None]
        drawn = np.repeat(point, samples, axis=-1) if samples else None
        return replace(found, quantiles=np.repeat(point, len(levels), axis=-1), samples=drawn)


MODELS = [NAIVE, SeasonalNaive(), Point()]


def test_the_offset_is_the_corrected_quantile() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([np.zeros(1), random.permutation(np.arange(1.0, 20.0))])
    # After each nothing the naive forecasts nothing, and is wrong by the number that comes.
    panel = panel_of(series_of(np.stack([np.zeros(20), values], axis=1).ravel()))
    windows = [Window(0, 2 * place + 1) for place in range(1, 20)]
    offsets = calibrate(PointNaive(), panel, windows, 1)
    assert offsets.windows == 19
    assert offsets.point_only
    for percent, wanted in ((50, 10), (80, 16), (90, 18), (95, 19), (99, 19)):
        assert offsets.at(percent, 1)[0, 0] == wanted
    assert offsets.at(85, 1)[0, 0] == 17
    assert offsets.at(25, 1)[0, 0] == 5


@dataclass(frozen=True)
class PointNaive(Point):
    """The naive without a spread."""

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        return super().predict(replace(panel, season=1), windows, horizon, levels, samples, seed)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_intervals_hold(model: Rolling) -> None:
    panel = panel_of(weekly(1000, columns=2))
    offsets = calibrate(model, panel, origins(100, 500, 4), 10)
    at = origins(510, 990, 4)
    found = Calibrated(model, offsets).predict(panel, at, 10, LEVELS)
    truth = truths(panel, at, 10)
    for percent in (80, 95):
        low, high = found.interval(percent)
        covered = 100 * ((truth >= low) & (truth <= high)).mean(axis=(0, 2))
        assert covered.mean() == pytest.approx(percent, abs=5)
        assert covered == pytest.approx(np.full(10, percent), abs=13)
    assert (np.diff(found.quantiles, axis=-1) >= 0).all()


def test_intervals_of_a_model_that_was_chosen_are_only_widened() -> None:
    panel = panel_of(weekly(1000))  # about which the naive is much too wide after some steps
    both = calibrate(NAIVE, panel, origins(100, 500, 4), 10).values
    wider = calibrate(NAIVE, panel, origins(100, 500, 4), 10, narrows=False).values
    assert (both < 0).any()
    assert (wider == np.maximum(both, 0)).all()


def test_intervals_of_a_model_that_is_fitted_again_are_only_widened() -> None:
    panel = panel_of(weekly(400))
    transform = Transform.learned(panel, [(0, 200)], "last")
    linear = fit_linear(panel, origins(10, 190), 10, 3, transform)
    offsets = calibrate(linear, panel, origins(200, 300), 3)
    narrower = Calibrated(linear, replace(offsets, values=offsets.values - 5))
    again = narrower.refitted(panel, [(0, 300)])
    found = again.predict(panel, origins(300, 310), 3, LEVELS)
    own = again.model.predict(panel, origins(300, 310), 3, LEVELS)
    assert found.quantiles == pytest.approx(own.quantiles)
    assert Calibrated(NAIVE, offsets).refitted(panel, [(0, 300)]).offsets is offsets


def test_intervals_of_logarithms_grow_with_the_series() -> None:
    series = weekly(600)
    growing = np.exp(series.targets / 10 + np.arange(600)[:, None] / 100)
    panel = panel_of(replace(series, targets=growing))
    offsets = calibrate(Point(), panel, origins(100, 300), 3, logarithm=True)
    model = Calibrated(Point(), offsets)
    early, late = model.predict(panel, [Window(0, 300), Window(0, 590)], 3, LEVELS).quantiles
    ratio = early / early[..., 2:3]
    assert ratio == pytest.approx(late / late[..., 2:3])
    assert (ratio > 0).all()
    plain = replace(panel, series=[replace(series, targets=np.log(growing))])
    expected = calibrate(Point(), plain, origins(100, 300), 3)
    assert offsets.values == pytest.approx(expected.values)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_samples_go_where_the_intervals_go(model: Rolling) -> None:
    panel = panel_of(weekly(300))
    offsets = calibrate(model, panel, origins(100, 200), 10)
    offsets = replace(offsets, values=offsets.values + 3)
    found = Calibrated(model, offsets).predict(panel, origins(250, 251), 10, LEVELS, samples=3000)
    assert found.samples is not None
    drawn = np.moveaxis(np.quantile(found.samples, LEVELS, axis=-1), 0, -1)
    width = found.quantiles[..., -1] - found.quantiles[..., 0]
    assert (np.abs(drawn - found.quantiles).max(axis=-1) < 0.15 * width).all()


def test_a_calibrated_state_goes_on() -> None:
    series = weekly(300)
    panel = panel_of(series)
    model = Calibrated(SeasonalNaive(), calibrate(SeasonalNaive(), panel, origins(50, 200), 7))
    state = model.state(panel, series.part(0, 200)).extended(series.part(200, 250))
    found = state.forecast(ahead_of(series, 250, 7), LEVELS, samples=4)
    wanted = model.predict(panel, origins(250, 251), 7, LEVELS, samples=4)
    for name in ("point", "quantiles", "samples"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=1e-9)


def test_each_series_has_its_own_unit_and_none_sees_the_future() -> None:
    small, large = weekly(300, seed=1), replace(weekly(300, seed=1), name="large")
    large = replace(large, targets=large.targets * 1000)
    panel = panel_of(small, large)
    units = units_of(panel, [(0, 200)] * 2)
    at = [*origins(100, 190), *origins(100, 190, series=1)]
    model = Calibrated(Point(), calibrate(Point(), panel, at, 7, units))
    found = model.predict(panel, [Window(0, 250), Window(1, 250)], 7, LEVELS)
    assert found.quantiles[1] == pytest.approx(1000 * found.quantiles[0])
    new = replace(large, name="new")
    both = [
        model.predict(panel_of(one), [Window(0, 250)], 7, LEVELS).quantiles
        for one in (new, changed_from(new, 250))
    ]
    assert (both[0] == both[1]).all()
    assert both[0] == pytest.approx(found.quantiles[1:], rel=0.2)
    assert units_of(panel_of(small), [(0, 200)]) == {}


def test_a_series_that_never_moves_has_a_unit() -> None:
    flat = replace(series_of(np.full(60, 3.0)), name="flat")
    panel = panel_of(weekly(60), flat)
    units = units_of(panel, [(0, 50)] * 2)
    assert units["flat"] == (1.0,)
    at = [*origins(20, 50), *origins(20, 50, series=1)]
    assert np.isfinite(calibrate(Point(), panel, at, 3, units).values).all()


def test_missing_truths_do_not_count() -> None:
    series = weekly(200)
    panel = panel_of(series)
    at = origins(50, 150)
    whole = calibrate(NAIVE, panel, at, 3)
    series.targets[170:] = np.nan
    assert (calibrate(NAIVE, panel, at, 3).values == whole.values).all()
    holes = replace(series, targets=series.targets.copy())
    holes.targets[60:65] = np.nan
    assert calibrate(NAIVE, panel_of(holes), at, 3).windows == 95


def test_offsets_are_kept_as_json(tmp_path: Path) -> None:
    panel = panel_of(weekly(200))
    offsets = calibrate(NAIVE, panel, origins(50, 150), 3, {"": (2.0,)})
    path = tmp_path / "intervals.json"
    path.write_text(offsets.to_json(), encoding="utf-8")
    again = Offsets.read(path)
    assert (again.values == offsets.values).all()
    assert replace(again, values=offsets.values) == offsets
    assert json.loads(path.read_text())["offsets"]["percents"] == list(PERCENTS)
    path.write_text(path.read_text().replace('"windows": 100', '"windows": 101'))
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        Offsets.read(path)
    for broken in ("{", "{}", "[1]"):
        path.write_text(broken)
        with pytest.raises(CheckpointError, match=r"intervals\.json: is damaged"):
            Offsets.read(path)


def test_what_was_not_calibrated_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    panel = panel_of(weekly(200))
    model = Calibrated(NAIVE, calibrate(NAIVE, panel, origins(50, 61), 3))
    with pytest.raises(ConfigError, match=r"^levels: calibrated up to 99 %, got 99.5"):
        model.predict(panel, origins(100, 101), 3, quantile_levels((99.5,)))
    short, long = (model.predict(panel, origins(100, 101), steps, LEVELS) for steps in (3, 5))
    assert long.quantiles[:, :3] == pytest.approx(short.quantiles)
    beyond = (long.quantiles - NAIVE.predict(panel, origins(100, 101), 5, LEVELS).quantiles)[0]
    assert beyond[3:] == pytest.approx(np.repeat(beyond[2:3], 2, axis=0))
    with caplog.at_level(logging.WARNING):
        for percent in (80, 95):
            tell_of_few(percent, model.offsets.windows)
    (told,) = caplog.messages
    assert told.startswith("95 % intervals need 19 validation windows and have 11;")
