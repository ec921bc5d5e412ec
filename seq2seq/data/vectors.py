"""Pretrained embeddings, as GloVe, fastText and word2vec write them; only what is wanted is kept.

Text: a token and its numbers a line, parted by spaces; a first line that tells how many rows there
are, and how wide they are, may stand before them. Binary (``word2vec -binary 1``): that line, then
for each row the token, a space, and as many float32 numbers, little end first.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
from tqdm import tqdm

from seq2seq.data.files import BLOCK_BYTES, is_blank, read_lines, unpacked
from seq2seq.errors import ConfigError, DataError, brief
from seq2seq.text.fixed import JOINER

HEADER = re.compile(rb"(\d+)[ \t]+(\d+)[ \t\r]*\n")
NUMBER = re.compile(rb"[-+]?[\d.]+([eE][-+]?\d+)?|nan|-?inf")
Row: TypeAlias = tuple[int, str, str | bytes]
"""The number of the line or row, its token, and its numbers as they are written."""


@dataclass(frozen=True)
class Found:
    """What a file has of the tokens that are wanted."""

    rows: Mapping[str, np.ndarray]
    """The numbers of each token that is there, float32."""
    lowered: int
    """How many of them are there in lower case only."""


@dataclass(frozen=True)
class Layout:
    """How a file is written."""

    width: int
    """Numbers of a vector."""
    rows: int | None
    """As the first line tells; None: there is no such line."""
    binary: bool


def read_vectors(path: Path, tokens: Iterable[str], width: int, key: str, width_key: str) -> Found:
    """Reads the vectors of tokens; what is not there is looked for in lower case.

    Of a mark that touches its neighbour (:data:`JOINER`) the mark alone is looked for, too. Of
    several rows of one token the first counts. ``key`` names the file in the configuration, and
    ``width_key`` says how wide vectors are to be; both are for messages.

    Raises:
        ConfigError: Vectors are not ``width`` numbers wide.
        DataError: The file cannot be read, or is damaged.
    """
    layout = _layout(path)
    if layout.width != width:
        raise ConfigError(
            f"{key}: {path} has vectors of {layout.width:,} numbers, the model's are of {width:,}; "
            f"set {width_key}: {layout.width}"
        )
    spellings = {token: _spellings(token) for token in tokens}
    kept = _kept(path, layout, frozenset(chain.from_iterable(spellings.values())), key)
    chosen = {
        token: next((spelling for spelling in ways if spelling in kept), None)
        for token, ways in spellings.items()
    }
    found = {token: kept[spelling] for token, spelling in chosen.items() if spelling is not None}
    exact = sum(chosen[token] in (token, token.strip(JOINER)) for token in found)
    return Found(found, len(found) - exact)


def _spellings(token: str) -> tuple[str, ...]:
    """Returns how a token may stand in a file, the best first."""
    bare = token.strip(JOINER)
    return tuple(dict.fromkeys((token, bare, token.lower(), bare.lower())))


def _layout(path: Path) -> Layout:
    """Tells by its beginning how a file is written."""
    with unpacked(path) as stream:
        head = stream.read(BLOCK_BYTES)
    header = HEADER.match(head)
    line, *_ = head[header.end() if header else 0 :].split(b"\n", 1)
    fields = line.replace(b"\t", b" ").split()
    written = bool(fields) and NUMBER.fullmatch(fields[-1]) is not None
    if header is not None:
        return Layout(int(header[2]), int(header[1]), binary=not written)
    if not written:
        found = brief(line.decode("utf-8", "replace"))
        raise DataError(f"{path}: line 1: must be a token and its numbers, got {found}")
    return Layout(len(fields) - 1, None, binary=False)


def _kept(path: Path, layout: Layout, wanted: frozenset[str], key: str) -> dict[str, np.ndarray]:
    """Reads a file, and keeps the first row of each wanted token."""
    kept: dict[str, np.ndarray] = {}
    rows = _binary(path, layout) if layout.binary else _text(path, layout)
    for number, token, written in tqdm(rows, key, layout.rows, unit=" rows", disable=None):
        if token in wanted and token not in kept:
            kept[token] = vector = _numbers(written)
            if len(vector) != layout.width or not np.isfinite(vector).all():
                place = f"{'row' if layout.binary else 'line'} {number:,}"
                shown = written if isinstance(written, str) else vector.tolist()
                raise DataError(
                    f"{path}: {place}: {token} needs {layout.width} numbers, got {brief(shown)}"
                )
    return kept


def _numbers(written: str | bytes) -> np.ndarray:
    """Returns the numbers of a row; none where something else stands there."""
    if isinstance(written, bytes):
        return np.frombuffer(written, "<f4").astype(np.float32)
    with suppress(ValueError):
        return np.array(written.split(), np.float32)
    return np.empty(0, np.float32)


def _text(path: Path, layout: Layout) -> Iterator[Row]:
    """Yields the rows of a text; a token may have spaces inside, as some of GloVe's do.

    What is no UTF-8 is no token that anybody wants.
    """
    for number, line in enumerate(read_lines(path, "replace"), 1):
        if (number == 1 and layout.rows is not None) or is_blank(line):
            continue
        line = line.replace("\t", " ").rstrip(" ")
        spaces = line.count(" ")
        if spaces < layout.width:
            raise DataError(
                f"{path}: line {number:,}: must be a token and {layout.width} numbers, "
                f"got {brief(line)}"
            )
        few = spaces == layout.width
        token = line.partition(" ")[0] if few else line.rsplit(" ", layout.width)[0]
        yield number, token, line[len(token) + 1 :]


def _binary(path: Path, layout: Layout) -> Iterator[Row]:
    """Yields the rows of word2vec's binary form."""
    size = 4 * layout.width
    with unpacked(path) as stream:
        stream.readline()
        for number in range(1, (layout.rows or 0) + 1):
            token, numbers = _token(stream), stream.read(size)
            if len(numbers) < size:
                raise DataError(
                    f"{path}: row {number:,}: the file ends here; its first line tells of "
                    f"{layout.rows:,} rows of {layout.width} numbers"
                )
            yield number, token.decode("utf-8", "replace"), numbers


def _token(stream: BufferedReader) -> bytes:
    """Reads up to a space; a line's end before the token belongs to the row before."""
    return b"".join(iter(lambda: stream.read(1).replace(b" ", b""), b"")).lstrip(b"\n")
