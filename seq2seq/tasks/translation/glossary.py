"""A glossary: which terms of the target must stand for those of the source."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq2seq.data.files import is_blank, read_lines
from seq2seq.errors import DataError, as_path, as_texts, require, require_kind
from seq2seq.tasks.translation.borders import is_border


@dataclass(frozen=True)
class Glossary:
    """Terms of the source, each with the terms of the target of which one must stand for it.

    >>> glossary = Glossary({"Hund": ("dog",), "großer Hund": ("big dog", "large dog")})
    >>> glossary.found("Ein großer Hund und ein Hund.")
    [('big dog', 'large dog'), ('dog',)]
    """

    terms: Mapping[str, Sequence[str]]
    ignore_case: bool = False
    """Whether a term is found in the source however it is written."""

    def __post_init__(self) -> None:
        require_kind(self.ignore_case, bool, "ignore_case")
        terms = {source: tuple(as_texts(some, "terms")) for source, some in self.terms.items()}
        for source, some in terms.items():
            require(some != (), "terms", "at least one target term for each", {source: some})
        object.__setattr__(self, "terms", terms)

    @classmethod
    def read(cls, path: str | Path, *, ignore_case: bool = False) -> "Glossary":
        """Reads a file with a source term, a tab, and a target term a line.

        More target terms may follow, parted by tabs, any of which is right; so may more lines for
        a source term.

        Raises:
            DataError: The file cannot be read, or a line is something else.
        """
        require_kind(ignore_case, bool, "ignore_case")
        path = as_path(path, "path")
        terms: dict[str, tuple[str, ...]] = {}
        for number, line in enumerate(read_lines(path), 1):
            if is_blank(line):
                continue
            source, *targets = map(tidy, line.split("\t"))
            targets = [target for target in targets if target]
            if not source or not targets:
                raise DataError(
                    f"{path}: line {number:,}: must be a source term, a tab and a target term, "
                    f"got {line!r}"
                )
            terms[source] = tuple(dict.fromkeys((*terms.get(source, ()), *targets)))
        if not terms:
            raise DataError(f"{path}: holds no terms; at least one is needed")
        return cls(terms, ignore_case)

    def found(self, text: str) -> list[tuple[str, ...]]:
        """Returns the target terms of each term that stands in a source, as whole words.

        The leftmost first, of those that begin at one place the longest; no two overlap. A term
        that stands there twice counts once. Where case is ignored, one that is written as it stands
        there goes before others.
        """
        text = tidy(text)
        folded = self._fold(text)
        owners = [place for place, sign in enumerate(text) for _ in self._fold(sign)]
        found: dict[str, tuple[str, ...]] = {}
        place = 0
        while place < len(folded):
            end = self._end(folded, place)
            if end:
                written = text[owners[place] : owners[end - 1] + 1]
                terms = self._terms[folded[place:end]]
                source = written if written in terms else next(iter(terms))
                found[source] = terms[source]
            place = end or place + 1
        return list(found.values())

    def _end(self, text: str, place: int) -> int:
        """Returns where the longest term that begins at a place of a text ends; 0: none does."""
        if not _is_between(text, place):
            return 0
        ends = (place + length for length in self._lengths if place + length <= len(text))
        matches = (end for end in ends if text[place:end] in self._terms)
        return next((end for end in matches if _is_between(text, end)), 0)

    def _fold(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text

    @cached_property
    def _terms(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """The terms by how they are compared, and then by how they are written."""
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for source, targets in self.terms.items():
            found.setdefault(self._fold(tidy(source)), {})[tidy(source)] = tuple(targets)
        return found

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted(set(map(len, self._terms)) - {0}, reverse=True)


def tidy(text: str) -> str:
    """Returns a text whose white space and composed letters can be compared with another's."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _is_between(text: str, place: int) -> bool:
    """Tells whether no word goes on at a place of a text."""
    return place in (0, len(text)) or is_border(text[place - 1], text[place])
