"""Tiny runs of forecasters, made once for all tests."""

import fcntl
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import seq2seq
from seq2seq.tasks.forecasting.kinds import FITTED, RECURRENT
from seq2seq.tasks.forecasting.modes import MODES

STEPS = 120
PLACE = "SEQ2SEQ_TEST_FORECASTERS"
"""Where the environment says that these runs are."""
BASE: Mapping[str, Any] = {
    "task": "forecasting",
    "data.series.future": ["holiday"],
    "data.calendar": ["day_of_week"],
    "data.valid": {"last": 20},
    "data.test": {"last": 20},
    "model.window": 8,
    "model.horizon": 4,
    "model.lags": [7],
    "model.layers.hidden_size": 6,
    "model.segment": 2,
    "train.steps": 4,
    "train.threads": 1,
    "train.device": "cpu",
    "train.validate_every": 4,
}
CASES: Mapping[str, Mapping[str, Any]] = {
    **{kind: {"model.kind": kind, "model.arima.order": [1, 0, 1]} for kind in FITTED},
    **{f"{RECURRENT}, {mode}": {"model.mode": mode} for mode in MODES},
    "differences": {"model.difference": [7, 1], "model.logarithm": True},
    "two series": {"intervals": "model", "model.head": "student-t"},
    "two targets": {
        "data.series.target": ["y", "z"],
        "intervals": "conformal",
        "model.head": "mae",
    },
    "fitted again": {"train.refit": True},
}
"""Every kind, every mode, and what else a run can have, by name."""


def frame_of(steps: int = STEPS, name: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Returns a daily table of two targets with a future covariate."""
    random = np.random.default_rng(seed)
    at = np.arange(steps)
    holiday = (random.random(steps) < 0.2).astype(float)
    y = 50 + 5 * np.sin(2 * np.pi * at / 7) + 4 * holiday + random.standard_normal(steps)
    columns = {"ds": pd.date_range("2024-01-01", periods=steps), "y": y, "holiday": holiday}
    table = pd.DataFrame({**columns, "z": y / 2 + random.standard_normal(steps)})
    return table if name is None else table.assign(unique_id=name)


def data_of(case: str) -> pd.DataFrame:
    """Returns the table that a case learns from."""
    if case == "two series":
        return pd.concat([frame_of(name="b", seed=1), frame_of(name="a")], ignore_index=True)
    return frame_of()


def ahead_in(frame: pd.DataFrame, known: int) -> pd.DataFrame:
    """Returns a table whose targets are not known from a step of each series on."""
    step = (frame["ds"] - frame["ds"].min()).dt.days
    return frame.assign(**{name: frame[name].where(step < known) for name in ("y", "z")})


def settings_of(case: str) -> dict[str, Any]:
    """Returns the configuration of a case."""
    targets = {"data.series.target": ["y"]}
    return {**BASE, **targets, **CASES[case]}


@cache
def run_of(case: str) -> Path:
    """Returns a trained run, which nobody changes; one for all processes that test."""
    if CASES[case].get("model.kind") == "arima":
        pytest.importorskip("statsmodels", reason="statsmodels is not installed")
    place = Path(os.environ[PLACE])
    folder, done = place / case.replace(", ", "-"), place / f"{case}.done"
    with (place / f"{case}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            settings = {**settings_of(case), "folder": str(folder)}
            seq2seq.train(settings, data={"train": data_of(case)})
            done.touch()
    return folder
