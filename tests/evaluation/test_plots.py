import json
import struct
import sys
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.metrics import Score
from seq2seq.evaluation.plots import learning_curve
from seq2seq.evaluation.plots.attention import plot_attention
from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.evaluation.plots.style import INK
from seq2seq.evaluation.plots.surprisal import MOST_COLUMNS, SHADES, _grid, plot_surprisal
from seq2seq.evaluation.tables import scores_json, scores_table

SCORES = [Score("BLEU", 33.1249, "nrefs:1|tok:13a"), Score("exact", 5.0, "n:10|case:mixed")]


def size_of_png(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 2000
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def dots_per_metre(path: Path) -> int:
    content = path.read_bytes()
    place = content.index(b"pHYs") + 4
    return int.from_bytes(content[place : place + 4], "big")


def history(*metrics: str) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for step in range(10, 510, 10):
        rows.append({"step": step, "epoch": step / 100, "loss": 8 - step / 100, "minutes": 1})
        if step % 100 == 0:
            rows.append({"step": step, "valid_loss": 8.1 - step / 100} | dict.fromkeys(metrics, 9))
    return rows


def test_scores_as_table() -> None:
    assert scores_table(SCORES).split("\n") == [
        "metric  score  signature",
        "BLEU    33.12  nrefs:1|tok:13a",
        "exact    5.00  n:10|case:mixed",
    ]


def test_scores_as_json() -> None:
    expected = {"name": "BLEU", "value": 33.1249, "signature": "nrefs:1|tok:13a"}
    assert json.loads(scores_json(SCORES))[0] == expected


def test_learning_curve(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    plot_learning_curve(history(), path)
    width, height = size_of_png(path)
    assert dots_per_metre(path) == round(150 / 0.0254)
    plot_learning_curve(history("bleu", "ter"), path)
    wide, high = size_of_png(path)
    assert wide == pytest.approx(width, abs=30)
    assert high > 1.4 * height


def labels_of(figure: Any) -> list[Any]:
    """Returns the boxes of all labels, titles and legends of a drawn figure."""
    renderer = figure.canvas.get_renderer()
    texts = [text for panel in figure.axes for text in [*panel.texts, panel._left_title]]
    legends = [panel.get_legend() for panel in figure.axes if panel.get_legend()]
    return [one.get_window_extent(renderer) for one in [*texts, *legends]]


@pytest.mark.parametrize("names", [("bleu", "ter"), ("wer", "per"), ("bleu", "chrf", "exact")])
def test_no_label_lies_on_another(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(learning_curve, "write", lambda figure, path: figures.append(figure))
    plot_learning_curve(history(*names), tmp_path / "curve.png")
    (figure,) = figures
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = labels_of(figure)
    assert len(boxes) == 2 * len(names) + 2
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "loss": 5.0}],
        [{"step": 1, "valid_loss": 5.0, "bleu": 0.0}],
        [{"step": 1, "loss": float("nan")}, {"step": 2, "loss": float("inf")}],
    ],
)
def test_learning_curve_of_hardly_anything(rows: list[dict[str, float]], tmp_path: Path) -> None:
    plot_learning_curve(rows, tmp_path / "curve.png")
    size_of_png(tmp_path / "curve.png")


def test_metrics_of_other_names_are_drawn_on_request(tmp_path: Path) -> None:
    rows = history("speed")
    plot_learning_curve(rows, tmp_path / "without.png")
    plot_learning_curve(rows, tmp_path / "with.png", metrics=["speed"])
    assert size_of_png(tmp_path / "with.png")[1] > size_of_png(tmp_path / "without.png")[1]


def attention(rows: int, columns: int) -> np.ndarray:
    return np.full((rows, columns), 1 / columns, dtype=np.float32)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 5), (40, 38), (3, 40)])
def test_attention(rows: int, columns: int, tmp_path: Path) -> None:
    source = [f"▁Wort{n}" for n in range(columns)]
    target = [f"▁word{n}" for n in range(rows)]
    plot_attention(attention(rows, columns), source, target, tmp_path / "attention.png")
    width, height = size_of_png(tmp_path / "attention.png")
    assert width > 30 * columns
    assert height > 30 * rows


def test_attention_shows_tokens_as_they_are(tmp_path: Path) -> None:
    source = ["$x", "$y_2$", " ", "\n", "日本", "भाषा", "\x00", ""]
    figure = plot_attention(attention(2, 8), source, ["كلب", "字"], tmp_path / "attention.png")
    size_of_png(tmp_path / "attention.png")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["$x", "$y_2$", "␣", "↵", "日本", "भाषा", "\ufffd", ""]


def test_attention_without_a_file() -> None:
    figure = plot_attention(attention(2, 3), list("abc"), list("xy"))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["x", "y"]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_attention_with_any_tokens(tmp_path: Path, tokens: list[str]) -> None:
    plot_attention(attention(1, len(tokens)), tokens, ["x"], tmp_path / "attention.png")


def test_tokens_which_do_not_fit_are_refused() -> None:
    message = "^attention: 2 rows of 3 weights do not fit 2 target and 4 source tokens$"
    with pytest.raises(DataError, match=message):
        plot_attention(attention(2, 3), list("abcd"), list("xy"))


@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (2, 0), (0, 0)])
def test_attention_of_nothing_is_refused(rows: int, columns: int) -> None:
    message = f"^attention: {rows} target and {columns} source tokens leave nothing to draw, "
    with pytest.raises(DataError, match=f"{message}at least one of each is needed$"):
        plot_attention(np.zeros((rows, columns)), ["a"] * columns, ["b"] * rows)


def texts_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def colours_of(figure: Any) -> list[str]:
    rows = [rows.get_facecolors() for rows in figure.axes[0].collections]
    return [bytes((255 * colour[:3]).round().astype(np.uint8)).hex() for colour in np.vstack(rows)]


def luminance(colour: str) -> float:
    """Relative luminance, as the Web Content Accessibility Guidelines define it."""
    channels = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_surprisal(tmp_path: Path) -> None:
    text = "def f(x):\n    return x\n" * 3
    bits = np.arange(len(text), dtype=np.float32) / 10
    figure = plot_surprisal(list(text), bits, tmp_path / "surprisal.png")
    width, height = size_of_png(tmp_path / "surprisal.png")
    plot_surprisal(list(text * 3), np.tile(bits, 3), tmp_path / "surprisal.png")
    wide, high = size_of_png(tmp_path / "surprisal.png")
    assert wide == pytest.approx(width, abs=2)
    assert high == pytest.approx(height + 12 * 30, abs=2)
    row_texts = ["def", "f(x):", "↵", "return", "x", "↵"]
    assert texts_of(figure)[:-3] == row_texts * 3
    assert texts_of(figure)[-3:] == ["surprisal, mean 3.40 bits per character", "7 bits", "0"]


def test_surprisal_counts_characters_not_tokens() -> None:
    figure = plot_surprisal(["▁new", "▁words", ""], np.array([4.0, 5.0, 1.0]))
    assert "surprisal, mean 1.00 bits per character" in texts_of(figure)


def test_surprisal_is_the_colour_of_the_whole_token() -> None:
    figure = plot_surprisal(["white", "or", "\n", "deep"], np.array([0.0, 3.0, 6.0, 99.0]))
    bars = [path.get_extents() for row in figure.axes[0].collections for path in row.get_paths()]
    assert [bar.x0 for bar in bars] == [0, 5, 7, 0]
    assert [bar.width for bar in bars] == [5, 2, 1, 4]
    colours = colours_of(figure)
    assert colours[0] == SHADES[0][1:]
    assert colours[3] == SHADES[-1][1:]


@pytest.mark.parametrize(
    ("bits", "shades"),
    [([-0.0, 3.0, 6.0], [0, 2, 4]), ([0.0, 8.0, np.inf], [0, 4, 4]), ([np.inf] * 3, [4] * 3)],
)
def test_shades_of_surprisal(bits: list[float], shades: list[int]) -> None:
    figure = plot_surprisal(list("abc"), np.array(bits))
    assert colours_of(figure) == [SHADES[shade][1:] for shade in shades]


def test_text_stays_readable_on_all_shades() -> None:
    bright = [luminance(shade) for shade in SHADES]
    assert bright == sorted(bright, reverse=True)
    assert (bright[-1] + 0.05) / (luminance(INK) + 0.05) > 4.5


def test_surprisal_shows_characters_as_they_are(tmp_path: Path) -> None:
    tokens = ["$x$", " ", "\t", "日", "क", "cafe\u0301", "\x00", "\u0301", "", "ж"]
    figure = plot_surprisal(tokens, np.ones(10), tmp_path / "surprisal.png")
    shown = ["$x$", "⇥", "日", "क", "caf", "e\u0301", "\ufffd", "\u0301", "ж"]
    assert texts_of(figure)[:-3] == shown


def rows_of(tokens: Sequence[str]) -> list[str]:
    cells = _grid(tokens)
    return [
        "".join(cell.text for cell in cells if cell.row == row)
        for row in range(cells[-1].row + 1 if cells else 0)
    ]


@pytest.mark.parametrize(
    ("tokens", "rows"),
    [
        (["a" * 76, " ", "b" * 6], ["a" * 76 + " ", "b" * 6]),
        (["a" * 170], ["a" * 80, "a" * 80, "a" * 10]),
        (["a ", "b" * 90], ["a ", "b" * 80, "b" * 10]),
        (["a", "字" * 41], ["a" + "字" * 39, "字" * 2]),
        (["▁" + "a" * 60, "▁" + "b" * 30], ["▁" + "a" * 60, "▁" + "b" * 30]),
        (["\n", "a\n\n", "b"], ["\n", "a\n", "\n", "b"]),
        (["", ""], []),
    ],
)
def test_rows_end_at_spaces(tokens: list[str], rows: list[str]) -> None:
    assert rows_of(tokens) == rows


@given(st.lists(st.text(st.sampled_from("ab \n字\u0301▁"), max_size=60), max_size=8))
def test_the_grid_keeps_the_text(tokens: list[str]) -> None:
    cells = _grid(tokens)
    for index, token in enumerate(tokens):
        assert "".join(cell.text for cell in cells if cell.token == index) == token
    assert all(cell.column + cell.width <= MOST_COLUMNS for cell in cells)
    for left, right in pairwise(cells):
        follows = (right.row, right.column) == (left.row, left.column + left.width)
        assert follows or (right.row, right.column) == (left.row + 1, 0)


def test_surprisals_which_do_not_fit_are_refused() -> None:
    message = r"^surprisal: an array of shape \(2,\) does not fit 3 tokens$"
    with pytest.raises(DataError, match=message):
        plot_surprisal(list("abc"), np.ones(2))


def test_surprisals_which_are_no_numbers_are_refused() -> None:
    message = r"^surprisal: token 2 \('b'\) has nan bits, a number is needed$"
    with pytest.raises(DataError, match=message):
        plot_surprisal(list("abc"), np.array([1.0, np.nan, 2.0]))


@pytest.mark.parametrize("tokens", [[], ["", ""]])
def test_surprisal_of_nothing_is_refused(tokens: list[str]) -> None:
    message = "^surprisal: the text is empty, at least one character is needed$"
    with pytest.raises(DataError, match=message):
        plot_surprisal(tokens, np.ones(len(tokens)))


def test_surprisal_of_a_book_is_refused() -> None:
    message = "^surprisal: the text takes 401 rows, a picture holds 400$"
    with pytest.raises(DataError, match=message):
        plot_surprisal(["\n"] * 401, np.ones(401))


def test_missing_matplotlib_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = r"^pictures need matplotlib: pip install 'seq2seq-toolkit\[plot\]'$"
    with pytest.raises(ConfigError, match=message):
        plot_learning_curve(history(), tmp_path / "curve.png")
    with pytest.raises(ConfigError, match=message):
        plot_surprisal(["a"], np.ones(1))


def test_unwritable_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"x.png cannot be written \(No such file or directory"):
        plot_learning_curve(history(), tmp_path / "nowhere" / "x.png")
    with pytest.raises(StorageError, match=r"x.png cannot be written \(No such file or directory"):
        plot_surprisal(["a"], np.ones(1), tmp_path / "nowhere" / "x.png")
