"""Corpora as streams of pairs of text, read in constant memory; nothing here tokenizes."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import Annotated, TypeAlias

from seq2seq.data.files import (
    JSONL_SUFFIXES,
    digest_of,
    digest_of_items,
    is_blank,
    no_column,
    read_lines,
    read_objects,
    suffix_of,
    text_of,
)
from seq2seq.data.pipes import rereadable
from seq2seq.data.tables import Table, is_hub_id, load_from_disk, load_from_hub, read_rows
from seq2seq.errors import (
    ConfigError,
    DataError,
    OneOf,
    PathText,
    as_list,
    brief,
    require,
    require_name,
)

Pair: TypeAlias = tuple[str, str]
log = logging.getLogger("seq2seq")


TEXT = "text"
"""The format of two files; all others have one path."""
FORMATS: dict[str, "Format"] = {}
"""Formats by the name that ``format:`` gives them in a configuration; filled below."""


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where pairs of source and target text come from."""

    source: PathText | None = None
    """File with one source text per line (.gz too); belongs with target."""
    target: PathText | None = None
    """File with one target text per line (.gz too); belongs with source."""
    path: PathText | None = None
    """One file or folder with both sides: TSV or JSONL (.gz too), a folder written by datasets'
    save_to_disk, or a hub id owner/name."""
    format: Annotated[str, OneOf(FORMATS, "auto")] = "auto"
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
        require_name(self.format, "format", ("auto", *FORMATS))
        files = (self.source, self.target)
        if self.path is None:
            accepted = "one file or folder with both sides, unless source and target are given"
            require(None not in files, "path", accepted, self.path)
            fits = self.format in ("auto", TEXT)
            require(fits, "format", f"{TEXT} or auto for two files", self.format)
        else:
            require(
                files == (None, None), "path", "left out where source or target is given", self.path
            )
            require(self.format != TEXT, "format", f"auto, {names_for_one_path()}", self.format)
        require(self.source_column != "", "source_column", "the name of a column", "")
        require(self.target_column != "", "target_column", "the name of a column", "")
        require(self.limit >= 0, "limit", "0 or more", self.limit)


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


Opener: TypeAlias = Callable[[CorpusConfig, Path], Corpus]
"""Opens a corpus; relative paths are relative to the folder."""


def _never_fits(path: str, folder: Path) -> bool:
    return False


@dataclass(frozen=True)
class Format:
    """A way in which pairs are stored under one path."""

    open: Opener
    suffixes: tuple[str, ...] = ()
    """How names of such files end (``.gz`` may follow)."""
    fits: Callable[[str, Path], bool] = _never_fits
    """Whether a path is of this format, for formats that no suffix tells."""
    described: str = ""
    """What it is called in messages, such as ``a folder of datasets``."""


def _open_two_files(config: CorpusConfig, folder: Path) -> Corpus:
    source, target = (rereadable(folder, name or "") for name in (config.source, config.target))
    return Corpus(
        f"{source}, {target}",
        lambda: _read_parallel(source, target),
        lambda: digest_of(TEXT, source, target),
        config.limit,
    )


def of_file(kind: str, read: Callable[[Path, CorpusConfig], Iterator[Pair]]) -> Opener:
    """Makes the opener of a format with both sides in one file, from what reads such a file."""

    def open_file(config: CorpusConfig, folder: Path) -> Corpus:
        file = rereadable(folder, config.path or "")
        columns = f"{kind} {config.source_column} {config.target_column}"
        return Corpus(
            str(file), lambda: read(file, config), lambda: digest_of(columns, file), config.limit
        )

    return open_file


def read_separated(path: Path, config: CorpusConfig, separator: str = "\t") -> Iterator[Pair]:
    """Yields the pairs of a file with a pair a line, its columns parted by ``separator``.

    Raises:
        DataError: The file cannot be read, or a line has too few columns.
    """
    header = next(read_lines(path)).split(separator)
    source, target, skipped = _columns(path, header, config)
    needed = max(source, target) + 1
    for number, line in islice(enumerate(read_lines(path), 1), skipped, None):
        fields = line.split(separator) if line else [""] * needed
        if len(fields) < needed:
            sign = "tabs" if separator == "\t" else f"{separator!r} signs"
            raise DataError(
                f"{path}: line {number:,}: has {len(fields)} of the {needed} columns needed; "
                f"{sign} part them"
            )
        yield fields[source], fields[target]


def _columns(path: Path, header: list[str], config: CorpusConfig) -> tuple[int, int, int]:
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
    raise no_column(f"{path}: line 1", missing[0], header)


@cache  # told once a file, though a corpus is read several times
def _tell_of_no_header(name: str, columns: int) -> None:
    log.info(
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


def _open_folder(config: CorpusConfig, folder: Path) -> Corpus:
    path = folder / (config.path or "")
    return _of_table(str(path), load_from_disk(path, config.split), config)


def _open_hub(config: CorpusConfig, folder: Path) -> Corpus:
    name = config.path or ""
    instead = "source and target to two text files"  # what a message says to set
    table = load_from_hub(name, config.split, config.revision, instead)
    return _of_table(name, table, config)


def _of_table(name: str, table: Table, config: CorpusConfig) -> Corpus:
    source, target = config.source_column, config.target_column

    def read() -> Iterator[Pair]:
        for where, row in read_rows(name, table, [source, target]):
            yield text_of(row, source, where), text_of(row, target, where)

    return Corpus(name, read, lambda: f"{source} {target} {table._fingerprint}", config.limit)


FORMATS |= {
    TEXT: Format(_open_two_files, described="two text files"),
    "tsv": Format(of_file("tsv", read_separated), (".tsv",)),
    "jsonl": Format(of_file("jsonl", _read_jsonl), JSONL_SUFFIXES),
    "dataset": Format(
        _open_folder,
        fits=lambda path, folder: (folder / path).is_dir(),
        described="a folder of datasets",
    ),
    "hub": Format(_open_hub, fits=is_hub_id, described="a hub id owner/name"),
}


def names_for_one_path() -> str:
    """Returns the formats with one path, for messages: ``tsv, jsonl, dataset or hub``."""
    *names, last = (name for name in FORMATS if name != TEXT)
    return f"{', '.join(names)} or {last}"


def described_files() -> str:
    """Returns what a path may be that needs no other setting, for messages."""
    kinds = [kind for name, kind in FORMATS.items() if name not in (TEXT, "hub")]
    named = [f"*{suffix}" for kind in kinds for suffix in kind.suffixes]
    others = [kind.described for kind in kinds if kind.described]
    return f"named {', '.join(named)} (.gz too), or be {' or '.join(others)}"


def open_corpus(config: CorpusConfig, folder: Path) -> Corpus:
    """Opens a corpus and reads its first pair; relative paths are relative to ``folder``.

    Raises:
        ConfigError: The format of ``path`` cannot be told from its name.
        DataError: The corpus is missing, empty or unreadable, or lacks a column.
    """
    corpus = FORMATS[_format(config, folder)].open(config, folder)
    if next(corpus.pairs(), None) is None:
        raise DataError(f"{corpus.name}: holds no pairs; at least one is needed")
    return corpus


def _format(config: CorpusConfig, folder: Path) -> str:
    """Returns the format that a configuration names, or that its path tells."""
    if config.path is None:
        return TEXT
    name = config.format if config.format != "auto" else format_of(config.path, folder)
    if name is None:
        raise ConfigError(
            f"path: cannot tell the format of {config.path!r} by its name; set format: "
            f"{names_for_one_path()}"
        )
    return name


def format_of(path: str, folder: Path) -> str | None:
    """Returns the format that ``path`` tells by its name, or by what stands there; or None."""
    suffix = suffix_of(path)
    by_suffix = (name for name, kind in FORMATS.items() if suffix in kind.suffixes)
    by_look = (name for name, kind in FORMATS.items() if kind.fits(path, folder))
    return next(by_suffix, None) or next(by_look, None)


def given_pairs(rows: Iterable[object], name: str) -> Corpus:
    """Returns pairs from Python as a corpus, called ``name`` in messages.

    Raises:
        DataError: There is none, or a row is not two texts.
    """
    pairs = pairs_of(rows, name)
    if not pairs:
        raise DataError(f"{name}: none given; at least one is needed")
    return Corpus.of(pairs, name)


def pairs_of(rows: Iterable[object], name: str) -> list[Pair]:
    """Returns rows from Python as pairs; ``name`` is what they are called in messages.

    Raises:
        DataError: A row is not two texts.
    """
    pairs = []
    for number, row in enumerate(as_list(rows, name, "pairs of texts")):
        match row.tolist() if hasattr(row, "tolist") else row:  # numpy's and pandas' rows as well
            case [str(source), str(target)]:  # which a text of two characters is not
                pairs.append((source, target))
            case _:
                wanted = f"must be a source and a target text, got {brief(row)}"
                mend = "leave it out, or give two texts"
                raise DataError(f"{name}: row {number:,}: {wanted}; {mend}")
    return pairs


def usable(pairs: Iterable[Pair], dropped: Counter[str]) -> Iterator[Pair]:
    """Yields the pairs with text on both sides and counts the others in ``dropped["blank"]``."""
    for source, target in pairs:
        if is_blank(source) or is_blank(target):
            dropped["blank"] += 1
        else:
            yield source, target


def _read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    for left, right in zip_longest(read_lines(source), read_lines(target)):
        if left is None or right is None:
            raise DataError(_unequal(source, target))
        yield left, right


def _unequal(source: Path, target: Path) -> str:
    """Counts both files again, and looks for the place where they went apart."""
    lines, others = (sum(1 for _ in read_lines(path)) for path in (source, target))
    pairs = zip(read_lines(source), read_lines(target), strict=False)
    places = (n for n, (left, right) in enumerate(pairs, 1) if is_blank(left) != is_blank(right))
    odd = ", ".join(f"{place:,}" for place in islice(places, 3))
    hint = f"only one side is blank at line {odd}" if odd else "each line needs its translation"
    return f"{source} has {lines:,} lines, {target} {others:,}; {hint}"
