"""What the verb ``compare`` reads: a test set, and what systems have made of it."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from seq2seq.data.files import read_lines
from seq2seq.data.references import Accepted, read_references
from seq2seq.data.wmt import Side, chosen, is_marked, read_side, with_sources
from seq2seq.errors import ConfigError, DataError
from seq2seq.runs.folder import CONFIG, PIPELINE, begun_commits
from seq2seq.tasks.task import open_own
from seq2seq.tasks.translation.cases import Case, grouped, read_cases, restored
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import test_corpus
from seq2seq.tasks.translation.material import open_training
from seq2seq.tasks.translation.pipelines import Pipelines


class Tested(NamedTuple):
    """What several systems have translated."""

    sources: Sequence[str] | None
    """None: they are not known."""
    references: Sequence[Accepted]
    documents: Sequence[str]
    """The document of each text, where that is known; else empty."""
    places: Sequence[int]
    """The lines that count: the first of those with one source, where these are grouped."""
    lines: int
    """All lines."""

    def of(self, name: str, texts: Sequence[str]) -> list[str]:
        """Returns the translations of the lines that count.

        Raises:
            DataError: There are more or fewer than lines.
        """
        if len(texts) != self.lines:
            raise DataError(
                f"{name}: has {len(texts):,} lines, the test set {self.lines:,}; each needs its "
                "translation"
            )
        return [texts[place] for place in self.places]


def is_run(name: str) -> bool:
    """Tells whether a system is a run folder."""
    return (Path(name) / CONFIG).exists()


def read_systems(options: Namespace) -> dict[str, Sequence[str] | None]:
    """Reads files of translations, and of these that name several systems all, or those chosen.

    Returns:
        The texts of each system; None for a run.

    Raises:
        DataError: There is no such file; a folder is no run.
        ConfigError: A system stands there twice, or there is none of a name.
    """
    found: dict[str, Sequence[str] | None] = {}
    named = False
    for place in options.systems:
        side = None if is_run(place) else _read(place)
        columns: Mapping[str, Sequence[str] | None] = {place: None}
        if side is not None:
            columns = chosen(side, options.system if side.named else (), "system")
            named |= side.named
        for name, texts in columns.items():
            if (name or place) in found:
                raise ConfigError(f"SYSTEM: must be all different, got {name or place} twice")
            found[name or place] = texts
    if options.system and not named:
        raise ConfigError("--system: must be left out where no file names systems")
    return found


def _read(place: str) -> Side:
    if Path(place).is_dir():
        raise DataError(f"{place}: is a directory without {CONFIG}; a run or a file is needed")
    return read_side(place, "system")


def read_test_set(
    options: Namespace,
    systems: Mapping[str, Sequence[str] | None],
    config: TranslationConfig,
    group: bool,
) -> Tested:
    """Reads the test set that is named, or that of the first run, whose configuration is given.

    References are composed as the first run's translations are; ``group``: pairs with one source
    are one with several references.

    Raises:
        ConfigError: What is needed is not given.
        DataError: A file cannot be read, or has another number of lines.
    """
    run = next((name for name, texts in systems.items() if texts is None), None)
    source = options.source or with_sources(options.reference or ())
    if options.source and not options.reference:
        raise ConfigError("--source: must come with --reference")
    if options.translator and not options.reference:
        raise ConfigError("--translator: must be left out where --reference is not given")
    if source is None and options.reference:
        return _without_sources(options, systems, run)
    if source is not None:
        cases = read_cases(source, options.reference, options.translator)
    elif run is not None:
        cases = list(test_corpus(config, Path(run)).pairs())
    else:
        raise ConfigError("--reference: is required where only files are compared")
    return _of_cases(cases, _documents(options.reference or ()), run, group)


def _of_cases(
    cases: Sequence[Case], documents: Sequence[str], run: str | None, group: bool
) -> Tested:
    places = list(range(len(cases)))
    kept: Sequence[Case] = cases
    if group:
        kept = grouped(cases)
        firsts = {source: place for place, (source, _) in reversed(list(enumerate(cases)))}
        places = [firsts[source] for source, _ in kept]
    references: Sequence[Accepted] = [texts for _, texts in kept]
    if run is not None:
        references = restored(kept, Pipelines.load(Path(run) / PIPELINE).target)
    documents = [documents[place] for place in places] if documents else ()
    return Tested([source for source, _ in kept], references, documents, places, len(cases))


def _without_sources(
    options: Namespace, systems: Mapping[str, Sequence[str] | None], run: str | None
) -> Tested:
    """Reads references of which no source is known."""
    if run is not None:
        raise ConfigError("--reference: must come with --source where a run is compared")
    name, texts = next(iter(systems.items()))
    lines = len(texts or ())
    references = read_references(options.reference, name, lines, options.translator)
    return Tested(None, references, _documents(options.reference), range(lines), lines)


def _documents(files: Sequence[str]) -> Sequence[str]:
    """Returns the documents that the first of some files of references tells, if one does."""
    marked = (read_side(file, "reference").documents for file in files if is_marked(file))
    return next((names for names in marked if any(names)), ())


def training_texts(
    options: Namespace, run: str | None, config: TranslationConfig
) -> Iterable[str] | None:
    """Returns texts of the target side that are named, or that a run has learned from, if any are.

    Raises:
        DataError: A file cannot be read.
    """
    if options.train:
        return chain.from_iterable(map(read_lines, options.train))
    if run is None or config.data.train is None:
        return None
    folder = Path(run)
    commits = begun_commits(folder)
    return open_own(
        config,
        folder,
        config.data.training,
        lambda _, where: open_training(replace(config.data, folder=str(where)), commits),
    ).targets()
