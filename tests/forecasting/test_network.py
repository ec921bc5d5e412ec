"""What holds for every cell, mode and head."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import ConfigError, DataError
from seq2seq.nn.cells import CELLS
from seq2seq.nn.forecast_heads import HEADS
from seq2seq.tasks.forecasting import recurrent
from seq2seq.tasks.forecasting.feeding import Feeding
from seq2seq.tasks.forecasting.modes import MODES
from seq2seq.tasks.forecasting.network import NetworkConfig
from seq2seq.tasks.forecasting.prediction import Prediction
from seq2seq.tasks.forecasting.recurrent import RecurrentPredictor
from seq2seq.tensors.tree import layout
from seq2seq.training.objective import CrossEntropy
from tests.forecasting.networks import (
    HORIZON,
    LEVELS,
    MIXED,
    STEPS,
    WINDOW,
    bare,
    batch_of,
    panel_of,
    predictor_of,
    series_of,
    two_series,
    windows_of,
    with_gaps,
)

ALL = pytest.mark.parametrize(("cell", "mode", "head"), MIXED, ids=map("-".join, MIXED))
COUNTS = "negative-binomial"
FEEDING = [name for name, mode in MODES.items() if issubclass(cast(type, mode), Feeding)]
AT_ONCE = [name for name in MODES if name not in FEEDING]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Feeding, "draws", 2)


def predicted(
    predictor: RecurrentPredictor, panel: Panel, windows: list[Window], samples: int = 2
) -> Prediction:
    horizon = predictor.model.config.horizon
    return predictor.predict(panel, windows, horizon, LEVELS, samples)


def check_same(one: Prediction, other: Prediction, slack: float = 1e-8) -> None:
    for name in ("point", "quantiles", "samples"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=slack, atol=slack, err_msg=name
        )


def changed(panel: Panel, origin: int, *, columns: str) -> Panel:
    """Returns a panel of which some columns are other ones from a step on."""

    def other(values: np.ndarray) -> np.ndarray:
        values = values.copy()
        values[origin:] = 3 * values[origin:] + 40
        return values

    def changes(one: Series) -> dict[str, Any]:
        return {name: other(getattr(one, name)) for name in columns.split()}

    return replace(panel, series=[replace(one, **changes(one)) for one in panel.series])


@ALL
def test_a_changed_future_changes_no_forecast(cell: str, mode: str, head: str) -> None:
    panel, windows = two_series(), [Window(0, 20), Window(1, 20)]
    predictor = predictor_of(panel, cell, mode, head)
    found = predicted(predictor, panel, windows)
    assert np.isfinite(found.quantiles).all()
    assert (np.diff(found.quantiles, axis=3) >= 0).all()
    later = changed(panel, 20, columns="targets past")
    later = changed(later, 20 + HORIZON, columns="future")
    check_same(predicted(predictor, later, windows), found, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("columns", "origin"), [("targets", 19), ("past", 19), ("future", 20), ("static", 0)]
)
def test_what_is_known_does_change_a_forecast(mode: str, columns: str, origin: int) -> None:
    panel, windows = two_series(), [Window(0, 20), Window(1, 20)]
    predictor = predictor_of(panel, mode=mode)
    found = predicted(predictor, panel, windows)
    other = predicted(predictor, changed(panel, origin, columns=columns), windows)
    assert (other.point != found.point).any(axis=(1, 2)).all()


@ALL
def test_company_and_order_change_nothing(
    cell: str, mode: str, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = two_series()
    windows = windows_of(panel, stride=11)
    predictor = predictor_of(panel, cell, mode, head)
    found = predicted(predictor, panel, windows)
    turned = panel_of(*panel.series[::-1])
    mirrored = [Window(1 - series, origin) for series, origin in windows]
    check_same(predicted(predictor, turned, mirrored), found)
    monkeypatch.setattr(recurrent, "AT_ONCE", 3)
    check_same(predicted(predictor, panel, windows), found)


@ALL
def test_all_weights_learn(cell: str, mode: str, head: str) -> None:
    panel = two_series()
    predictor = predictor_of(panel, cell, mode, head)
    batch = batch_of(predictor, panel, windows_of(panel))
    outcome = CrossEntropy(0.1)(predictor.model, batch, None)
    outcome.nats.backward()  # type: ignore[no-untyped-call]
    for name, parameter in predictor.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@ALL
def test_what_is_missing_counts_nothing(cell: str, mode: str, head: str) -> None:
    panel = with_gaps(two_series())
    windows = windows_of(panel)
    predictor = predictor_of(panel, cell, mode, head, masked=True)
    model, batch = predictor.model, batch_of(predictor, panel, windows)
    missing = batch.targets.isnan()
    assert missing.any()
    assert batch.predictions == (~missing).sum()
    vectors = model.features(batch).vectors
    nats = model.head.loss(vectors, model.features(batch).targets)
    assert nats.isfinite()
    # The same as the sum over single targets.
    costs = model.head.costs(vectors, batch.targets.nan_to_num(0.0))
    torch.testing.assert_close(nats, costs[~missing].sum())
    nothing = replace(batch, targets=torch.full_like(batch.targets, float("nan")))
    assert CrossEntropy(0.0)(model, nothing, None).nats == 0
    found = predicted(predictor, panel, windows)
    assert np.isfinite(found.point).all()
    assert np.isfinite(found.quantiles).all()


@ALL
def test_parts_of_a_batch_are_the_batch(cell: str, mode: str, head: str) -> None:
    panel = two_series()
    predictor = predictor_of(panel, cell, mode, head)
    batch = batch_of(predictor, panel, windows_of(panel))
    parts = [batch.part(0, 3), batch.part(3, batch.rows)]
    assert sum(part.predictions for part in parts) == batch.predictions
    nats = [CrossEntropy(0.0)(predictor.model, one, None).nats for one in [batch, *parts]]
    torch.testing.assert_close(nats[0], nats[1] + nats[2])


@pytest.mark.parametrize("mode", FEEDING)
@pytest.mark.parametrize("cell", CELLS)
def test_rolling_out_is_reading_what_was_forecast(cell: str, mode: str) -> None:
    panel, windows = two_series(), windows_of(two_series())
    predictor = predictor_of(panel, cell, mode, "mse")
    model, batch = predictor.model, batch_of(predictor, panel, windows, blind=True)
    draws = torch.zeros(batch.rows, HORIZON, 2, 0)
    rolled = model.forecast(batch, LEVELS, draws.double()).point
    taught = replace(batch, ahead=rolled.detach())
    read = model.head.point(model.mode(taught))[:, -HORIZON:]
    torch.testing.assert_close(rolled, read)
    # And further than was learned: the beginning stays as it is.
    far = predictor.predict(panel, [Window(0, 20)], HORIZON + 4, LEVELS)
    near = predictor.predict(panel, [Window(0, 20)], HORIZON, LEVELS)
    np.testing.assert_allclose(far.point[:, :HORIZON], near.point)


@pytest.mark.parametrize("mode", FEEDING)
def test_courses_are_rolled_out_one_by_one(mode: str) -> None:
    panel, windows = two_series(), windows_of(two_series())
    predictor = predictor_of(panel, mode=mode, head="gaussian")
    model, batch = predictor.model, batch_of(predictor, panel, windows, blind=True)
    draws = torch.rand(batch.rows, HORIZON, 2, 4, dtype=torch.double).clamp(0.01, 0.99)
    found = model.forecast(batch, LEVELS, draws)
    for place in range(4):
        course = found.samples[..., place]
        vectors = model.mode(replace(batch, ahead=course.detach()))[:, -HORIZON:]
        own = model.head.quantiles(vectors, draws[..., place : place + 1])[..., 0]
        torch.testing.assert_close(course, own)
    first = model.head.quantiles(model.mode(batch)[:, -HORIZON:][:, :1], LEVELS)
    torch.testing.assert_close(found.quantiles[:, :1], first)


@pytest.mark.parametrize("mode", AT_ONCE)
@pytest.mark.parametrize("head", [name for name in HEADS if HEADS[name].spread])
def test_samples_have_the_quantiles(mode: str, head: str) -> None:
    panel, windows = two_series(), [Window(0, 20), Window(1, 30)]
    predictor = predictor_of(panel, mode=mode, head=head)
    found = predictor.predict(panel, windows, HORIZON, LEVELS, samples=400)
    assert found.samples is not None
    below = (found.samples[..., None, :] <= found.quantiles[..., None]).mean(axis=-1)
    slack = 0.1 if not HEADS[head].counts else 0.25
    np.testing.assert_allclose(below, np.broadcast_to(LEVELS, below.shape), atol=slack)
    fewer = predictor.predict(panel, windows, HORIZON, LEVELS, samples=3)
    assert fewer.samples is not None
    np.testing.assert_allclose(fewer.samples, found.samples[..., :3])
    other = predictor.predict(panel, windows, HORIZON, LEVELS, samples=3, seed=2)
    assert other.samples is not None
    assert (other.samples != fewer.samples).any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("horizon", [1, 4])
def test_a_network_without_covariates(mode: str, horizon: int) -> None:
    panel = bare(two_series())
    predictor = predictor_of(panel, mode=mode, head="quantiles", lags=(), horizon=horizon)
    batch = batch_of(predictor, panel, windows_of(panel))
    assert CrossEntropy(0.0)(predictor.model, batch, None).nats.isfinite()
    found = predicted(predictor, panel, windows_of(panel))
    assert found.point.shape[1:] == (horizon, 2)
    assert np.isfinite(found.point).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("settings", [{}, {"difference": (1, 7), "logarithm": True}])
def test_going_on_from_a_state_is_reading_the_whole(mode: str, settings: dict[str, Any]) -> None:
    panel = two_series()
    predictor = predictor_of(panel, mode=mode, head="gaussian", **settings)
    series = panel.series[1]
    state = predictor.state(panel, series.part(0, 25)).extended(series.part(25, 32))
    found = state.forecast(series.part(32, 32 + HORIZON), LEVELS, 3)
    whole = predictor.predict(panel, [Window(1, 32)], HORIZON, LEVELS, 3)
    check_same(found, whole, 1e-6)


def test_a_lag_is_the_value_so_many_steps_before_the_one_ahead() -> None:
    predictor: Any = predictor_of(two_series(), lags=(2, 9))
    reader, known = predictor.model.mode.reader, predictor.model.mode.known
    steps = torch.arange(15.0).double()  # 9 before the window, then the window
    values = torch.stack([steps, 100 + steps], dim=1)[None]
    none = torch.zeros(1, WINDOW, 2).double()
    seen = reader.features(values, none, none, none[:, 0])
    columns = seen[0, :, 8 : 8 + 4]  # after static, future, targets and past: two lags of two
    at = torch.arange(9, 15).double()  # steps of the window; the one ahead is one later
    assert columns[:, 0].equal(at + 1 - 2)
    assert columns[:, 2].equal(at + 1 - 9)
    assert columns[:, 3].equal(100 + at + 1 - 9)
    ahead = known(values, torch.zeros(1, HORIZON, 2).double(), torch.tensor([15]), HORIZON)
    # The steps ahead are 15 to 19; of lag 2, the known value 2, 4 or 6 steps before.
    assert ahead[0, 0, :, 2].tolist() == [13, 14, 13, 14, 13]
    assert ahead[0, 0, :, 4].tolist() == [6, 7, 8, 9, 10]


def test_segments_are_those_of_the_steps() -> None:
    mode: Any = predictor_of(two_series(), mode="segments", lags=()).model.mode
    values = torch.arange(2.0 * (WINDOW + HORIZON) * 2).view(2, -1, 2)
    arranged = mode.arrange(values)
    assert arranged.shape == (2, 4, 3)  # of each column two segments of three steps
    assert arranged[0, 0].equal(values[0, WINDOW : WINDOW + 3, 0])
    assert arranged[1, 3, :2].equal(values[1, WINDOW + 3 :, 1])
    assert arranged[1, 3, 2].isnan()
    assert mode.unfolded(arranged[..., None])[..., 0].equal(values[:, WINDOW:])


def test_a_head_of_counts_forecasts_counts() -> None:
    panel = two_series()
    for mode in MODES:
        predictor = predictor_of(panel, mode=mode, head="negative-binomial")
        found = predicted(predictor, panel, windows_of(panel))
        assert found.samples is not None
        np.testing.assert_allclose(found.samples, found.samples.round(), atol=1e-3)
        assert (found.samples >= -1e-9).all()


# --- what is refused


def test_numbers_that_are_no_counts_are_refused_where_counts_are_forecast() -> None:
    panel = two_series()
    panel.series[0].targets[3, 0] = 0.5
    with pytest.raises(DataError, match=r"series one: y is 0.5 at 2024-01-04.*needs counts"):
        predictor_of(panel, head=COUNTS)
    predictor_of(panel, head="gaussian")


@pytest.mark.parametrize("mode", AT_ONCE)
def test_a_horizon_that_was_not_learned_is_refused(mode: str) -> None:
    panel = two_series()
    predictor = predictor_of(panel, mode=mode)
    message = f"horizon: the model was trained for 5 steps, and in mode {mode} .* got 4"
    with pytest.raises(DataError, match=message):
        predictor.predict(panel, [Window(0, 20)], 4, LEVELS)


def test_what_a_forecast_lacks_is_told() -> None:
    panel = two_series()
    predictor = predictor_of(panel)
    with pytest.raises(DataError, match=r"series one: the model reads 6 steps .* there are 3"):
        predicted(predictor, panel, [Window(0, 3)])
    future = panel.series[1].future.copy()
    future[22, 1] = np.nan
    gap = panel_of(panel.series[0], replace(panel.series[1], future=future))
    with pytest.raises(DataError, match=r"series two: heat is not known at 2024-01-23"):
        predicted(predictor, gap, [Window(1, 20)])
    with pytest.raises(DataError, match="future covariates are there for 2"):
        predicted(predictor, panel, [Window(0, STEPS - 2)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "directly"}, "mode: must be one of .*did you mean 'direct'"),
        ({"scaling": "windows"}, "scaling: .*did you mean 'window'"),
        ({"head": "normal"}, "head: must be one of mae, mse"),
        ({"horizon": 0}, "horizon: must be at least 1, got 0"),
        ({"lags": (7, 0)}, "lags: must be steps of at least 1"),
        ({"lags": (7, 7)}, "lags: must be each lag once"),
        ({"difference": (-1,)}, "difference: must be steps of at least 1"),
        ({"quantiles": (0.5, 1.0)}, "quantiles: must be levels in"),
        ({"output_dropout": 1.0}, "output_dropout"),
        ({"mode": "segments", "window": 10, "segment": 4}, r"a multiple of segment \(4\)"),
        ({"head": COUNTS}, "scaling: must be one of none, mean where head is"),
        ({"head": COUNTS, "scaling": "mean", "logarithm": True}, "logarithm: must be false where"),
        ({"head": COUNTS, "scaling": "none", "difference": (1,)}, "difference: must be empty"),
    ],
)  # fmt: skip
def test_refused_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(**settings)


def test_noise_is_for_training() -> None:
    panel = two_series()
    predictor = predictor_of(panel, output_dropout=0.5)
    batch = batch_of(predictor, panel, windows_of(panel))
    model = predictor.model

    def loss() -> Tensor:
        return CrossEntropy(0.0)(model, batch, None).nats

    assert loss() != loss()
    model.eval()
    assert loss() == loss()


def test_one_series_that_is_new() -> None:
    panel = two_series()
    predictor = predictor_of(panel)
    found = predicted(predictor, panel_of(series_of("three", 3)), [Window(0, 20)])
    assert np.isfinite(found.point).all()


def test_one_recording_of_an_update_serves_all_batches_of_a_shape() -> None:
    panel = with_gaps(two_series())
    predictor = predictor_of(panel, masked=True)
    places = windows_of(panel)
    one, other = (batch_of(predictor, panel, some) for some in (places[:3], places[3:6]))
    assert one.predictions != other.predictions
    assert [each.filled().predictions for each in (one, other)] == [
        each.predictions for each in (one, other)
    ]
    assert layout(one.filled()) == layout(other.filled())
