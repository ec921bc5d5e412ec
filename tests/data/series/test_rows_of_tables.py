import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.series.rows import (
    READERS,
    Rows,
    is_numeric,
    join,
    numbers,
    of_frame,
    read_file,
    text_of,
    texts,
)
from seq2seq.errors import DataError

NAMES = st.text("abcdefgh", min_size=1, max_size=5)
NUMBERS = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
WORDS = st.text("abcé,;\"' ünï", min_size=1, max_size=6).filter(
    lambda text: text.strip() == text and text != "nan"  # which tables write for what is missing
)


def written(folder: Path, text: str, name: str = "data.csv") -> Rows:
    (folder / name).write_text(text, encoding="utf-8")
    return read_file(folder, name)


def refusal(folder: Path, text: str, name: str = "data.csv") -> str:
    with pytest.raises(DataError) as error:
        written(folder, text, name)
    return str(error.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("suffix", READERS)
@settings(max_examples=15)
@given(data=st.data())
def test_what_is_written_is_read(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, 5))
    values = data.draw(st.lists(NUMBERS, min_size=count, max_size=count))
    words = data.draw(st.lists(WORDS, min_size=count, max_size=count))
    frame = pd.DataFrame({"time": range(count), "value": values, "word": words})
    path = tmp_path_factory.mktemp("table") / f"data{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        separator = "\t" if suffix in (".tsv", ".txt") else ","
        frame.to_csv(path, index=False, sep=separator)
    rows = read_file(path.parent, path.name)
    assert rows.columns == ["time", "value", "word"]
    expected = [np.nan if value is None else value for value in values]
    np.testing.assert_array_equal(numbers(rows, "value"), expected)
    assert texts(rows, "word").tolist() == words
    assert numbers(rows, "time").tolist() == list(range(count))


def test_packed_files_and_other_separators(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"t;x\n1;2.5\n"))
    assert numbers(read_file(tmp_path, "a.csv.gz"), "x").tolist() == [2.5]
    assert written(tmp_path, "\ufefft\tx\r\n1\t2\r\n").columns == ["t", "x"]
    assert numbers(written(tmp_path, "t,x\r1,2\r3,4\r"), "x").tolist() == [2, 4]


def test_trajectories_as_published_have_no_header(tmp_path: Path) -> None:
    for text in ("0.0\t1.0\t8.4\t3.5\n10.0\t1.0\t9.5\t4.0\n", "0 1 8.4 3.5\n10   1 9.5 4.0\n"):
        rows = written(tmp_path, text, "eth.txt")
        assert rows.columns == ["frame", "id", "x", "y"]
        assert numbers(rows, "x").tolist() == [8.4, 9.5]
        assert rows.place(1) == f"{tmp_path}/eth.txt: line 2"


def test_places_are_lines_of_the_file(tmp_path: Path) -> None:
    text = 'time,note,x\n1,"two\nlines",1\n\n2,one,oops\n'
    assert refusal_of(written(tmp_path, text), "x").startswith("data.csv: line 5: x must be a num")


def refusal_of(rows: Rows, column: str) -> str:
    with pytest.raises(DataError) as error:
        numbers(rows, column)
    return str(error.value).rpartition("/")[2]


def test_text_in_a_column_of_numbers(tmp_path: Path) -> None:
    rows = written(tmp_path, 't,x\n1,2\n2,"1,5"\n3,n/a\n4,4\n5,?\n')
    assert refusal_of(rows, "x") == (
        "data.csv: line 3: x must be a number, got '1,5' (2 such values); mend it, leave it empty "
        "where it is not known, or name a column of categories in data.series.categorical"
    )
    assert is_numeric(rows, "x")
    days = of_frame(pd.DataFrame({"x": pd.to_datetime(["2020-01-01"])}))
    assert refusal_of(days, "x").startswith("the frame: row 0: x must be a number, got '2020-01-01")
    assert not is_numeric(days, "x")


@pytest.mark.parametrize("value", ["inf", "-inf", "Infinity", "1e999"])
def test_infinite_values(tmp_path: Path, value: str) -> None:
    assert refusal_of(written(tmp_path, f"t,x\n1,2\n2,{value}\n"), "x") == (
        f"data.csv: line 3: x must be finite, got {'-' * (value[0] == '-')}inf; leave it empty "
        "where it is not known"
    )


def test_all_that_counts_as_a_number() -> None:
    frame = pd.DataFrame(
        {
            "decimal": [Decimal("1.5"), None],
            "nullable": pd.array([1, None], dtype="Int64"),
            "mixed": pd.Series(["2", 3.5], dtype=object),
            "category": pd.Categorical([1, 2]),
        }
    )
    rows = of_frame(frame)
    for column, expected in {
        "decimal": [1.5, np.nan],
        "nullable": [1, np.nan],
        "mixed": [2, 3.5],
        "category": [1, 2],
    }.items():
        assert is_numeric(rows, column)
        np.testing.assert_array_equal(numbers(rows, column), expected)
    assert numbers(of_frame(pd.DataFrame({"x": [True, False]})), "x").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "data.csv: is empty; a line with the names of the columns is needed"),
        ("\nt,x\n", "data.csv: line 1: is blank; a line with the names of the columns is needed"),
        ("t,x\n", "data.csv: holds no rows, only the names of columns"),
        ("t,x,t\n1,2,3\n", "data.csv: line 1: column t stands twice; rename one of the two"),
        (
            "t,x\n1,2\n2,3,4\n",
            "data.csv: is not a table (Expected 2 fields in line 3, saw 3); each line needs the "
            "columns of line 1",
        ),
        (
            "t,x\n1,2,3\n2,3,4\n",
            "data.csv: is not a table (lines have more columns than line 1 names); each line needs "
            "the columns of line 1",
        ),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, text) == expected


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path, "x", "data.xlsx") == (
        "data.xlsx: .xlsx is not read; .csv, .tsv, .txt, .parquet are (.gz too where it is text)"
    )
    assert refusal(tmp_path, "x", "d.parquet").startswith("d.parquet: is not Parquet that can be")
    (tmp_path / "latin.csv").write_bytes(b"t,x\n1,\xe9\n")
    with pytest.raises(DataError, match=r"latin\.csv: line 2: byte 0xe9 at offset 6 is not UTF-8"):
        read_file(tmp_path, "latin.csv")
    written(tmp_path, "t,x\n1,2\n")
    with pytest.raises(DataError, match=r"dta\.csv does not exist; did you mean 'data\.csv'\?"):
        read_file(tmp_path, "dta.csv")


def test_frames_keep_an_index_that_says_something() -> None:
    days = pd.date_range("2020-01-01", periods=2)
    assert of_frame(pd.DataFrame({"x": [1, 2]}, index=days)).columns == ["time", "x"]
    assert of_frame(pd.DataFrame({"x": [1, 2]}, index=days.rename("day"))).columns == ["day", "x"]
    assert of_frame(pd.DataFrame({"x": [1, 2]}, index=days.to_period())).columns == ["time", "x"]
    assert of_frame(pd.DataFrame({"x": [1, 2]}, index=[7, 5])).columns == ["x"]
    assert of_frame(pd.DataFrame({1: [1, 2]})).columns == ["1"]
    with pytest.raises(DataError, match="the frame: column x stands twice"):
        of_frame(pd.DataFrame([[1, 2]], columns=["x", "x"]))


def test_files_are_joined_and_stay_traceable(tmp_path: Path) -> None:
    first = written(tmp_path, "t,x\n1,1\n\n2,2\n", "a.csv")
    second = written(tmp_path, "x,t,z\n3,3,0\noops,4,0\n", "b.csv")
    rows = join([first, second])
    assert rows.frame["t"].tolist() == [1, 2, 3, 4]
    assert [rows.place(label).rpartition("/")[2] for label in rows.frame.index] == [
        "a.csv: line 2",
        "a.csv: line 4",
        "b.csv: line 2",
        "b.csv: line 3",
    ]
    with pytest.raises(DataError, match=r"c\.csv: has no column x; found t, xx; did you mean 'xx'"):
        join([first, written(tmp_path, "t,xx\n1,2\n", "c.csv")])


def test_texts_of_values() -> None:
    values = [1, 2.0, 2.5, "a", date(2020, 1, 1)]
    assert [text_of(value) for value in values] == ["1", "2", "2.5", "a", "2020-01-01"]
    assert texts(of_frame(pd.DataFrame({"x": ["a", None]})), "x").tolist() == ["a", None]
