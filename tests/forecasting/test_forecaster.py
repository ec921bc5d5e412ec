"""Forecasters in use: every kind and mode, from tables, files and row by row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.forecasting.forecaster import Forecaster
from tests.forecasting.runs import CASES, STEPS, ahead_in, data_of, frame_of, run_of

HORIZON = 4


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_run(case: str) -> None:
    """All at once, so that each run is trained only once."""
    forecaster = Forecaster.load(run_of(case), device="cpu")
    a_long_table_comes_out(case, forecaster)
    rows_one_after_another_tell_what_the_whole_tells(case, forecaster)
    the_future_changes_no_forecast(case, forecaster)


def between(frame: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Returns some steps of each series."""
    step = (frame["ds"] - frame["ds"].min()).dt.days
    return frame[(first <= step) & (step < last)]


def values(table: pd.DataFrame) -> np.ndarray:
    numbers: np.ndarray = table.select_dtypes("number").to_numpy()
    return numbers


def a_long_table_comes_out(case: str, forecaster: Forecaster) -> None:
    known = STEPS - HORIZON
    found = forecaster(ahead_in(data_of(case), known), levels=[50, 80], samples=3, seed=1)
    ends = ["lo-50", "hi-50", "lo-80", "hi-80", "sample-1", "sample-2", "sample-3"]
    ids = ["unique_id"] if case == "two series" else []
    targets = ["target"] if case == "two targets" else []
    assert list(found) == [*ids, "ds", *targets, "forecast", *ends]
    assert len(found) == HORIZON * (2 if ids or targets else 1)
    assert found["ds"].iloc[0] == pd.Timestamp("2024-01-01") + pd.Timedelta(days=known)
    assert np.isfinite(values(found)).all()
    narrow, wide = ((found[f"hi-{one}"] - found[f"lo-{one}"]).to_numpy() for one in (50, 80))
    assert (narrow >= 0).all()
    assert (wide >= narrow).all()


def rows_one_after_another_tell_what_the_whole_tells(case: str, forecaster: Forecaster) -> None:
    frame = data_of(case)
    expected = forecaster(ahead_in(frame, STEPS - HORIZON), samples=2, seed=3)
    now = forecaster
    for first, last in ((0, 100), (100, 101), (101, 110), (110, STEPS)):
        now = now.update(between(ahead_in(frame, STEPS - HORIZON), first, last))
    found = now(samples=2, seed=3)
    names = ["unique_id"] if case == "two series" else []
    order = [*names, "ds"]
    assert found.columns.equals(expected.columns)
    found, expected = (one.sort_values(order, kind="stable") for one in (found, expected))
    np.testing.assert_allclose(values(found), values(expected), rtol=1e-6)
    assert not forecaster.series, "an update changes no forecaster"


def the_future_changes_no_forecast(case: str, forecaster: Forecaster) -> None:
    origin, frame = 90, data_of(case)
    plain = ahead_in(frame, origin)
    changed = plain.assign(**{name: plain[name] for name in ("y", "z")})
    late = (changed["ds"] - changed["ds"].min()).dt.days >= origin + HORIZON
    changed.loc[late, "holiday"] = 9.0
    pd.testing.assert_frame_equal(forecaster(plain), forecaster(changed))


def test_a_panel_with_its_series_in_another_order_is_the_same(tmp_path: Path) -> None:
    forecaster = Forecaster.load(run_of("two series"), device="cpu")
    frame = ahead_in(data_of("two series"), 100)
    mixed = frame.sample(frac=1.0, random_state=1)
    pd.testing.assert_frame_equal(forecaster(frame), forecaster(mixed))
    alone = frame[frame["unique_id"] == "b"]
    both = forecaster(frame)
    expected = both[both["unique_id"] == "b"].reset_index(drop=True)
    pd.testing.assert_frame_equal(forecaster(alone), expected, rtol=1e-6)


def test_a_file_is_read_as_a_frame_is(tmp_path: Path) -> None:
    forecaster = Forecaster.load(run_of("linear"), device="cpu")
    frame = ahead_in(frame_of(), 100)
    frame.to_csv(tmp_path / "new.csv", index=False)
    frame.to_parquet(tmp_path / "new.parquet")
    for file in (tmp_path / "new.csv", str(tmp_path / "new.parquet")):
        pd.testing.assert_frame_equal(forecaster(file), forecaster(frame))


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    forecaster = Forecaster.load(run_of("two targets"), device="cpu")
    path = forecaster.plot(tmp_path / "forecast.png", ahead_in(frame_of(), 100), samples=2)
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_rows_must_follow_on_what_was_read() -> None:
    forecaster = Forecaster.load(run_of("naive"), device="cpu")
    now = forecaster.update(between(frame_of(), 0, 50))
    with pytest.raises(DataError, match="rows begin at 2024-02-21, and what was read ended at"):
        now.update(frame_of()[51:60])
    with pytest.raises(DataError, match="give those from 2024-02-20 on"):
        now.update(between(frame_of(), 0, 50))
    with pytest.raises(DataError, match="no target is known in the rows to begin with"):
        forecaster.update(ahead_in(frame_of(), 0)[:5])


def test_future_covariates_are_asked_for() -> None:
    forecaster = Forecaster.load(run_of("recurrent, direct"), device="cpu")
    with pytest.raises(DataError, match=r"future covariates are missing from 2024-04-30 on: holi"):
        forecaster(frame_of())
    now = forecaster.update(between(frame_of(), 0, 100))
    with pytest.raises(DataError, match="future covariates are missing from 2024-04-10 on"):
        now()
    later = now.update(ahead_in(frame_of(), 0)[100:110])
    assert len(later()) == HORIZON


def test_a_horizon_that_was_not_learned_is_refused() -> None:
    frame = ahead_in(frame_of(), 100)
    for case in ("recurrent, direct", "linear", "differences"):
        with pytest.raises((DataError, ConfigError), match=r"^horizon: "):
            Forecaster.load(run_of(case), device="cpu")(frame, 9)


def test_runs_from_frames_need_one() -> None:
    with pytest.raises(ConfigError, match=r"naive: has learned from frames, so give it a table$"):
        Forecaster.load(run_of("naive"), device="cpu")()
