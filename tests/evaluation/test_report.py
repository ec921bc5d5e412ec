import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.metrics import Score
from seq2seq.evaluation.report import (
    plot_attention,
    plot_learning_curve,
    scores_json,
    scores_table,
)

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


def test_missing_matplotlib_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = r"^pictures need matplotlib: pip install 'seq2seq-toolkit\[plot\]'$"
    with pytest.raises(ConfigError, match=message):
        plot_learning_curve(history(), tmp_path / "curve.png")


def test_unwritable_picture_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"x.png cannot be written \(No such file or directory"):
        plot_learning_curve(history(), tmp_path / "nowhere" / "x.png")
