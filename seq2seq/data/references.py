"""References: of each text one, or several of which any is right."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from seq2seq.data.files import is_blank
from seq2seq.data.wmt import chosen, read_side
from seq2seq.errors import ConfigError, DataError, as_texts

Accepted: TypeAlias = str | tuple[str, ...]
"""A reference, or several of which any is right."""


def accepted(texts: Iterable[str]) -> Accepted:
    """Returns references as one text where there is one; a blank one counts only by itself.

    >>> accepted(["a", "", "b"]), accepted(["a", ""]), accepted(["", ""])
    (('a', 'b'), 'a', '')
    """
    every = tuple(texts)
    filled = tuple(text for text in every if not is_blank(text)) or every[:1]
    return filled[0] if len(filled) == 1 else filled


def all_texts(references: Iterable[Accepted]) -> Iterator[str]:
    """Yields every reference of every text."""
    return chain.from_iterable(map(as_texts, references))


def read_references(
    files: Sequence[str], beside: str, lines: int, translators: Sequence[str] = ()
) -> list[Accepted]:
    """Returns the references of each line of another file: in each file the line of that number.

    Each file is read once. A line that is blank in one file and not in another is no reference. A
    file with markup may hold those of several translators, of which some can be chosen.

    Args:
        files: At least one.
        beside: What the other file is called in messages.
        lines: How many lines it has.
        translators: The names of those chosen, in files that name them; none: all.

    Raises:
        DataError: A file cannot be read, or has another number of lines.
        ConfigError: A file holds none of such a translator, or no file names any.
    """
    sides = [read_side(file, "reference") for file in files]
    if translators and not any(side.named for side in sides):
        raise ConfigError("translator: must be left out where no file of references names any")
    columns = [
        (file, texts)
        for file, side in zip(files, sides, strict=True)
        for texts in chosen(side, translators if side.named else (), "translator").values()
    ]
    if any(len(column) != lines for _, column in columns):
        raise _unequal(columns, beside, lines)
    return [accepted(texts) for texts in zip(*(texts for _, texts in columns), strict=True)]


def _unequal(columns: Sequence[tuple[str, Sequence[str]]], beside: str, lines: int) -> DataError:
    """Returns the error that a file has not as many lines as the one beside it."""
    counts = (f"{file} {len(column):,}" for file, column in columns)
    needed = "its reference" if len(columns) == 1 else "its references"
    return DataError(f"{beside} has {lines:,} lines, {', '.join(counts)}; each line needs {needed}")
