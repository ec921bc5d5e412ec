"""Translations written as lines, beside their alignments and a picture."""

import re
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Protocol, runtime_checkable

from seq2seq.errors import ConfigError
from seq2seq.tasks.console import one_line, output
from seq2seq.tasks.translation.translation import AlignmentUnit, Translation

APART = re.compile(r"[\t\r\n]")
"""What would part the columns or lines of a table."""


def _text(found: Translation) -> list[str]:
    return [one_line(found.text)]


def _jsonl(found: Translation) -> list[str]:
    return [dumps(found.record(), ensure_ascii=False)]


def _tsv(found: Translation) -> list[str]:
    return ["\t".join(_columns(found.source, one.text)) for one in found.alternatives]


def _swapped(found: Translation) -> list[str]:
    return ["\t".join(_columns(one.text, found.source)) for one in found.alternatives]


def _columns(*texts: str) -> list[str]:
    return [APART.sub(" ", text) for text in texts]


FORMATS: dict[str, Callable[[Translation], list[str]]] = {
    "text": _text,
    "jsonl": _jsonl,
    "tsv": _tsv,
    "tsv-swapped": _swapped,
}
"""Makes lines of a translation; of tables one for each hypothesis."""


@runtime_checkable
class Sink(Protocol):
    """A file of text, or whatever stands for one."""

    def write(self, text: str, /) -> object:
        """Writes a text."""
        ...

    def flush(self) -> None:
        """Lets others read what was written."""
        ...


@dataclass(frozen=True)
class Lines:
    """Where translations are written."""

    file: Sink
    form: str
    links: Sink | None
    unit: AlignmentUnit

    def write(self, found: Translation) -> None:
        """Writes a translation, and its alignment: a line for each line, of JSON for the best."""
        lines = FORMATS[self.form](found)
        print(*lines, sep="\n", file=self.file)
        if self.links is not None:
            for one in found.alternatives[: len(lines)]:
                print(one.pharaoh(self.unit), file=self.links)

    def flush(self) -> None:
        """Lets others read what was written."""
        for file in (self.file, self.links):
            if file is not None:
                file.flush()


@contextmanager
def lines(options: Namespace) -> Iterator[Lines]:
    """Opens the files that the options name; they appear when they are whole."""
    named = options.alignments
    if named and options.output and Path(named).resolve() == Path(options.output).resolve():
        raise ConfigError(f"--alignments: must be another file than --output, got {named!r}")
    with ExitStack() as stack:
        file = stack.enter_context(output(options.output))
        links = stack.enter_context(output(named)) if named else None
        yield Lines(file, options.format, links, options.alignment_unit)
