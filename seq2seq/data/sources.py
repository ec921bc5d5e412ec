"""Corpora as streams of pairs of text, read in constant memory; nothing here tokenizes.

Every text file passes through :func:`read_lines`, or whole through :func:`read_text`.
"""

import codecs
import gzip
import hashlib
import json
import logging
import re
import reprlib
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from io import BufferedReader, BytesIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from seq2seq.errors import ConfigError, DataError, nearest, require

Pair: TypeAlias = tuple[str, str]
Format = Literal["auto", "text", "tsv", "jsonl", "dataset", "hub"]

STANDARD_INPUT = "-"
GZIP_MAGIC = b"\x1f\x8b"
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"
SNIFFED_BYTES = 4096
BLOCK_BYTES = 2**16
ROWS_AT_ONCE = 1000
SURROGATE = re.compile("[\ud800-\udfff]")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
FORMAT_OF_SUFFIX: dict[str, Format] = {".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

logger = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where pairs of source and target text come from."""

    source: str | None = None
    """File with one source text per line (.gz too); belongs with target."""
    target: str | None = None
    """File with one target text per line (.gz too); belongs with source."""
    path: str | None = None
    """One file or folder with both sides: TSV or JSONL (.gz too), a folder written by datasets'
    save_to_disk, or a hub id owner/name."""
    format: Format = "auto"
    """How both sides are stored; auto tells from the name of path."""
    source_column: str = "source"
    """Column of the source texts. Dots reach into nested columns: translation.de. In a TSV file:
    numbers from 0, or names in its header line; by default the first two if it has no header."""
    target_column: str = "target"
    """Column of the target texts, named as for source_column."""
    split: str = "train"
    """Split of a hub data set, or of a folder with several."""
    revision: str | None = None
    """Commit, tag or branch of a hub data set."""
    limit: int = 0
    """Use only the first pairs; 0 uses all."""

    def __post_init__(self) -> None:
        files = (self.source, self.target)
        if self.path is None:
            accepted = "one file or folder with both sides, unless source and target are given"
            require(None not in files, "path", accepted, self.path)
            require(
                self.format in ("auto", "text"), "format", "text or auto for two files", self.format
            )
        else:
            require(files == (None, None), "path", "left out beside source and target", self.path)
            require(
                self.format != "text", "format", "auto, tsv, jsonl, dataset or hub", self.format
            )
        require(self.source_column != "", "source_column", "the name of a column", "")
        require(self.target_column != "", "target_column", "the name of a column", "")
        require(self.limit >= 0, "limit", "0 or more", self.limit)


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


@dataclass(frozen=True)
class Corpus:
    """A named stream of pairs that can be read again and again.

    >>> corpus = Corpus.of([("ein Hund", "a dog"), ("eine Katze", "a cat")])
    >>> list(corpus.targets())
    ['a dog', 'a cat']
    """

    name: str
    read: Callable[[], Iterator[Pair]]
    digest: Callable[[], str]
    limit: int = 0

    @classmethod
    def of(cls, pairs: Sequence[Pair], name: str = "pairs") -> "Corpus":
        """Returns a corpus of pairs in memory."""
        return cls(name, lambda: iter(pairs), lambda: digest_of_items(pairs))

    def pairs(self) -> Iterator[Pair]:
        """Yields each pair, also those with a blank side (see :func:`usable`).

        Raises:
            DataError: The corpus cannot be read, or its sides do not belong together.
        """
        return islice(self.read(), self.limit or None)

    def sources(self) -> Iterator[str]:
        """Yields the source of each pair."""
        return (source for source, _ in self.pairs())

    def targets(self) -> Iterator[str]:
        """Yields the target of each pair."""
        return (target for _, target in self.pairs())

    def fingerprint(self) -> str:
        """Returns a SHA-256 that changes when what :meth:`pairs` yields may have changed."""
        return hashlib.sha256(f"{self.limit} {self.digest()}".encode()).hexdigest()


def open_corpus(config: CorpusConfig, folder: Path) -> Corpus:
    """Opens a corpus and reads its first pair; relative paths are relative to ``folder``.

    Raises:
        ConfigError: The format of ``path`` cannot be told from its name.
        DataError: The corpus is missing, empty or unreadable, or lacks a column.
    """
    if config.path is not None:
        corpus = _open_path(config, config.path, folder)
    else:
        source, target = folder / (config.source or ""), folder / (config.target or "")
        corpus = _open_text(source, target, config.limit)
    if next(corpus.pairs(), None) is None:
        raise DataError(f"{corpus.name}: holds no pairs; at least one is needed")
    return corpus


def pairs_of(rows: Iterable[object], name: str) -> list[Pair]:
    """Returns rows from Python as pairs; ``name`` is what they are called in messages.

    Raises:
        DataError: A row is not two texts.
    """
    pairs = []
    for number, row in enumerate(rows):
        match row:
            case [str(source), str(target)]:  # which a text of two characters is not
                pairs.append((source, target))
            case _:
                wanted = "must be a source and a target text"
                raise DataError(f"{name}: row {number:,}: {wanted}, got {reprlib.repr(row)}")
    return pairs


def usable(pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    """Yields the pairs with text on both sides and counts the others in ``dropped["blank"]``."""
    for source, target in pairs:
        if _blank(source) or _blank(target):
            dropped["blank"] += 1
        else:
            yield source, target


def read_lines(path: str | Path, errors: Literal["strict", "replace"] = "strict") -> Iterator[str]:
    r"""Yields the lines of a UTF-8 text file, gzip-compressed or not; ``"-"`` is standard input.

    Only ``"\n"`` ends a line, as for ``wc -l``; one ``"\r"`` before it is dropped. Other separators
    of Unicode stay in the text, or the lines of two files would no longer stand side by side.

    Raises:
        DataError: The file is missing, empty, unreadable, damaged or not UTF-8.
    """
    name = _name(path)
    offset = nulls = 0
    with _reading(path) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8", errors)
            except UnicodeDecodeError as error:
                wrong = _not_utf8(name, number, raw[error.start], offset + error.start)
                raise DataError(f"{wrong}, or read it with errors=replace") from None
            if "\0" in line:
                nulls += line.count("\0")
                line = line.replace("\0", "\N{REPLACEMENT CHARACTER}")
            if number == 1:
                line = line.removeprefix("\N{BYTE ORDER MARK}")
            offset += len(raw)
            yield line.removesuffix("\n").removesuffix("\r")
    if nulls:
        _tell_of_nulls(name, nulls)


def read_text(path: Path) -> Iterator[str]:
    r"""Yields a UTF-8 text file, gzip-compressed or not, block by block.

    Every character is kept, but ``"\r\n"`` becomes ``"\n"``. An empty file yields nothing.

    Raises:
        DataError: The file is missing, unreadable, damaged or not UTF-8.
    """
    name, nulls, held = _name(path), 0, ""
    with _reading(path, empty=True) as stream:
        for number, block in enumerate(_decoded(stream, name)):
            text = held + (block if number else block.removeprefix("\N{BYTE ORDER MARK}"))
            held = "\r" if text.endswith("\r") else ""  # the next block may begin with "\n"
            text = text.removesuffix("\r").replace("\r\n", "\n")
            if "\0" in text:
                nulls += text.count("\0")
                text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
            if text:
                yield text
    if held:
        yield held
    if nulls:
        _tell_of_nulls(name, nulls)


def _decoded(stream: BufferedReader, name: str) -> Iterator[str]:
    """Decodes UTF-8 block by block; a character that lies across two comes with the second."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line, more = 0, 1, True
    while more:
        block = stream.read(BLOCK_BYTES)
        more = bool(block)
        try:
            text = decoder.decode(block, final=not more)
        except UnicodeDecodeError as error:
            line += error.object.count(b"\n", 0, error.start)
            at = offset - (len(error.object) - len(block)) + error.start
            raise DataError(_not_utf8(name, line, error.object[error.start], at)) from None
        offset += len(block)
        line += text.count("\n")
        if text:
            yield text


def _not_utf8(name: str, line: int, byte: int, offset: int) -> str:
    where = f"{name}: line {line:,}: byte 0x{byte:02x} at offset {offset:,}"
    return f"{where} is not UTF-8; convert the file with iconv"


@contextmanager
def _reading(path: str | Path, empty: bool = False) -> Iterator[BufferedReader]:
    """Opens a file of text, unpacks it, and refuses what is not UTF-8 at first sight."""
    name = _name(path)
    with opened(path) as file:
        magic = file.peek(4)[:4]
        if magic.startswith(ZSTANDARD_MAGIC):
            raise DataError(f"{name} is packed by zstd, only gzip is read; unpack it with zstd -d")
        packed = magic.startswith(GZIP_MAGIC) or (magic and name.endswith(".gz"))
        stream = _unpacked(file) if packed else file
        head = stream.peek(SNIFFED_BYTES)[:SNIFFED_BYTES]
        if not head and not empty:
            raise DataError(f"{name} is empty; at least one line is needed")
        if _like_utf16(head):
            raise DataError(f"{name} looks like UTF-16, run iconv -f UTF-16 -t UTF-8 on it")
        yield stream


def _unpacked(file: BufferedReader) -> BufferedReader:
    return BufferedReader(gzip.GzipFile(fileobj=file))


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedReader]:
    """Opens a file and tells each failure of the system or of gzip in one line."""
    name = _name(path)
    try:
        with nullcontext(_stdin()) if path == STANDARD_INPUT else open(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        siblings = [entry.name for entry in Path(path).parent.glob("*")]
        close = nearest(Path(path).name, siblings)
        raise DataError(f"{name} does not exist{close}") from error
    except IsADirectoryError as error:
        raise DataError(f"{name} is a directory; a file is needed") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: the gzip data are damaged or cut off ({error})") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror or error})") from error


def _stdin() -> BufferedReader:
    if sys.stdin is None or sys.stdin.closed:
        raise DataError("standard input is closed; give a file, or text through a pipe")
    stream = sys.stdin.buffer
    return stream if isinstance(stream, BufferedReader) else BufferedReader(BytesIO(stream.read()))


def _like_utf16(head: bytes) -> bool:
    """Tells UTF-16 by its byte order mark, or by NUL as every other byte of Latin letters."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    nulls = max(head[0::2].count(0), head[1::2].count(0))
    return len(head) >= 16 and nulls > 0.4 * (len(head) // 2)


def _name(path: str | Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


@cache  # a corpus is read several times, and told of once
def _tell_of_nulls(name: str, count: int) -> None:
    logger.warning("%s: replaced %s NUL characters by U+FFFD", name, f"{count:,}")


def _blank(text: str) -> bool:
    return not text or text.isspace()


def _open_path(config: CorpusConfig, path: str, folder: Path) -> Corpus:
    kind = config.format if config.format != "auto" else _format(path, folder)
    if kind == "hub":
        instead = "source and target to two text files"
        table = load_from_hub(path, config.split, config.revision, instead)
        return _open_table(path, table, config)
    if kind == "dataset":
        table = load_from_disk(folder / path, config.split)
        return _open_table(str(folder / path), table, config)
    read = _read_tsv if kind == "tsv" else _read_jsonl
    file = folder / path
    columns = f"{kind} {config.source_column} {config.target_column}"
    return Corpus(
        str(file), lambda: read(file, config), lambda: digest_of(columns, file), config.limit
    )


def _format(path: str, folder: Path) -> Format:
    found = format_of(path, folder)
    if found is None:
        accepted = "tsv, jsonl, dataset or hub"
        raise ConfigError(
            f"path: cannot tell the format of {path!r} by its name; set format: {accepted}"
        )
    return found


def format_of(path: str, folder: Path) -> Format | None:
    """Returns the format that the name of ``path`` tells, or None."""
    unpacked = Path(path.removesuffix(".gz").removesuffix(".zst"))
    if unpacked.suffix in FORMAT_OF_SUFFIX:
        return FORMAT_OF_SUFFIX[unpacked.suffix]
    if (folder / path).is_dir():
        return "dataset"
    return "hub" if HUB_ID.fullmatch(path) and not (folder / path).exists() else None


def _open_text(source: Path, target: Path, limit: int) -> Corpus:
    return Corpus(
        f"{source}, {target}",
        lambda: _read_parallel(source, target),
        lambda: digest_of("text", source, target),
        limit,
    )


def _read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    for left, right in zip_longest(read_lines(source), read_lines(target)):
        if left is None or right is None:
            raise DataError(_unequal(source, target))
        yield left, right


def _unequal(source: Path, target: Path) -> str:
    """Counts both files again, and looks for the place where they went apart."""
    lines, others = (sum(1 for _ in read_lines(path)) for path in (source, target))
    pairs = zip(read_lines(source), read_lines(target), strict=False)
    places = (n for n, (left, right) in enumerate(pairs, 1) if _blank(left) != _blank(right))
    odd = ", ".join(f"{place:,}" for place in islice(places, 3))
    hint = f"only one side is blank at line {odd}" if odd else "each line needs its translation"
    return f"{source} has {lines:,} lines, {target} {others:,}; {hint}"


def _read_tsv(path: Path, config: CorpusConfig) -> Iterator[Pair]:
    header = next(read_lines(path)).split("\t")
    source, target, skipped = _tsv_columns(path, header, config)
    needed = max(source, target) + 1
    for number, line in islice(enumerate(read_lines(path), 1), skipped, None):
        fields = line.split("\t") if line else [""] * needed
        if len(fields) < needed:
            raise DataError(
                f"{path}: line {number:,}: has {len(fields)} of the {needed} columns needed; tabs "
                "part them"
            )
        yield fields[source], fields[target]


def _tsv_columns(path: Path, header: list[str], config: CorpusConfig) -> tuple[int, int, int]:
    """Returns the places of source and target, and the number of header lines."""
    names = (config.source_column, config.target_column)
    if all(name.isdecimal() for name in names):
        return int(names[0]), int(names[1]), 0
    missing = [name for name in names if name not in header]
    if not missing:
        return header.index(names[0]), header.index(names[1]), 1
    if len(missing) == 2 and names == (CorpusConfig.source_column, CorpusConfig.target_column):
        if len(header) > 1:
            _tell_of_no_header(str(path), len(header))
        return 0, 1, 0
    raise _no_column(f"{path}: line 1", missing[0], header)


@cache  # as above
def _tell_of_no_header(name: str, columns: int) -> None:
    logger.info(
        "%s: no header with the names source and target: line 1 is a pair; of %d columns the "
        "first two are read",
        *(name, columns),
    )


def _read_jsonl(path: Path, config: CorpusConfig) -> Iterator[Pair]:
    source, target = config.source_column, config.target_column
    for where, row in read_objects(path):
        if row is None:
            yield "", ""
        else:
            yield text_of(row, source, where), text_of(row, target, where)


def read_objects(path: Path) -> Iterator[tuple[str, Mapping[str, object] | None]]:
    """Yields the object in each line of a JSONL file, None for a blank line, and where it stood.

    Raises:
        DataError: The file cannot be read, or a line is not a JSON object.
    """
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}: line {number:,}"
        if _blank(line):
            yield where, None
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: is not JSON ({error}); one object a line is needed"
            ) from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be a JSON object, got {reprlib.repr(row)}")
        yield where, row


def text_of(row: Mapping[str, object], column: str, where: str) -> str:
    """Returns one text of a row; dots in the name of the column reach into nested rows.

    Raises:
        DataError: The column is missing, or does not hold Unicode text.
    """
    value: object = row
    for key in [column] if column in row else column.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise _no_column(where, column, value if isinstance(value, Mapping) else ())
        value = value[key]
    if not isinstance(value, str):
        raise DataError(f"{where}: {column} must be text, got {reprlib.repr(value)}")
    if not value.isascii() and SURROGATE.search(value):
        raise DataError(
            f"{where}: {column} holds half a surrogate pair; whole characters are needed"
        )
    return value


def _no_column(where: str, column: str, found: Iterable[str]) -> DataError:
    names = list(found)
    last = column.rpartition(".")[2]
    return DataError(
        f"{where}: has no column {column}; found {', '.join(names) or 'none'}{nearest(last, names)}"
    )


def _open_table(name: str, table: Table, config: CorpusConfig) -> Corpus:
    columns = f"{config.source_column} {config.target_column}"
    return Corpus(
        name,
        lambda: _read_table(name, table, config),
        lambda: f"{columns} {table._fingerprint}",
        config.limit,
    )


def _read_table(name: str, table: Table, config: CorpusConfig) -> Iterator[Pair]:
    source, target = config.source_column, config.target_column
    for where, row in read_rows(name, table, [source, target]):
        yield text_of(row, source, where), text_of(row, target, where)


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
            raise _no_column(name, column, table.column_names)
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


def digest_of(settings: str, *paths: Path) -> str:
    """Returns ``settings`` and the SHA-256 of each file."""
    for path in paths:
        with opened(path) as file:
            settings += " " + hashlib.file_digest(file, "sha256").hexdigest()
    return settings


def digest_of_items(items: Sequence[object]) -> str:
    """Returns the SHA-256 of texts, or tuples of them, in memory."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps(item).encode())
    return digest.hexdigest()
