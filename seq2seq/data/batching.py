"""Length buckets under a token budget; the order is a pure function of seed, epoch, position."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seq2seq.data.layout import flatten, make_batch
from seq2seq.data.store import PairStore
from seq2seq.errors import require
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline


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

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Returns the rows of each batch of an epoch, in order.

        Rows are shuffled, then sorted by source length and, back and forth, by target length, so
        both sides of a batch have nearly equal lengths; then the batches are shuffled.
        """
        rng = np.random.default_rng([self.seed, epoch])
        shuffled = rng.permutation(len(self.store))
        source = self.store.source_lengths[shuffled]
        target = self.store.target_lengths[shuffled]
        order = np.lexsort((np.where(source % 2, target, -target), source))
        longest = np.maximum(source, target + 1)[order]
        batches = np.split(shuffled[order], self._cuts(longest))
        return [batches[index] for index in rng.permutation(len(batches))]

    def _cuts(self, longest: np.ndarray) -> list[int]:
        """Returns where the sorted rows are cut so that each batch fits the budget."""
        cuts, start, width = [], 0, 0
        most = self.config.sentences or len(longest)
        for row, length in enumerate(longest.tolist()):
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


def padding(batches: list[np.ndarray], store: PairStore) -> float:
    """Returns the share of padding in the batches, over both sides."""
    real = padded = 0
    for rows in batches:
        for lengths in (store.source_lengths[rows], store.target_lengths[rows] + 1):
            real += int(lengths.sum())
            padded += int(lengths.max()) * len(rows)
    return 1 - real / padded
