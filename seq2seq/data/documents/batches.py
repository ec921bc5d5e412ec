"""Continuous text as batches: read side by side in rows, each from left to right.

In each epoch, documents are shuffled and laid end to end to one line of predictions. The line is
cut into rows. A turn, a share of the line, says where the first row begins; the last row goes on
from the end of the line to there, on its second lap. Within a row, a chunk is what one batch reads:
at most ``steps`` predictions, and never beyond the end of a document. Here 2 rows, chunks of 4::

    document          3 3 3 3 3 3 0 0 0 2 2 2 2 2 1 1
    row, turned by 3  1 1 1 0 0 0 0 0 0 0 0 1 1 1 1 1      row 1 goes on at the beginning
    chunks of row 0         |3 3 3|0 0 0|2 2|              positions 0, 1, 2
    chunks of row 1   3 3 3|                |2 2 2|1 1|    positions 2 (on lap 2), 0, 1

Batch 0 is the chunks at position 0 of all rows, and so on; the state of a row is carried from one
to the next, but a chunk that does not continue the one before (``|``) is fresh. Each prediction
comes exactly once an epoch. The order is a pure function of seed, epoch and position.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from seq2seq.data.documents.store import TextStore
from seq2seq.errors import require
from seq2seq.tensors import TextBatch


@dataclass(frozen=True, kw_only=True)
class TextBatchConfig:
    """How continuous text becomes batches."""

    rows: int = 32
    """Parts of the text read side by side."""
    steps: int = 128
    """Tokens of a row in one update: how far gradients reach back."""
    reset: float = 0.0
    """Chance that a row forgets its state before an update, so that the model learns to begin in
    the middle of a text."""

    def __post_init__(self) -> None:
        for key in ("rows", "steps"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        require(0 <= self.reset <= 1, "reset", "in [0, 1]", self.reset)


@dataclass(frozen=True)
class Plan:
    """The chunks of an epoch, and which row reads which when."""

    begins: Int[np.ndarray, "C"]
    """The place of each chunk's first input in the store."""
    lengths: Int[np.ndarray, "C"]
    """Its predictions."""
    fresh: Bool[np.ndarray, "C"]
    """False where it continues the chunk before."""
    table: Int[np.ndarray, "S B"]
    """The chunk that each row reads at each position; -1 where its part of the text is over."""

    def batch(self, store: TextStore, position: int) -> TextBatch:
        """Returns the batch at a position."""
        chunks = self.table[position]
        live = chunks >= 0
        return store.gather(
            np.where(live, self.begins[chunks], 0),
            np.where(live, self.lengths[chunks], 0),
            self.fresh[chunks] | ~live,
        )


def plan_rows(
    store: TextStore,
    order: Int[np.ndarray, "N"],
    config: TextBatchConfig,
    turn: float = 0.0,
) -> Plan:
    """Lays documents end to end, cuts that line into rows, and the rows into chunks.

    Args:
        store: The text.
        order: The documents, in the order of the line.
        config: The number of rows, and the most predictions of a chunk.
        turn: In [0, 1): where the first row begins, as a share of the line; the last row goes on
            from the end of the line to there.
    """
    begins = np.concatenate([[0], store.ends[:-1]])[order]  # [N]: where each document is stored
    counts = store.ends[order] - begins - 1  # [N]: its predictions
    starts, total = np.cumsum(counts) - counts, int(counts.sum())  # [N]: its place on the line
    bounds = _bounds(counts, starts, config, turn)  # [rows + 1]: places on two laps of the line
    # A stretch lies within one document and one row; places beyond the line are its beginning.
    breaks = np.sort(np.concatenate([starts, starts + total, bounds]), kind="stable")
    breaks = breaks[(breaks >= bounds[0]) & (breaks <= bounds[-1])]
    lengths = np.diff(breaks)
    breaks, lengths = breaks[:-1][lengths > 0], lengths[lengths > 0]  # [P]: one for each stretch
    rows = np.searchsorted(bounds, breaks, side="right") - 1  # [P]: the row that it lies in
    places = breaks % total  # [P]: back on the first lap
    documents = np.searchsorted(starts, places, side="right") - 1  # [P]
    sources = begins[documents] + places - starts[documents]  # [P]: places in the store
    return _plan_chunks(sources, lengths, rows, config)


def _bounds(
    counts: Int[np.ndarray, "N"],
    starts: Int[np.ndarray, "N"],
    config: TextBatchConfig,
    turn: float,
) -> Int[np.ndarray, "X"]:
    """Returns where each row begins on the line, and where the last one ends.

    Rows get equal shares of the updates, not of the predictions: a document's last chunk costs an
    update even if it is short, and rows of short documents would be over long after the others.
    """
    costs = -(-counts // config.steps) * config.steps  # [N]: predictions, chunks filled up
    ends = np.cumsum(costs)  # [N]
    total, predictions = int(ends[-1]), int(counts.sum())
    first = int(turn * total)
    bounds = []
    for row in range(config.rows + 1):
        lap, cost = divmod(first + row * total // config.rows, total)
        document = int(np.searchsorted(ends, cost, side="right"))
        whole, count = int(costs[document]), int(counts[document])
        inside = (cost - (int(ends[document]) - whole)) * count // whole
        bounds.append(lap * predictions + int(starts[document]) + inside)
    return np.array(bounds, np.int64)


def _plan_chunks(
    sources: Int[np.ndarray, "P"],
    lengths: Int[np.ndarray, "P"],
    rows: Int[np.ndarray, "P"],
    config: TextBatchConfig,
) -> Plan:
    """Cuts stretches of text, sorted by row, into chunks."""
    parts = -(-lengths // config.steps)  # [P]: chunks of each stretch
    stretch = np.repeat(np.arange(len(parts)), parts)  # [C]: the stretch of each chunk
    before = config.steps * _places(parts, stretch)  # [C]: predictions of it before the chunk
    per_row = np.bincount(rows[stretch], minlength=config.rows)  # [B]: chunks of each row
    table = np.full((per_row.max(), config.rows), -1)  # [S, B]
    table[_places(per_row, rows[stretch]), rows[stretch]] = np.arange(len(stretch))
    return Plan(
        sources[stretch] + before,
        np.minimum(config.steps, lengths[stretch] - before),
        before == 0,
        table,
    )


def _places(counts: Int[np.ndarray, "G"], groups: Int[np.ndarray, "C"]) -> Int[np.ndarray, "C"]:
    """Returns the place of each member in its group, where groups stand one after another."""
    places: np.ndarray = np.arange(len(groups)) - (np.cumsum(counts) - counts)[groups]
    return places


class _Planned(ABC):
    """An order of batches in which each epoch has a plan."""

    def __init__(self, store: TextStore) -> None:
        self.store = store
        self._latest: tuple[int, Plan] | None = None

    @abstractmethod
    def _plan(self, epoch: int) -> Plan:
        """Makes the plan of an epoch."""

    def plan(self, epoch: int) -> Plan:
        """Returns the plan of an epoch; that of the latest is kept."""
        if self._latest is None or self._latest[0] != epoch:
            self._latest = epoch, self._plan(epoch)
        return self._latest[1]

    def size(self, epoch: int) -> int:
        """Returns the number of batches of an epoch."""
        return len(self.plan(epoch).table)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TextBatch]:
        """Yields the batches of an epoch from position ``start`` on."""
        plan = self.plan(epoch)
        return (plan.batch(self.store, at) for at in range(start, len(plan.table)))


class TextBatches(_Planned):
    """The batches of a training text: rows that go on from batch to batch.

    In each epoch, documents are shuffled and laid end to end; that line, turned by a random share
    so that chunks begin elsewhere, is cut into rows, each read from left to right. A chunk ends
    with its document, and the next one of that row is fresh.
    """

    def __init__(self, store: TextStore, config: TextBatchConfig, seed: int) -> None:
        super().__init__(store)
        self.config = config
        self.seed = seed

    def _plan(self, epoch: int) -> Plan:
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.store.documents)
        plan = plan_rows(self.store, order, self.config, rng.random())
        return replace(plan, fresh=plan.fresh | (rng.random(len(plan.fresh)) < self.config.reset))


class ReadThrough(_Planned):
    """The batches of a validation text, read from its beginning to its end with carried state.

    One row is exact; more are faster, and begin anew in the middle of documents.
    """

    def __init__(self, store: TextStore, rows: int = 1, steps: int = 512) -> None:
        super().__init__(store)
        self.config = TextBatchConfig(rows=rows, steps=steps)

    def _plan(self, epoch: int) -> Plan:
        return plan_rows(self.store, np.arange(self.store.documents), self.config)


class Windows(_Planned):
    """Independent windows of ``size`` predictions, ``rows`` at once; each begins anew."""

    def __init__(self, store: TextStore, size: int, rows: int = 64) -> None:
        super().__init__(store)
        self.config = TextBatchConfig(rows=1, steps=size)
        self.rows = rows

    def _plan(self, epoch: int) -> Plan:
        line = plan_rows(self.store, np.arange(self.store.documents), self.config)
        chunks = np.arange(len(line.begins))
        spare = np.full(-len(chunks) % self.rows, -1)
        table = np.concatenate([chunks, spare]).reshape(-1, self.rows)
        return Plan(line.begins, line.lengths, np.ones_like(line.fresh), table)
