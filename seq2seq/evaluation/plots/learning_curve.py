"""The course of training as a picture."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from seq2seq.evaluation.plots.style import BLUE, RED, drawing, new_figure, write
from seq2seq.measures import FORECAST_METRICS, METRICS, lower_is_better

if TYPE_CHECKING:
    import matplotlib.axes

History: TypeAlias = Sequence[Mapping[str, int | float]]
COLOURS = ("#2a9d6f", "#e0912f", "#7a5195", BLUE)
DOTTED = "o-"
ABOVE: dict[str, Any] = {
    "xytext": (0, 6),
    "textcoords": "offset points",
    "ha": "center",
    "fontweight": "bold",
}
LOSS_HEIGHT, SCORE_HEIGHT = 2.8, 1.7
"""Inches."""


def plot_learning_curve(
    history: History,
    path: Path,
    metrics: Sequence[str] | None = None,
) -> None:
    """Draws training and validation loss against steps, and below them each validation score.

    Every score has a panel and a scale of its own: 4 per cent of one and 60 of another are both
    read, and no label lies on another.

    Args:
        history: Rows of ``metrics.jsonl``; each holds ``step`` and any of ``loss``, ``valid_loss``
            and the names of metrics.
        path: Where to write the picture, a PNG.
        metrics: The names to draw as scores; by default all that there are.

    Raises:
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    wanted = (*METRICS, *FORECAST_METRICS) if metrics is None else metrics
    scores = [name for name in wanted if any(name in row for row in history)]
    heights = [LOSS_HEIGHT] + [SCORE_HEIGHT] * len(scores)
    with drawing():
        figure = new_figure(7.0, sum(heights))
        panels = figure.subplots(
            len(heights), 1, sharex=True, squeeze=False, height_ratios=heights
        )[:, 0]
        _draw_losses(panels[0], history)
        for panel, name, colour in zip(panels[1:], scores, cycle(COLOURS), strict=False):
            _draw_score(panel, history, name, colour)
        panels[-1].set_xlabel("step")
        panels[-1].locator_params(axis="x", integer=True)
        panels[-1].xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        for panel in panels:
            panel.grid(True)
            panel.tick_params(length=0)
            panel.margins(x=0.03, y=0.16)
        write(figure, path)


def _draw_losses(panel: "matplotlib.axes.Axes", history: History) -> None:
    panel.set_title("loss of a prediction")
    steps, losses = _series(history, "loss")
    marker = "o" if len(steps) == 1 else ""
    panel.plot(steps, losses, color=BLUE, linewidth=1.2, marker=marker, label="training")
    steps, losses = _series(history, "valid_loss")
    if steps:
        panel.plot(steps, losses, DOTTED, color=RED, markersize=3.5, label="validation")
        panel.legend(loc="upper right")


def _draw_score(panel: "matplotlib.axes.Axes", history: History, name: str, colour: str) -> None:
    panel.set_title(f"validation {name}")
    steps, values = _series(history, name)
    panel.plot(steps, values, DOTTED, color=colour, markersize=3.5)
    best = (min if lower_is_better(name) else max)(values)
    shown = f"{best:,.1f}" if abs(best) >= 1 else f"{best:.3g}"
    panel.annotate(shown, (steps[values.index(best)], best), color=colour, **ABOVE)


def _series(history: History, name: str) -> tuple[list[int | float], list[int | float]]:
    rows = [row for row in history if name in row]
    return [row["step"] for row in rows], [row[name] for row in rows]
