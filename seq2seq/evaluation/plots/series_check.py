"""What a check of series found, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from seq2seq.errors import DataError
from seq2seq.evaluation.plots.style import BLUE, GREY, RED, drawing, grouped, new_figure, write

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

WIDTH, HEIGHT = 11.0, 2.1
"""Inches: of the picture, and of one series in it."""
SHADE: dict[str, Any] = {"color": RED, "alpha": 0.15, "linewidth": 0}


@runtime_checkable
class Checked(Protocol):
    """One series, and what was found of it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def times(self) -> Sequence[object]:
        """Its times, or the numbers of its steps."""
        ...

    @property
    def values(self) -> Float[np.ndarray, "T"]:
        """Its values; NaN where one is missing."""
        ...

    @property
    def outliers(self) -> Bool[np.ndarray, "T"]:
        """Which of them are far from the others."""
        ...

    @property
    def season(self) -> int:
        """Steps after which it is expected to repeat; 1: none."""
        ...

    @property
    def acf(self) -> Float[np.ndarray, "L"]:
        """Its autocorrelation, from 0 steps on."""
        ...

    @property
    def pacf(self) -> Float[np.ndarray, "L"]:
        """Its partial autocorrelation, from 0 steps on."""
        ...

    @property
    def bound(self) -> float:
        """Within which autocorrelations may be chance."""
        ...


def plot_series_check(
    checked: Sequence[Checked], path: Path | None = None
) -> "matplotlib.figure.Figure":
    """Draws each series in a row: its course, its autocorrelation, and the partial one.

    What is missing is shaded, outliers are dots, and a season is a dotted line.

    Returns:
        The figure, also where it was written to ``path`` as a PNG.

    Raises:
        DataError: There are no series.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if not checked:
        raise DataError("check: no series has a known value, there is nothing to draw")
    with drawing():
        figure = new_figure(WIDTH, HEIGHT * len(checked) + 0.4)
        rows = figure.subplots(len(checked), 3, squeeze=False, width_ratios=[2.2, 1, 1])
        for panels, one in zip(rows, checked, strict=True):
            _draw_course(panels[0], one)
            for panel, title, values in (
                (panels[1], "autocorrelation", one.acf),
                (panels[2], "partial autocorrelation", one.pacf),
            ):
                panel.set_title(title)
                _draw_correlation(panel, values, one.bound, one.season)
            for panel in panels:
                panel.grid(True)
                panel.tick_params(length=0)
        for panel in rows[-1, 1:]:
            panel.set_xlabel("steps before")
        if path is not None:
            write(figure, path)
    return figure


def _draw_course(panel: "matplotlib.axes.Axes", one: Checked) -> None:
    times = np.asarray(one.times)
    panel.set_title(one.name, parse_math=False)
    panel.plot(times, one.values, color=BLUE, linewidth=0.8)
    missing = np.isnan(one.values)
    panel.fill_between(
        times,
        0,
        1,
        where=_widened(missing).tolist(),
        transform=panel.get_xaxis_transform(),
        **SHADE,
    )
    panel.plot(times[one.outliers], one.values[one.outliers], "o", color=RED, markersize=2.5)
    panel.yaxis.set_major_formatter(grouped)
    panel.margins(x=0.01)


def _widened(missing: Bool[np.ndarray, "T"]) -> Bool[np.ndarray, "T"]:
    """Marks the neighbours of what is missing, too, so that the shade of one step has a width."""
    wide = missing.copy()
    wide[1:] |= missing[:-1]
    wide[:-1] |= missing[1:]
    return wide


def _draw_correlation(
    panel: "matplotlib.axes.Axes", values: Float[np.ndarray, "L"], bound: float, season: int
) -> None:
    lags = np.arange(1, len(values))
    panel.axhspan(-bound, bound, color=GREY, alpha=0.12, linewidth=0)
    if 1 < season < len(values):
        for lag in range(season, len(values), season):
            panel.axvline(lag, color=GREY, linewidth=0.6, linestyle=":")
    panel.vlines(lags, 0, values[1:], color=BLUE, linewidth=1.2 if len(lags) < 60 else 0.7)
    panel.set_ylim(-1.05, 1.05)
    panel.margins(x=0.02)
    panel.locator_params(axis="x", integer=True)
