"""Scores and the course of training as text and pictures."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float

from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.metrics import METRICS, Score

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    import matplotlib.image

History: TypeAlias = Sequence[Mapping[str, int | float]]

INK, GREY, BLUE, RED = "#222222", "#555555", "#2f6db3", "#d1495b"
COLOURS = ("#2a9d6f", "#e0912f", "#7a5195", BLUE)
DOTTED = "o-"
ABOVE: dict[str, Any] = {
    "xytext": (0, 6),
    "textcoords": "offset points",
    "ha": "center",
    "fontweight": "bold",
}
SLANTED: dict[str, Any] = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"}
LESS_IS_BETTER = {"ter"}
# Only installed fonts are asked for; the later ones supply scripts that the first one lacks.
FONTS = ("Inter", "Helvetica Neue", "Arial", "DejaVu Sans", "Noto Sans", "Noto Sans CJK JP")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": GREY,
    "axes.edgecolor": "#bbbbbb",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "lines.linewidth": 1.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
}
INVISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\r": "←", "\t": "⇥"})


def scores_table(scores: Sequence[Score]) -> str:
    """Returns one aligned line for each score: name, value, signature."""
    lines = [("metric", "score", "signature")]
    lines += [(score.name, f"{score.value:.2f}", score.signature) for score in scores]
    name, value, _ = (max(map(len, cells)) for cells in zip(*lines, strict=True))
    return "\n".join(f"{line[0]:<{name}}  {line[1]:>{value}}  {line[2]}" for line in lines)


def scores_json(scores: Sequence[Score]) -> str:
    """Returns the scores as a JSON list of objects with name, value and signature."""
    return json.dumps([asdict(score) for score in scores], indent=2, ensure_ascii=False)


def plot_learning_curve(
    history: History,
    path: Path,
    metrics: Sequence[str] = tuple(METRICS),
) -> None:
    """Draws training and validation loss against steps, and below them the validation scores.

    Args:
        history: Rows of ``metrics.jsonl``; each holds ``step`` and any of ``loss``, ``valid_loss``
            and the names of metrics.
        path: Where to write the picture, a PNG.
        metrics: The names to draw as scores.

    Raises:
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    scores = [name for name in metrics if any(name in row for row in history)]
    with _drawing():
        figure = _figure(7.0, 5.0 if scores else 3.0)
        panels = figure.subplots(2 if scores else 1, 1, sharex=True, squeeze=False)[:, 0]
        _draw_losses(panels[0], history)
        if scores:
            _draw_scores(panels[1], history, scores)
        panels[-1].set_xlabel("step")
        panels[-1].locator_params(axis="x", integer=True)
        panels[-1].xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        for panel in panels:
            panel.grid(True)
            panel.tick_params(length=0)
            panel.margins(x=0.03, y=0.12)
        _write(figure, path)


def _draw_losses(panel: "matplotlib.axes.Axes", history: History) -> None:
    panel.set_title("loss, nats per token")
    steps, losses = _series(history, "loss")
    marker = "o" if len(steps) == 1 else ""
    panel.plot(steps, losses, color=BLUE, linewidth=1.2, marker=marker, label="training")
    steps, losses = _series(history, "valid_loss")
    if steps:
        panel.plot(steps, losses, DOTTED, color=RED, markersize=3.5, label="validation")
        panel.legend(loc="upper right")


def _draw_scores(panel: "matplotlib.axes.Axes", history: History, names: Sequence[str]) -> None:
    panel.set_title(f"validation {names[0] if len(names) == 1 else 'scores'}")
    for name, colour in zip(names, cycle(COLOURS), strict=False):
        steps, values = _series(history, name)
        panel.plot(steps, values, DOTTED, color=colour, markersize=3.5, label=name)
        best = (min if name in LESS_IS_BETTER else max)(values)
        place = (steps[values.index(best)], best)
        panel.annotate(f"{best:.1f}", place, color=colour, **ABOVE)
    if len(names) > 1:
        panel.legend(loc="best")


def _series(history: History, name: str) -> tuple[list[int | float], list[int | float]]:
    rows = [row for row in history if name in row]
    return [row["step"] for row in rows], [row[name] for row in rows]


def plot_attention(
    weights: Float[np.ndarray, "T S"],
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    path: Path | None = None,
) -> "matplotlib.figure.Figure":
    """Draws which source tokens (columns) each target token (rows) attended to.

    Returns:
        The figure, also where it was written to ``path`` as a PNG.

    Raises:
        DataError: The numbers of tokens do not fit the weights.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if weights.shape != (len(target_tokens), len(source_tokens)):
        raise DataError(
            f"attention: {weights.shape[0]} rows of {weights.shape[1]} weights do not fit "
            f"{len(target_tokens)} target and {len(source_tokens)} source tokens"
        )
    rows, columns = weights.shape
    cell = 0.34 if max(rows, columns) <= 20 else 0.24
    with _drawing():
        figure = _figure(cell * columns + 2.0, cell * rows + 1.4)
        panel = figure.subplots()
        image = panel.imshow(weights, cmap="Blues", vmin=0)
        panel.spines[:].set_visible(False)
        panel.tick_params(labelsize=9 if cell > 0.3 else 7.5, labelcolor=INK)
        panel.tick_params(which="both", length=0)
        panel.xaxis.tick_top()
        turn = SLANTED if max(map(len, source_tokens), default=0) > 2 else {}
        # Without parse_math a dollar sign would start a formula.
        panel.set_xticks(range(columns), _visible(source_tokens), parse_math=False, **turn)
        panel.set_yticks(range(rows), _visible(target_tokens), parse_math=False)
        panel.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
        panel.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
        panel.grid(which="minor", color="white", linewidth=1)
        _draw_scale(panel, image)
        if path is not None:
            _write(figure, path)
    return figure


def _draw_scale(panel: "matplotlib.axes.Axes", image: "matplotlib.image.AxesImage") -> None:
    """Draws the colours' scale at the lower right, five cells high."""
    rows, columns = image.get_size()
    place = panel.inset_axes((1 + 0.6 / columns, 0, 0.4 / columns, min(1, 5 / rows)))
    scale = panel.figure.colorbar(image, cax=place)
    scale.outline.set_visible(False)
    place.tick_params(length=0, labelsize=7.5)


def _visible(tokens: Sequence[str]) -> list[str]:
    shown = (token.translate(INVISIBLE) for token in tokens)
    return [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in token)
        for token in shown
    ]


@contextmanager
def _drawing() -> Iterator[None]:
    """Sets the style while something is drawn."""
    try:
        import matplotlib
        from matplotlib.font_manager import fontManager
    except ImportError as error:
        raise ConfigError(
            "pictures need matplotlib: pip install 'seq2seq-toolkit[plot]'"
        ) from error
    installed = set(fontManager.get_font_names())
    family = [font for font in FONTS if font in installed]
    with matplotlib.rc_context(STYLE | {"font.family": family}), warnings.catch_warnings():
        # A character that no font has is drawn as a box, which is what there is to say about it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _figure(width: float, height: float) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and seeks a display

    return Figure(figsize=(width, height), layout="constrained")


def _write(figure: "matplotlib.figure.Figure", path: Path) -> None:
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error})") from error
