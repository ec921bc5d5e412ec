"""A text as a picture, each character coloured by its surprisal."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from seq2seq.errors import DataError
from seq2seq.evaluation.plots.style import GREY, INK, drawing, new_figure, visible, write

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

META = "\u2581"  # stands for a space in subwords
MONOSPACED = "DejaVu Sans Mono"  # comes with matplotlib
FAINT = "#8a8a8a"
# From predictable to surprising, light enough for text in INK: its contrast stays above 4.5.
SHADES = ("#ffffff", "#fff2cc", "#ffd79a", "#fdb26f", "#f58b56")
MOST_COLUMNS, LEAST_COLUMNS, MOST_ROWS = 80, 64, 400
"""Of the grid, in cells: rows break at the most; the heading needs the least."""
CELL_WIDTH, ROW_HEIGHT = 0.08, 0.2
"""Inches; a cell is a whole number of dots wide at 150 dots per inch, and so is a letter."""
LETTER_SIZE = 72 * CELL_WIDTH / 0.602
"""Points; a letter of :data:`MONOSPACED` is 0.602 of its size wide."""
LEAST_RANGE = 6.0
"""The scale of colours ends at this many bits, or above: most texts share one scale."""


class Cell(NamedTuple):
    """Where one character stands on the grid of :func:`plot_surprisal`."""

    token: int
    text: str
    row: int
    column: int
    width: int


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
    columns = max(LEAST_COLUMNS, *(cell.column + cell.width for cell in cells))
    most = _most_bits(bits)
    with drawing() as family:
        figure = new_figure(columns * CELL_WIDTH, (rows + 2) * ROW_HEIGHT)
        panel = figure.add_axes((0, 0, 1, 1), xlim=(0, columns), ylim=(rows, -2))
        figure.set_layout_engine("none")  # the axes' place is set, so that cells fit the letters
        panel.set_axis_off()
        _draw_backgrounds(panel, cells, _shades(bits / most))
        _draw_characters(panel, cells, [MONOSPACED, *family])
        _draw_heading(panel, bits.sum(dtype=float) / sum(map(len, tokens)), most)
        if path is not None:
            write(figure, path)
    return figure


def _grid(tokens: Sequence[str]) -> list[Cell]:
    """Sets the characters of the tokens in rows, which end at spaces where that is possible."""
    clusters = [(index, text) for index, token in enumerate(tokens) for text in _clusters(token)]
    cells: list[Cell] = []
    row = column = 0
    for word in _words(clusters):
        if column + sum(_width(text) for _, text in word) > MOST_COLUMNS and column > 0:
            row, column = row + 1, 0
        for token, text in word:
            if column + _width(text) > MOST_COLUMNS:
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
        (shown,) = visible([text])
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
