"""Small series of our own making."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seq2seq.data.series.panel import Columns, Panel, Series
from seq2seq.data.series.windows import Window

LEVELS = (0.1, 0.5, 0.9)
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
"""Public data sets, where somebody has put them beside the project."""


def series_of(
    targets: np.ndarray | Sequence[float],
    future: np.ndarray | None = None,
    past: np.ndarray | None = None,
    name: str = "",
) -> Series:
    """Returns a daily series."""
    values = np.asarray(targets, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    none = np.zeros((len(values), 0))
    times = pd.date_range("2024-01-01", periods=len(values), freq="D")
    return Series(
        name,
        times,
        values,
        none if past is None else past,
        none if future is None else future,
        np.zeros(0),
    )


def panel_of(*series: Series, season: int = 7) -> Panel:
    """Returns a panel of daily series."""
    first = series[0]
    names = [
        tuple(f"{kind}{place}" for place in range(values.shape[1]))
        for kind, values in (("y", first.targets), ("past", first.past), ("future", first.future))
    ]
    return Panel(series, Columns(*names), "D", season)


def weekly(steps: int, columns: int = 1, seed: int = 0, future: bool = False) -> Series:
    """Returns a series with a week, a slow wave, noise, and at will a covariate that matters."""
    random = np.random.default_rng(seed)
    at = np.arange(steps)[:, None]
    values = 50 + 5 * np.sin(2 * np.pi * (at + np.arange(columns)) / 7) + 3 * np.sin(at / 40)
    noise = random.standard_normal((steps, columns))
    for step in range(1, steps):
        noise[step] += 0.6 * noise[step - 1]
    known = (random.random((steps, 1)) < 0.2).astype(float)
    return series_of(values + noise + (8 * known if future else 0), known if future else None)


def origins(first: int, last: int, stride: int = 1, series: int = 0) -> list[Window]:
    return [Window(series, origin) for origin in range(first, last, stride)]


def changed_from(series: Series, origin: int) -> Series:
    """Returns a series of which all from a step on is different, future covariates aside."""
    targets, past = series.targets.copy(), series.past.copy()
    targets[origin:], past[origin:] = 1e6, -1e6
    return replace(series, targets=targets, past=past)


def shared(*parts: str) -> Path:
    """Returns a file of a public data set, or skips the test."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not there")
    return path
