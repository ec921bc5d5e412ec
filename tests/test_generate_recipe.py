"""The report of the Python recipe counts what it says, and runs on any language model."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seq2seq
from seq2seq import config as configuration
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "python-source"
SOURCE = (
    '''\
def add(left, right):
    """Returns the sum."""

    return left + right
'''
    * 30
)
REPORT = SimpleNamespace(**runpy.run_path(str(RECIPE / "report.py")))


@pytest.mark.parametrize(
    "line",
    [
        "x = 1",
        "        return self.name[0] + 'a'",
        "# even it's a comment",
        '"""Returns it."""',
        "else:",
        "these are only words",
    ],
)
def test_line_tokenizes(line: str) -> None:
    assert REPORT.tokenizes(line)


@pytest.mark.parametrize(
    "line",
    ["f(", "x = [1,", "x = 'open", '"""Returns', "it's prose", "x = 1 \\", "\tx = 'a\" + 1"],
)
def test_line_does_not_tokenize(line: str) -> None:
    assert not REPORT.tokenizes(line)


@given(st.text(st.characters(exclude_characters="\n"), max_size=20))
def test_every_line_is_judged(line: str) -> None:
    assert REPORT.tokenizes(line) in (True, False)


def test_share_leaves_out_blank_lines_and_the_last() -> None:
    assert REPORT.share(["x = 1\n\n   \n\f\nf(\ny\nz = 'cut of", "a\n'"]) == 75.0


def test_share_of_no_line() -> None:
    assert REPORT.share([]) == REPORT.share(["x = 1"]) == 0.0


def test_stretches_begin_with_lines() -> None:
    text = "".join(f"{number:03}\n" for number in range(100))
    assert REPORT.stretches(text, 4, 6) == ["001\n00", "026\n02", "051\n05", "076\n07"]


def test_babble_has_the_characters_of_the_text() -> None:
    texts = REPORT.babble("aaab", 2, 4000)
    assert [len(text) for text in texts] == [4000, 4000]
    assert texts[0] != texts[1]
    assert 0.72 < texts[0].count("a") / 4000 < 0.78


def test_picture_is_of_a_function_that_fits() -> None:
    body = "    x = 'ä'\n" * 60
    text = f"x = 1\ndef short():\n    pass\n\n\ndef strange():\n{body}\ndef long():\n\n" + (
        body.replace("ä", "a") + "\n\nclass After:\n    pass\n"
    )
    found = REPORT.pictured(text, set(map(chr, range(128))))
    assert found.startswith("def long():\n\n    x = 'a'\n")
    assert found.endswith("x = 'a'")


def test_picture_without_such_a_function_is_of_the_beginning() -> None:
    assert REPORT.pictured("x = 'ä'\n", {"x", " ", "="}) == "x = "


def test_report_of_a_tiny_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    (tmp_path / "b.py").write_text(SOURCE)
    config = configuration.load(LanguageModelTaskConfig, RECIPE / "config.yaml", tiny(tmp_path))
    run = seq2seq.train(config)
    monkeypatch.setitem(REPORT.main.__globals__, "LENGTH", 100)
    REPORT.main(run.folder)
    out = capsys.readouterr().out
    last = out.splitlines()[-1]
    match = re.fullmatch(r"lines that tokenize: (\d+\.\d) %", last)
    assert match
    assert f"model                {match[1]:>9} %" in out
    assert "lines that tokenize   this text   8 such texts\n" in out
    assert (run.folder / "plots" / "surprisal.png").is_file()
    assert str(run.folder / "plots" / "learning_curve.png") in out


def tiny(folder: Path) -> dict[str, Any]:
    return {
        "folder": str(folder / "run"),
        "data.folder": str(folder),
        "data.cache": str(folder / "cache"),
        "data.train.files": ["a.py"],
        "data.train.share": [0, 1],
        "data.valid.files": ["b.py"],
        "data.valid.share": [0, 1],
        "data.batch.rows": 2,
        "text.min_count": 1,
        "model.layers.hidden_size": 8,
        "train.steps": 3,
        "train.threads": 1,
        "validation.sample": 0,
    }
