"""Scores of systems in groups of a test set, as a picture."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.evaluation.analysis import Curves
from seq2seq.evaluation.plots.style import BLUE, GREY, RED, drawing, new_figure, write

if TYPE_CHECKING:
    import matplotlib.axes

COLOURS = (BLUE, RED, "#2a9d6f", "#e0912f", "#7a5195", GREY)
PANEL_HEIGHT = 2.1
"""Inches."""


def plot_curves(curves: Sequence[Curves], path: Path) -> None:
    """Draws a panel for each score of each kind of groups, and in it a line for each system.

    Raises:
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    panels = [(one, metric) for one in curves for metric in one.scores]
    with drawing():
        figure = new_figure(7.0, PANEL_HEIGHT * len(panels))
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axis, (one, metric) in zip(axes, panels, strict=True):
            _draw(axis, one, metric)
        axes[0].legend(loc="best")
        write(figure, path)


def _draw(axis: "matplotlib.axes.Axes", curves: Curves, metric: str) -> None:
    places = range(len(curves.groups))
    for (system, values), colour in zip(
        curves.scores[metric].items(), cycle(COLOURS), strict=False
    ):
        axis.plot(places, values, "o-", color=colour, markersize=3.5, label=system)
    names = [f"{name}\nn = {count:,}" for name, count in curves.groups.items()]
    axis.set_xticks(places, names)
    axis.set_title(f"{metric} by {curves.over}")
    axis.grid(True, axis="y")
    axis.tick_params(length=0)
    axis.margins(x=0.04, y=0.16)
