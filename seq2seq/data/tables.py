"""Tables: Parquet and Arrow files, folders of the library ``datasets``, and the hub."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa
from pyarrow import parquet

from seq2seq.data.files import GZIP_MAGIC, no_column, opened
from seq2seq.errors import DataError, nearest

ROWS_AT_ONCE = 1000
ARROW_MAGIC = b"ARROW1"
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
Rows: TypeAlias = Iterator[tuple[str, Mapping[str, object]]]
"""Where each row stands, and what it has."""


@runtime_checkable
class Stream(Protocol):
    """The part of ``datasets.IterableDataset`` that is used here; to import it costs seconds."""

    column_names: list[str] | None

    def select_columns(self, column_names: list[str]) -> "Stream":
        """Returns the table without other columns."""

    def with_format(self, type: None) -> "Stream":
        """Returns the table with rows of plain Python values."""

    def iter(self, batch_size: int) -> Iterator[dict[str, list[object]]]:
        """Yields rows by columns, many at a time."""


@runtime_checkable
class Table(Stream, Protocol):
    """That of ``datasets.Dataset``, which knows its content."""

    _fingerprint: str


def is_hub_id(path: str, folder: Path) -> bool:
    """Tells whether a path reads as ``owner/name`` and is nothing in ``folder``."""
    return HUB_ID.fullmatch(path) is not None and not (folder / path).exists()


def read_rows(name: str, table: Stream, columns: Sequence[str]) -> Rows:
    """Yields what a table's rows have in ``columns``, and where each stands.

    Raises:
        DataError: A column is missing.
    """
    tops = _tops(name, columns, table.column_names or _names_in_first(table))
    return _numbered(name, tops, table.select_columns(tops).with_format(None).iter(ROWS_AT_ONCE))


def _names_in_first(table: Stream) -> list[str]:
    """Returns the columns of the first row: a stream may not tell them otherwise."""
    return list(next(table.iter(1), {}))


def read_parquet(path: Path, columns: Sequence[str]) -> Rows:
    """Yields what the rows of a Parquet file have in ``columns``, and where each stands.

    Raises:
        DataError: The file cannot be read, or a column is missing.
    """
    with _arrow_file(path, "Parquet") as file:
        table = parquet.ParquetFile(file)
        tops = _tops(str(path), columns, table.schema_arrow.names)
        batches = table.iter_batches(ROWS_AT_ONCE, columns=tops)
        yield from _numbered(str(path), tops, _small(batches, tops))


def read_arrow(path: Path, columns: Sequence[str]) -> Rows:
    """Yields the same of a file in Arrow's file or stream format (Feather's second is the former).

    Raises:
        DataError: The file cannot be read, or a column is missing.
    """
    with _arrow_file(path, "Arrow") as file:
        if file.peek(len(ARROW_MAGIC)).startswith(ARROW_MAGIC):
            table = pa.ipc.open_file(file)
            batches = map(table.get_batch, range(table.num_record_batches))
        else:
            batches = table = pa.ipc.open_stream(file)
        tops = _tops(str(path), columns, table.schema.names)
        yield from _numbered(str(path), tops, _small(batches, tops))


def _small(batches: Iterable[Any], tops: list[str]) -> Iterator[dict[str, list[object]]]:
    """Cuts batches, which may be as large as the file, before they become Python's values; those of
    a damaged file would end the process.
    """  # noqa: D205
    for batch in batches:
        wanted = batch.select(tops)
        wanted.validate(full=True)
        for start in range(0, len(wanted), ROWS_AT_ONCE):
            yield wanted.slice(start, ROWS_AT_ONCE).to_pydict()


@contextmanager
def _arrow_file(path: Path, kind: str) -> Iterator[BufferedReader]:
    """Opens a file for pyarrow, and tells in one line what that finds wrong."""
    with opened(path) as file:
        if file.peek(2).startswith(GZIP_MAGIC):
            raise DataError(f"{path}: is packed by gzip, as only text may be; run gunzip on it")
        try:
            yield file
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            reason = _first_line(error) or "it asks for too much memory"
            raise DataError(f"{path}: is not {kind} that can be read ({reason})") from error


def _tops(name: str, columns: Sequence[str], found: Sequence[str]) -> list[str]:
    """Returns the columns at the top of a table that hold those wanted."""
    wanted = set()
    for column in columns:
        top = column if column in found else column.split(".")[0]
        if top not in found:
            raise no_column(name, column, found)
        wanted.add(top)
    return sorted(wanted)


def _numbered(
    name: str, tops: Sequence[str], batches: Iterable[Mapping[str, list[object]]]
) -> Rows:
    number = 0
    for batch in batches:
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
        raise DataError(
            f"{path} was not written by datasets' save_to_disk ({reason}); if it holds files of "
            "pairs, name their format"
        ) from error
    splits: dict[str, Table] = loaded if isinstance(loaded, dict) else {split: loaded}
    if split not in splits:
        found, close = ", ".join(splits), nearest(split, splits)
        raise DataError(f"{path}: has no split {split}; found {found}{close}")
    return splits[split]


@dataclass(frozen=True)
class HubPlace:
    """A data set of the hub, or a part of one."""

    name: str
    split: str
    revision: str | None = None
    configuration: str | None = None
    files: tuple[str, ...] = ()

    @property
    def _chosen(self) -> dict[str, Any]:
        """What is not left to the data set, as arguments of ``datasets``."""
        chosen = {"name": self.configuration, "data_files": list(self.files)}
        return {"revision": self.revision} | {key: one for key, one in chosen.items() if one}

    @property
    def described(self) -> str:
        """All of it in a text."""
        parts = (self.configuration, *self.files, self.split, self.revision)
        return " ".join(part or "-" for part in (self.name, *parts))


def commit_of(place: HubPlace, commits: dict[str, str], instead: str) -> str | None:
    """Returns the commit that a data set's revision stands for; the revision if the hub tells none.

    As ``commits`` tell, by name and revision; those that are not there are asked for and put in.
    ``instead`` is what else the user may set.

    Raises:
        DataError: The hub is not reachable, or has no such data set.
    """
    import datasets  # as above

    key = f"{place.name}@{place.revision}" if place.revision else place.name
    if key not in commits:
        builder = _of_hub(
            place, instead, lambda: datasets.load_dataset_builder(place.name, **place._chosen)
        )
        found = str(getattr(builder, "hash", None))
        if not COMMIT.fullmatch(found):
            return place.revision
        commits[key] = found
    return commits[key]


def load_from_hub(place: HubPlace, instead: str) -> Table:
    """Loads a data set of the hub; ``instead`` is what else the user may set.

    Raises:
        DataError: The hub is not reachable, or has no such data set.
    """
    table: Table = _load(place, instead)
    return table


def stream_from_hub(place: HubPlace, instead: str) -> Stream:
    """Opens a data set of the hub that is read over the network, as often as it is asked for.

    Raises:
        DataError: The hub is not reachable, or has no such data set.
    """
    stream: Stream = _load(place, instead, streaming=True)
    return stream


def _load(place: HubPlace, instead: str, streaming: bool = False) -> Any:  # noqa: ANN401
    import datasets  # as above

    settings = {"split": place.split, **place._chosen} | ({"streaming": True} if streaming else {})
    return _of_hub(place, instead, lambda: datasets.load_dataset(place.name, **settings))


def _of_hub(place: HubPlace, instead: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Returns what the hub gives, and tells in one line what goes wrong."""
    try:
        return ask()
    except ConnectionError as error:
        raise DataError(
            f"{place.name} is not reachable (ConnectionError: {_first_line(error)}); set path to a "
            f"local copy, or {instead}"
        ) from error
    except Exception as error:  # of any of the libraries below the hub's client
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise DataError(f"{place.name} cannot be loaded from the hub ({reason})") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
