"""Pairs in text files with a pair a line, their columns parted by tabs, commas or other signs."""

import csv
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

from seq2seq.data.files import no_column, read_lines
from seq2seq.errors import DataError

Columns: TypeAlias = tuple[str, str]
"""The columns of source and target: names in the first line, or numbers from 0."""
Rows: TypeAlias = Iterator[tuple[int, list[str]]]
"""The fields of each row, and the line where it ends; no fields where that is empty."""
NAMES: Columns = ("source", "target")
"""What the columns are called unless the user says otherwise."""
log = logging.getLogger("seq2seq")


def read_separated(
    path: Path, columns: Columns, separator: str = "\t"
) -> Iterator[tuple[str, str]]:
    """Yields the pairs of a file whose columns are parted by ``separator``, which quotes nothing.

    Raises:
        DataError: The file cannot be read, or a line has too few columns.
    """
    lines = enumerate(read_lines(path), 1)
    rows = ((number, line.split(separator) if line else []) for number, line in lines)
    sign = "tabs" if separator == "\t" else f"{separator!r} signs"
    return _pairs(path, rows, columns, sign)


def read_csv(path: Path, columns: Columns) -> Iterator[tuple[str, str]]:
    """Yields the pairs of a file of comma-separated values (RFC 4180): fields in quotes may hold
    commas, quotes, which stand twice, and line breaks.

    Raises:
        DataError: The file cannot be read, a quote does not end, or a row has too few columns.
    """  # noqa: D205
    return _pairs(path, _rows_of_csv(path), columns, "commas")


csv.field_size_limit(2**31 - 1)
"""A text may be as long as in other formats."""


def _rows_of_csv(path: Path) -> Rows:
    reader = csv.reader((f"{line}\n" for line in read_lines(path)), strict=True)
    first = 1
    try:
        for fields in reader:
            yield reader.line_num, fields
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}: line {first:,}: is not CSV ({error}); a field with a comma, a quote or a "
            'line break stands in quotes, and quotes in it twice: "a ""b"", c"'
        ) from error


def _pairs(path: Path, rows: Rows, columns: Columns, sign: str) -> Iterator[tuple[str, str]]:
    first = next(rows)
    source, target, skipped = _places(path, first[1] or [""], columns)
    needed = max(source, target) + 1
    for number, fields in islice(chain([first], rows), skipped, None):
        if 0 < len(fields) < needed:
            raise DataError(
                f"{path}: line {number:,}: has {len(fields)} of the {needed} columns needed; "
                f"{sign} part them"
            )
        yield (fields[source], fields[target]) if fields else ("", "")


def _places(path: Path, header: Sequence[str], columns: Columns) -> tuple[int, int, int]:
    """Returns the places of source and target, and the number of header lines."""
    if all(name.isdecimal() for name in columns):
        return int(columns[0]), int(columns[1]), 0
    missing = [name for name in columns if name not in header]
    if not missing:
        return header.index(columns[0]), header.index(columns[1]), 1
    if len(missing) == 2 and columns == NAMES:
        if len(header) > 1:
            _tell_of_no_header(str(path), len(header))
        return 0, 1, 0
    raise no_column(f"{path}: line 1", missing[0], header)


@cache  # told once a file, though a corpus is read several times
def _tell_of_no_header(name: str, columns: int) -> None:
    log.info(
        "%s: no header with the names source and target: line 1 is a pair; of %d columns the "
        "first two are read",
        *(name, columns),
    )
