"""Pairs that are there already: in what was read before, or in what is held out for tests."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import UInt64

from seq2seq.data.pairs.hashes import Hashes, hashes

Pair = tuple[str, str]


def _whole(source: str, target: str) -> str:
    return f"{len(source)}\0{source}{target}"


def _source(source: str, target: str) -> str:
    return source


def _target(source: str, target: str) -> str:
    return target


SAME: dict[str, tuple[Callable[[str, str], str], ...]] = {
    "pair": (_whole,),
    "source": (_source,),
    "target": (_target,),
    "either": (_source, _target),
}
"""What must be the same: each is looked for by itself."""


def keys_of(pairs: Sequence[Pair], choice: str) -> Iterator[UInt64[np.ndarray, "N"]]:
    """Yields, for each thing that must be the same, its hash of each pair."""
    for key in SAME[choice]:
        yield hashes(key(source, target) for source, target in pairs)


def held_out(
    choice: str, known: Mapping[str, Hashes]
) -> Callable[[Sequence[Pair]], Sequence[bool]]:
    """Returns what finds pairs of which something is in ``known``."""
    sides = ("source", "target") if choice == "either" else (choice,)

    def finder(pairs: Sequence[Pair]) -> Sequence[bool]:
        found = np.zeros(len(pairs), np.bool_)
        for side in sides:
            if side in known:
                found |= known[side].have(next(keys_of(pairs, side)))
        return list(map(bool, found))

    return finder


class Repeats:
    """Finds pairs with something that a pair before has, which was not found itself."""

    def __init__(self, choice: str, fold: Callable[[str], str] | None) -> None:
        """Compares texts as they are, or as ``fold`` makes them."""
        self._choice, self._fold = choice, fold
        self._seen = [Hashes() for _ in SAME[choice]]

    def __call__(self, pairs: Sequence[Pair]) -> Sequence[bool]:
        """Tells which of these pairs are such, and remembers the others."""
        if self._fold is not None:
            pairs = [(self._fold(source), self._fold(target)) for source, target in pairs]
        keys = list(keys_of(pairs, self._choice))
        masks = [one.have(own) for one, own in zip(self._seen, keys, strict=True)]
        found = list(map(bool, np.any(masks, axis=0)))
        here = [set[int]() for _ in keys]
        for place, row in enumerate(zip(*map(np.ndarray.tolist, keys), strict=True)):
            found[place] |= any(key in own for key, own in zip(row, here, strict=True))
            if not found[place]:
                for key, own in zip(row, here, strict=True):
                    own.add(key)
        for one, own in zip(self._seen, here, strict=True):
            one.add(np.array(sorted(own), np.uint64))
        return found
