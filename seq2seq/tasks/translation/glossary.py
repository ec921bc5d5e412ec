"""A glossary: which terms of the target must stand for those of the source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq2seq.data.files import is_blank, read_lines
from seq2seq.errors import DataError, as_path, require_kind


@dataclass(frozen=True)
class Glossary:
    """Terms of the source, each with the terms of the target of which one must stand for it.

    >>> glossary = Glossary({"Hund": ("dog",), "großer Hund": ("big dog", "large dog")})
    >>> glossary.found("Ein großer Hund und ein Hund.")
    [('big dog', 'large dog'), ('dog',)]
    """

    terms: Mapping[str, tuple[str, ...]]
    ignore_case: bool = False
    """Whether a term is found in the source however it is written."""

    def __post_init__(self) -> None:
        require_kind(self.ignore_case, bool, "ignore_case")

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
            source, *targets = (term.strip() for term in line.split("\t"))
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
        that stands there twice counts once.
        """
        matches = dict.fromkeys(self._key(match[0]) for match in self._pattern.finditer(text))
        return [self._by_key[key] for key in matches]

    def _key(self, term: str) -> str:
        return term.casefold() if self.ignore_case else term

    @cached_property
    def _by_key(self) -> dict[str, tuple[str, ...]]:
        return {self._key(source): targets for source, targets in self.terms.items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest = sorted(self.terms, key=len, reverse=True)
        any_term = "|".join(map(re.escape, longest))
        flags = re.IGNORECASE if self.ignore_case else re.NOFLAG
        return re.compile(rf"(?<!\w)(?:{any_term})(?!\w)", flags)
