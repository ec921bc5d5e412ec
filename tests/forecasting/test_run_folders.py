"""Run folders of forecasters, with a network and without: told, continued, damaged, changed."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import seq2seq
from seq2seq import Forecaster
from seq2seq.cli.main import main
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.experiment import average
from tests.forecasting.runs import ahead_in, data_of, frame_of, run_of, settings_of
from tests.run_folders import leftovers, outcome
from tests.test_cli import forget_log

RECURRENT = "recurrent, direct"
KINDS = ("naive", "linear", "arima", RECURRENT)
"""One of each sort: nothing to learn; numbers, and facts, of a model that is fitted; a network."""
Ran = Callable[..., str]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line, and returns what it prints; or, if it is refused, why."""

    def run(*words: object, code: int = 0) -> str:
        assert main(list(map(str, words))) == code, capsys.readouterr().err
        shown = capsys.readouterr()
        lines = [line for line in shown.err.splitlines() if line.startswith("seq2seq: ")]
        assert len(lines) == (code != 0)
        return lines[0].removeprefix("seq2seq: ") if code else shown.out

    yield run
    forget_log()


def copied(case: str, folder: Path) -> Path:
    return Path(shutil.copytree(run_of(case), folder / "run"))


def going_on(run: Path, case: str, data: pd.DataFrame | None = None, **more: Any) -> seq2seq.Run:
    """Trains a run once more."""
    frame = data_of(case) if data is None else data
    changes = {key.replace("__", "."): value for key, value in more.items()}
    settings = {**settings_of(case), **changes, "folder": str(run)}
    return seq2seq.train(settings, data={"train": frame})


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_describes_itself(kind: str, ran: Ran) -> None:
    run = run_of(kind)
    lines = ran("info", run, "--weights").splitlines()
    labels = [line.partition(" ")[0] for line in lines[:6]]
    assert labels == ["run", "task", "parameters", "checkpoints", "trained", "best"]
    if kind == "naive":
        assert lines[6:] == ["weights      none: this kind of model has none"]
        assert lines[2] == "parameters   0"
    else:
        count = lines[2].split()[1]
        assert lines[-1].split() == ["parameters", count]
        assert len(lines) > 7


@pytest.mark.parametrize("kind", ["naive", RECURRENT])
def test_an_average_is_that_of_the_checkpoints_that_there_are(
    kind: str, tmp_path: Path, ran: Ran
) -> None:
    run = copied(kind, tmp_path)
    said = ran("average", run, "--last", "2", code=2)
    assert said.startswith("--last: must be at least 1 and at most 1, the checkpoints that")
    average(run, 1)
    now = Forecaster.load(run, checkpoint="average", device="cpu")(ahead_in(frame_of(), 100))
    before = Forecaster.load(run, device="cpu")(ahead_in(frame_of(), 100))
    pd.testing.assert_frame_equal(now[["forecast"]], before[["forecast"]])


@pytest.mark.parametrize("case", ["arima", "fitted again"])
def test_a_finished_run_is_left_as_it_is(case: str, tmp_path: Path) -> None:
    run = copied(case, tmp_path)
    expected = outcome(run)
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")}
    best = going_on(run, case).best
    assert {path: path.stat().st_mtime_ns for path in (run / "checkpoints").rglob("*")} == before
    assert outcome(run) == expected
    assert leftovers(run) == []
    assert best == seq2seq.Run.of(run).best


@pytest.mark.parametrize("kind", ["naive", "arima", RECURRENT])
def test_a_dry_run_leaves_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    more = {"train.refit": kind != "arima", "folder": str(tmp_path / "run")}
    seq2seq.train({**settings_of(kind), **more}, data={"train": data_of(kind)}, dry_run=True)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_a_network_is_loaded_onto_no_odd_device() -> None:
    with pytest.raises(ConfigError, match=r"^device: must be one of"):
        Forecaster.load(run_of("naive"), device="tpu")


# --- what may change


def test_what_makes_intervals_may_change(tmp_path: Path) -> None:
    case = "two series"
    run = copied(case, tmp_path)
    table = ahead_in(frame_of(), 100)
    before = Forecaster.load(run, device="cpu")(table)
    going_on(run, case, intervals="conformal", train__refit=True)
    assert not Forecaster.load(run, device="cpu")(table)["forecast"].equals(before["forecast"])
    going_on(run, case)
    assert Forecaster.load(run, device="cpu")(table).equals(before)


def test_rows_may_be_added_after_the_validation_part(tmp_path: Path) -> None:
    bounds = {"data__valid": {"from": "2024-04-01", "until": "2024-04-20"}, "data__test": None}
    run, known = tmp_path / "run", 112
    going_on(run, "naive", frame_of()[:known], **bounds)
    going_on(run, "naive", frame_of(), **bounds)
    with pytest.raises(ConfigError, match=r"data.train: other content; data.valid: other content"):
        going_on(run, "naive", frame_of().assign(y=1.0), **bounds)
    late = frame_of().assign(y=lambda frame: frame["y"].where(frame.index < 100, 1.0))
    with pytest.raises(ConfigError, match=r"\(data.valid: other content\)"):
        going_on(run, "naive", late, **bounds)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("data__train", {"from": "2024-01-09"}, "data.train.from"),
        ("data__valid", {"last": 20, "inputs": "before"}, "data.valid.inputs"),
    ],
)
def test_where_a_part_lies_may_not_change(key: str, value: Any, told: str, tmp_path: Path) -> None:
    run = copied("naive", tmp_path)
    with pytest.raises(ConfigError, match=rf"\({told}: .*: other content\)"):
        going_on(run, "naive", **{key: value})


# --- damage


def edited(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert re.search(old, content)
    path.write_text(re.sub(old, new, content, count=1), encoding="utf-8")


USES: dict[str, Callable[[Path, str], object]] = {
    "load": lambda run, case: Forecaster.load(run, device="cpu"),
    "evaluate": lambda run, case: seq2seq.evaluate(run, frame_of()),
    "train": going_on,
}


DAMAGES = {
    r'"targets": \[\s*"y"': '"targets": ["y", "z"',
    r'"frequency": "D"': '"frequency": 7',
    r"\{": "",
}


@pytest.mark.parametrize(("kind", "count"), [("naive", 1), ("fitted again", 3)])
def test_another_pipeline_is_refused_by_every_use(kind: str, count: int, tmp_path: Path) -> None:
    run = copied(kind, tmp_path)
    path = run / "pipeline" / "series.json"
    whole = path.read_bytes()
    for old, new in list(DAMAGES.items())[:count]:
        edited(path, old, new)
        for use in USES.values():
            with pytest.raises(CheckpointError, match=f"^{path}: is (not the one that|damaged)"):
                use(run, kind)
        path.write_bytes(whole)


def test_offsets_that_are_damaged_are_refused_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = "linear"
    run = copied(case, tmp_path)
    expected = outcome(run)
    (path,) = (run / "calibration").glob("*.json")
    edited(path, r"(\d)([,\]])", lambda found: f"{9 - int(found[1])}{found[2]}")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=f"^{path}: is damaged .*SHA-256 differs"):
        Forecaster.load(run, device="cpu")
    going_on(run, case)
    assert "SHA-256 differs')); calibrating again" in caplog.text
    assert outcome(run) == expected
    path.unlink()
    Forecaster.load(run, device="cpu")
    assert f"{path} has no calibrated intervals; these are the model's own" in caplog.text
    going_on(run, case)
    assert outcome(run) == expected


def test_a_model_fitted_again_that_is_gone_or_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = "fitted again"
    run = copied(case, tmp_path)
    expected = outcome(run)
    (inside,) = (run / "refit").iterdir()
    (checkpoint,) = (inside / "checkpoints").iterdir()
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"model.safetensors"):
        Forecaster.load(run, device="cpu")
    shutil.rmtree(run / "refit")
    Forecaster.load(run, device="cpu")
    assert f"{inside}: not fitted again yet, as train.refit says" in caplog.text
    going_on(run, case)
    assert outcome(run) == expected


def test_a_damaged_checkpoint_of_a_model_without_a_network(tmp_path: Path) -> None:
    for case in ("naive", "arima"):
        run = copied(case, tmp_path / case)
        path = run / "checkpoints" / "step-0000001" / "state.json"
        path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8")
        for use in USES.values():
            with pytest.raises(CheckpointError, match="no undamaged checkpoint is left"):
                use(run, case)
