"""Lists of texts: cut into chunks, aligned in columns."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

ItemT = TypeVar("ItemT")
Rows: TypeAlias = Sequence[Sequence[str]]
"""Cells of a table, row by row; the first row holds the titles of the columns."""


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


def aligned(sides: str, rows: Rows) -> str:
    """Returns rows of cells as lines with straight columns.

    ``sides`` has a sign for each column: ``<`` for text on the left, ``>`` for numbers on the
    right.

    >>> print(aligned("<>", [("metric", "score"), ("BLEU", "41.8")]))
    metric  score
    BLEU     41.8
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(_padded, row, widths, sides)).rstrip() for row in rows)


def markdown(sides: str, rows: Rows) -> str:
    r"""Returns rows of cells as a table of Markdown.

    >>> print(markdown("<>", [("metric", "score"), ("a|b", "41.8")]))
    | metric | score |
    |---|--:|
    | a\|b | 41.8 |
    """
    marks = "".join("---|" if side == "<" else "--:|" for side in sides)
    head, *body = (f"| {' | '.join(cell.translate(MARKDOWN) for cell in row)} |" for row in rows)
    return "\n".join((head, f"|{marks}", *body))


def latex(sides: str, rows: Rows) -> str:
    """Returns rows of cells as a table of LaTeX, with the rules of its package booktabs."""
    head, *body = (" & ".join(cell.translate(LATEX) for cell in row) + r" \\" for row in rows)
    columns = sides.replace("<", "l").replace(">", "r")
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join((begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", end))


MARKDOWN = str.maketrans({sign: f"\\{sign}" for sign in "|<*_`"})
"""What stands in a table of Markdown for the signs that mean something there."""
LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)
"""What stands in LaTeX for the signs that mean something there."""


class Form(NamedTuple):
    """How tables are written."""

    cells: Callable[[str, Rows], str]
    """Returns cells with straight columns, of which each has a side, as :func:`aligned` does."""
    title: str = ""
    """What stands before a title."""
    note: str = ""
    """What stands before a line of text."""


FORMS = {
    "table": Form(aligned),
    "markdown": Form(markdown, title="### "),
    "latex": Form(latex, title="% ", note="% "),
}
"""The forms of tables by name."""


class Table(NamedTuple):
    """Cells under a title."""

    title: str
    sides: str
    rows: Rows
    notes: Sequence[str] = ()
    """Lines of text below."""

    def text(self, form: str = "table") -> str:
        """Returns the table in one of :data:`FORMS`."""
        cells, title, note = FORMS[form]
        parts = [f"{title}{self.title}"] if self.title else []
        told = "\n".join(f"{note}{line}" for line in self.notes)
        blank = "\n\n" if form == "markdown" else "\n"
        above = blank.join((*parts, cells(self.sides, self.rows)))
        return f"{above}\n\n{told}" if told else above


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
