"""The published protocols on the real files, where these lie beside the project."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seq2seq.data.series.config import ROLES, DataConfig, PartConfig
from seq2seq.data.series.layouts import SeriesConfig
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.read import open_panel
from seq2seq.data.series.windows import Window, windows
from tests.structure import ROOT

DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the data sets are not there")


def config(path: str, **settings: Any) -> DataConfig:
    columns = {key: settings.pop(key) for key in list(settings) if hasattr(SeriesConfig, key)}
    return DataConfig(folder=str(DATA), series=SeriesConfig(path=path, **columns), **settings)


def day(panel: Panel, window: Window) -> pd.Timestamp:
    return panel.series[window.series].times[window.origin]


def naive_error(panel: Panel, found: list[Window], horizon: int, column: int = 0) -> float:
    """Returns the mean absolute error of what was one season before."""
    values, season = panel.series[0].targets[:, column], panel.season
    steps = np.array([window.origin for window in found])[:, None] + np.arange(horizon)
    before = steps - season * (np.arange(horizon) // season + 1)
    return float(np.abs(values[steps] - values[before]).mean())


RIDERSHIP = config(
    "ridership/CTA_-_Ridership_-_Daily_Boarding_Totals.csv",
    time="service_date",
    target=("rail_boardings", "bus"),
    future=("day_type",),
    duplicates="drop",
    calendar=("day_of_week", "day_of_year"),
    train=PartConfig(from_="2016-01-01", until="2018-12-31"),
    valid=PartConfig(from_="2019-01-01", until="2019-05-31"),
    test=PartConfig(from_="2019-06-01", until="2020-02-29"),
)


@needs_data
def test_ridership() -> None:
    panel = open_panel(RIDERSHIP)
    assert (panel.frequency, panel.season, len(panel.series[0].times)) == ("D", 7, 7639)
    assert np.isfinite(panel.series[0].targets).all()
    expected = {
        ("valid", 1): (95, "2019-02-26", "2019-05-31"),
        ("valid", 14): (82, "2019-02-26", "2019-05-18"),
        ("test", 1): (218, "2019-07-27", "2020-02-29"),
        ("test", 14): (205, "2019-07-27", "2020-02-16"),
    }
    for (role, horizon), (count, first, last) in expected.items():
        found = windows(panel, RIDERSHIP.part(role), 56, horizon)  # type: ignore[arg-type]
        assert len(found) == count
        assert (day(panel, found[0]), day(panel, found[-1])) == tuple(
            map(pd.Timestamp, (first, last))
        )
    for horizon, error in ((1, 60_159), (14, 68_075)):
        found = windows(panel, RIDERSHIP.part("test"), 56, horizon)
        assert naive_error(panel, found, horizon) == pytest.approx(error, abs=1)
    spring = PartConfig(from_="2019-03-01", until="2019-05-31", inputs="before")
    found = windows(panel, DataConfig(valid=spring).part("valid"), 56, 1)
    assert naive_error(panel, found, 1) == pytest.approx(42_143, abs=1)
    assert naive_error(panel, found, 1, column=1) == pytest.approx(43_916, abs=1)
    rail = panel.series[0].targets[:, 0]
    days = [window.origin for window in windows(panel, RIDERSHIP.part("train"), 7, 1)]
    assert np.abs(rail[days] - rail[np.array(days) - 7]).mean() == pytest.approx(53_697, abs=1)


@needs_data
def test_etth1_has_the_windows_of_the_literature() -> None:
    settings = config(
        "series/etth1/ETTh1.csv",
        train=PartConfig(until="2017-06-25"),
        valid=PartConfig(until="2017-10-23", inputs="before"),
        test=PartConfig(until="2018-02-20", inputs="before"),
    )
    panel = open_panel(settings)
    assert (panel.frequency, panel.season) == ("h", 24)
    assert panel.columns.targets == ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    months = 30 * 24
    for window, horizon in ((336, 96), (96, 720)):
        counts = {role: len(windows(panel, settings.part(role), window, horizon)) for role in ROLES}
        assert counts == {
            "train": 12 * months - window - horizon + 1,
            "valid": 4 * months - horizon + 1,
            "test": 4 * months - horizon + 1,
        }


@needs_data
def test_m4_hourly(tmp_path: Path) -> None:
    """Its first and last ten series, for speed."""
    for name in ("Hourly-train.csv", "Hourly-test.csv"):
        lines = (DATA / "series" / "m4_hourly" / name).read_text().splitlines(keepends=True)
        (tmp_path / name).write_text("".join(lines[:11] + lines[-10:]))
    settings = config(
        str(tmp_path / "Hourly-train.csv"),
        more=(str(tmp_path / "Hourly-test.csv"),),
        season=24,
        train=PartConfig(),
        test=PartConfig(last=48, inputs="before"),
    )
    panel = open_panel(settings)
    found = windows(panel, settings.part("test"), 168, 48)
    assert len(panel.series) == len(found) == 20
    assert {len(panel.series[window.series].times) - window.origin for window in found} == {48}
    assert [len(panel[name].times) for name in ("H1", "H414")] == [748, 1008]


@needs_data
@pytest.mark.parametrize(
    ("path", "frequency", "steps", "missing"),
    [
        ("air_passengers/example_air_passengers.csv", "MS", 144, 0),
        ("peyton_manning/example_wp_log_peyton_manning.csv", "D", 2964, 59),
        ("melbourne_temperature/temps.csv", "D", 3652, 2),
    ],
)
def test_other_files(path: str, frequency: str, steps: int, missing: int) -> None:
    (one,) = (panel := open_panel(config(f"series/{path}", missing="mask"))).series
    assert (panel.frequency, len(one.times)) == (frequency, steps)
    assert np.isnan(one.targets).sum() == missing
