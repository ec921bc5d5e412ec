"""Scaling, logarithms and differences, there and back; windows as batches."""

from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.panel import Columns, Panel
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tasks.forecasting.batches import SeriesBatch, SeriesBatches, SeriesStore, as_rows
from seq2seq.tasks.forecasting.direct import Direct, Sequences
from seq2seq.tasks.forecasting.mode import summed
from seq2seq.tasks.forecasting.scaling import (
    LEAST,
    SCALINGS,
    Transform,
    Units,
    adding_up,
    check_counts,
    differenced,
    filled,
    going_on,
)
from seq2seq.training.config import TrainConfig
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig
from seq2seq.training.trainer import Trainer
from tests.forecasting.networks import (
    HORIZON,
    LEVELS,
    WINDOW,
    bare,
    batch_of,
    panel_of,
    predictor_of,
    series_of,
    store_of,
    two_series,
    windows_of,
    with_gaps,
)

TRAINED = [(0, 30), (0, 30)]
ORDERS = st.lists(st.integers(1, 4), max_size=3).map(tuple)
NAN = float("nan")


def horizon_of(values: torch.Tensor) -> torch.Tensor:
    return values[:, WINDOW:]


def truth_of(panel: Any, windows: list[Window], horizon: int = HORIZON) -> np.ndarray:
    return np.stack([panel.series[at].targets[origin : origin + horizon] for at, origin in windows])


@given(
    scaling=st.sampled_from(sorted(SCALINGS)),
    logarithm=st.booleans(),
    orders=ORDERS,
    size=st.sampled_from([1.0, 1e-3, 1e6]),
)
@settings(max_examples=40)
def test_what_is_scaled_comes_back(
    scaling: str, logarithm: bool, orders: tuple[int, ...], size: float
) -> None:
    panel = two_series()
    series = [replace(one, targets=size * one.targets) for one in panel.series]
    panel, windows = replace(panel, series=series), windows_of(panel, first=20)
    transform = Transform.learned(panel, TRAINED, scaling, logarithm=logarithm, difference=orders)
    store = SeriesStore(panel, transform, WINDOW, HORIZON)
    batch, scale = store.gather(as_rows(windows), horizon_of)
    values = summed(batch.targets[..., None], orders).double().numpy()
    base = store.going_on(as_rows(windows))
    truth = truth_of(panel, windows)
    slack = 1e-4 * np.abs(truth).max()
    np.testing.assert_allclose(transform.restored(values, scale, base)[..., 0], truth, atol=slack)
    wider = np.concatenate([values - 0.3, values, values + 2], axis=3)
    assert (np.diff(transform.restored(wider, scale, base), axis=3) > 0).all()


@given(orders=ORDERS, seed=st.integers(0, 9))
@settings(max_examples=25)
def test_differences_are_added_up_from_where_the_series_would_go(
    orders: tuple[int, ...], seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(30, 2))
    differences = differenced(values, orders)
    reach = sum(orders)
    assert np.isnan(differences[:reach]).all()
    assert np.isfinite(differences[reach:]).all()
    base = going_on(values[None, : 30 - HORIZON], orders, HORIZON)[0]
    ahead = adding_up(orders, HORIZON) @ differences[30 - HORIZON :]
    np.testing.assert_allclose(base + ahead, values[30 - HORIZON :], atol=1e-9)
    on = np.concatenate([values[: 30 - HORIZON], base])
    if orders:
        np.testing.assert_allclose(differenced(on, orders)[30 - HORIZON :], 0, atol=1e-9)


def test_series_go_on_as_the_naive_forecasts_say() -> None:
    values = np.array([5.0, 1.0, 2.0, 4.0])[None, :, None]
    assert going_on(values, (), 3).ravel().tolist() == [0, 0, 0]
    assert going_on(values, (1,), 3).ravel().tolist() == [4, 4, 4]
    assert going_on(values, (3,), 4).ravel().tolist() == [1, 2, 4, 1]
    assert going_on(values, (1, 1), 3).ravel().tolist() == [6, 8, 10]
    gap = np.array([5.0, NAN, 2.0, NAN])[None, :, None]
    assert going_on(gap, (2,), 3).ravel().tolist() == [2, 2, 2]
    assert filled(np.array([NAN, 3.0, NAN])[None, :, None]).ravel().tolist() == [3, 3, 3]
    assert filled(np.full((1, 2, 1), NAN)).ravel().tolist() == [0, 0]


def test_a_sum_of_differences_is_missing_where_one_of_them_is() -> None:
    values = torch.tensor([1.0, 2.0, NAN, 4.0]).view(1, 4, 1, 1)
    assert summed(values, (1,)).flatten().isnan().tolist() == [False, False, True, True]
    assert summed(values, (3,)).flatten().isnan().tolist() == [False, False, True, False]
    assert summed(values, (3,)).flatten()[3] == 5


def test_windows_are_scaled_by_what_is_there() -> None:
    window = np.array([[2.0, NAN, 6.0, NAN], [3.0, 3.0, 3.0, 3.0]])[..., None]
    mean, deviation = (part[:, 0] for part in SCALINGS["window"].of_window(window))
    assert mean.tolist() == [4, 3]
    assert deviation.tolist() == [2, LEAST]
    last, one = (part[:, 0] for part in SCALINGS["last"].of_window(window))
    assert (last.tolist(), one.tolist()) == ([6, 3], [1, 1])
    nothing, size = (part[:, 0] for part in SCALINGS["mean"].of_window(-window))
    assert (nothing.tolist(), size.tolist()) == ([0, 0], [4, 3])
    empty = np.full((1, 3, 1), NAN)
    for scaling in SCALINGS.values():
        assert all(np.isfinite(part).all() for part in scaling.of_window(empty))


def test_units_are_learned_from_the_training_part_alone() -> None:
    panel = two_series()
    series = [replace(one, targets=one.targets.copy()) for one in panel.series]
    for one in series:
        one.targets[30:] *= 100
    transform = Transform.learned(panel, TRAINED, "train")
    assert Transform.learned(replace(panel, series=series), TRAINED, "train") == transform
    rows = np.concatenate([one.targets[:30] for one in panel.series])
    np.testing.assert_allclose(transform.targets.shift, rows.mean(axis=0))
    np.testing.assert_allclose(transform.targets(rows).std(axis=0), 1)
    turned = panel_of(*panel.series[::-1])
    assert Transform.learned(turned, TRAINED, "train") == transform
    again: dict[str, Any] = {**asdict(transform)}
    assert Transform.from_json(again) == transform


def test_units_leave_flags_and_what_never_moves() -> None:
    rows = np.array([[0.0, 7.0, 1.0], [1.0, 7.0, 3.0], [1.0, 7.0, NAN]])
    units = Units.of(rows)
    assert (units.shift, units.scale) == ((0, 7, 2), (1, 1, 1))
    assert Units.of(np.zeros((3, 0))) == Units((), ())


def test_numbers_without_a_logarithm_or_that_are_no_counts_are_told() -> None:
    panel = two_series()
    panel.series[1].targets[4, 1] = 0.0
    with pytest.raises(DataError, match=r"series two: z is 0 at 2024-01-05.*numbers above 0"):
        Transform.learned(panel, TRAINED, "none", logarithm=True)
    check_counts(panel)
    check_counts(with_gaps(panel))
    panel.series[1].targets[4, 1] = 2.5
    with pytest.raises(DataError, match=r"series two: z is 2.5 at 2024-01-05.*needs counts"):
        check_counts(panel)


# --- batches


def test_a_window_is_gathered_as_it_stands() -> None:
    panel = two_series()
    predictor = predictor_of(panel, scaling="none")
    windows = [Window(1, 20), Window(0, 6), Window(0, 35)]
    batch, _ = store_of(predictor, panel).gather(as_rows(windows), horizon_of)
    reach = predictor.model.shape.reach
    for row, (number, origin) in enumerate(windows):
        series = panel.series[number]
        known = np.full((reach + WINDOW, 2), NAN)
        there = min(origin, reach + WINDOW)
        known[len(known) - there :] = series.targets[origin - there : origin]
        np.testing.assert_array_equal(batch.history[row].numpy(), known.astype(np.float32))
        ahead = series.targets[origin : origin + HORIZON].astype(np.float32)
        np.testing.assert_array_equal(batch.ahead[row].numpy(), ahead)
        steps = slice(origin - WINDOW, origin + HORIZON)
        future = predictor.transform.future(series.future)[steps].astype(np.float32)
        np.testing.assert_array_equal(batch.future[row].numpy(), future)
        past = predictor.transform.past(series.past)[origin - WINDOW : origin].astype(np.float32)
        np.testing.assert_array_equal(batch.past[row].numpy(), past)
    assert batch.counts == (10, 10, 10)
    blind, _ = store_of(predictor, panel).gather(as_rows(windows), horizon_of, blind=True)
    assert blind.ahead.isnan().all()
    assert blind.targets.isnan().all()
    assert blind.history.nan_to_num(0.0).equal(batch.history.nan_to_num(0.0))


def batches_of(panel: Any, seed: int = 1, rows: int = 4) -> SeriesBatches:
    store = store_of(predictor_of(panel), panel)
    return SeriesBatches(store, windows_of(panel), horizon_of, rows, seed)


def same(one: SeriesBatch, other: SeriesBatch) -> bool:
    history = one.history.nan_to_num(), other.history.nan_to_num()
    return history[0].equal(history[1]) and one.targets.equal(other.targets)


def test_the_order_is_a_function_of_seed_epoch_and_position() -> None:
    panel = two_series()
    batches = batches_of(panel)
    whole = list(batches.epoch(3))
    assert len(whole) == batches.size(3) == 3
    assert [batch.rows for batch in whole] == [4, 4, 2]
    for start in range(4):
        tail = list(batches_of(panel).epoch(3, start))
        assert len(tail) == 3 - start
        assert all(same(one, other) for one, other in zip(whole[start:], tail, strict=True))
    for other in (batches.epoch(4), batches_of(panel, seed=2).epoch(3)):
        assert not same(whole[0], next(other))
    seen = torch.cat([batch.history for batch in whole])
    assert len({tuple(row.flatten().nan_to_num(0).tolist()) for row in seen}) == len(seen) == 10
    # The order of the series in their file is nothing.
    turned = panel_of(*panel.series[::-1])
    store = store_of(predictor_of(panel), turned)
    mirrored = [Window(1 - at, origin) for at, origin in windows_of(panel)]
    others = SeriesBatches(store, mirrored, horizon_of, 4, 1).epoch(3)
    assert all(same(one, other) for one, other in zip(whole, others, strict=True))


def test_the_horizon_after_each_step_is_that_of_a_window_which_ends_there() -> None:
    panel = two_series()
    for difference in ((), (1,)):
        every: Any = predictor_of(panel, mode="sequence", difference=difference).model.mode
        once: Any = predictor_of(panel, mode="direct", difference=difference).model.mode
        assert isinstance(every, Sequences)
        assert isinstance(once, Direct)
        values = torch.randn(3, WINDOW + HORIZON, 2)
        values[0, 8] = NAN
        arranged = every.arrange(values).view(3, WINDOW, HORIZON, 2)
        torch.testing.assert_close(arranged[:, -1], once.arrange(values), equal_nan=True)
        for step, later in pairwise(range(WINDOW)):
            if not difference:
                assert arranged[1:, step, 1:].equal(arranged[1:, later, :-1])


def test_a_network_learns_in_the_loop_of_all_tasks(tmp_path: Path) -> None:
    at = np.arange(120)
    rng = np.random.default_rng(1)
    plain = bare(panel_of(series_of("", 1, 120))).series[0]
    waves = np.stack([np.sin(2 * np.pi * at / 7), np.cos(2 * np.pi * at / 7)], axis=1)
    holidays = rng.integers(2, size=(120, 1)).astype(float)
    targets = 50 + 10 * waves + 8 * holidays + rng.normal(size=(120, 2))
    series = replace(plain, targets=targets, future=holidays)
    panel = Panel([series], Columns(("y", "z"), future=("holiday",)), "D", 7)
    layers = RecurrentConfig(cell="gru", hidden_size=24, dropout=0.0)
    predictor = predictor_of(panel, head="mae", window=14, lags=(), layers=layers)
    model = predictor.model.float()
    windows = [Window(0, origin) for origin in range(14, 90)]
    store = store_of(predictor, panel)
    schedule = ScheduleConfig(warmup=5)
    train = TrainConfig(
        steps=100,
        validate_every=100,
        optimizer=OptimizerConfig(learning_rate=0.02, schedule=schedule),
        metric="loss",
        device="cpu",
    )
    trainer: Trainer[SeriesBatch] = Trainer(model, train, tmp_path, dtype=torch.float32)
    later = [Window(0, origin) for origin in range(95, 115)]

    def validate() -> dict[str, float]:
        found = predictor.predict(panel, later, HORIZON, LEVELS)
        errors = np.abs(found.point - truth_of(panel, later))
        return {"loss": float(errors.mean())}

    before = validate()["loss"]
    trainer.fit(SeriesBatches(store, windows, model.mode.arrange, 16, 1), validate)
    after = validate()["loss"]
    naive = np.abs(np.diff(targets, axis=0)).mean()
    assert after < 2.5 < naive < before


def test_batches_reach_all_modes_through_their_arrangement() -> None:
    panel = two_series()
    counts = {}
    for mode in ("direct", "sequence", "recursive", "encoder-decoder", "segments"):
        predictor = predictor_of(panel, mode=mode)
        counts[mode] = batch_of(predictor, panel, windows_of(panel)[:1]).counts
    assert counts == {
        "direct": (HORIZON * 2,),
        "sequence": (WINDOW * HORIZON * 2,),
        "recursive": ((WINDOW + HORIZON - 1) * 2,),
        "encoder-decoder": (HORIZON * 2,),
        "segments": (HORIZON * 2,),
    }
