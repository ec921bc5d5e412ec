"""Texts for language models: documents as streams of blocks, read in constant memory.

Unlike in corpora of pairs, where a text stands in one line, every character counts here, line ends
included.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeAlias

from seq2seq.data.files import (
    JSONL_SUFFIXES,
    digest_of,
    digest_of_items,
    is_pattern,
    matching,
    opened,
    read_objects,
    read_text,
    suffix_of,
    text_of,
)
from seq2seq.data.pipes import rereadable
from seq2seq.data.tables import (
    HubPlace,
    Table,
    is_hub_id,
    load_from_disk,
    load_from_hub,
    read_arrow,
    read_parquet,
    read_rows,
)
from seq2seq.errors import ConfigError, DataError, PathText, as_texts, require

Document: TypeAlias = Iterator[str]
Unit = Literal["file", "line", "paragraph"]

BLOCK = 2**16


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Where the text of a language model comes from."""

    files: tuple[PathText, ...] = ()
    """Text files (.gz too), or patterns such as **/*.py; sorted by name, each once."""
    path: PathText | None = None
    """Instead of files: a JSONL file (.gz too), a Parquet or Arrow file, a folder written by
    datasets' save_to_disk, or a hub id owner/name."""
    column: str = "text"
    """Column of the texts in path. Dots reach into nested columns."""
    split: str = "train"
    """Split of a hub data set, or of a folder with several."""
    revision: str | None = None
    """Commit, tag or branch of a hub data set."""
    configuration: str | None = None
    """Configuration of a hub data set, such as wikitext-2-raw-v1."""
    data_files: str | tuple[str, ...] = ()
    """Files of a hub data set, or patterns; none: those that it names itself."""
    documents: Unit = "file"
    """What a document is: all of a file (or of a row of path), one line, or a paragraph: the lines
    up to a blank one. Nothing is learned across documents, and blank ones are left out."""
    share: tuple[float, float] = (0.0, 1.0)
    """The part of the text to use: [0, 0.9] is the first 90 percent of the documents, or of the
    characters where one file is the only document."""
    limit: int = 0
    """Use only the first documents of that part; 0 uses all."""

    def __post_init__(self) -> None:
        if self.path is None:
            accepted = "text files or patterns, unless path is given"
            require(len(self.files) > 0, "files", accepted, list(self.files))
        else:
            require(not self.files, "path", "left out where files are given", self.path)
        require(self.column != "", "column", "the name of a column", "")
        first, last = self.share
        accepted = "two numbers, 0 <= first < second <= 1"
        require(0 <= first < last <= 1, "share", accepted, list(self.share))
        require(self.limit >= 0, "limit", "0 or more", self.limit)


@dataclass(frozen=True)
class Texts:
    """A named stream of documents that can be read again and again.

    >>> texts = Texts.of(["a dog", " ", "a cat"])
    >>> ["".join(document) for document in texts.documents()]
    ['a dog', 'a cat']
    """

    name: str
    read: Callable[[], Iterator[Document]]
    """Gives all documents that are not blank, each as blocks of text."""
    digest: Callable[[], str]
    share: tuple[float, float] = (0.0, 1.0)
    limit: int = 0
    divisible: bool = True
    """Whether a document that is alone is shared by its characters."""

    @classmethod
    def of(cls, documents: str | Iterable[str], name: str = "texts") -> "Texts":
        """Returns documents in memory; a plain string is one document."""
        listed = as_texts(documents)
        return cls(name, lambda: _present(map(_blocks, listed)), lambda: digest_of_items(listed))

    def documents(self) -> Iterator[Document]:
        """Yields each document as a stream of blocks of text, to be read before the next.

        Raises:
            DataError: The text cannot be read.
        """
        everything = self.share == (0.0, 1.0)
        return islice(self.read() if everything else self._shared(), self.limit or None)

    def _shared(self) -> Iterator[Document]:
        count, characters = self._measures
        if count == 1 and self.divisible:
            return _present(_slice(document, *self._bounds(characters)) for document in self.read())
        return islice(self.read(), *self._bounds(count))

    def _bounds(self, count: int) -> tuple[int, int]:
        first, last = self.share
        return int(count * first), int(count * last)

    @cached_property
    def _measures(self) -> tuple[int, int]:
        """The number of documents, and of the characters of the first."""
        documents = self.read()
        characters = sum(map(len, next(documents, iter(()))))
        return sum(1 for _ in documents) + (characters > 0), characters

    def fingerprint(self) -> str:
        """Returns a SHA-256 that changes when what :meth:`documents` yields may have changed."""
        facts = [*self.share, self.limit, self.divisible, self.digest()]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def open_texts(config: TextConfig, folder: Path) -> Texts:
    """Opens texts and reads the first block, or with a ``share`` all; paths begin in ``folder``.

    Raises:
        ConfigError: The format of ``path`` cannot be told from its name.
        DataError: The text is missing, blank or unreadable, or lacks a column; or a pattern matches
            no file.
    """
    if config.path is None:
        texts = _open_files(config, folder)
    else:
        texts = _open_path(config, config.path, folder)
    if next(texts.documents(), None) is None:
        if next(texts.read(), None) is None:
            raise DataError(f"{texts.name}: holds no text; at least one character is needed")
        raise DataError(f"{texts.name}: share {list(config.share)} leaves no text; widen it")
    return texts


def given_documents(texts: Iterable[object], name: str) -> Texts:
    """Returns documents from Python, called ``name`` in messages; a plain string is one document.

    Raises:
        DataError: One is no text, or all are blank.
    """
    documents = as_texts(texts, name)
    if not any(text.strip() for text in documents):
        raise DataError(f"{name}: all are blank; text is needed")
    return Texts.of(documents, name)


def pieces(document: Iterable[str], at_spaces: bool) -> Iterator[str]:
    """Cuts a document so that its pieces can be tokenized one by one.

    Args:
        document: Its blocks of text.
        at_spaces: For tokenizers that know words: cut only at a single space between two other
            characters, and leave that space out, since the beginning of a piece stands for it.
            A document without such spaces is one piece. Otherwise the blocks are the pieces.

    Returns:
        The pieces, none of them empty.
    """
    return _cut_at_spaces(document) if at_spaces else filter(None, document)


def _cut_at_spaces(document: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    for block in document:
        place = _last_single_space(block)
        if place:
            yield "".join([*held, block[:place]])
            held = [block[place + 1 :]]
        else:
            held.append(block)
    if any(held):
        yield "".join(held)


def _last_single_space(block: str) -> int:
    """Returns where the last space with no white space around it is, the ends left out; or 0."""
    place = block.rfind(" ", 1, len(block) - 1)
    while place > 0 and (block[place - 1].isspace() or block[place + 1].isspace()):
        place = block.rfind(" ", 1, place)
    return max(place, 0)


def _open_files(config: TextConfig, folder: Path) -> Texts:
    paths = _find(config.files, folder)
    return _texts(
        ", ".join(str(folder / pattern) for pattern in config.files),
        lambda: map(read_text, paths),
        lambda: digest_of("text", *paths),
        config,
    )


def _find(patterns: Sequence[str], folder: Path) -> list[Path]:
    """Returns the files that are named or matched, sorted by their names as written."""
    found: dict[str, Path] = {}
    for pattern in patterns:
        if is_pattern(pattern, folder):
            found |= {name: folder / name for name in matching(pattern, folder)}
        else:
            path = rereadable(folder, pattern)
            with opened(path):  # or it fails only when its turn comes
                found[os.path.normpath(pattern)] = path
    return [found[name] for name in sorted(found)]


Rows: TypeAlias = Iterable[tuple[str, Mapping[str, object] | None]]
ROWS: Mapping[str, tuple[str, Callable[[Path, Sequence[str]], Rows]]] = {
    **dict.fromkeys(JSONL_SUFFIXES, ("jsonl", lambda path, _: read_objects(path))),
    ".parquet": ("parquet", read_parquet),
    **dict.fromkeys((".arrow", ".feather"), ("arrow", read_arrow)),
}
"""What reads the rows of a file, by how its name ends; and what its format is called."""


def _open_rows(config: TextConfig, path: str, folder: Path) -> Texts:
    file, column = rereadable(folder, path), config.column
    kind, read = ROWS[suffix_of(path)]
    return _texts(
        str(file),
        lambda: _of_rows(read(file, [column]), column),
        lambda: digest_of(f"{kind} {column}", file),
        config,
    )


def _open_folder(config: TextConfig, path: str, folder: Path) -> Texts:
    table = load_from_disk(folder / path, config.split)
    return _of_table(str(folder / path), table, config)


def _open_hub(config: TextConfig, path: str, folder: Path) -> Texts:
    files = (config.data_files,) if isinstance(config.data_files, str) else config.data_files
    place = HubPlace(path, config.split, config.revision, config.configuration, files)
    return _of_table(path, load_from_hub(place, "files to text files"), config)


def _of_table(name: str, table: Table, config: TextConfig) -> Texts:
    column = config.column
    return _texts(
        name,
        lambda: (_blocks(text_of(row, column, at)) for at, row in read_rows(name, table, [column])),
        lambda: f"{column} {table._fingerprint}",
        config,
    )


def _open_path(config: TextConfig, path: str, folder: Path) -> Texts:
    hub = is_hub_id(path, folder)
    for key in ("configuration", "data_files"):
        value = getattr(config, key)
        require(hub or not value, key, "left out unless path is a hub id", value)
    if suffix_of(path) in ROWS:
        return _open_rows(config, path, folder)
    if (folder / path).is_dir():
        return _open_folder(config, path, folder)
    if hub:
        return _open_hub(config, path, folder)
    named = ", ".join(f"*{suffix}" for suffix in ROWS)
    raise ConfigError(
        f"path: must be a file named {named}, a folder written by datasets' save_to_disk or a hub "
        f"id owner/name, got {path!r}; text files belong in files"
    )


def _of_rows(rows: Rows, column: str) -> Iterator[Document]:
    for where, row in rows:
        if row is not None:
            yield _blocks(text_of(row, column, where))


def _texts(
    name: str,
    streams: Callable[[], Iterable[Document]],
    digest: Callable[[], str],
    config: TextConfig,
) -> Texts:
    """Makes documents of the text of files or rows."""
    unit = config.documents
    return Texts(
        name,
        lambda: _present(chain.from_iterable(map(DIVISIONS[unit], streams()))),
        lambda: f"{unit} {digest()}",
        config.share,
        config.limit,
        unit == "file",
    )


def _present(documents: Iterable[Document]) -> Iterator[Document]:
    """Yields the documents that are not blank; reads each as far as that takes."""
    for document in documents:
        read: list[str] = []
        for block in document:
            read.append(block)
            if not block.isspace() and block:
                yield chain(read, document)
                break


def _whole(stream: Document) -> Iterator[Document]:
    yield stream


def _by_line(stream: Document) -> Iterator[Document]:
    return map(_blocks, _lines(stream))


def _by_paragraph(stream: Document) -> Iterator[Document]:
    paragraph: list[str] = []
    for line in chain(_lines(stream), [""]):
        if line and not line.isspace():
            paragraph.append(line)
        elif paragraph:
            yield _blocks("\n".join(paragraph))
            paragraph = []


DIVISIONS: dict[Unit, Callable[[Document], Iterator[Document]]] = {
    "file": _whole,
    "line": _by_line,
    "paragraph": _by_paragraph,
}


def _lines(stream: Document) -> Iterator[str]:
    """Yields the lines of a stream of blocks, their ends left out."""
    held: list[str] = []
    for block in stream:
        first, *others = block.split("\n")
        held.append(first)
        if others:
            yield "".join(held)
            yield from others[:-1]
            held = [others[-1]]
    if any(held):
        yield "".join(held)


def _blocks(text: str) -> Document:
    return (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))


def _slice(document: Document, first: int, last: int) -> Document:
    """Yields the characters of a document from ``first`` on and before ``last``."""
    start = 0
    for block in document:
        if start >= last:
            break
        part = block[max(first - start, 0) : last - start]
        start += len(block)
        if part:
            yield part
