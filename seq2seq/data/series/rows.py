"""Rows as they stand in a file or a frame: numbers and categories, each traced to its line."""

import csv
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from seq2seq.data.files import is_blank, no_column, opened, read_text, suffix_of
from seq2seq.data.pipes import rereadable
from seq2seq.errors import DataError

TRAJECTORY = ("frame", "id", "x", "y")
"""The columns of files of trajectories; as these are published, no line names them."""
SEPARATORS = ",;\t"
WHITE_SPACE = r"\s+"
FRAME = "the frame"
Place: TypeAlias = Callable[[int], str]


@dataclass(frozen=True)
class Rows:
    """Rows with the values that were written; the labels of the frame's index number them."""

    name: str
    """The file."""
    frame: pd.DataFrame
    place: Place
    """Says where the row with a label stands, such as ``data.csv: line 17``."""

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def where(self, row: int) -> str:
        """Says where a row stands, counted from 0 as the frame has them."""
        return self.place(int(self.frame.index[row]))

    def require(self, columns: Iterable[str]) -> None:
        """Raises a :class:`DataError` that tells the nearest name, unless all are there."""
        for column in columns:
            if column not in self.frame.columns:
                raise no_column(self.name, column, self.columns)


def read_file(folder: Path, name: str) -> Rows:
    """Reads a table: text with a line of names, gzip-compressed or not, or Parquet.

    Raises:
        DataError: It cannot be read, or holds no rows.
    """
    path, suffix = rereadable(folder, name), suffix_of(name)
    if suffix not in READERS:
        known = ", ".join(filter(None, READERS))
        raise DataError(f"{path}: {suffix} is not read; {known} are (.gz too where it is text)")
    rows = READERS[suffix](path)
    if rows.frame.empty:
        raise DataError(f"{rows.name}: holds no rows, only the names of columns")
    return rows


def of_frame(frame: pd.DataFrame, name: str = FRAME) -> Rows:
    """Returns the rows of a pandas frame; an index with a name, or of times, becomes a column.

    Raises:
        DataError: Two columns have one name.
    """
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) and frame.index.name is None:
        frame = frame.rename_axis(index="time")
    named = any(level is not None for level in frame.index.names)
    frame = frame.reset_index(drop=not named).rename(columns=str)
    _refuse_twins(name, frame.columns)
    return Rows(name, frame, lambda label: f"{name}: row {label:,}")


def join(several: Sequence[Rows]) -> Rows:
    """Returns the rows of several files, which have the same columns, one after another.

    Raises:
        DataError: A file lacks a column of the first.
    """
    first = several[0]
    for other in several[1:]:
        other.require(first.columns)
    starts = list(accumulate((_labels(rows) for rows in several), initial=0))
    frames = [
        rows.frame[first.columns].set_axis(rows.frame.index + start)
        for rows, start in zip(several, starts, strict=False)
    ]

    def place(label: int) -> str:
        at = bisect_right(starts, label) - 1
        return several[at].place(label - starts[at])

    return Rows(", ".join(rows.name for rows in several), pd.concat(frames), place)


def _labels(rows: Rows) -> int:
    return 0 if rows.frame.empty else int(rows.frame.index.max()) + 1


def numbers(rows: Rows, column: str) -> Float[np.ndarray, "R"]:
    """Returns a column as numbers; what is missing is NaN.

    Raises:
        DataError: A value is text, or infinite.
    """
    values = rows.frame[column]
    found, wrong = _as_numbers(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{rows.where(row)}: {column} must be a number, got {str(values.iloc[row])!r}"
            f"{_others(wrong)}; mend it, leave it empty where it is not known, or name a column "
            "of categories in data.series.categorical"
        )
    infinite = np.isinf(found)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"{rows.where(row)}: {column} must be finite, got {found[row]}"
            f"{_others(infinite)}; leave it empty where it is not known"
        )
    return found


def texts(rows: Rows, column: str) -> np.ndarray:
    """Returns a column as texts: an array of objects in which None is missing."""
    values = rows.frame[column]
    return np.array([None if pd.isna(value) else text_of(value) for value in values], object)


def text_of(value: object) -> str:
    """Returns a value as text; a whole number has no decimals, whatever its type.

    >>> text_of(3.0), text_of("W")
    ('3', 'W')
    """
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if isinstance(value, float) and whole else str(value)


def is_numeric(rows: Rows, column: str) -> bool:
    """Tells a column of numbers, some of them perhaps miswritten, from one of texts alone."""
    values = rows.frame[column]
    if pd.api.types.is_datetime64_any_dtype(values):
        return False
    found, _ = _as_numbers(values)
    return bool(np.isfinite(found).any() or not values.notna().any())


def _as_numbers(values: "pd.Series[float]") -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers, and marks what is there and is none."""
    times = (pd.DatetimeTZDtype, pd.PeriodDtype)
    if values.dtype.kind in "mM" or isinstance(values.dtype, times):
        return np.full(len(values), np.nan), values.notna().to_numpy()
    found = pd.to_numeric(values, errors="coerce")
    numbers = found.to_numpy(np.float64, na_value=np.nan)
    return numbers, np.isnan(numbers) & values.notna().to_numpy()


def _others(wrong: np.ndarray) -> str:
    return f" ({wrong.sum():,} such values)" if wrong.sum() > 1 else ""


def _read_parquet(path: Path) -> Rows:
    with opened(path) as file:
        try:
            frame = pd.read_parquet(file)
        except (ValueError, TypeError, NotImplementedError) as error:
            first_line = str(error).partition("\n")[0]
            raise DataError(f"{path}: is not Parquet that can be read ({first_line})") from error
    return of_frame(frame, str(path))


def _read_delimited(path: Path) -> Rows:
    """Reads text; an empty line is no row, and numbers are read to the last bit."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    if is_blank(first):
        empty = "is empty" if is_blank(rest) else "line 1: is blank"
        raise DataError(f"{path}: {empty}; a line with the names of the columns is needed")
    separator = max(SEPARATORS, key=first.count)
    names = None
    if _four_numbers(first.replace(separator, " ")):
        names, separator = TRAJECTORY, separator if separator in first else WHITE_SPACE
    else:
        _refuse_twins(f"{path}: line 1", next(csv.reader([first], delimiter=separator)))
    frame = _parse(path, text, separator, names)

    def place(label: int) -> str:
        return f"{path}: line {_line(path, separator, label + (names is None)):,}"

    return Rows(str(path), frame.rename(columns=str).dropna(how="all"), place)


def _parse(path: Path, text: str, separator: str, names: Sequence[str] | None) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                StringIO(text),
                sep=separator,
                names=names,
                index_col=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                low_memory=False,
            )
        except pd.errors.ParserWarning:
            reason = "lines have more columns than line 1 names"
        except (ValueError, pd.errors.ParserError) as error:
            reason = " ".join(str(error).rpartition("C error: ")[2].split())
    raise DataError(f"{path}: is not a table ({reason}); each line needs the columns of line 1")


def _line(path: Path, separator: str, record: int) -> int:
    """Returns the line, from 1, in which a record begins; a quoted value may take several."""
    if separator == WHITE_SPACE:
        return record + 1
    reader = csv.reader(StringIO(_text(path)), delimiter=separator)
    for _ in range(record):
        next(reader)
    return reader.line_num + 1


def _text(path: Path) -> str:
    r"""Returns what a file holds; lines may end in ``"\r"`` alone, as some spreadsheets have it."""
    return "".join(read_text(path)).replace("\r", "\n")


def _four_numbers(line: str) -> bool:
    fields = line.split()
    try:
        return len([float(field) for field in fields]) == len(TRAJECTORY)
    except ValueError:
        return False


def _refuse_twins(where: str, columns: Iterable[str]) -> None:
    seen: set[str] = set()
    for column in columns:
        if column in seen:
            raise DataError(f"{where}: column {column} stands twice; rename one of the two")
        seen.add(column)


READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".parquet": _read_parquet,
    "": _read_delimited,
}
"""Readers by the last part of a file's name; a pipe has none."""
