"""Small panels with columns of all kinds, and small networks for them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from seq2seq.data.series.panel import Columns, Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.nn.cells import CELLS
from seq2seq.nn.forecast_heads import HEADS
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tasks.forecasting.batches import Arrange, SeriesBatch, SeriesStore, as_rows
from seq2seq.tasks.forecasting.modes import MODES
from seq2seq.tasks.forecasting.network import (
    Forecasting,
    NetworkConfig,
    shape_of,
    transform_of,
)
from seq2seq.tasks.forecasting.recurrent import RecurrentPredictor

WINDOW, HORIZON, STEPS = 6, 5, 40
LEVELS = (0.1, 0.5, 0.9)
NAMES = [list(CELLS), list(MODES), list(HEADS)]
MIXED = [
    (cell, mode, NAMES[2][(i + j) % len(HEADS)])
    for i, cell in enumerate(NAMES[0])
    for j, mode in enumerate(NAMES[1])
]
"""Every cell with every mode, and every mode with every head."""


def series_of(name: str, seed: int, steps: int = STEPS) -> Series:
    """Returns a daily series of counts with covariates of all kinds."""
    rng = np.random.default_rng(seed)
    return Series(
        name,
        pd.date_range("2024-01-01", periods=steps, freq="D"),
        rng.poisson(20 + 5 * seed, (steps, 2)).astype(float) + 1,
        rng.normal(3, 2, (steps, 2)),
        np.stack([rng.integers(2, size=steps), rng.normal(size=steps)], axis=1).astype(float),
        rng.normal(size=2),
    )


def panel_of(*series: Series) -> Panel:
    columns = Columns(("y", "z"), ("p", "q"), ("holiday", "heat"), ("s", "t"))
    return Panel(series, columns, "D", 7)


def two_series() -> Panel:
    return panel_of(series_of("one", 1), series_of("two", 2))


def bare(panel: Panel) -> Panel:
    """Returns a panel without covariates."""
    none = np.zeros((len(panel.series[0].times), 0))
    series = [replace(one, past=none, future=none, static=np.zeros(0)) for one in panel.series]
    return Panel(series, Columns(("y", "z")), "D", 7)


def with_gaps(panel: Panel, seed: int = 5) -> Panel:
    """Returns a panel of which a fifth of all numbers that change is missing."""
    rng = np.random.default_rng(seed)

    def gaps(values: np.ndarray) -> np.ndarray:
        return np.where(rng.random(values.shape) < 0.2, np.nan, values)

    return replace(
        panel,
        series=[
            replace(one, targets=gaps(one.targets), past=gaps(one.past), future=gaps(one.future))
            for one in panel.series
        ],
    )


def windows_of(panel: Panel, first: int = 12, stride: int = 5) -> list[Window]:
    return [
        Window(number, origin)
        for number, series in enumerate(panel.series)
        for origin in range(first, len(series.times) - HORIZON + 1, stride)
    ]


def random_biases(module: nn.Module) -> None:
    """Replaces the zeros of a fresh module, which would hide a bias that is not added."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.5, 0.5)


def predictor_of(
    panel: Panel,
    cell: str = "gru",
    mode: str = "direct",
    head: str = "gaussian",
    *,
    masked: bool = False,
    **settings: Any,
) -> RecurrentPredictor:
    """Returns a network in float64 that has learned nothing but its units."""
    torch.manual_seed(1)
    layers = RecurrentConfig(cell=cell, layers=2, hidden_size=6, dropout=0.0)
    scaling = "mean" if HEADS[head].counts else "window"
    own: dict[str, Any] = {"window": WINDOW, "horizon": HORIZON, "segment": 3, "lags": (2, 9)}
    own |= {"mode": mode, "head": head, "scaling": scaling, "layers": layers}
    config = NetworkConfig(**own | settings)
    model = Forecasting(config, shape_of(config, panel.columns, masked=masked)).double()
    random_biases(model)
    transform = transform_of(config, panel, [(0, 30)] * len(panel.series))
    return RecurrentPredictor(model, transform)


def store_of(predictor: RecurrentPredictor, panel: Panel, horizon: int = HORIZON) -> SeriesStore:
    shape = predictor.model.shape
    return SeriesStore(panel, predictor.transform, shape.window, horizon, shape.reach)


def batch_of(
    predictor: RecurrentPredictor,
    panel: Panel,
    windows: Sequence[Window],
    arrange: Arrange | None = None,
    *,
    blind: bool = False,
) -> SeriesBatch:
    """Returns a batch in float64."""
    arrange = arrange or predictor.model.mode.arrange
    store = store_of(predictor, panel, predictor.model.config.horizon)
    return doubled(store.gather(as_rows(windows), arrange, blind=blind)[0])


def doubled(batch: SeriesBatch) -> SeriesBatch:
    from_single = {
        name: getattr(batch, name).double()
        for name in ("history", "past", "future", "static", "ahead", "scale", "targets")
    }
    return replace(batch, **from_single)
