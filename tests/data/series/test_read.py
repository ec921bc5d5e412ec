from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.config import DataConfig, PartConfig
from seq2seq.data.series.layouts import SeriesConfig
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.read import fingerprint, open_panel
from seq2seq.data.series.steps import Unsettled
from seq2seq.errors import ConfigError, DataError

DAYS = pd.date_range("2020-01-01", periods=8, freq="D")


def shop(**columns: Any) -> pd.DataFrame:
    """Returns two series of four days; the second begins two days later."""
    values = {
        "unique_id": ["n"] * 4 + ["s"] * 4,
        "ds": [*DAYS[:4], *DAYS[2:6]],
        "y": np.arange(8.0),
        "price": np.arange(8.0) / 2,
        "day": list("WWUAUAWW"),
        "state": ["WA"] * 4 + ["OR"] * 4,
        "size": [3.0] * 4 + [5.0] * 4,
    }
    return pd.DataFrame(values | columns)


ROLES: dict[str, Any] = {"past": ("price",), "future": ("day",), "static": ("state", "size")}


def config(**settings_: Any) -> DataConfig:
    columns = {key: settings_.pop(key) for key in list(settings_) if hasattr(SeriesConfig, key)}
    return DataConfig(series=SeriesConfig(**columns), **settings_)


def refusal(frame: pd.DataFrame, like: Panel | None = None, /, **settings_: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        open_panel(config(**settings_), frame, like)
    return str(error.value)


def same(one: Panel, other: Panel) -> bool:
    return fingerprint(one) == fingerprint(other)


def test_a_panel_has_all_its_columns() -> None:
    panel = open_panel(config(**ROLES, calendar=("weekend",)), shop())
    assert panel.columns.targets == ("y",)
    assert panel.columns.past == ("price",)
    assert panel.columns.future == ("day=A", "day=U", "day=W", "weekend.0")
    assert panel.columns.static == ("state=OR", "state=WA", "size")
    assert panel.categories == {"day": ("A", "U", "W"), "state": ("OR", "WA")}
    assert (panel.frequency, panel.season) == ("D", 1)
    north, south = panel.series
    assert (north.name, south.name) == ("n", "s")
    assert south.times.equals(DAYS[2:6])
    assert south.targets[:, 0].tolist() == [4, 5, 6, 7]
    assert south.past[:, 0].tolist() == [2, 2.5, 3, 3.5]
    assert north.future.tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 1]]
    assert (north.static.tolist(), south.static.tolist()) == ([0, 1, 3], [1, 0, 5])


@settings(max_examples=5)
@given(st.permutations(range(8)))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    settings_ = config(**ROLES)
    found = open_panel(settings_, shop().iloc[order].reset_index(drop=True))
    assert same(found, open_panel(settings_, shop()))


def test_ids_may_be_numbers() -> None:
    frame = shop(unique_id=[10] * 4 + [9] * 4)
    assert [series.name for series in open_panel(config(), frame).series] == ["9", "10"]
    frame = shop(unique_id=["n", None, *"nn", *"ssss"])
    assert refusal(frame) == (
        "the frame: row 1: unique_id is empty; each row needs the id of its series"
    )


def test_categories_are_learned_from_the_training_part() -> None:
    train: dict[str, Any] = {
        "train": PartConfig(until="2020-01-02"),
        "target": ("y",),
        "future": ("day",),
    }
    assert refusal(shop(), **train) == (
        "the frame: row 2: series n: day is 'U', which does not occur in the training part (W)"
    )
    train["train"] = PartConfig(until="2020-01-04")
    assert open_panel(config(**train), shop()).categories == {"day": ("A", "U", "W")}
    numbers = config(future=("price",), categorical=("price",))
    assert open_panel(numbers, shop(price=[1, 2] * 4)).columns.future == ("price=1", "price=2")


def test_a_category_without_training_values() -> None:
    frame = shop(day=[None, None, "U", "A", *"UAWW"])
    train: dict[str, Any] = {
        "train": PartConfig(until="2020-01-02"),
        "future": ("day",),
        "missing": "mask",
    }
    assert refusal(frame, **train) == "the frame: day is empty in the whole training part"


def test_new_series_are_read_as_those_of_the_run() -> None:
    settings_ = config(**ROLES, calendar=("month",))
    run = open_panel(settings_, shop())
    described = replace(run, series=())
    new = shop(other=1.0).query("unique_id == 's'").tail(1)
    found = open_panel(settings_, new, described)
    assert found.columns == run.columns
    assert (found.frequency, found.season) == (run.frequency, run.season)
    np.testing.assert_array_equal(found["s"].future, run["s"].future[-1:])
    assert refusal(shop(day=list("WWUAUAWX")), described, **ROLES) == (
        "the frame: row 7: series s: day is 'X', which does not occur in the training part (A, U, "
        "W)"
    )
    assert refusal(shop(state="ORE"), described, **ROLES).endswith("(OR, WA); did you mean 'OR'?")
    assert refusal(shop().drop(columns="price"), described, **ROLES).startswith(
        "the frame: has no column price; found unique_id"
    )
    assert refusal(shop(price="a"), described, **ROLES).startswith(
        "the frame: row 0: price must be a number, got 'a' (8 such values)"
    )


def test_new_series_have_the_targets_of_the_run() -> None:
    wide = pd.DataFrame({"day": DAYS, "a": range(8), "b": range(8)})
    run = open_panel(DataConfig(), wide)
    found = open_panel(DataConfig(), wide.assign(c=1.0), replace(run, series=()))
    assert found.columns.targets == ("a", "b")


def test_few_new_rows_are_read_as_dates_were_written_before() -> None:
    texts = pd.date_range("2020-01-01", periods=40, freq="D").strftime("%d/%m/%Y")
    run = open_panel(DataConfig(), pd.DataFrame({"ds": texts, "y": 1.0}))
    few = pd.DataFrame({"ds": ["02/03/2020"], "y": [1.0]})
    assert refusal(few, frequency="D").startswith("the frame: row 0: ds '02/03/2020' may be %m/%d")
    assert open_panel(DataConfig(), few, run).series[0].times[0] == pd.Timestamp("2020-03-02")
    other = few.assign(ds="2020-03-02")
    assert open_panel(DataConfig(), other, run).series[0].times[0] == pd.Timestamp("2020-03-02")


def test_missing_values() -> None:
    frame = shop(y=[0, np.nan, 2, 3, 4, 5, 6, 7], price=[0, 1, np.nan, 3, 4, 5, 6, 7])
    line = "set data.missing: mask, with which they count neither as input nor as target"
    assert refusal(frame) == f"the frame: row 1: series n: y is empty (1 values are); {line}"
    assert refusal(frame, past=("price",)) == (
        f"the frame: row 1: series n: y is empty (2 values are); {line}"
    )
    panel = open_panel(config(past=("price",), missing="mask"), frame)
    np.testing.assert_array_equal(panel["n"].targets[:, 0], [0, np.nan, 2, 3])
    np.testing.assert_array_equal(panel["n"].past[:, 0], [0, 1, np.nan, 3])
    gap = shop().drop(index=1)
    assert refusal(gap, **ROLES).startswith("the frame: row 0: series n: the step 2020-01-02 is")
    panel = open_panel(config(**ROLES, missing="mask", calendar=("month",)), gap)
    assert np.isnan(panel["n"].targets[1]).all()
    assert np.isnan(panel["n"].future[1, :3]).all()
    assert panel["n"].future[1, 3:].sum() == 1  # the calendar knows
    unknown = shop(size=[None] * 4 + [1.0] * 4)
    assert "series n: size is empty (4 values are)" in refusal(unknown, static=("size",))


def test_rows_without_targets_at_the_end_are_the_future() -> None:
    frame = shop(y=[0, 1, np.nan, np.nan, 4, 5, 6, np.nan])
    panel = open_panel(config(future=("day",), past=("size",)), frame)
    assert [(series.known, len(series.times)) for series in panel.series] == [(2, 4), (3, 4)]
    assert np.isfinite(panel["n"].future).all()


def test_infinite_values_are_refused_even_where_missing_ones_are_not() -> None:
    frame = shop(price=[0, np.inf, 2, 3, 4, 5, 6, -np.inf])
    assert refusal(frame, past=("price",), missing="mask") == (
        "the frame: row 1: price must be finite, got inf (2 such values); leave it empty where it "
        "is not known"
    )


def test_static_columns_do_not_change() -> None:
    frame = shop(size=[3.0] * 4 + [5.0, 5.0, 6.0, 5.0])
    half = shop(state=[*["WA"] * 7, None])
    assert "row 7: series s: state is static, but empty here and WA before" in refusal(
        half, static=("state",)
    )
    assert refusal(frame, static=("size",)) == (
        "the frame: row 6: series s: size is static, but 6 here and 5 before; name it in "
        "data.series.past or data.series.future instead"
    )


def test_seasons() -> None:
    hours = pd.DataFrame({"ds": pd.date_range("2020", periods=100, freq="h"), "y": 1.0})
    assert open_panel(DataConfig(), hours).season == 24
    assert open_panel(DataConfig(season=50), hours).season == 50
    assert open_panel(DataConfig(), hours.head(20)).season == 1
    assert refusal(hours, season=101) == (
        "the frame: data.season: 101 steps are more than the longest series has (100); make it "
        "smaller, or 1 for none"
    )


def test_frequencies_given() -> None:
    days = pd.DataFrame({"ds": DAYS[[0, 2, 4, 6]], "y": 1.0})
    assert open_panel(DataConfig(), days).frequency == "2D"
    found = open_panel(DataConfig(frequency="D", missing="mask"), days)
    assert (found.frequency, len(found.series[0].times)) == ("D", 7)
    assert refusal(days, frequency="D").startswith("the frame: row 0: the step 2020-01-02 is miss")


def test_zones() -> None:
    zone = "America/New_York"
    hours = pd.date_range("2020-10-30", periods=96, freq="h", tz=zone)
    for times in (hours, hours.tz_localize(None), hours.tz_convert("UTC"), hours.astype(str)):
        frame = pd.DataFrame({"ds": times, "y": np.arange(96.0)})
        panel = open_panel(DataConfig(timezone=zone), frame)
        assert panel.series[0].times.equals(hours), times.dtype
        assert panel.frequency == "h"
    days = pd.date_range("2020-10-30", periods=5, freq="D", tz=zone)
    assert open_panel(DataConfig(), pd.DataFrame({"ds": days, "y": 1.0})).frequency == "D"


def test_nothing_to_read(tmp_path: Path) -> None:
    assert refusal(shop().head(0)) == "the frame holds no rows"
    with pytest.raises(ConfigError) as error:
        open_panel(DataConfig())
    assert str(error.value) == "data.series.path: is required; name a table such as series.csv"


def test_paths_begin_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shop().to_parquet(tmp_path / "data" / "shop.parquet")
    settings_ = DataConfig(folder="data", series=SeriesConfig(path="shop.parquet"))
    assert len(open_panel(settings_, folder=tmp_path).series) == 2


def changed(panel: Panel) -> Sequence[Panel]:
    """Returns panels that differ in one thing each."""
    one = panel.series[0]
    others = [
        replace(one, name="z"),
        replace(one, times=one.times + pd.Timedelta("1D")),
        replace(one, times=one.times.tz_localize("UTC")),
        *(replace(one, **{name: getattr(one, name) + 1}) for name in ("targets", "past", "static")),
        replace(one, future=one.future * 2),
    ]
    return [
        *(replace(panel, series=[other, *panel.series[1:]]) for other in others),
        replace(panel, series=panel.series[:1]),
        replace(panel, season=5),
        replace(panel, frequency="B"),
        replace(panel, categories={}),
        replace(panel, columns=replace(panel.columns, past=("x",))),
    ]


def test_the_fingerprint_is_that_of_everything() -> None:
    panel = open_panel(config(**ROLES), shop())
    assert same(panel, open_panel(config(**ROLES), shop()))
    found = [fingerprint(other) for other in (panel, *changed(panel))]
    assert len(set(found)) == len(found)


def test_what_a_setting_would_mend_says_which() -> None:
    twice = pd.concat([shop(), shop().head(1)])
    for frame, setting in ((twice, "duplicates"), (shop().drop(index=1), "missing")):
        with pytest.raises(Unsettled) as error:
            open_panel(DataConfig(), frame)
        assert error.value.setting == setting
        mended: dict[str, Any] = {error.value.setting: error.value.value}
        open_panel(replace(DataConfig(), **mended), frame)
