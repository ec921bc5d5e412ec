"""Words cut into subwords at random, as a pure function of the word and a generator.

SentencePiece can draw as well, but what it draws for one seed differs between processes: no run
could be repeated, nor go on as if it had never stopped.
"""

import math
import re
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from random import Random

META = "\u2581"
"""How SentencePiece writes a space."""

_LONGEST_CACHED = 30
"""Longer words are hardly met again, and would fill the memory."""
_LONGEST_MERGED = 512
"""Longer words are cut before they are merged, since that takes the square of their length."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """What the words of a subword model are made of, with scores: the higher, the likelier."""

    scores: Mapping[str, float]

    @cached_property
    def longest(self) -> int:
        """Characters of the longest piece."""
        return max(map(len, self.scores), default=0)

    @cached_property
    def _word(self) -> re.Pattern[str]:
        across = any(re.search(f"[^{META}]{META}", piece) for piece in self.scores)
        return re.compile("(?s:.+)" if across else f"{META}*[^{META}]+|{META}+")

    def words(self, text: str) -> list[str]:
        """Cuts a text where no piece reaches across: before each space, as a rule."""
        return self._word.findall(text)


def draw_path(pieces: Pieces, word: str, smoothing: float, rng: Random) -> list[str]:
    """Cuts a word in one of all ways, each as likely as its probability to the smoothing.

    That is forward filtering and backward sampling (Kudo 2018, section 3.3): from the end to the
    beginning, one piece after the other.
    """
    lattice = _lattice if len(word) <= _LONGEST_CACHED else _lattice.__wrapped__
    steps = lattice(pieces, word, smoothing)
    found, end = [], len(word)
    while end:
        starts, shares = steps[end]
        start = starts[bisect(shares, rng.random(), 0, len(starts) - 1)]
        found.append(word[start:end])
        end = start
    return found[::-1]


@lru_cache(maxsize=2**16)
def _lattice(
    pieces: Pieces, word: str, smoothing: float
) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Returns, for each place, where pieces that end there begin, and their summed-up shares."""
    totals = [0.0]  # logarithms of the mass of all ways from the beginning to a place
    steps: list[tuple[tuple[int, ...], tuple[float, ...]]] = [((), ())]
    for end in range(1, len(word) + 1):
        ways = {
            start: totals[start] + smoothing * pieces.scores[word[start:end]]
            for start in range(max(0, end - pieces.longest), end)
            if word[start:end] in pieces.scores and totals[start] > -math.inf
        }
        most = max(ways.values(), default=-math.inf)
        masses = list(accumulate(math.exp(way - most) for way in ways.values()))
        totals.append(most + math.log(masses[-1]) if masses else most)
        steps.append((tuple(ways), tuple(mass / masses[-1] for mass in masses)))
    return steps


def draw_merges(pieces: Pieces, word: str, dropout: float, rng: Random) -> list[str]:
    """Merges neighbours, always the best pair, but drops each with a chance (BPE-dropout).

    What is dropped is drawn anew before each merge; once all is dropped, the word is done
    (Provilkov et al. 2020, section 3.2, algorithm 1).
    """
    if len(word) > _LONGEST_MERGED:
        cuts = range(0, len(word), _LONGEST_MERGED)
        parts = (word[start : start + _LONGEST_MERGED] for start in cuts)
        return [token for part in parts for token in draw_merges(pieces, part, dropout, rng)]
    tokens = list(word)
    scores = [pieces.scores.get(left + right, -math.inf) for left, right in pairwise(tokens)]
    while True:
        best, place = -math.inf, None
        for at, score in enumerate(scores):
            if score > best and rng.random() >= dropout:
                best, place = score, at
        if place is None:
            return tokens
        tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
        del scores[place]
        for at in range(max(0, place - 1), min(place + 1, len(scores))):
            scores[at] = pieces.scores.get(tokens[at] + tokens[at + 1], -math.inf)
