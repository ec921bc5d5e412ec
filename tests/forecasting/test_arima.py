"""The ARMA family: equal to statsmodels, gone on with as if read whole, kept as plain numbers."""

import json
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.forecasting.arima import Arima, fit_arima, steps_between
from seq2seq.tasks.forecasting.arima_fit import regressors
from seq2seq.tasks.forecasting.arima_orders import (
    NONE,
    Choice,
    Orders,
    differences_of,
    fourier_pairs,
    fourier_terms,
    level_statistic,
    search,
)
from seq2seq.tasks.forecasting.prediction import ahead_of
from seq2seq.tasks.forecasting.state_space import Belief, StateSpace
from tests.forecasting.making import LEVELS, changed_from, origins, panel_of, series_of, weekly

statsmodels = pytest.importorskip("statsmodels", reason="statsmodels is not installed")
GIVEN = Choice(order=(1, 0, 0), seasonal=(0, 1, 1))


@pytest.fixture(scope="module")
def fitted() -> tuple[Panel, Arima]:
    """Returns two columns with a covariate and some gaps, and their models."""
    series = weekly(120, columns=2, future=True)
    series.targets[40:43, 0] = np.nan
    panel = panel_of(series)
    return panel, fit_arima(panel, [(0, 100)], GIVEN)


def test_forecasts_are_those_of_statsmodels(fitted: tuple[Panel, Arima]) -> None:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    panel, ours = fitted
    series = panel.series[0]
    found = ours.predict(panel, [Window(0, 100)], 14, (0.025, 0.5, 0.975))
    for column in range(2):
        model = SARIMAX(
            series.targets[:100, column],
            series.future[:100],
            order=(1, 0, 0),
            seasonal_order=(0, 1, 1, 7),
        )
        theirs = model.fit(disp=0).get_forecast(14, exog=series.future[100:114])
        assert found.point[0, :, column] == pytest.approx(theirs.predicted_mean, abs=0.05)
        assert found.quantiles[0, :, column] == pytest.approx(
            np.stack([theirs.conf_int()[:, 0], theirs.predicted_mean, theirs.conf_int()[:, 1]], 1),
            abs=0.1,
        )


def test_filtering_is_that_of_statsmodels_to_the_last_digits() -> None:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    values = weekly(90).targets[:, 0]
    values[30:33] = np.nan
    model = SARIMAX(values, order=(2, 1, 1), seasonal_order=(1, 0, 1, 7))
    result = model.filter([0.5, -0.2, 0.3, 0.4, -0.6, 1.3])
    start = result.filter_results
    matrices = model.ssm
    noise = matrices["selection"] @ matrices["state_cov"] @ matrices["selection"].T
    space = StateSpace(
        np.array(matrices["transition"]),
        noise,
        matrices["design"][0],
        Belief(start.initial_state, start.initial_state_cov),
    )
    belief = space.filtered(space.start, values)
    means, variances = space.ahead(belief, 20)
    theirs = result.get_forecast(20)
    assert means == pytest.approx(theirs.predicted_mean, abs=1e-8)
    assert np.sqrt(variances) == pytest.approx(theirs.se_mean, abs=1e-8)
    drawn = space.paths(belief, 20, 4000, np.random.default_rng(0))
    assert np.abs(drawn.mean(axis=1) - means).max() < 0.1 * np.sqrt(variances.max())
    assert drawn.std(axis=1) == pytest.approx(np.sqrt(variances), rel=0.05)


def test_new_rows_go_on_as_if_all_were_read_again(
    fitted: tuple[Panel, Arima], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, model = fitted
    series = panel.series[0]
    ahead = ahead_of(series, 110, 7)
    whole = model.state(panel, series.part(0, 110)).forecast(ahead, LEVELS)
    state = model.state(panel, series.part(0, 80))
    read: list[int] = []
    inner = StateSpace.filtered

    def counted(self: StateSpace, belief: Belief, values: np.ndarray) -> Belief:
        read.append(len(values))
        return inner(self, belief, values)

    monkeypatch.setattr(StateSpace, "filtered", counted)
    for first in range(80, 110, 5):
        state = state.extended(series.part(first, first + 5))
    found = state.forecast(ahead, LEVELS)
    assert found.point == pytest.approx(whole.point, abs=1e-6)
    assert found.quantiles == pytest.approx(whole.quantiles, abs=1e-6)
    assert read == [5] * 12


def test_models_are_kept_as_plain_numbers_and_used_without_statsmodels(
    fitted: tuple[Panel, Arima], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, model = fitted
    facts = json.loads(json.dumps(model.facts()))
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.sarimax", None)
    again = Arima.restored(model.arrays(), facts, GIVEN)
    at = origins(90, 110, 5)
    found, wanted = (one.predict(panel, at, 7, LEVELS, samples=3) for one in (again, model))
    for name in ("point", "quantiles", "samples"):
        assert (getattr(found, name) == getattr(wanted, name)).all()
    assert again.described() == model.described()
    assert again.described()[0].startswith("y0: ARIMA(1,0,0)(0,1,1)[7], AICc ")


def test_without_statsmodels_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.statespace.sarimax", None)
    with pytest.raises(ConfigError, match=r"pip install 'seq2seq-toolkit\[forecast\]'$"):
        fit_arima(panel_of(weekly(60)), [(0, 60)], GIVEN)


def test_nothing_of_the_future_is_seen(fitted: tuple[Panel, Arima]) -> None:
    panel, model = fitted
    changed = replace(panel, series=[changed_from(panel.series[0], 100)])
    at = origins(98, 101)
    other = fit_arima(changed, [(0, 100)], GIVEN)
    before = model.predict(panel, at, 7, LEVELS, samples=2)
    after = other.predict(changed, at, 7, LEVELS, samples=2)
    for name in ("point", "quantiles", "samples"):
        assert getattr(before, name) == pytest.approx(getattr(after, name), abs=1e-9)


@pytest.mark.parametrize("unit", [1e-3, 1e6])
def test_units_change_nothing_but_units(unit: float) -> None:
    series = weekly(70)
    large = replace(series, targets=series.targets * unit)
    choice = Choice(order=(0, 1, 1), trend="constant")
    found, wanted = (
        fit_arima(panel_of(one), [(0, 60)], choice).predict(
            panel_of(one), [Window(0, 60)], 5, LEVELS
        )
        for one in (large, series)
    )
    assert found.quantiles / unit == pytest.approx(wanted.quantiles, rel=1e-4)


def test_a_start_of_zero_is_that_of_statsmodels_for_large_numbers() -> None:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    series = weekly(60)
    series.targets[:] *= 1e4
    panel = panel_of(series)
    model = fit_arima(panel, [(0, 50)], replace(GIVEN, start="zero"))
    found = model.predict(panel, [Window(0, 50)], 7, LEVELS).point[0, :, 0]
    theirs = SARIMAX(series.targets[:50, 0], order=(1, 0, 0), seasonal_order=(0, 1, 1, 7))
    assert found == pytest.approx(theirs.fit(disp=0).forecast(7), rel=5e-3)
    usual = fit_arima(panel, [(0, 50)], GIVEN).predict(panel, [Window(0, 50)], 7, LEVELS)
    assert np.abs(usual.point[0, :, 0] / found - 1).max() > 0.02


def test_covariates_that_say_nothing_new_are_left_out() -> None:
    series = weekly(90, future=True)
    days = np.eye(7)[np.arange(90) % 7]
    more = replace(series, future=np.concatenate([series.future, series.future * 2, days], axis=1))
    found = [fit_arima(panel_of(one), [(0, 80)], GIVEN) for one in (series, more)]
    plain, with_more = (one.processes[0].columns[0].weights for one in found)
    assert with_more[:1] == pytest.approx(plain, rel=1e-3)
    assert (with_more[1:] == 0).all()
    assert plain[0] == pytest.approx(8, abs=1)


def test_a_logarithm_is_undone() -> None:
    random = np.random.default_rng(0)
    values = np.exp(np.arange(80) / 20 + random.normal(0, 0.05, 80))
    panel = panel_of(series_of([*values, *[np.nan] * 5]))
    model = fit_arima(panel, [(0, 80)], Choice(order=(0, 1, 1), trend="constant", logarithm=True))
    found = model.predict(panel, [Window(0, 80)], 5, LEVELS, samples=5)
    assert found.point[0, :, 0] == pytest.approx(np.exp(np.arange(80, 85) / 20), rel=0.1)
    assert found.samples is not None
    assert (found.samples > 0).all()
    panel.series[0].targets[3] = 0
    with pytest.raises(DataError, match=r"y0 is 0 at 2024-01-04"):
        fit_arima(panel, [(0, 80)], model.choice)


def test_bad_input_is_told_in_one_line(fitted: tuple[Panel, Arima]) -> None:
    panel, model = fitted
    with pytest.raises(DataError, match=r"^y0: 8 known values, and ARIMA\(1,0,0\)\(0,1,1\)\[7\]"):
        fit_arima(panel, [(0, 8)], GIVEN)
    unknown = replace(panel.series[0], future=panel.series[0].future.copy())
    unknown.future[103] = np.nan
    with pytest.raises(DataError, match=r"future0 is not known at 2024-04-13"):
        model.predict(replace(panel, series=[unknown]), [Window(0, 100)], 7, LEVELS)
    two = panel_of(*(replace(weekly(40, seed=place), name=f"shop{place}") for place in range(2)))
    several = fit_arima(two, [(0, 40), (0, 40)], Choice(order=(1, 0, 0)))
    with pytest.raises(DataError, match=r"^series shop3: was not in training.*did you mean 'shop"):
        several.state(two, replace(two.series[0], name="shop3"))
    with pytest.raises(ConfigError, match=r"^seasonal_order: needs an order"):
        Choice(seasonal=(0, 1, 1))


@pytest.mark.parametrize("values", [np.full(40, 5.0), np.arange(40.0)])
def test_what_never_changes_its_way_is_forecast_so(values: np.ndarray) -> None:
    panel = panel_of(series_of([*values, *[np.nan] * 3]), season=1)
    found = fit_arima(panel, [(0, 40)], Choice()).predict(panel, [Window(0, 40)], 3, LEVELS)
    wanted = values[-1] + (values[1] - values[0]) * np.arange(1, 4)
    assert found.point[0, :, 0] == pytest.approx(wanted, abs=1e-2)
    assert np.isfinite(found.quantiles).all()


def test_the_search_takes_the_best_step_by_step() -> None:
    tried: list[Orders] = []

    def score(orders: Orders) -> float:
        tried.append(orders)
        (p, _, q), (sp, _, sq) = orders.order, orders.seasonal
        return float(abs(p - 3) + abs(q - 1) + abs(sp - 0) + abs(sq - 2) + orders.constant)

    found = search(score, (0, 1), 7)
    assert found == Orders((3, 0, 1), (0, 1, 2), 7)
    assert len(tried) == len(set(tried)) <= 60
    assert search(lambda orders: float(orders.constant), (1, 0), 1, "constant").constant
    assert search(lambda orders: -float(sum(orders.order)), (2, 0), 1) == Orders((5, 2, 5))


def test_differences_are_found_by_tests() -> None:
    from statsmodels.tsa.stattools import kpss

    random = np.random.default_rng(0)
    noise = random.standard_normal(200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert level_statistic(noise) == pytest.approx(kpss(noise, nlags=3)[0])
    assert differences_of(noise, 7) == (0, 0)
    assert differences_of(noise.cumsum(), 1) == (1, 0)
    assert differences_of(noise + 5 * np.sin(2 * np.pi * np.arange(200) / 7), 7) == (0, 1)
    assert differences_of(noise[:10], 7) == (0, 0)


def test_fourier_terms_repeat_with_the_season_and_are_counted_by_aicc() -> None:
    steps = np.arange(300)
    terms = fourier_terms(steps, 48, 3)
    assert terms.shape == (300, 6)
    assert terms[48:] == pytest.approx(terms[:-48])
    noise = np.random.default_rng(0).standard_normal(300)
    for step in range(1, 300):
        noise[step] += 0.9 * noise[step - 1]
    assert fourier_pairs(noise, 48) <= 1
    assert fourier_pairs(noise + 5 * terms[:, :2].sum(axis=1), 48) in (2, 3)


def test_long_seasons_are_told_by_fourier_terms_wherever_a_file_begins() -> None:
    random = np.random.default_rng(0)
    at = np.arange(240)
    values = 10 + 4 * np.sin(2 * np.pi * at / 30) + random.normal(0, 0.3, 240)
    series = series_of(values)
    panel = panel_of(series, season=30)
    model = fit_arima(panel, [(0, 200)], Choice())
    orders = model.processes[0].columns[0].orders
    assert (orders.seasonal, orders.season, orders.fourier) == (NONE, 30, 1)
    whole = model.predict(panel, [Window(0, 200)], 30, LEVELS)
    assert np.abs(whole.point[0, :, 0] - values[200:230]).mean() < 0.4
    later = replace(panel, series=[series.part(111, 240)])
    found = model.predict(later, [Window(0, 89)], 30, LEVELS)
    assert found.point == pytest.approx(whole.point, abs=0.2)
    earlier = replace(series, times=series.times.shift(-7))
    assert steps_between(model.processes[0].reference, earlier.times, "D") == -7


def test_a_constant_is_a_level_or_a_slope() -> None:
    steps, none = np.arange(4), np.zeros((4, 0))
    for differences, wanted in ((0, [1, 1, 1, 1]), (1, [0, 1, 2, 3])):
        orders = Orders((0, differences, 0), constant=True)
        assert regressors(orders, steps, none)[:, 0].tolist() == wanted
    panel: Any = panel_of(series_of(np.arange(60.0) + np.random.default_rng(0).normal(0, 1, 60)))
    model = fit_arima(panel, [(0, 50)], Choice(order=(0, 1, 1), trend="constant"))
    found = model.predict(panel, [Window(0, 50)], 10, LEVELS)
    assert np.diff(found.point[0, :, 0]) == pytest.approx(np.ones(9), abs=0.1)
