"""A user's own symbols, such as ``<url>``: strings that stay whole, whatever the tokenizer.

While a text is normalised and cut, each stands there as one character, its mark: half a surrogate
pair, which no text has and no normaliser knows. Every tokenizer takes a mark for a token.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

FIRST, MOST = 0xD800, 2000
"""The first mark, and the most symbols that there may be."""
GLUE = "\udfff"
"""A token that says, where tokens are parted by spaces, that none stands between its neighbours."""
JOINED = "\uffed"
"""What people see of it."""
PARTS = re.compile("[\ud800-\udfff]|[^\ud800-\udfff]+")


def parts(text: str) -> list[str]:
    """Returns marks, and what stands between them."""
    return PARTS.findall(text)


def is_mark(token: str) -> bool:
    """Tells whether a token, or what stands between marks, is a mark."""
    return "\ud800" <= token[:1] <= GLUE


def mark_of(symbol: str, place: int) -> str:
    """Returns the mark of the symbol at a place of the list."""
    return GLUE if symbol == JOINED else chr(FIRST + place)


def apart(row: list[str]) -> list[str]:
    r"""Cuts tokens that have marks inside, as a word has that a symbol touches.

    >>> apart(["see", "(\ud800", "\ud801"]) == ["see", "(", GLUE, "\ud800", "\ud801"]
    True
    """
    found: list[str] = []
    for token in row:
        if token.isascii():
            found.append(token)
            continue
        first, *others = parts(token)
        found.append(first)
        for part in others:
            found += [GLUE, part]
    return found


def together(row: Sequence[str]) -> list[str]:
    """Undoes :func:`apart`, wherever a model may write such tokens."""
    found: list[str] = []
    glued = False
    for token in row:
        if token == GLUE:
            glued = bool(found)
        elif glued:
            found[-1] += token
            glued = False
        else:
            found.append(token)
    return found


@dataclass(frozen=True)
class Marks:
    """Symbols in texts, and their marks; of symbols that begin alike the longest counts.

    >>> marks = Marks(("<url>", "<num>"))
    >>> len(marks.marked("a<num>")), marks.restored(marks.marked("a<num>"))
    (2, 'a<num>')
    """

    symbols: tuple[str, ...]

    @cached_property
    def _marks(self) -> dict[str, str]:
        return {symbol: mark_of(symbol, at) for at, symbol in enumerate(self.symbols)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        own = sorted(set(self.symbols) - {JOINED}, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, own)))

    @cached_property
    def _texts(self) -> dict[int, str]:
        return {ord(mark): symbol for symbol, mark in self._marks.items() if mark != GLUE}

    def marked(self, text: str) -> str:
        """Returns a text with marks in place of symbols."""
        return self._pattern.sub(lambda found: self._marks[found[0]], text)

    def restored(self, text: str) -> str:
        """Returns a text with symbols in place of marks."""
        return text.translate(self._texts)
