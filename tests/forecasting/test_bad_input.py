"""What users give by mistake: one line that says where, what and how to mend it; exit code 2."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import seq2seq
from seq2seq.cli.main import main
from seq2seq.errors import DataError
from tests.forecasting.runs import BASE, CASES, ahead_in, frame_of, run_of
from tests.test_cli import forget_log

Change = Callable[[pd.DataFrame], pd.DataFrame]
SETTINGS: Mapping[str, Any] = {**BASE, "data.series.target": ["y"], "data.series.path": "y.csv"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    forget_log()


def with_cell(row: int, column: str, value: object) -> Change:
    """Returns what puts a value into a table."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        columns = {name: frame[name].astype(object) for name in frame}
        columns[column].iloc[row] = value
        return pd.DataFrame(columns)

    return change


def same(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command line that must fail, and returns its one line."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("seq2seq: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    assert out == ""
    return lines[0]


TRAINING: Mapping[str, tuple[Change, Mapping[str, Any], str]] = {
    "no such column": (
        same,
        {"data.series.target": ["yy"]},
        "y.csv: has no column yy; found ds, y, holiday, z; did you mean 'y'?",
    ),
    "text among numbers": (
        with_cell(3, "y", "many"),
        {},
        "y.csv: line 5: y must be a number, got 'many'; mend it",
    ),
    "no number": (
        with_cell(3, "y", "inf"),
        {},
        "y.csv: line 5: y must be finite, got inf",
    ),
    "a date that is none": (
        with_cell(7, "ds", "2024-01-41"),
        {},
        "y.csv: line 9: ds must be a date or time as in ISO8601, got '2024-01-41'",
    ),
    "short": (
        lambda frame: frame[:35],
        {"data.valid.last": 12, "data.test.last": 12},
        "data.train: no series is long enough: the series has 11; window + horizon = 8 + 4 = 12",
    ),
    "a test before training": (
        same,
        {
            "data.train": {"until": "2024-03-01"},
            "data.valid": {"until": "2024-03-30"},
            "data.test": {"from": "2024-01-01", "until": "2024-02-01"},
        },
        "data.test.from: must be after 2024-03-01, where train ends, got '2024-01-01'",
    ),
    "a season longer than the series": (
        same,
        {"data.season": 400},
        "y.csv: data.season: 400 steps are more than the longest series has (120)",
    ),
    "a time twice": (
        lambda frame: pd.concat([frame[:1], frame]),
        {},
        "set data.duplicates",
    ),
    "a gap": (lambda frame: frame.drop(5), {}, "set data.missing: mask"),
    "no validation part": (same, {"data.valid": None}, "data.valid: is required"),
    "a number without logarithm": (
        with_cell(3, "y", "0"),
        {"model.logarithm": True},
        "the series: y is 0 at 2024-01-04",
    ),
}


@pytest.mark.parametrize("case", TRAINING)
def test_training_refuses(case: str, capsys: pytest.CaptureFixture[str], place: Path) -> None:
    change, keys, expected = TRAINING[case]
    change(frame_of()).to_csv("y.csv", index=False)
    Path("config.yaml").write_text(yaml.safe_dump({**SETTINGS, **keys}), encoding="utf-8")
    for words in (["train", "config.yaml"], ["train", "config.yaml", "--dry-run"]):
        assert expected in refused(words, capsys)
        assert not (place / "runs").exists() or not list((place / "runs").iterdir())


FORECASTING: Mapping[str, tuple[str, Change, list[str], str]] = {
    "no such column": (
        "linear",
        lambda frame: frame.rename(columns={"holiday": "holidays"}),
        [],
        "new.csv: has no column holiday; found ds, y, holidays, z; did you mean 'holidays'?",
    ),
    "text among numbers": (
        "linear",
        with_cell(3, "y", "many"),
        [],
        "new.csv: line 5: y must be a number",
    ),
    "a future that is not known": (
        "linear",
        lambda frame: frame[:100],
        [],
        "future covariates are missing from 2024-04-10 on: holiday; 4 steps need them up to",
    ),
    "too short": (
        "recurrent, direct",
        lambda frame: pd.concat([frame[:3], ahead_in(frame, 0)[3:10]]),
        [],
        "the series: the model reads 8 steps before a forecast, and there are 3",
    ),
    "a horizon that was not learned": (
        "recurrent, direct",
        lambda frame: ahead_in(frame, 100),
        ["--horizon", "9"],
        "horizon: ",
    ),
    "no horizon": ("naive", same, ["--horizon", "0"], "--horizon: must be at least 1, got 0"),
    "no such level": ("naive", same, ["--levels", "180"], "--levels: must be numbers between 0"),
    "a column for another": (
        "two series",
        lambda frame: frame.assign(unique_id="c").rename(columns={"y": "z", "z": "y"})[["ds", "z"]],
        [],
        "new.csv: has no column y; found ds, z",
    ),
}


@pytest.mark.parametrize("case", FORECASTING)
def test_forecasting_refuses(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, change, words, expected = FORECASTING[case]
    change(frame_of()).to_csv("new.csv", index=False)
    line = refused(["forecast", str(run_of(run)), "new.csv", *words], capsys)
    assert expected in line


def test_other_series_need_their_own_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert "arima" in CASES
    frame = ahead_in(frame_of(name="x"), 100)
    frame.to_csv("new.csv", index=False)
    assert main(["forecast", str(run_of("arima")), "new.csv"]) == 0
    assert capsys.readouterr().out.startswith("unique_id,ds,forecast,lo-80,hi-80,lo-95,hi-95\nx,")


def test_options_for_series_are_refused_with_texts(capsys: pytest.CaptureFixture[str]) -> None:
    Path("words.yaml").write_text("task: transduction\n", encoding="utf-8")
    line = refused(["data", "check", "words.yaml", "--plot", "x.png"], capsys)
    assert line == "seq2seq: --plot: is for forecasting; words.yaml is for transduction"


def test_series_are_checked_and_drawn(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    with_cell(60, "y", 500)(frame_of()).drop(5).to_csv("y.csv", index=False)
    Path("config.yaml").write_text(yaml.safe_dump(dict(SETTINGS)), encoding="utf-8")
    assert main(["data", "check", "config.yaml", "--plot", "check.png"]) == 0
    out = capsys.readouterr().out
    assert "far from the seasons around: 2024-03-01 (500)" in out
    assert "set data.missing: mask" in out
    assert (place / "check.png").read_bytes()[:4] == b"\x89PNG"


def test_data_from_python_are_frames() -> None:
    keys = {key: value for key, value in SETTINGS.items() if key != "data.series.path"}
    message = r"^train data: must be a frame of pandas with a row for each step, got \[1, 2, 3\]$"
    with pytest.raises(DataError, match=message):
        seq2seq.train(keys, data={"train": [1, 2, 3]})


def test_a_model_that_cannot_be_fitted_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("statsmodels", reason="statsmodels is not installed")

    def fail(*_: object) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("seq2seq.tasks.forecasting.arima_fit._fit", fail)
    settings = {**SETTINGS, "model.kind": "arima", "model.arima.order": [1, 0, 1]}
    keys = {key: value for key, value in settings.items() if key != "data.series.path"}
    message = r"^y: ARIMA\(1,0,1\) \+ constant cannot be fitted \(Singular matrix\); give other"
    with pytest.raises(DataError, match=message):
        seq2seq.train(keys, data={"train": frame_of()})
