import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.config import DataConfig
from seq2seq.data.series.layouts import LAYOUTS, Laid, Layout, SeriesConfig, lay_out
from seq2seq.data.series.read import open_panel
from seq2seq.data.series.rows import Rows, of_frame
from seq2seq.errors import DataError

Values = dict[str, list[float]]
"""Series by name: as many numbers as each has steps."""


def as_wide(series: Values) -> pd.DataFrame:
    longest = max(map(len, series.values()))
    days = pd.date_range("2020-01-01", periods=longest, freq="D")
    return pd.DataFrame({"day": days.astype(str)} | {k: pd.Series(v) for k, v in series.items()})


def as_long(series: Values) -> pd.DataFrame:
    days = pd.date_range("2020-01-01", periods=max(map(len, series.values())), freq="D")
    return pd.DataFrame(
        [(name, days[n], value) for name, one in series.items() for n, value in enumerate(one)],
        columns=["unique_id", "ds", "y"],
    )


def as_m4(series: Values) -> pd.DataFrame:
    longest = max(map(len, series.values()))
    rows = [[name, *one, *[None] * (longest - len(one))] for name, one in series.items()]
    return pd.DataFrame(rows, columns=[f"V{n}" for n in range(1, longest + 2)])


def as_trajectories(series: Values) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (10 * n, name, value, -value)
            for name, one in series.items()
            for n, value in enumerate(one)
        ],
        columns=["frame", "id", "x", "y"],
    )


WRITERS: dict[str, Callable[[Values], pd.DataFrame]] = {
    "wide": as_wide,
    "long": as_long,
    "m4": as_m4,
    "trajectories": as_trajectories,
}


def test_every_layout_is_tested() -> None:
    assert WRITERS.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("chosen", ["auto", "given"])
@settings(max_examples=2)
@given(data=st.data())
def test_what_is_written_is_read(
    layout: str, chosen: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """From a file and from a frame."""
    number = st.floats(-1e6, 1e6).map(lambda value: value + 0.0)
    names = (
        ["a"]
        if layout == "wide"
        else data.draw(
            st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
        )
    )
    series = {name: data.draw(st.lists(number, min_size=2, max_size=6)) for name in names}
    frame = WRITERS[layout](series)
    path = tmp_path_factory.mktemp("series") / "series.csv"
    frame.to_csv(path, index=False)
    settings_ = SeriesConfig(path=str(path), layout="auto" if chosen == "auto" else layout)
    for given_ in (None, frame):
        panel = open_panel(DataConfig(series=settings_), given_)
        if layout == "wide":
            assert panel.columns.targets == ("a",)
            np.testing.assert_array_equal(panel.series[0].targets[:, 0], series["a"])
            continue
        assert [one.name for one in panel.series] == sorted(series)
        for name, values in series.items():
            np.testing.assert_array_equal(panel[name].targets[:, 0], values)
            assert panel[name].known == len(panel[name].times) == len(values)


def test_a_layout_can_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
        """Values from the latest to the earliest, and no times."""
        frame = tables[0].frame[::-1].reset_index(drop=True)
        rows = replace(tables[0], frame=frame.assign(step=range(len(frame))))
        return Laid(rows, "step", None, ("backwards",))

    fits = Layout(read, lambda rows, config: rows.columns == ["backwards"])
    monkeypatch.setattr("seq2seq.data.series.layouts.LAYOUTS", LAYOUTS | {"reverse": fits})
    frame = pd.DataFrame({"backwards": [3, 2, 1]})
    for name in ("reverse", "auto"):
        if name == "auto":
            monkeypatch.setattr("seq2seq.data.series.layouts.LAYOUTS", {"reverse": fits, **LAYOUTS})
        panel = open_panel(DataConfig(series=SeriesConfig(layout=name)), frame)
        assert panel.series[0].targets[:, 0].tolist() == [1, 2, 3]


def laid(frame: pd.DataFrame, **columns: Any) -> Any:
    return lay_out([of_frame(frame)], SeriesConfig(**columns))


def refusal(frame: pd.DataFrame, **columns: Any) -> str:
    with pytest.raises(DataError) as error:
        laid(frame, **columns)
    return str(error.value)


RIDERS = pd.DataFrame(
    {
        "Unnamed: 0": [0, 1],
        "service_date": ["01/13/2020", "01/14/2020"],
        "day_type": ["W", "W"],
        "bus": [1, 2],
        "rail": [3, 4],
        "total": [4, 6],
    }
)


def test_columns_are_found() -> None:
    found = laid(RIDERS)
    assert (found.time, found.id, found.targets) == ("service_date", None, ("bus", "rail", "total"))
    found = laid(RIDERS, past=("bus",), future=("day_type",), time="service_date")
    assert found.targets == ("rail", "total")
    assert laid(RIDERS, id="day_type").id == "day_type"
    assert laid(pd.DataFrame({"ds": ["2020-01-01"], "y": [1], "z": [2]})).targets == ("y",)
    steps = pd.DataFrame({"x": [1], "Step": [7]})
    assert (laid(steps).time, laid(steps).targets) == ("Step", ("x",))
    two = pd.DataFrame({"made": ["2020-01-01"], "date": ["2020-01-01"], "y": [1]})
    assert laid(two).time == "date"


def test_columns_that_are_not_there() -> None:
    expected = (
        "the frame: has no column rail_boarding; found Unnamed: 0, service_date, day_type, bus, "
        "rail, total"
    )
    assert refusal(RIDERS, target=("rail_boarding",)) == expected
    for role in ("past", "future", "static"):
        assert refusal(RIDERS, **{role: ("buss",)}).endswith("total; did you mean 'bus'?")
    assert refusal(RIDERS, time="servicedate").endswith("; did you mean 'service_date'?")
    assert refusal(RIDERS, id="line").startswith("the frame: has no column line; found")
    assert refusal(RIDERS, layout="long").startswith("the frame: has no column unique_id; found")
    assert refusal(RIDERS, layout="m4").startswith("the frame: has no column V1; found")
    assert refusal(RIDERS, layout="trajectories").startswith("the frame: has no column frame; f")


def test_times_that_are_not_found() -> None:
    assert refusal(pd.DataFrame({"a": [1], "b": [2]})) == (
        "the frame: no column holds times; name one with data.series.time (found a, b)"
    )
    two = pd.DataFrame({"from": ["2020-01-01"], "to": ["2020-01-02"], "x": [1]})
    assert refusal(two) == (
        "the frame: columns from, to all hold times; name one with data.series.time (found from, "
        "to, x)"
    )
    assert refusal(pd.DataFrame({"ds": ["2020-01-01"], "w": ["a"]})) == (
        "the frame: no column of numbers is left to forecast; name some with data.series.target "
        "(found ds, w)"
    )


def test_a_column_of_numbers_with_one_text_is_no_category(tmp_path: Path) -> None:
    """Or it would silently be no target."""
    (tmp_path / "f.csv").write_text("ds,a,b\n2020-01-01,1,1\n2020-01-02,2,n.a.\n")
    with pytest.raises(DataError, match=r"f\.csv: line 3: b must be a number, got 'n\.a\.'"):
        open_panel(DataConfig(series=SeriesConfig(path="f.csv")), folder=tmp_path)


def test_unused_columns_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "seq2seq"):
        open_panel(DataConfig(series=SeriesConfig(target=("rail",))), RIDERS)
    assert caplog.messages == [
        "the frame: columns not used: Unnamed: 0, day_type, bus, total",
        "the frame: data.season: 1, as 2 steps are fewer than 7",
    ]


def test_further_files_go_on(tmp_path: Path) -> None:
    as_m4({"b": [1, 2, 3], "a": [4, 5]}).to_csv(tmp_path / "train.csv", index=False)
    as_m4({"a": [6, 7], "b": [8, 9]}).to_csv(tmp_path / "test.csv", index=False)
    config = DataConfig(series=SeriesConfig(path="train.csv", more=("test.csv",)))
    panel = open_panel(config, folder=tmp_path)
    assert panel["a"].targets[:, 0].tolist() == [4, 5, 6, 7]
    assert panel["b"].targets[:, 0].tolist() == [1, 2, 3, 8, 9]
    assert panel["b"].times.tolist() == [1, 2, 3, 4, 5]
    scenes = {name: as_trajectories({"1": [1, 2], "2": [3, 4]}) for name in ("zara", "hotel")}
    for name, frame in scenes.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    config = DataConfig(series=SeriesConfig(path="zara.csv", more=("hotel.csv",)))
    panel = open_panel(config, folder=tmp_path)
    assert [series.name for series in panel.series] == ["hotel/1", "hotel/2", "zara/1", "zara/2"]
    assert panel["zara/2"].targets.tolist() == [[3, -3], [4, -4]]
    assert panel["zara/2"].times.tolist() == [0, 10]


def test_gaps_and_texts_in_rows_of_values(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text('"V1","V2","V3","V4"\n"H1",1,,3\n"H2",1,2,\n')
    config = DataConfig(series=SeriesConfig(path="f.csv"))
    with pytest.raises(DataError, match=r"f\.csv: line 2: series H1: y is empty \(1 values are\)"):
        open_panel(config, folder=tmp_path)
    (tmp_path / "f.csv").write_text("V1,V2\nH1,\nH2,\n")
    with pytest.raises(DataError, match=r"f\.csv: holds no values"):
        open_panel(config, folder=tmp_path)
    (tmp_path / "f.csv").write_text("V1,V2,V3\nH1,1,2\nH2,x,2\n")
    with pytest.raises(DataError, match=r"f\.csv: line 3: y must be a number, got 'x'"):
        open_panel(config, folder=tmp_path)
