"""References: of each text one, or several of which any is right."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from seq2seq.data.files import is_blank, read_lines
from seq2seq.errors import DataError, as_texts

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


def read_references(files: Sequence[str], beside: str, lines: int) -> list[Accepted]:
    """Returns the references of each line of another file: in each file the line of that number.

    Each file is read once. A line that is blank in one file and not in another is no reference.

    Args:
        files: At least one.
        beside: What the other file is called in messages.
        lines: How many lines it has.

    Raises:
        DataError: A file cannot be read, or has another number of lines.
    """
    columns = [list(read_lines(file)) for file in files]
    if any(len(column) != lines for column in columns):
        counts = (f"{file} {len(column):,}" for file, column in zip(files, columns, strict=True))
        needed = "its reference" if len(files) == 1 else "its references"
        raise DataError(
            f"{beside} has {lines:,} lines, {', '.join(counts)}; each line needs {needed}"
        )
    return [accepted(texts) for texts in zip(*columns, strict=True)]
