"""Tables of the library ``datasets``: in folders, and on the hub."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from seq2seq.data.files import no_column
from seq2seq.errors import DataError, nearest

ROWS_AT_ONCE = 1000
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@runtime_checkable
class Table(Protocol):
    """The part of ``datasets.Dataset`` that is used here; to import the whole costs seconds."""

    column_names: list[str]
    _fingerprint: str

    def select_columns(self, column_names: list[str]) -> "Table":
        """Returns the table without other columns."""

    def with_format(self, type: None) -> "Table":
        """Returns the table with rows of plain Python values."""

    def iter(self, batch_size: int) -> Iterator[dict[str, list[object]]]:
        """Yields rows by columns, many at a time."""


def is_hub_id(path: str, folder: Path) -> bool:
    """Tells whether a path reads as ``owner/name`` and is nothing in ``folder``."""
    return HUB_ID.fullmatch(path) is not None and not (folder / path).exists()


def read_rows(
    name: str, table: Table, columns: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields what a table's rows have in ``columns``, and where each stands.

    Raises:
        DataError: A column is missing.
    """
    wanted = set()
    for column in columns:
        top = column if column in table.column_names else column.split(".")[0]
        if top not in table.column_names:
            raise no_column(name, column, table.column_names)
        wanted.add(top)
    tops = sorted(wanted)
    number = 0
    for batch in table.select_columns(tops).with_format(None).iter(ROWS_AT_ONCE):
        for values in zip(*(batch[top] for top in tops), strict=True):
            yield f"{name}: row {number:,}", dict(zip(tops, values, strict=True))
            number += 1


def load_from_disk(path: Path, split: str) -> Table:
    """Opens a folder written by datasets' save_to_disk.

    Raises:
        DataError: It is no such folder, or has no such split.
    """
    import datasets  # costs seconds, and few corpora need it

    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise DataError(f"{path} was not written by datasets' save_to_disk ({reason})") from error
    splits: dict[str, Table] = loaded if isinstance(loaded, dict) else {split: loaded}
    if split not in splits:
        found, close = ", ".join(splits), nearest(split, splits)
        raise DataError(f"{path}: has no split {split}; found {found}{close}")
    return splits[split]


def load_from_hub(name: str, split: str, revision: str | None, instead: str) -> Table:
    """Loads a data set of the hub; ``instead`` is what else the user may set.

    Raises:
        DataError: The hub is not reachable, or has no such data set.
    """
    import datasets  # as above

    try:
        table: Table = datasets.load_dataset(name, split=split, revision=revision)
    except ConnectionError as error:
        raise DataError(
            f"{name} is not reachable (ConnectionError: {_first_line(error)}); set path to a local "
            f"copy, or {instead}"
        ) from error
    except Exception as error:  # of any of the libraries below the hub's client
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise DataError(f"{name} cannot be loaded from the hub ({reason})") from error
    return table


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
