"""Length buckets under a token budget; the order is a pure function of seed, epoch, position."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Int

from seq2seq.data.layout import Rows, flatten, make_batch
from seq2seq.data.store import PairStore
from seq2seq.errors import require
from seq2seq.symbols import EOS
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline

ROWS_AT_ONCE = 2**16
MOST_SORTED = 2**16 - 1
JOINING = 2**32 - 1
"""Parts the randomness of partners from that of a position."""
Lengths: TypeAlias = tuple[np.ndarray, np.ndarray]
"""The tokens of each source, and of each target."""


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How pairs are joined to batches."""

    tokens: int = 2000
    """Most tokens of a batch on its longer side, padding counted."""
    sentences: int = 0
    """Most pairs of a batch; 0: any number."""
    join: float = 0.0
    """Examples of two pairs in a row that each epoch has besides, for each pair. Partners are drawn
    anew in each epoch, so that a small corpus shows every text in many contexts (Kondo et al. 2021,
    section 3; Nguyen et al. 2021)."""

    def __post_init__(self) -> None:
        require(self.join >= 0, "join", "at least 0", self.join)
        require(self.tokens >= 1, "tokens", "at least 1", self.tokens)
        require(self.sentences >= 0, "sentences", "at least 0", self.sentences)


class Batches:
    """The batches of a store, epoch by epoch."""

    def __init__(
        self,
        store: PairStore,
        config: BatchConfig,
        seed: int,
        resample: tuple[Pipeline, Pipeline] | None = None,
    ) -> None:
        """``resample`` cuts the texts into other subwords in each epoch; the store keeps texts."""
        self.store = store
        self.config = config
        self.seed = seed
        self.resample = resample
        self._latest: tuple[int, list[np.ndarray]] | None = None

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Returns the rows of each batch of an epoch, in order; that of the latest epoch is kept.

        Rows are shuffled, then sorted by source length and, back and forth, by target length, so
        both sides of a batch have nearly equal lengths; then the batches are shuffled. Behind the
        rows of the store's pairs come those of joined ones, see :meth:`partners`.
        """
        if self._latest is None or self._latest[0] != epoch:
            self._latest = None  # two plans at once would double the memory
            self._latest = epoch, self._plan(epoch)
        return self._latest[1]

    def partners(self, epoch: int) -> Int[np.ndarray, "J 2"]:
        """Returns the pairs, by their rows in the store, of each example of two."""
        count = round(self.config.join * len(self.store))
        rng = np.random.default_rng([self.seed, epoch, JOINING])
        return rng.integers(len(self.store), size=(count, 2), dtype=np.int32)

    def padding(self, epoch: int) -> float:
        """Returns the share of padding in an epoch's batches."""
        return padding(self.plan(epoch), self._lengths(epoch))

    def _lengths(self, epoch: int) -> Lengths:
        """Returns the lengths of all that an epoch's rows stand for."""
        own = self.store.source_lengths, self.store.target_lengths
        if not self.config.join:
            return own
        two = self.partners(epoch)
        source, target = (np.concatenate([one, one[two].sum(1, np.int32) + 1]) for one in own)
        return source, target

    def _plan(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch])
        lengths = self._lengths(epoch)
        rows = np.arange(len(lengths[0]), dtype=np.int32)
        rng.shuffle(rows)
        rows = _sorted(rows, lengths)
        batches = np.split(rows, self._cuts(rows, lengths))
        return [batches[index] for index in rng.permutation(len(batches))]

    def _cuts(self, rows: np.ndarray, lengths: Lengths) -> list[int]:
        """Returns where the sorted rows are cut so that each batch fits the budget."""
        cuts, start, width = [], 0, 0
        most = self.config.sentences or len(rows)
        for row, length in enumerate(_longer(rows, lengths)):
            width = max(width, length)
            over = (row + 1 - start) * width > self.config.tokens or row - start >= most
            if over and row > start:
                cuts.append(row)
                start, width = row, length
        return cuts

    def size(self, epoch: int) -> int:
        """Returns the number of batches of an epoch."""
        return len(self.plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of an epoch from position ``start`` on."""
        partners = self.partners(epoch)
        for position, rows in enumerate(self.plan(epoch)[start:], start):
            pairs, more = _apart(rows, len(self.store), partners)
            if self.resample is None:
                source, target = self.store.ids(pairs)
            else:
                seed = int(np.random.default_rng([self.seed, epoch, position]).integers(2**31))
                source, target = self._resampled(pairs, self.resample, seed)
            yield make_batch(*_joined(source, more), *_joined(target, more))

    def _resampled(
        self, rows: np.ndarray, pipelines: tuple[Pipeline, Pipeline], seed: int
    ) -> tuple[Rows, Rows]:
        """Gathers texts and cuts them at random, with the randomness of ``seed``."""
        sources, targets = self.store.texts(rows)
        return (
            flatten(pipelines[0].sample(sources, seed)),
            flatten(pipelines[1].sample(targets, seed + 1)),
        )


def _apart(
    rows: np.ndarray, count: int, partners: Int[np.ndarray, "J 2"]
) -> tuple[Int[np.ndarray, "N"], Bool[np.ndarray, "N"]]:
    """Returns the pairs that rows stand for, and after which of them its row goes on."""
    two = rows >= count
    pairs = np.stack([rows, rows], axis=1)
    pairs[two] = partners[rows[two] - count]
    kept = np.stack([np.ones_like(two), two], axis=1)
    more = np.stack([two, np.zeros_like(two)], axis=1)
    return pairs[kept], more[kept]


def _joined(rows: Rows, more: Bool[np.ndarray, "N"]) -> Rows:
    """Joins each row that goes on with the next one, the end symbol between them."""
    flat, lengths = rows
    if not more.any():
        return rows
    begins = np.flatnonzero(~np.roll(more, 1))
    return np.insert(flat, lengths.cumsum()[more], EOS), np.add.reduceat(lengths + more, begins)


def _sorted(rows: np.ndarray, lengths: Lengths) -> np.ndarray:
    """Sorts rows by source length, then by target length: up for odd source lengths, else down.

    Each row becomes one number, so that sorting needs eight bytes a pair: 16 bits for each length
    (beyond them, a pair stands alone in its batch wherever it is sorted), and 32 for the place,
    which keeps rows of equal lengths in the order given.
    """
    keys = np.empty(len(rows), np.uint64)
    for part in _parts(len(rows)):
        some = rows[part]
        source, target = (np.minimum(side[some], MOST_SORTED).astype(np.uint64) for side in lengths)
        target = np.where(source % 2, target, MOST_SORTED - target)
        places = np.arange(part.start, part.start + len(some), dtype=np.uint64)
        keys[part] = source << 48 | target << 32 | places
    keys.sort()
    keys &= 2**32 - 1
    return rows[keys.view(np.int64)]


def _longer(rows: np.ndarray, lengths: Lengths) -> Iterator[int]:
    """Yields the tokens of each pair's longer side, the target's end symbol counted."""
    for part in _parts(len(rows)):
        source, target = (side[rows[part]] for side in lengths)
        yield from np.maximum(source, target + 1).tolist()


def _parts(count: int) -> Iterator[slice]:
    """Cuts ``count`` rows into parts whose intermediate results need little memory."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def padding(batches: list[np.ndarray], lengths: Lengths) -> float:
    """Returns the share of padding in the batches, over both sides."""
    real = padded = 0
    for rows in batches:
        for side in (lengths[0][rows], lengths[1][rows] + 1):
            real += int(side.sum())
            padded += int(side.max()) * len(rows)
    return 1 - real / padded
