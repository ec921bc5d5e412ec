"""Length buckets under a token budget; the order is a pure function of seed, epoch, position."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seq2seq.data.layout import flatten, make_batch
from seq2seq.data.pairs.store import PairStore
from seq2seq.errors import require
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline

ROWS_AT_ONCE = 2**16
MOST_SORTED = 2**16 - 1
DRAW = 1
"""Stands in the seeds of rows that are drawn, so that nothing else is drawn with the same."""


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How pairs are joined to batches."""

    tokens: int = 2000
    """Most tokens of a batch on its longer side, padding counted."""
    sentences: int = 0
    """Most pairs of a batch; 0: any number."""

    def __post_init__(self) -> None:
        require(self.tokens >= 1, "tokens", "at least 1", self.tokens)
        require(self.sentences >= 0, "sentences", "at least 0", self.sentences)


@dataclass(frozen=True)
class Shares:
    """How many rows an epoch has of each stretch of a store."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    def rows(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the rows of an epoch: each stretch as often as it goes in whole, then as many of
        its rows as are left, drawn without replacement. Where all go in once: 0, 1, 2 and so on.
        """  # noqa: D205
        found, start = [], 0
        for number, (size, wanted) in enumerate(zip(self.sizes, self.counts, strict=True)):
            every = np.arange(start, start + size, dtype=np.int32)
            found += [every] * (wanted // size)
            if left := wanted % size:
                rng = np.random.default_rng([seed, epoch, number, DRAW])
                found.append(rng.choice(every, left, replace=False))
            start += size
        return np.concatenate(found)


class Batches:
    """The batches of a store, epoch by epoch."""

    def __init__(
        self,
        store: PairStore,
        config: BatchConfig,
        seed: int,
        resample: tuple[Pipeline, Pipeline] | None = None,
        shares: Shares | None = None,
    ) -> None:
        """``resample`` cuts the texts into other subwords in each epoch; the store keeps texts.

        ``shares`` tells which rows an epoch has; None: each row once.
        """
        self.store = store
        self.config = config
        self.seed = seed
        self.resample = resample
        self.shares = shares
        self._latest: tuple[int, list[np.ndarray]] | None = None

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Returns the rows of each batch of an epoch, in order; that of the latest epoch is kept.

        Rows are shuffled, then sorted by source length and, back and forth, by target length, so
        both sides of a batch have nearly equal lengths; then the batches are shuffled.
        """
        if self._latest is None or self._latest[0] != epoch:
            self._latest = None  # two plans at once would double the memory
            self._latest = epoch, self._plan(epoch)
        return self._latest[1]

    def _plan(self, epoch: int) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch])
        rows = self._rows(epoch)
        rng.shuffle(rows)
        rows = _sorted(rows, self.store)
        batches = np.split(rows, self._cuts(rows))
        return [batches[index] for index in rng.permutation(len(batches))]

    def _rows(self, epoch: int) -> np.ndarray:
        if self.shares is not None:
            return self.shares.rows(self.seed, epoch)
        return np.arange(len(self.store), dtype=np.int32)

    def _cuts(self, rows: np.ndarray) -> list[int]:
        """Returns where the sorted rows are cut so that each batch fits the budget."""
        cuts, start, width = [], 0, 0
        most = self.config.sentences or len(rows)
        for row, length in enumerate(_longer(rows, self.store)):
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
        for position, rows in enumerate(self.plan(epoch)[start:], start):
            if self.resample is None:
                yield self.store.gather(rows)
            else:
                seed = int(np.random.default_rng([self.seed, epoch, position]).integers(2**31))
                yield self._resampled(rows, self.resample, seed)

    def _resampled(
        self, rows: np.ndarray, pipelines: tuple[Pipeline, Pipeline], seed: int
    ) -> Batch:
        """Gathers texts and cuts them at random, with the randomness of ``seed``."""
        sources, targets = self.store.texts(rows)
        return make_batch(
            *flatten(pipelines[0].sample(sources, seed)),
            *flatten(pipelines[1].sample(targets, seed + 1)),
        )


def _sorted(rows: np.ndarray, store: PairStore) -> np.ndarray:
    """Sorts rows by source length, then by target length: up for odd source lengths, else down.

    Each row becomes one number, so that sorting needs eight bytes a pair: 16 bits for each length
    (beyond them, a pair stands alone in its batch wherever it is sorted), and 32 for the place,
    which keeps rows of equal lengths in the order given.
    """
    keys = np.empty(len(rows), np.uint64)
    for part in _parts(len(rows)):
        selected = rows[part]
        source, target = (
            np.minimum(lengths[selected], MOST_SORTED).astype(np.uint64)
            for lengths in (store.source_lengths, store.target_lengths)
        )
        target = np.where(source % 2, target, MOST_SORTED - target)
        places = np.arange(part.start, part.start + len(selected), dtype=np.uint64)
        keys[part] = source << 48 | target << 32 | places
    keys.sort()
    keys &= 2**32 - 1
    return rows[keys.view(np.int64)]


def _longer(rows: np.ndarray, store: PairStore) -> Iterator[int]:
    """Yields the tokens of each pair's longer side, the target's end symbol counted."""
    for part in _parts(len(rows)):
        source, target = store.source_lengths[rows[part]], store.target_lengths[rows[part]]
        yield from np.maximum(source, target + 1).tolist()


def _parts(count: int) -> Iterator[slice]:
    """Cuts ``count`` rows into parts whose intermediate results need little memory."""
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


def padding(batches: list[np.ndarray], store: PairStore) -> float:
    """Returns the share of padding in the batches, over both sides."""
    real = padded = 0
    for rows in batches:
        for lengths in (store.source_lengths[rows], store.target_lengths[rows] + 1):
            real += int(lengths.sum())
            padded += int(lengths.max()) * len(rows)
    return 1 - real / padded
