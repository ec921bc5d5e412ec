"""The verbs of forecasters on the command line: each option, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import seq2seq
from seq2seq.cli.main import main
from seq2seq.tasks.forecasting.classical import BASELINES
from tests.forecasting.runs import BASE, ahead_in, frame_of
from tests.test_cli import forget_log

KNOWN = 112
"""Steps whose targets are known; after them there are eight with future covariates alone."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, and runs that have learned from it."""
    place = tmp_path_factory.mktemp("verbs")
    ahead_in(frame_of(), KNOWN).to_csv(place / "y.csv", index=False)
    config = {**BASE, "data.folder": str(place), "data.series.path": "y.csv"}
    config |= {"data.series.target": ["y", "z"]}
    for name, keys in (
        ("linear", {"model.kind": "linear"}),
        ("network", {"train.refit": True}),
        ("longer", {"model.kind": "naive", "model.horizon": 5}),
    ):
        seq2seq.train({**config, **keys, "folder": str(place / name)})
    return place


@pytest.fixture(autouse=True)
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(place)
    yield
    forget_log()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found = json.loads(printed(capsys, "evaluate", "linear", *words, "--format", "json"))
    return {model["name"]: model for model in found["models"]} | {"columns": found["columns"]}


def origins_of(model: dict[str, Any]) -> int:
    signature: str = model["scores"]["mae"]["signature"]
    return int(signature.split("|")[0].removeprefix("origins:"))


def test_runs_stand_in_one_table(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    out = printed(capsys, "evaluate", "linear", "network", "--plot", "errors.png")
    scores, skill, signatures, columns = out.strip().split("\n\n")
    names = [line.split()[0] for line in scores.splitlines()[1:]]
    assert names == ["linear", "network", *BASELINES]
    assert skill.startswith("skill against seasonal-naive, %")
    assert "sMAPE  origins:9|steps:4|season:7|range:0-200" in signatures
    assert columns.startswith("MAE of column")
    assert (place / "errors.png").read_bytes()[:4] == b"\x89PNG"
    words = ("evaluate", "linear", "network", "--format", "markdown")
    assert "| linear | " in printed(capsys, *words)


def test_what_is_scored_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    whole = evaluated(capsys)
    alone = evaluated(capsys, "--target", "z", "--metrics", "mae", "mse", "--levels", "50")
    assert alone["columns"] == ["z"]
    mae, expected = (
        one["linear"]["scores"]["mae"]["per_column"]["z"]["value"] for one in (alone, whole)
    )
    assert mae == pytest.approx(expected)
    assert list(alone["linear"]["scores"]) == ["mae", "mse"]
    assert list(alone["linear"]["coverage"]) == ["50"]
    deviation = frame_of()["z"][: KNOWN - 40].std(ddof=0)
    scaled = evaluated(capsys, "--target", "z", "--scaled")["linear"]["scores"]["mae"]
    assert scaled["value"] == pytest.approx(expected / deviation)
    assert scaled["signature"].endswith("|scaled:train")
    out = printed(capsys, "evaluate", "linear", "--metrics", "rmse", "mae", "--per-step")
    assert ["RMSE", "of", "step", "linear"] in [line.split()[:4] for line in out.splitlines()]
    assert ["MAE", "of", "step", "linear"] in [line.split()[:4] for line in out.splitlines()]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Returns what the log says."""
    assert main(list(words)) == 0
    return capsys.readouterr().err


def test_what_is_forecast_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert origins_of(evaluated(capsys)["linear"]) == 9
    assert origins_of(evaluated(capsys, "--stride", "4")["linear"]) == 3
    assert origins_of(evaluated(capsys, "--origins", "2")["linear"]) == 2
    assert evaluated(capsys, "--origins", "all") == evaluated(capsys)
    assert evaluated(capsys, "--part", "valid") != evaluated(capsys)
    frame_of(KNOWN).assign(y=50.0).to_csv("level.csv", index=False)
    level = evaluated(capsys, "--data", "level.csv")["naive"]["scores"]["mae"]
    assert level["per_column"]["y"]["value"] == 0
    again, fixed = evaluated(capsys, "network", "--refit", "3"), evaluated(capsys, "network")
    for name, same in (("network", True), ("naive", True), ("linear", False)):
        one, other = (found[name]["scores"]["mae"]["value"] for found in (again, fixed))
        assert (one == pytest.approx(other, rel=1e-6)) == same, name
    out = told(capsys, "evaluate", "linear", "network", "--refit", "3")
    assert "not fitted again, as networks are trained: network" in out
    out = told(capsys, "evaluate", "network", "--part", "valid")
    assert "runs with train.refit have learned from data.valid, too" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["longer"],
            "longer: its model.horizon is 5, that of linear is 4; only runs that forecast",
        ),
        (["--target", "x"], "--target: must be one of y, z, got 'x'"),
        (["--origins", "0"], "--origins: must be all, or a number above 0, got 0"),
        (["--stride", "0"], "--stride: must be at least 1, got 0"),
        (["--levels", "100"], "--levels: must be numbers between 0 and 100"),
        (["--metrics", "bleu"], "--metrics: must be one of mae, mse"),
        (["--beam-size", "3"], "--beam-size: is for translation, transduction; linear is a run of"),
    ],
)
def test_evaluate_refuses(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "linear", *words]) == 2
    assert message in capsys.readouterr().err.replace("argument ", "")


def test_forecasts_begin_where_all_is_known(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    assert main(["forecast", "linear", "--plot", "forecast.png"]) == 0
    out, err = capsys.readouterr()
    assert "forecasting from 2024-04-22 on\n" in err
    assert out.splitlines()[0] == "ds,target,forecast,lo-80,hi-80,lo-95,hi-95"
    assert len(out.splitlines()) == 1 + 2 * 4
    assert (place / "forecast.png").read_bytes()[:4] == b"\x89PNG"
    known = pd.read_csv("y.csv")
    try:
        known[: KNOWN + 2].to_csv("y.csv", index=False)  # two steps further, of four
        when = "forecasting from 2024-04-20 on, the last time from which all future covariates are"
        assert when in told(capsys, "forecast", "linear")
    finally:
        known.to_csv("y.csv", index=False)


def test_forecasts_are_written_as_asked(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    words = ("forecast", "linear", "y.csv", "--levels", "50", "--samples", "2", "--seed")
    first = printed(capsys, *words, "1", "--format", "jsonl")
    rows = [json.loads(line) for line in first.splitlines()]
    names = ["ds", "target", "forecast", "lo-50", "hi-50", "sample-1", "sample-2"]
    assert [list(row) for row in rows] == [names] * 8
    assert first == printed(capsys, *words, "1", "--format", "jsonl")
    assert first != printed(capsys, *words, "2", "--format", "jsonl")
    assert printed(capsys, *words, "1", "--output", "out.csv") == ""
    written = pd.read_csv("out.csv")
    pd.testing.assert_frame_equal(written, pd.DataFrame(rows), check_dtype=False)
