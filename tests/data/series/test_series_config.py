from pathlib import Path
from typing import Any

import pytest

from seq2seq import config as configuration
from seq2seq.data.series.config import DataConfig, Part, PartConfig, as_period
from seq2seq.data.series.layouts import SeriesConfig
from seq2seq.errors import ConfigError

BOUNDS = (
    ("2018-12-31", "2019-01-01"),
    ("2018", "2019-01-01"),
    ("2018-12", "2019"),
    ("2018-12-31 23", "2019-01-01T00:00"),
    (99, 100),
    ("99", "100"),
)


def refusal(make: Any, **values: Any) -> str:
    with pytest.raises(ConfigError) as error:
        make(**values)
    return str(error.value)


def parts(**bounds: dict[str, Any]) -> dict[str, Any]:
    return {role: PartConfig(**values) for role, values in bounds.items()}


def test_parts_have_their_bounds() -> None:
    config = DataConfig(
        **parts(
            train={"until": "2018"},
            valid={"from_": "2019-01-01", "until": "2019-05-31"},
            test={"from_": "2019-06-01", "inputs": "before"},
        )
    )
    assert config.part("train") == Part("train", until="2018", before="")
    assert config.part("valid") == Part("valid", since="2019-01-01", until="2019-05-31")
    assert config.part("test") == Part("test", since="2019-06-01", reach=True)
    assert config.part("train", "valid") == Part("train + valid", until="2019-05-31")


def test_open_bounds_reach_to_the_next_part() -> None:
    config = DataConfig(**parts(train={}, valid={"from_": 100, "until": 199}, test={}))
    assert config.part("train") == Part("train", before="100")
    assert config.part("test") == Part("test", after="199")
    assert config.part("valid", "test") == Part("valid + test", since="100")


def test_parts_at_the_end() -> None:
    config = DataConfig(**parts(train={}, valid={"last": 48}, test={"last": 24}))
    assert config.part("train") == Part("train", later=72)
    assert config.part("valid") == Part("valid", last=48, later=24)
    assert config.part("test") == Part("test", last=24)
    assert config.part("train", "valid") == Part("train + valid", later=24)


def test_parts_that_are_not_there() -> None:
    with pytest.raises(ConfigError) as error:
        DataConfig().part("valid")
    assert str(error.value) == (
        "data.valid: is required; give data.valid.from and data.valid.until, or data.valid.last"
    )


@pytest.mark.parametrize(("end", "begin"), BOUNDS)
def test_parts_follow_one_another(end: str | int, begin: str | int) -> None:
    DataConfig(**parts(train={"until": end}, test={"from_": begin}))
    DataConfig(**parts(train={"until": end}, valid={"until": begin}, test={}))
    expected = f"test.from: must be after {begin}, where train ends, got {end!r}"
    assert refusal(DataConfig, **parts(train={"until": begin}, test={"from_": end})) == expected
    later = parts(train={"from_": begin}, test={"from_": end, "until": end})
    assert refusal(DataConfig, **later) == (
        f"test.from: must be after {begin}, where train begins, got {end!r}"
    )


def test_a_test_range_before_training() -> None:
    found = refusal(
        DataConfig,
        **parts(
            train={"from_": "2016", "until": "2018"},
            test={"from_": "2014-01-01", "until": "2015-12-31"},
        ),
    )
    assert found == "test.from: must be after 2018, where train ends, got '2014-01-01'"
    found = refusal(DataConfig, **parts(train={"from_": "2016"}, test={"until": "2015-12-31"}))
    assert found == "test.until: must be after 2016, where train begins, got '2015-12-31'"


def test_parts_that_nothing_divides() -> None:
    assert refusal(DataConfig, **parts(train={}, valid={"until": "2019"})) == (
        "train.until: must be given, or valid.from or valid.last, got ''"
    )


def test_bounds_that_are_none() -> None:
    for bound in ("2019-13-45", "31.12.2018", "soon", "2019-1", "12/31/2018"):
        assert refusal(PartConfig, until=bound) == (
            f"until: must be a date such as 2019-01-31, or the number of a step, got {bound!r}"
        )
    assert refusal(PartConfig, from_="2019-02", until="2019-01") == (
        "until: must be not before 2019-02, where the part begins, got '2019-01'"
    )
    PartConfig(from_="2019-02-01", until="2019")
    assert refusal(PartConfig, last=3, until=7) == (
        "last: must be 0 where from or until is given, got 3"
    )
    assert refusal(PartConfig, last=-1) == "last: must be at least 0, got -1"


def test_dates_name_a_stretch_of_time() -> None:
    lengths = {"2019": 365 * 24, "2019-02": 28 * 24, "2019-02-03": 24, "2019-02-03 04": 1}
    for bound, hours in lengths.items():
        period = as_period(bound)
        assert period is not None
        assert round((period.end_time - period.start_time).total_seconds() / 3600) == hours


def test_settings_are_checked() -> None:
    assert refusal(DataConfig, calendar=("day_of_weak",)).endswith("; did you mean 'day_of_week'?")
    assert refusal(DataConfig, calendar=("hour", "hour")) == (
        "calendar: must be each entry once, got ['hour', 'hour']"
    )
    assert refusal(DataConfig, season=-1) == "season: must be at least 0, got -1"
    assert refusal(DataConfig, timezone="Berlin") == (
        "timezone: must be a zone such as Europe/Berlin, got 'Berlin'; did you mean "
        "'Europe/Berlin'?"
    )
    assert refusal(DataConfig, frequency="daily").startswith("frequency: must be auto or a freq")


def test_columns_have_one_role() -> None:
    assert refusal(SeriesConfig, target=("x",), past=("x",)) == (
        "past: must be of other columns than target, got 'x'"
    )
    assert refusal(SeriesConfig, categorical=("x",), target=("x",)) == (
        "categorical: must be columns named in past, future or static, got 'x'"
    )
    assert refusal(SeriesConfig, layout="lang").endswith("got 'lang'; did you mean 'long'?")
    SeriesConfig(static=("x",), categorical=("x",))


def test_a_section_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = """
series: {path: a.csv, time: service_date, target: [rail, bus], future: [day_type]}
calendar: [day_of_week, day_of_year]
train: {from: 2016-01-01, until: 2018-12-31}
valid: {last: 14}
test: {from: 8640}
"""
    path = tmp_path / "data.yaml"
    path.write_text(text)
    found = configuration.load(DataConfig, path, ["--test.from", "2019-06"])
    assert found == DataConfig(
        series=SeriesConfig(
            path="a.csv", time="service_date", target=("rail", "bus"), future=("day_type",)
        ),
        calendar=("day_of_week", "day_of_year"),
        train=PartConfig(from_="2016-01-01", until="2018-12-31"),
        valid=PartConfig(last=14),
        test=PartConfig(from_="2019-06"),
    )
    path.write_text(configuration.dump(found))
    assert configuration.load(DataConfig, path) == found
    path.write_text(text.replace("8640", "2017-06"))
    with pytest.raises(ConfigError) as error:
        configuration.load(DataConfig, path)
    assert str(error.value) == (
        f"{path}: test.from: must be after 2018-12-31, where train ends, got '2017-06'"
    )
