"""Pairs in two text files, line by line."""

from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path

from seq2seq.data.files import is_blank, read_lines
from seq2seq.errors import DataError


def read_parallel(source: Path, target: Path) -> Iterator[tuple[str, str]]:
    """Yields the lines of two files side by side.

    Raises:
        DataError: A file cannot be read, or one has fewer lines.
    """
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
