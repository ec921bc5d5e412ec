"""Lists of texts: cut into chunks, aligned in columns."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

ItemT = TypeVar("ItemT")


def chunks(
    items: Iterable[ItemT],
    count: int | None = None,
    size: int | None = None,
    measure: Callable[[ItemT], int] = lambda item: 1,
) -> Iterator[list[ItemT]]:
    """Cuts a stream into lists, each as soon as it is full.

    A list is full when it has ``count`` items, or when their measures add up to ``size``.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    chunk: list[ItemT] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += measure(item)
        if len(chunk) == count or (size is not None and total >= size):
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def evenly(items: Sequence[ItemT], most: int) -> list[ItemT]:
    """Returns at most so many items, evenly spaced from the first to the last.

    >>> evenly("abcdefghi", 3), evenly("ab", 3), evenly("ab", 1)
    (['a', 'e', 'i'], ['a', 'b'], ['a'])
    """
    if len(items) <= most:
        return list(items)
    apart = (len(items) - 1) / max(1, most - 1)
    return [items[round(place * apart)] for place in range(most)]


def aligned(sides: str, rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells as lines with straight columns.

    ``sides`` has a sign for each column: ``<`` for text on the left, ``>`` for numbers on the
    right.

    >>> print(aligned("<>", [("metric", "score"), ("BLEU", "41.8")]))
    metric  score
    BLEU     41.8
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(_padded, row, widths, sides)).rstrip() for row in rows)


def _padded(cell: str, columns: int, side: str) -> str:
    room = " " * (columns - width(cell))
    return cell + room if side == "<" else room + cell


def width(text: str) -> int:
    """Returns how many columns of a terminal a text takes, as far as Unicode tells."""
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    # Korean vowels and finals, decomposed, stand in their initial's square.
    if unicodedata.category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
