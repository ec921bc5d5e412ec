"""Corpora as streams of pairs of text, read in constant memory; nothing here tokenizes."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, TypeAlias

from seq2seq.data.files import (
    JSONL_SUFFIXES,
    digest_of,
    digest_of_items,
    is_blank,
    read_objects,
    suffix_of,
    text_of,
)
from seq2seq.data.pairs.parallel import read_parallel
from seq2seq.data.pairs.places import counterparts, named_by
from seq2seq.data.pairs.separated import NAMES, Columns, read_csv, read_separated
from seq2seq.data.pipes import rereadable
from seq2seq.data.tables import (
    HubPlace,
    Stream,
    commit_of,
    is_hub_id,
    load_from_disk,
    load_from_hub,
    read_arrow,
    read_parquet,
    read_rows,
    stream_from_hub,
)
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
Paths: TypeAlias = PathText | tuple[PathText, ...]
INSTEAD = "source and target to two text files"
"""What a message says to set where the hub is not reachable."""


TEXT, HUB = "text", "hub"
"""The format of two files (all others have one path), and that of data sets of the hub."""
FORMATS: dict[str, "Format"] = {}
"""Formats by the name that ``format:`` gives them in a configuration; filled below."""


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where pairs of source and target text come from."""

    source: Paths | None = None
    """File with one source text per line (.gz too), a list of such files, or a pattern (a/*.de);
    belongs with target."""
    target: Paths | None = None
    """File or files with one target text per line, in the order of source, or a pattern: of
    a/*.de and a/*.en, a/x.de and a/x.en belong together."""
    path: Paths | None = None
    """A file with both sides: TSV, CSV, JSONL (.gz too), Parquet or Arrow; a folder written by
    datasets' save_to_disk; a hub id owner/name. Or several: a list, a pattern (corpora/*.tsv), or,
    where format says what is in it, a folder of files."""
    format: Annotated[str, OneOf(FORMATS, "auto")] = "auto"
    """How both sides are stored; auto tells from the name of each path."""
    source_column: str = NAMES[0]
    """Column of the source texts. Dots reach into nested columns: translation.de. In a TSV or CSV
    file: numbers from 0, or names in its header line; by default the first two if it has none."""
    target_column: str = NAMES[1]
    """Column of the target texts, named as for source_column."""
    split: str = "train"
    """Split of a hub data set, or of a folder with several."""
    revision: str | None = None
    """Commit, tag or branch of a hub data set. A run keeps the commit that it stood for."""
    configuration: str | None = None
    """Configuration of a hub data set, such as de-en."""
    data_files: str | tuple[str, ...] = ()
    """Files of a hub data set, or patterns; none: those that it names itself."""
    streaming: bool = False
    """Whether a hub data set is read over the network, as often as it is needed (to learn the
    vocabularies, then once to encode), instead of being copied to this machine first."""
    limit: int = 0
    """Use only the first pairs; 0 uses all."""
    tag: str = ""
    """Put before each source, such as <bt>: a language tag, which source.tags then has as well. Of
    several at the beginning of a text only the first is a tag."""

    def __post_init__(self) -> None:
        require_name(self.format, "format", ("auto", *FORMATS))
        files = (self.source, self.target)
        if self.path is None:
            accepted = "one file or folder with both sides, unless source and target are given"
            require(None not in files, "path", accepted, self.path)
            fits = self.format in ("auto", TEXT)
            require(fits, "format", f"{TEXT} or auto for two files", self.format)
            counts = len(several(self.source)), len(several(self.target))
            require(counts[0] == counts[1], "target", f"{counts[0]} files, as source", self.target)
        else:
            require(
                files == (None, None), "path", "left out where source or target is given", self.path
            )
            require(self.format != TEXT, "format", f"auto, {names_for_one_path()}", self.format)
        require(() not in (self.path, self.source), "path", "at least one", [])
        require(self.source_column != "", "source_column", "the name of a column", "")
        require(self.target_column != "", "target_column", "the name of a column", "")
        require(self.limit >= 0, "limit", "0 or more", self.limit)
        fits = self.tag.split() == [self.tag] or not self.tag
        require(fits, "tag", "a text without white space", self.tag)

    @property
    def columns(self) -> Columns:
        """The columns of both sides."""
        return self.source_column, self.target_column

    @property
    def one_path(self) -> str:
        """The path, where there is one."""
        return "".join(several(self.path)[:1])

    @property
    def named(self) -> str:
        """What the paths are called in a line of the log."""
        paths = several(self.path) or (*several(self.source)[:1], *several(self.target)[:1])
        return ", ".join(paths)


def several(paths: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Returns one path, or several, or none, as a tuple."""
    return paths if isinstance(paths, tuple) else () if paths is None else (paths,)


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
    tag: str = ""
    """Stands before each source."""

    @classmethod
    def of(cls, pairs: Sequence[Pair], name: str = "pairs") -> "Corpus":
        """Returns a corpus of pairs in memory."""
        return cls(name, lambda: iter(pairs), lambda: digest_of_items(pairs))

    @classmethod
    def joined(cls, corpora: Sequence["Corpus"]) -> "Corpus":
        """Returns corpora, one after the other, as one; one alone as it is."""
        if len(corpora) == 1:
            return corpora[0]
        named = [corpora[0].name, corpora[1].name]
        more = [f"{len(corpora) - 2} more"] if len(corpora) > 2 else []
        return Corpus(
            ", ".join(named + more),
            lambda: chain.from_iterable(corpus.pairs() for corpus in corpora),
            lambda: " ".join(corpus.fingerprint() for corpus in corpora),
        )

    def pairs(self) -> Iterator[Pair]:
        """Yields each pair, also those with a blank side (see :func:`usable`).

        Raises:
            DataError: The corpus cannot be read, or its sides do not belong together.
        """
        pairs = islice(self.read(), self.limit or None)
        return _tagged(pairs, self.tag) if self.tag else pairs

    def sources(self) -> Iterator[str]:
        """Yields the source of each pair."""
        return (source for source, _ in self.pairs())

    def targets(self) -> Iterator[str]:
        """Yields the target of each pair."""
        return (target for _, target in self.pairs())

    def fingerprint(self) -> str:
        """Returns a SHA-256 that changes when what :meth:`pairs` yields may have changed."""
        facts = f"{self.limit} {self.digest()}" + (f" {self.tag}" if self.tag else "")
        return hashlib.sha256(facts.encode()).hexdigest()


def _tagged(pairs: Iterable[Pair], tag: str) -> Iterator[Pair]:
    """Puts a tag before each source; a blank one stays blank, and is dropped."""
    for source, target in pairs:
        yield (source if is_blank(source) else f"{tag} {source}"), target


Opener: TypeAlias = Callable[[CorpusConfig, Path], Corpus]
"""Opens all of a corpus under one path, without tags; relative paths are relative to the folder."""


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
    names = (*several(config.source), *several(config.target))
    source, target = (rereadable(folder, name) for name in names)
    return Corpus(
        f"{source}, {target}",
        lambda: read_parallel(source, target),
        lambda: digest_of(TEXT, source, target),
    )


MaybeRows: TypeAlias = Iterable[tuple[str, Mapping[str, object] | None]]
PairReader: TypeAlias = Callable[[Path, CorpusConfig], Iterator[Pair]]
"""Reads a file with both sides."""


def of_file(kind: str, read: PairReader) -> Opener:
    """Makes the opener of a format with both sides in one file, from what reads such a file."""

    def open_file(config: CorpusConfig, folder: Path) -> Corpus:
        file = rereadable(folder, config.one_path)
        columns = f"{kind} {config.source_column} {config.target_column}"
        return Corpus(str(file), lambda: read(file, config), lambda: digest_of(columns, file))

    return open_file


def _of_columns(read: Callable[[Path, Columns], Iterator[Pair]]) -> PairReader:
    return lambda path, config: read(path, config.columns)


def _of_rows(read: Callable[[Path, Columns], MaybeRows]) -> PairReader:
    return lambda path, config: _texts(read(path, config.columns), config.columns)


def _texts(rows: MaybeRows, columns: Columns) -> Iterator[Pair]:
    """Yields what rows have in two columns; blank texts for None, which stands for no row."""
    source, target = columns
    for where, row in rows:
        if row is None:
            yield "", ""
        else:
            yield text_of(row, source, where), text_of(row, target, where)


def _open_folder(config: CorpusConfig, folder: Path) -> Corpus:
    path = folder / config.one_path
    table = load_from_disk(path, config.split)
    return _of_table(str(path), table, config, table._fingerprint)


def _open_hub(config: CorpusConfig, folder: Path) -> Corpus:
    place = hub_place(config)
    if config.streaming:
        stream = stream_from_hub(place, INSTEAD)
        return _of_table(place.name, stream, config, f"stream of {place.described}")
    table = load_from_hub(place, INSTEAD)
    return _of_table(place.name, table, config, table._fingerprint)


def hub_place(config: CorpusConfig) -> HubPlace:
    """Returns where a corpus is on the hub."""
    files = several(config.data_files)
    return HubPlace(config.one_path, config.split, config.revision, config.configuration, files)


def _of_table(name: str, table: Stream, config: CorpusConfig, content: str) -> Corpus:
    return Corpus(
        name,
        lambda: _texts(read_rows(name, table, config.columns), config.columns),
        lambda: f"{' '.join(config.columns)} {content}",
    )


FORMATS |= {
    TEXT: Format(_open_two_files, described="two text files"),
    "tsv": Format(of_file("tsv", _of_columns(read_separated)), (".tsv",)),
    "csv": Format(of_file("csv", _of_columns(read_csv)), (".csv",)),
    "jsonl": Format(of_file("jsonl", _of_rows(lambda path, _: read_objects(path))), JSONL_SUFFIXES),
    "parquet": Format(of_file("parquet", _of_rows(read_parquet)), (".parquet",)),
    "arrow": Format(of_file("arrow", _of_rows(read_arrow)), (".arrow", ".feather")),
    "dataset": Format(
        _open_folder,
        fits=lambda path, folder: (folder / path).is_dir(),
        described="a folder of datasets",
    ),
    HUB: Format(_open_hub, fits=is_hub_id, described="a hub id owner/name"),
}


def names_for_one_path() -> str:
    """Returns the formats with one path, for messages: ``tsv, jsonl, dataset or hub``."""
    *names, last = (name for name in FORMATS if name != TEXT)
    return f"{', '.join(names)} or {last}"


def described_files() -> str:
    """Returns what a path may be that needs no other setting, for messages."""
    kinds = [kind for name, kind in FORMATS.items() if name not in (TEXT, HUB)]
    named = [f"*{suffix}" for kind in kinds for suffix in kind.suffixes]
    others = [kind.described for kind in kinds if kind.described]
    return f"named {', '.join(named)} (text: .gz too), or be {' or '.join(others)}"


def open_corpora(
    configs: Sequence[CorpusConfig], folder: Path, commits: dict[str, str] | None = None
) -> Corpus:
    """Opens corpora as :func:`open_corpus` does, one after the other as one."""
    return Corpus.joined([open_corpus(config, folder, commits=commits) for config in configs])


def open_corpus(
    config: CorpusConfig,
    folder: Path,
    held_out: Collection[Path] = (),
    commits: dict[str, str] | None = None,
) -> Corpus:
    """Opens a corpus and reads the first pair of each of its files.

    Args:
        config: Where it is.
        folder: What its relative paths are relative to.
        held_out: Files (whole paths, resolved) that are left out of what patterns and folders stand
            for, which is told.
        commits: At which commits data sets of the hub are read, by their names and revisions; those
            that are not there yet are asked for and put in.

    Raises:
        ConfigError: The format of ``path`` cannot be told from its name.
        DataError: The corpus is missing, empty or unreadable, or lacks a column.
    """
    corpora = []
    for one in _files(config, folder, held_out):
        name = _format(one, folder)
        if name == HUB and commits is not None:
            one = replace(one, revision=commit_of(hub_place(one), commits, INSTEAD))
        corpora.append(FORMATS[name].open(one, folder))
        if next(corpora[-1].pairs(), None) is None:
            raise DataError(f"{corpora[-1].name}: holds no pairs; at least one is needed")
    return replace(Corpus.joined(corpora), limit=config.limit, tag=config.tag)


def files_of(config: CorpusConfig, folder: Path) -> set[Path]:
    """Returns the whole paths of the files and folders that a corpus is read from."""
    parts = _files(config, folder, ())
    names = [several(one.path) + several(one.source) + several(one.target) for one in parts]
    return {(folder / name).resolve() for both in names for name in both}


def _files(config: CorpusConfig, folder: Path, held_out: Collection[Path]) -> list[CorpusConfig]:
    """Returns a configuration for each file that ``config`` stands for, without limit and tag."""
    alone = replace(config, limit=0, tag="")
    if config.path is None:
        both = counterparts(several(config.source), several(config.target), folder, held_out)
        return [replace(alone, source=source, target=target) for source, target in both]
    suffixes = FORMATS[config.format].suffixes if config.format != "auto" else ()
    names: list[str] = []
    for path in several(config.path):
        found = named_by(path, folder, suffixes, held_out)
        names += found if found == [path] else [name for name in found if name not in names]
    return [replace(alone, path=name) for name in names]


def _format(config: CorpusConfig, folder: Path) -> str:
    """Returns the format that a configuration names, or that its one path tells."""
    if config.path is None:
        return TEXT
    name = config.format if config.format != "auto" else format_of(config.one_path, folder)
    if name is None:
        raise ConfigError(
            f"path: cannot tell the format of {config.one_path!r} by its name; set format: "
            f"{names_for_one_path()}"
        )
    for key in ("configuration", "data_files", "streaming"):
        value = getattr(config, key)
        accepted = f"left out unless path is a hub id; {config.one_path!r} is of format {name}"
        require(name == HUB or not value, key, accepted, value)
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
