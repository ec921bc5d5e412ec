"""How far texts have come with the terms that must stand in them."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, TypeAlias

from seq2seq.search.asked import Asked
from seq2seq.symbols import BOS, EOS

Place: TypeAlias = tuple[int, int, int]
"""A term, one of its spellings, and how many tokens of that stand at the end of a text."""


class Progress(NamedTuple):
    """How far a text has come."""

    met: tuple[int, ...]
    """How often each term stands in it, at most as often as it is asked for."""
    begun: tuple[Place, ...] = ()
    """The spellings that it ends with, or with the beginning of; a whole one counts once a token
    follows that is not of the same word."""


class Watch:
    """Follows the hypotheses of one text; what it knows of a prefix is not worked out again.

    Tokens that no term has are told apart only by where they part words, so that few answers have
    to be worked out.
    """

    def __init__(self, asked: Asked) -> None:
        self.terms, self.words = asked.terms, asked.words
        self.costs = [asked.cost(term) for term in self.terms]
        first = self.words if self._parts_first() else None
        self.separators = first.separators if first is not None else ()
        self._own = {token for term in self.terms for way in term.spellings for token in way}
        self._kinds: dict[tuple[bool, bool], int] = {}
        self._after, self._left = cache(self._worked_out), cache(self._reckoned)
        self._nearer = cache(self._looked_up)
        self._known: dict[tuple[int, ...], Progress] = {(BOS,): Progress((0,) * len(self.terms))}

    def _parts_first(self) -> bool:
        """Tells whether a word may have to end before a term can begin in any spelling."""
        costs = zip(self.terms, self.costs, strict=True)
        return any(cost > min(map(len, term.spellings)) for term, cost in costs)

    def progress(self, prefix: tuple[int, ...]) -> Progress:
        """Returns how far a text, its start symbol first, has come."""
        found = self._known.get(prefix)
        if found is None:
            found = self.after(self.progress(prefix[:-1]), *prefix[-2:])
            self._known[prefix] = found
        return found

    def after(self, progress: Progress, last: int, token: int) -> Progress:
        """Returns how far a text has come that ended with ``last`` and goes on with ``token``."""
        return self._after(progress, self._kind(last), self._kind(token))

    def _worked_out(self, progress: Progress, last: int, token: int) -> Progress:
        met, begun = list(progress.met), list[Place]()
        whole = set[int]()
        for term, spelling, length in progress.begun:
            tokens = self.terms[term].spellings[spelling]
            if length == len(tokens):
                whole.add(term)
            elif tokens[length] == token:
                begun.append((term, spelling, length + 1))
        for term in whole if self._parted(last, token) else ():
            met[term] = min(met[term] + 1, self.terms[term].times)
        begun += [place for place, first in self._beginnings(met, last) if first == token]
        return Progress(tuple(met), tuple(begun))

    def lacking(self, progress: Progress) -> int:
        """Returns how many terms a text lacks, each as often as it is asked for."""
        return sum(term.times for term in self.terms) - sum(progress.met)

    def left(self, progress: Progress, last: int) -> int:
        """Returns how many tokens are enough to meet the terms that a text still lacks."""
        return self._left(progress, self._kind(last))

    def _reckoned(self, progress: Progress, last: int) -> int:
        lacking = zip(self.terms, progress.met, self.costs, strict=True)
        whole = sum((term.times - met) * cost for term, met, cost in lacking)
        return whole - self._saved(progress, last)

    def _saved(self, progress: Progress, last: int) -> int:
        """Returns how much of that the end of the text has done already."""
        done, most = dict[int, int](), 0
        for term, spelling, length in progress.begun:
            if progress.met[term] < self.terms[term].times:
                rest = len(self.terms[term].spellings[spelling]) - length
                if rest == 0:
                    done[term] = self.costs[term]
                most = max(most, self.costs[term] - rest)
        return max(most, sum(done.values()), self.ready(progress, last))

    def nearer(self, progress: Progress, last: int) -> set[int]:
        """Returns the tokens that begin a term which a text lacks, or go on with one."""
        return self._nearer(progress, self._kind(last))

    def _looked_up(self, progress: Progress, last: int) -> set[int]:
        return {first for _, first in self._beginnings(progress.met, last)} | self._nexts(progress)

    def ready(self, progress: Progress, last: int) -> bool:
        """Tells whether the shortest spelling of a term that a text lacks may begin now."""
        return any(
            len(self.terms[term].spellings[spelling]) < self.costs[term]
            for (term, spelling, _), _ in self._beginnings(progress.met, last)
        )

    def _nexts(self, progress: Progress) -> set[int]:
        found = set[int]()
        for term, spelling, length in progress.begun:
            tokens = self.terms[term].spellings[spelling]
            if length < len(tokens):
                found.add(tokens[length])
        return found

    def _beginnings(
        self, met: tuple[int, ...] | list[int], last: int
    ) -> Iterator[tuple[Place, int]]:
        """Yields the spellings of lacking terms that may begin here, and their first tokens."""
        for number, term in enumerate(self.terms):
            if met[number] < term.times:
                for spelling, tokens in enumerate(term.spellings):
                    if self._parted(last, tokens[0]):
                        yield (number, spelling, 1), tokens[0]

    def _kind(self, token: int) -> int:
        """Returns the token, or one that parts words as it does where no term has it."""
        if token <= EOS or token in self._own:
            return token
        words = self.words
        sides = (True, True) if words is None else (words.opens[token], words.closes[token])
        return self._kinds.setdefault(sides, token)

    def _parted(self, before: int, after: int) -> bool:
        return self.words is None or self.words.part(before, after)
