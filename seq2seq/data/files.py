"""Files of text: opened, unpacked, checked, decoded; and what identifies their content.

Every text file passes through :func:`read_lines`, or as a whole through :func:`read_text`, in
constant memory.
"""

import codecs
import glob
import gzip
import hashlib
import json
import logging
import os
import re
import reprlib
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from typing import IO, Any, Literal, cast

from seq2seq.errors import DataError, nearest

STANDARD_INPUT = "-"
GZIP_MAGIC = b"\x1f\x8b"
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"
SNIFFED_BYTES = 4096
BLOCK_BYTES = 2**16
PACKED_SUFFIXES = (".gz", ".zst")
JSONL_SUFFIXES = (".jsonl", ".ndjson")
WILD = re.compile(r"[*?\[]")
"""What makes a pattern of a path."""
SURROGATE = re.compile("[\ud800-\udfff]")
log = logging.getLogger("seq2seq")


def read_lines(path: str | Path, errors: Literal["strict", "replace"] = "strict") -> Iterator[str]:
    r"""Yields the lines of a UTF-8 text file, gzip-compressed or not; ``"-"`` is standard input.

    Only ``"\n"`` ends a line, as for ``wc -l``; one ``"\r"`` before it is dropped. Other separators
    of Unicode stay in the text, or the lines of two files would no longer stand side by side.

    Raises:
        DataError: The file is missing, empty, unreadable, damaged or not UTF-8.
    """
    name = name_of(path)
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
    name, nulls, held = name_of(path), 0, ""
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
    """Opens a file of text, unpacked, and refuses what is not UTF-8 at first sight."""
    name = name_of(path)
    with unpacked(path) as stream:
        head = stream.peek(SNIFFED_BYTES)[:SNIFFED_BYTES]
        if not head and not empty:
            raise DataError(f"{name} is empty; at least one line is needed")
        if _like_utf16(head):
            raise DataError(f"{name} looks like UTF-16, run iconv -f UTF-16 -t UTF-8 on it")
        yield stream


@contextmanager
def unpacked(path: str | Path) -> Iterator[BufferedReader]:
    """Opens a file of any kind as :func:`opened` does; what gzip has packed comes out unpacked.

    Raises:
        DataError: It cannot be read, or is packed in another way.
    """
    name = name_of(path)
    with opened(path) as file:
        magic = file.peek(4)[:4]
        if magic.startswith(ZSTANDARD_MAGIC):
            raise DataError(f"{name} is packed by zstd, only gzip is read; unpack it with zstd -d")
        packed = magic.startswith(GZIP_MAGIC) or (magic and name.endswith(".gz"))
        yield BufferedReader(cast(Any, _Unpacked(file))) if packed else file


class _Available:
    """A file of which a block is what has arrived; gzip would wait until one is full."""

    def __init__(self, file: BufferedReader) -> None:
        self.file = file

    def read(self, size: int) -> bytes:
        return self.file.read1(size)


class _Unpacked(RawIOBase):
    """What a gzip-compressed file holds, as soon as it has arrived."""

    def __init__(self, file: BufferedReader) -> None:
        self.gzip = gzip.GzipFile(fileobj=cast(IO[bytes], _Available(file)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        block = self.gzip.read1(len(buffer))
        buffer[: len(block)] = block
        return len(block)


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedReader]:
    """Opens a file and tells each failure of the system or of gzip in one line."""
    name = name_of(path)
    try:
        with _stdin() if path == STANDARD_INPUT else open(path, "rb") as file:
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
    try:
        # Not Python's own reader: what waits in another thread for a line would lock it at the end.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except (OSError, ValueError):  # a program has put something else there
        return BufferedReader(BytesIO(sys.stdin.buffer.read()))


def _like_utf16(head: bytes) -> bool:
    """Tells UTF-16 by its byte order mark, or by NUL as every other byte of Latin letters."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    nulls = max(head[0::2].count(0), head[1::2].count(0))
    return len(head) >= 16 and nulls > 0.4 * (len(head) // 2)


def name_of(path: str | Path) -> str:
    """Returns what a file is called in messages."""
    return "standard input" if path == STANDARD_INPUT else str(path)


@cache  # a corpus is read several times, and told of once
def _tell_of_nulls(name: str, count: int) -> None:
    log.warning("%s: replaced %s NUL characters by U+FFFD", name, f"{count:,}")


def is_blank(text: str) -> bool:
    """Tells whether a text is empty, or white space alone."""
    return not text or text.isspace()


def suffix_of(path: str) -> str:
    """Returns the last part of a file's name, such as ``.tsv``; what says it is packed left out."""
    for packed in PACKED_SUFFIXES:
        path = path.removesuffix(packed)
    return Path(path).suffix


def is_pattern(path: str, folder: Path) -> bool:
    """Tells whether a path stands for files whose names match, not for one of that very name."""
    return WILD.search(path) is not None and not (folder / path).exists()


def matching(pattern: str, folder: Path) -> list[str]:
    """Returns the names of the files that match a pattern in a folder, sorted.

    Raises:
        DataError: There are none.
    """
    names = glob.glob(pattern, root_dir=folder, recursive=True)
    matches = {os.path.normpath(name) for name in names if (folder / name).is_file()}
    if not matches:
        raise DataError(
            f"{folder / pattern}: matches no file; * stands for any name, ** for any folders"
        )
    return sorted(matches)


def read_objects(path: Path) -> Iterator[tuple[str, Mapping[str, object] | None]]:
    """Yields the object in each line of a JSONL file, None for a blank line, and where it stood.

    Raises:
        DataError: The file cannot be read, or a line is not a JSON object.
    """
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}: line {number:,}"
        yield where, object_of(line, where)


def object_of(line: str, where: str) -> Mapping[str, object] | None:
    """Returns the object in a line of JSON, or None if it is blank; ``where`` it stands.

    Raises:
        DataError: The line is not a JSON object.
    """
    if is_blank(line):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error}); one object a line is needed") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: must be a JSON object, got {reprlib.repr(row)}")
    return row


def text_of(row: Mapping[str, object], column: str, where: str) -> str:
    """Returns one text of a row; dots in the name of the column reach into nested rows.

    Raises:
        DataError: The column is missing, or does not hold Unicode text.
    """
    value: object = row
    for key in [column] if column in row else column.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise no_column(where, column, value if isinstance(value, Mapping) else ())
        value = value[key]
    if not isinstance(value, str):
        raise DataError(f"{where}: {column} must be text, got {reprlib.repr(value)}")
    if not value.isascii() and SURROGATE.search(value):
        raise DataError(
            f"{where}: {column} holds half a surrogate pair; whole characters are needed"
        )
    return value


def no_column(where: str, column: str, found: Iterable[str]) -> DataError:
    """Returns the error that a row, or a file, has no such column; tells the nearest."""
    names = [name if name.isprintable() else repr(name) for name in found]
    last = column.rpartition(".")[2]
    return DataError(
        f"{where}: has no column {column}; found {', '.join(names) or 'none'}{nearest(last, names)}"
    )


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(settings: str, *paths: Path) -> str:
    """Returns ``settings`` and the SHA-256 of each file; tells failures as :func:`opened` does."""
    for path in paths:
        with opened(path) as file:
            settings += " " + hashlib.file_digest(file, "sha256").hexdigest()
    return settings


def digest_of_items(items: Sequence[object]) -> str:
    """Returns the SHA-256 of texts, or tuples of them, in memory."""
    content = hashlib.sha256()
    for item in items:
        content.update(json.dumps(item).encode())
    return content.hexdigest()
