"""Forecasts beside what was and what came, and their errors by step, as pictures."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from seq2seq.errors import DataError
from seq2seq.evaluation.plots.style import BLUE, INK, RED, drawing, grouped, new_figure, write

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

log = logging.getLogger("seq2seq")

MOST_COURSES, MOST_SAMPLES = 12, 30
"""In a picture; in a panel."""
MOST_DOTS = 31
"""Steps ahead that are dots, too; of more the line is enough."""
WIDTH, HEIGHT, HEIGHT_ALONE, HEADING = 9.0, 2.1, 3.4, 0.35
"""Inches: of the picture, of one of several panels, of a single one, of the legend."""
DEEPEST, FAINTEST = 0.45, 0.14
"""How much blue is in the narrowest interval and in the widest."""
LEGEND_COLUMNS = 8
HISTORY, FORECAST, CAME, SAMPLES = "history", "forecast", "what came", "samples"

ERRORS_WIDTH, ERRORS_HEIGHT, AROUND, LINE = 7.0, 3.6, 0.85, 0.17
"""Inches: of the picture of errors, of it without its panel, and of a line of text."""
COLOURS = (BLUE, RED, "#2a9d6f", "#b86e14", "#7a5195", "#00798c")
GREYS = ("#555555", "#767676")
DASHES = ("-", "--", ":", "-.")
LONGEST_NAME, LONGEST_LABEL = 100, 40


@dataclass(frozen=True)
class Course:
    """One column of one series: what was, what is forecast, and what came, where that is known."""

    name: str
    times: Collection[Any]
    """Of the ``T`` steps that were: dates and times, or the numbers of steps."""
    values: Float[np.ndarray, "T"]
    """What was; NaN where it is missing."""
    ahead: Collection[Any]
    """The times of the ``H`` steps that are forecast."""
    point: Float[np.ndarray, "H"]
    intervals: Mapping[float | int, tuple[Float[np.ndarray, "H"], Float[np.ndarray, "H"]]]
    """The lower and the upper end, by the per cent of what may come that lie between them."""
    truth: Float[np.ndarray, "H"]
    """What came; NaN where it is unknown."""
    samples: Float[np.ndarray, "H M"] | None = None
    """``M`` courses that things may take."""


def plot_forecast(
    courses: Sequence[Course], path: Path | None = None
) -> "matplotlib.figure.Figure":
    """Draws each course in a panel: its history, then forecast, intervals, and what came.

    What is missing is a gap. A forecast goes on from the last value, if that is known.

    Returns:
        The figure, also where it was written to ``path`` as a PNG.

    Raises:
        DataError: There is nothing to draw.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if not any(np.isfinite([*one.values, *one.point]).any() for one in courses):
        raise DataError("forecast: no series has a known value, there is nothing to draw")
    if len(courses) > MOST_COURSES:
        log.info(
            "forecast: the picture shows the first %d of %d series and columns",
            MOST_COURSES,
            len(courses),
        )
        courses = courses[:MOST_COURSES]
    shades = _shades({percent for one in courses for percent in one.intervals})
    with drawing():
        heights = HEIGHT * len(courses) if len(courses) > 1 else HEIGHT_ALONE
        figure = new_figure(WIDTH, heights + HEADING)
        panels = figure.subplots(len(courses), 1, squeeze=False)[:, 0]
        for panel, one in zip(panels, courses, strict=True):
            _draw_course(panel, one, shades)
            _finish(panel, one)
        _add_legend(figure, [HISTORY, FORECAST, *map(_percent, shades), SAMPLES, CAME])
        if path is not None:
            write(figure, path)
    return figure


def _shades(percents: Collection[float | int]) -> dict[float | int, tuple[float, ...]]:
    """Returns a colour for each interval, the narrowest first and deepest.

    They are opaque, so that one on another looks as it does in the legend.
    """
    blue = np.array(list(bytes.fromhex(BLUE[1:]))) / 255
    strengths = np.linspace(DEEPEST, FAINTEST, max(len(percents), 2))
    return {
        percent: tuple((1 - strength * (1 - blue)).tolist())
        for percent, strength in zip(sorted(percents), strengths, strict=False)
    }


def _percent(percent: float | int) -> str:
    return f"{percent:g} %"


def _draw_course(
    panel: "matplotlib.axes.Axes", one: Course, shades: Mapping[float | int, tuple[float, ...]]
) -> None:
    steps = len(one.point)
    times, values, ahead = np.asarray(one.times), one.values, np.asarray(one.ahead)
    # What is ahead begins at the last value, unless that is missing.
    last = values[-1:][np.isfinite(values[-1:])]
    since = np.concatenate([times[-1:], ahead]) if last.size else ahead
    for percent in sorted(one.intervals, reverse=True):
        lower, upper = (np.concatenate([last, end]) for end in one.intervals[percent])
        _draw_interval(panel, since, lower, upper, color=shades[percent], label=_percent(percent))
    if one.samples is not None and one.samples.size:
        samples = one.samples[:, :MOST_SAMPLES]
        joined = np.concatenate([np.tile(last[:, None], samples.shape[1]), samples])
        lines = panel.plot(since, joined, color=BLUE, linewidth=0.5, alpha=0.3)
        lines[0].set_label(SAMPLES)
    panel.plot(times, values, color=INK, linewidth=1.1, label=HISTORY)
    _draw_dots(panel, times, values, _alone(np.isfinite(values)), INK)
    for found, colour, width, label in (
        (one.point, BLUE, 1.8, FORECAST),
        (one.truth, RED, 1.1, CAME),
    ):
        known = np.isfinite(found)
        if known.any():
            panel.plot(since, [*last, *found], color=colour, linewidth=width, label=label)
            _draw_dots(panel, ahead, found, known if steps <= MOST_DOTS else _alone(known), colour)


def _draw_interval(
    panel: "matplotlib.axes.Axes",
    times: np.ndarray,
    lower: Float[np.ndarray, "K"],
    upper: Float[np.ndarray, "K"],
    **look: Any,  # noqa: ANN401
) -> None:
    panel.fill_between(times, lower, upper, linewidth=0, **look)
    alone = _alone(np.isfinite(lower) & np.isfinite(upper))
    panel.vlines(times[alone], lower[alone], upper[alone], linewidth=5, color=look["color"])


def _draw_dots(
    panel: "matplotlib.axes.Axes",
    times: np.ndarray,
    values: Float[np.ndarray, "K"],
    chosen: Bool[np.ndarray, "K"],
    colour: str,
) -> None:
    panel.plot(times[chosen], values[chosen], "o", color=colour, markersize=2.8)


def _alone(known: Bool[np.ndarray, "K"]) -> Bool[np.ndarray, "K"]:
    """Marks what is known between unknown neighbours: a line does not show it."""
    around = np.pad(known, 1)
    alone: np.ndarray = known & ~around[:-2] & ~around[2:]
    return alone


def _finish(panel: "matplotlib.axes.Axes", one: Course) -> None:
    panel.set_title(_shortened(one.name, LONGEST_NAME), parse_math=False)
    panel.grid(True)
    panel.set_axisbelow("line")  # above the intervals
    panel.tick_params(length=0)
    panel.margins(x=0.01)
    panel.yaxis.set_major_formatter(grouped)
    if np.issubdtype(np.asarray(one.ahead).dtype, np.number):
        panel.locator_params(axis="x", integer=True, min_n_ticks=1)
        panel.xaxis.set_major_formatter(grouped)


def _add_legend(figure: "matplotlib.figure.Figure", order: Sequence[str]) -> None:
    """Names once what any of the panels has."""
    found: dict[str, Any] = {}
    for panel in figure.axes:
        handles, labels = panel.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    labels = [label for label in order if label in found]
    handles = [found[label] for label in labels]
    columns = min(len(labels), LEGEND_COLUMNS)
    legend = figure.legend(handles, labels, loc="outside upper right", ncols=columns)
    if SAMPLES in labels:  # one alone can hardly be seen
        shown: Any = legend.legend_handles[labels.index(SAMPLES)]
        shown.set(linewidth=1.0, alpha=0.7)


def _shortened(name: str, most: int) -> str:
    """Leaves out the middle of a long name: similar names differ at their ends."""
    half = most // 2
    return name if len(name) <= most else f"{name[: most - half - 1]}…{name[-half:]}"


def plot_errors(
    name: str,
    errors: Mapping[str, Sequence[float] | Float[np.ndarray, "_"]],
    path: Path | None = None,
    grey: Collection[str] = (),
) -> "matplotlib.figure.Figure":
    """Draws how a score changes with the steps ahead, a line for each model with its name beside.

    Args:
        name: What the score is called.
        errors: The score of each step from the first on, by model; NaN where it is unknown.
        path: Where to write the picture, a PNG.
        grey: The models that the others are compared with, which are grey.

    Returns:
        The figure, also where it was written to ``path``.

    Raises:
        DataError: There is nothing to draw.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    scores = {model: np.asarray(values, dtype=float) for model, values in errors.items()}
    scores = {model: values for model, values in scores.items() if np.isfinite(values).any()}
    if not scores:
        raise DataError(f"{name}: no model has a known score, there is nothing to draw")
    height = max(ERRORS_HEIGHT, AROUND + LINE * len(scores))
    with drawing():
        figure = new_figure(ERRORS_WIDTH, height)
        panel = figure.subplots()
        looks = _looks(scores, grey)
        for model, values in scores.items():
            steps = np.arange(1, len(values) + 1)
            panel.plot(steps, values, **looks[model])
            chosen = np.isfinite(values)
            if len(values) > MOST_DOTS:
                chosen = _alone(chosen)
            _draw_dots(panel, steps, values, chosen, looks[model]["color"])
        _finish_errors(panel, name, max(map(len, scores.values())))
        _label(panel, scores, looks, gap=LINE / (height - AROUND))
        if path is not None:
            write(figure, path)
    return figure


def _looks(models: Collection[str], grey: Collection[str]) -> dict[str, dict[str, Any]]:
    """Returns how the line of each model is drawn; no two of a dozen look alike."""
    colours = cycle([(colour, dash) for dash in DASHES for colour in COLOURS])
    greys = cycle(zip(GREYS * 2, DASHES, strict=True))
    looks = {}
    for model in models:
        colour, dash = next(greys if model in grey else colours)
        width, above = (1.2, 2) if model in grey else (1.8, 3)
        looks[model] = {"color": colour, "linestyle": dash, "linewidth": width, "zorder": above}
    return looks


def _finish_errors(panel: "matplotlib.axes.Axes", name: str, steps: int) -> None:
    panel.set_ylabel(name, parse_math=False)
    panel.set_xlabel("steps ahead")
    panel.grid(True)
    panel.tick_params(length=0)
    panel.margins(y=0.08)
    beside = max(0.03 * (steps - 1), 0.1)
    panel.set_xlim(1 - beside, steps + beside)
    panel.locator_params(axis="x", integer=True, min_n_ticks=1)
    panel.xaxis.set_major_formatter(grouped)
    panel.yaxis.set_major_formatter(grouped)


def _label(
    panel: "matplotlib.axes.Axes",
    scores: Mapping[str, Float[np.ndarray, "_"]],
    looks: Mapping[str, Mapping[str, Any]],
    gap: float,
) -> None:
    """Writes the name of each model on the right of the panel, and leads a line to its last score.

    ``gap`` is the height of a name as a share of the panel's.
    """
    low, high = panel.get_ylim()
    ends = {model: int(np.flatnonzero(np.isfinite(row))[-1]) for model, row in scores.items()}
    last = {model: float(scores[model][end]) for model, end in ends.items()}
    models = sorted(last, key=lambda model: last[model])
    places = _spread((np.array([last[model] for model in models]) - low) / (high - low), gap)
    for model, place in zip(models, places.tolist(), strict=True):
        colour = looks[model]["color"]
        panel.annotate(
            _shortened(model, LONGEST_LABEL),
            (ends[model] + 1, last[model]),
            (1.04, place),
            textcoords="axes fraction",
            va="center",
            color=colour,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.5,
                "relpos": (0, 0.5),
                "shrinkB": 3,
            },
        )


def _spread(places: Float[np.ndarray, "N"], gap: float) -> Float[np.ndarray, "N"]:
    """Moves ascending places apart until neighbours are ``gap`` away, half up and half down.

    They stay between 0 and 1 if there is room for all of them.
    """
    needed = gap * np.arange(len(places))
    slack = places - needed  # neighbours are far enough where this does not fall
    up = np.maximum.accumulate(slack)
    down = np.minimum.accumulate(slack[::-1])[::-1]
    most = max(1 - gap * (len(places) - 1), 0)
    spread: np.ndarray = ((up + down) / 2).clip(0, most) + needed
    return spread
