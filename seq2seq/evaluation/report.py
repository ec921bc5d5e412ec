"""Scores and the course of training as text and pictures."""

import json
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.metrics import METRICS, Score
from seq2seq.measures import LOWER_IS_BETTER

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
META = "\u2581"  # stands for a space in subwords
MONOSPACED = "DejaVu Sans Mono"  # comes with matplotlib
FAINT = "#8a8a8a"
# From predictable to surprising, light enough for text in INK: its contrast stays above 4.5.
SHADES = ("#ffffff", "#fff2cc", "#ffd79a", "#fdb26f", "#f58b56")
COLUMNS, FEWEST_COLUMNS, MOST_ROWS = 80, 64, 400
CELL_WIDTH, ROW_HEIGHT = 0.08, 0.2
"""Inches; a cell is a whole number of dots wide at 150 dots per inch, and so is a letter."""
LETTER_SIZE = 72 * CELL_WIDTH / 0.602
"""Points; a letter of :data:`MONOSPACED` is 0.602 of its size wide."""
LEAST_RANGE = 6.0
"""Bits of the deepest shade, or more: pictures of most texts share one scale."""


class Cell(NamedTuple):
    """Where one character stands on the grid of :func:`plot_surprisal`."""

    token: int
    text: str
    row: int
    column: int
    width: int


def scores_table(scores: Sequence[Score]) -> str:
    """Returns one aligned line for each score: name, value, signature."""
    lines = [("metric", "score", "signature")]
    lines += [(score.name, score.shown, score.signature) for score in scores]
    name, value, _ = (max(map(len, cells)) for cells in zip(*lines, strict=True))
    return "\n".join(f"{line[0]:<{name}}  {line[1]:>{value}}  {line[2]}" for line in lines)


def scores_json(scores: Sequence[Score]) -> str:
    """Returns the scores as a JSON list of objects with name, value and signature."""
    rows = [
        {"name": score.name, "value": score.value, "signature": score.signature} for score in scores
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


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
        best = (min if name in LOWER_IS_BETTER else max)(values)
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
        DataError: The numbers of tokens do not fit the weights, or there are none.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if weights.shape != (len(target_tokens), len(source_tokens)):
        raise DataError(
            f"attention: {weights.shape[0]} rows of {weights.shape[1]} weights do not fit "
            f"{len(target_tokens)} target and {len(source_tokens)} source tokens"
        )
    if weights.size == 0:
        raise DataError(
            f"attention: {len(target_tokens)} target and {len(source_tokens)} source tokens "
            "leave nothing to draw, at least one of each is needed"
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


def plot_surprisal(
    tokens: Sequence[str],
    bits: Float[np.ndarray, "T"],
    path: Path | None = None,
) -> "matplotlib.figure.Figure":
    """Draws the text itself, each token on a colour that says how surprising it was.

    The text stands in a monospaced grid; a line feed ends a row and is shown as a faint arrow.
    The scale ends at the 98th percentile of the surprisals, what is above it looks the same.

    Args:
        tokens: The text; characters or subwords.
        bits: The surprisal of each token, its negative log2-probability.
        path: Where to write the picture, a PNG.

    Returns:
        The figure, also where it was written to ``path``.

    Raises:
        DataError: The numbers of tokens and surprisals differ, a surprisal is not a number, or the
            text is empty or too long.
        ConfigError: matplotlib is not installed.
        StorageError: The picture cannot be written.
    """
    if bits.shape != (len(tokens),):
        raise DataError(
            f"surprisal: an array of shape {bits.shape} does not fit {len(tokens)} tokens"
        )
    if np.isnan(bits).any():
        index = int(np.isnan(bits).argmax())
        raise DataError(
            f"surprisal: token {index + 1} ({tokens[index]!r}) has nan bits, a number is needed"
        )
    cells = _grid(tokens)
    if not cells:
        raise DataError("surprisal: the text is empty, at least one character is needed")
    rows = cells[-1].row + 1
    if rows > MOST_ROWS:
        raise DataError(f"surprisal: the text takes {rows} rows, a picture holds {MOST_ROWS}")
    columns = max(FEWEST_COLUMNS, *(cell.column + cell.width for cell in cells))
    most = _most_bits(bits)
    with _drawing() as family:
        figure = _figure(columns * CELL_WIDTH, (rows + 2) * ROW_HEIGHT)
        panel = figure.add_axes((0, 0, 1, 1), xlim=(0, columns), ylim=(rows, -2))
        figure.set_layout_engine("none")  # the axes' place is set, so that cells fit the letters
        panel.set_axis_off()
        _draw_backgrounds(panel, cells, _shades(bits / most))
        _draw_characters(panel, cells, [MONOSPACED, *family])
        _draw_heading(panel, bits.sum(dtype=float) / sum(map(len, tokens)), most)
        if path is not None:
            _write(figure, path)
    return figure


def _grid(tokens: Sequence[str]) -> list[Cell]:
    """Sets the characters of the tokens in rows, which end at spaces where that is possible."""
    clusters = [(index, text) for index, token in enumerate(tokens) for text in _clusters(token)]
    cells: list[Cell] = []
    row = column = 0
    for word in _words(clusters):
        if column + sum(_width(text) for _, text in word) > COLUMNS and column > 0:
            row, column = row + 1, 0
        for token, text in word:
            if column + _width(text) > COLUMNS:
                row, column = row + 1, 0
            cells.append(Cell(token, text, row, column, _width(text)))
            column += _width(text)
        if word[-1][1] == "\n":
            row, column = row + 1, 0
    return cells


def _clusters(token: str) -> list[str]:
    """Returns the characters of the token, each with the combining marks that follow it."""
    clusters: list[str] = []
    for character in token:
        if clusters and unicodedata.category(character) in ("Mn", "Me"):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _words(clusters: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Splits at the places where a row may end: at white space and beside wide characters."""
    word: list[tuple[int, str]] = []
    for cluster in clusters:
        if word and cluster[1] == META:
            yield word
            word = []
        word.append(cluster)
        if cluster[1].isspace() or _width(cluster[1]) == 2:
            yield word
            word = []
    if word:
        yield word


def _width(cluster: str) -> int:
    return 2 if unicodedata.east_asian_width(cluster[0]) in "WF" else 1


def _most_bits(bits: Float[np.ndarray, "T"]) -> float:
    """Returns the surprisal at which the scale ends, a whole number."""
    finite = bits[np.isfinite(bits)]
    return max(LEAST_RANGE, float(np.ceil(np.percentile(finite, 98))) if finite.size else 0.0)


def _shades(levels: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 3"]:
    """Returns red, green and blue, up to 1, for levels from 0 to 1."""
    stops = np.array([list(bytes.fromhex(shade[1:])) for shade in SHADES]) / 255
    places = np.linspace(0, 1, len(SHADES))
    return np.stack([np.interp(levels, places, channel) for channel in stops.T], axis=-1)


def _draw_backgrounds(
    panel: "matplotlib.axes.Axes", cells: Sequence[Cell], colours: Float[np.ndarray, "T 3"]
) -> None:
    """Draws, row by row, one bar under the cells of each token."""
    for row, in_row in groupby(cells, key=lambda cell: cell.row):
        bars: dict[int, tuple[int, int]] = {}
        for cell in in_row:
            start, width = bars.get(cell.token, (cell.column, 0))
            bars[cell.token] = (start, width + cell.width)
        panel.broken_barh(
            list(bars.values()),
            (row + 0.04, 0.92),
            facecolors=colours[list(bars)],
            edgecolors="white",
            linewidth=0.4,
        )


def _draw_characters(
    panel: "matplotlib.axes.Axes", cells: Sequence[Cell], family: Sequence[str]
) -> None:
    for run in _runs(cells):
        text = "".join(cell.text for cell in run)
        (shown,) = _visible([text])
        panel.text(
            run[0].column,
            run[0].row + 0.71,
            shown,
            family=family,
            fontsize=LETTER_SIZE,
            color=INK if shown == text else FAINT,
            va="baseline",
            parse_math=False,
            in_layout=False,  # it stands on a background, which has a place in the layout
        )


def _runs(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Joins letters that surely are a cell wide, which draws faster; leaves out spaces."""
    for (_, plain), group in groupby(cells, key=lambda cell: (cell.row, _is_plain(cell.text))):
        run = list(group)
        yield from [run] if plain else ([cell] for cell in run if cell.text != " ")


def _is_plain(cluster: str) -> bool:
    """Tells ASCII's signs and the Latin, Greek and Cyrillic letters of :data:`MONOSPACED`."""
    if cluster.isascii():
        return cluster.isprintable() and cluster != " "
    return len(cluster) == 1 and cluster.isalpha() and cluster < "\u0530"


def _draw_heading(panel: "matplotlib.axes.Axes", mean: float, most: float) -> None:
    """Draws the title and, at its right, the scale of colours."""
    right, middle = panel.get_xlim()[1], -1.1
    title = f"surprisal, mean {mean:.2f} bits per character"
    panel.text(0, middle, title, fontsize=10, va="center_baseline")
    small: dict[str, Any] = {"color": GREY, "fontsize": 7.5, "va": "center_baseline"}
    panel.text(right, middle, f"{most:.0f} bits", ha="right", **small)
    panel.text(right - 18, middle, "0", ha="right", **small)
    gradient = _shades(np.linspace(0, 1, 256))[np.newaxis]
    extent = (right - 17.4, right - 5.8, middle + 0.22, middle - 0.22)
    panel.imshow(gradient, extent=extent, aspect="auto")


def _visible(tokens: Sequence[str]) -> list[str]:
    shown = (token.translate(INVISIBLE) for token in tokens)
    return [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in token)
        for token in shown
    ]


@contextmanager
def _drawing() -> Iterator[list[str]]:
    """Sets the style while something is drawn; gives the fonts to be tried."""
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
        yield family


def _figure(width: float, height: float) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure  # without pyplot, which keeps figures and seeks a display

    return Figure(figsize=(width, height), layout="constrained")


def _write(figure: "matplotlib.figure.Figure", path: Path) -> None:
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error})") from error
