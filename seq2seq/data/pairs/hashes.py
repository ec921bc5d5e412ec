"""Sets of hashes for corpora of any size: eight bytes each, in an array, not an object each."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, UInt64

FULLEST = 0.7
"""How much of the table may be full; it is doubled then: 11 to 23 bytes for each hash."""


def hashes(texts: Iterable[str]) -> UInt64[np.ndarray, "N"]:
    """Returns 64 bits of each text, the same in every process.

    Of a hundred million different texts any two have the same with a chance of 1 in 4,000.
    """
    whole = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.maximum(np.frombuffer(whole, np.uint64), 1)  # 0 marks what is empty


class Hashes:
    """A set of hashes, asked and added to many at a time (open addressing, linear probing)."""

    def __init__(self) -> None:
        self._table = np.zeros(2**12, np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def have(self, keys: UInt64[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
        """Tells of each hash whether it is in the set."""
        there: Bool[np.ndarray, N] = self._table[self._places(keys)] == keys
        return there

    def add(self, keys: UInt64[np.ndarray, "N"]) -> None:
        """Adds hashes, some of which may be there, or twice among them."""
        firsts = np.unique(keys)
        new = firsts[~self.have(firsts)]
        self._count += len(new)
        if self._count > FULLEST * len(self._table):
            old, size = self._table[self._table > 0], len(self._table)
            while self._count > FULLEST * size:
                size *= 2
            self._table = np.zeros(size, np.uint64)
            self._put(old)
        self._put(new)

    def _places(self, keys: UInt64[np.ndarray, "N"]) -> np.ndarray:
        """Returns where each hash is, or the empty place where it would be."""
        places = (keys & np.uint64(len(self._table) - 1)).astype(np.int64)
        left = np.arange(len(keys))
        while len(left):
            found = self._table[places[left]]
            left = left[(found != 0) & (found != keys[left])]
            places[left] = (places[left] + 1) % len(self._table)
        return places

    def _put(self, keys: UInt64[np.ndarray, "N"]) -> None:
        """Adds different hashes that are not there; of those for one place one comes first."""
        while len(keys):
            places = self._places(keys)
            self._table[places] = keys
            keys = keys[self._table[places] != keys]
