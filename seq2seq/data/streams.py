"""Continuous text for language models: encoded once, memory-mapped, read side by side in rows.

A document is kept as ``BOS ids EOS``. A prediction is one step inside of it, from a token to the
next one: a document of ``n`` ids has ``n + 1``, and each comes exactly once an epoch. The order is
a pure function of seed, epoch and position.
"""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Bool, Int, Integer
from tqdm import tqdm

from seq2seq.data.cache import clear_leftovers, digest, draft, storing
from seq2seq.data.texts import Document, Texts, pieces
from seq2seq.errors import DataError, require
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Padded, TextBatch
from seq2seq.text.pipeline import Pipeline

FORMAT = 1
CHARACTERS_AT_ONCE = 2**18
IDS_AT_ONCE = 2**24
log = logging.getLogger("seq2seq")


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


@dataclass(frozen=True, eq=False)
class TextStore:
    """Encoded documents on disk; only their ends are in memory."""

    ids: Integer[np.ndarray, "I"]
    """All documents end to end, each with its start and end symbol; memory-mapped."""
    ends: Int[np.ndarray, "N"]
    """Where each document ends in ``ids``."""
    characters: int
    """Characters of the texts, as they were before encoding."""

    @property
    def documents(self) -> int:
        """The number of documents."""
        return len(self.ends)

    @property
    def tokens(self) -> int:
        """The number of tokens, start and end symbols left out."""
        return len(self.ids) - 2 * len(self.ends)

    @property
    def predictions(self) -> int:
        """The number of tokens to predict: all tokens, and the end of each document."""
        return len(self.ids) - len(self.ends)

    def share(self, token: int) -> float:
        """Returns how large a share of the tokens ``token`` is."""
        starts = range(0, len(self.ids), IDS_AT_ONCE)
        blocks = (self.ids[start : start + IDS_AT_ONCE] for start in starts)
        return sum(int((block == token).sum()) for block in blocks) / max(self.tokens, 1)

    def gather(
        self,
        begins: Int[np.ndarray, "B"],
        lengths: Int[np.ndarray, "B"],
        fresh: Bool[np.ndarray, "B"],
    ) -> TextBatch:
        """Returns stretches of text, each ``lengths`` predictions from the place ``begins`` on."""
        steps = np.arange(int(lengths.max(initial=0)) + 1)
        places = np.minimum(begins[:, None] + steps, len(self.ids) - 1)
        ids = self.ids[places].astype(np.int64)
        valid = steps[:-1] < lengths[:, None]
        sides = (torch.from_numpy(np.where(valid, side, PAD)) for side in (ids[:, :-1], ids[:, 1:]))
        counts, count = torch.from_numpy(lengths.astype(np.int64)), int(lengths.sum())
        target_in, target_out = (Padded(side, counts, count) for side in sides)
        return TextBatch(target_in, target_out, torch.from_numpy(fresh))


def encode_texts(texts: Texts, pipeline: Pipeline, cache: Path) -> TextStore:
    """Encodes texts, or finds them encoded in ``cache``: keyed by content and pipeline.

    What is damaged in the cache is encoded anew. Memory does not grow with the text, its
    documents' ends and a document without single spaces (see :func:`pieces`) aside.

    Raises:
        DataError: There is no text; or a file is where the cache should be.
        StorageError: The disk refused.
    """
    facts = ["text", FORMAT, texts.fingerprint(), pipeline.fingerprint]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    path = cache / f"{key}.npy"
    clear_leftovers(cache)
    store = _read(path)
    if store is None:
        with storing(cache):
            cache.mkdir(parents=True, exist_ok=True)
            _write(path, texts, pipeline)
        store = _open(path)
    return store


def _ends(path: Path) -> Path:
    return path.with_suffix(".ends.npy")


def _open(path: Path) -> TextStore:
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return TextStore(np.load(path, mmap_mode="r"), np.load(_ends(path)), record["characters"])


def _read(path: Path) -> TextStore | None:
    """Returns what was encoded earlier, or None where that is missing or damaged."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if record.pop("sha256") == _seal(path, record):
            return _open(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # as good as another digest
    log.warning("%s is damaged; encoding anew", path)
    return None


def _write(path: Path, texts: Texts, pipeline: Pipeline) -> None:
    """Encodes texts to array files, under temporary names until each is whole."""
    kind = np.dtype(np.uint16 if len(pipeline) <= 2**16 else np.int32)
    ends = array("q")
    with draft(path) as temporary, temporary.open("w+b") as file:
        characters = _write_ids(file, kind, ends, texts, pipeline)
        if not ends:
            raise DataError(f"{texts.name}: holds no text; at least one character is needed")
    with draft(_ends(path)) as temporary, temporary.open("wb") as file:
        np.save(file, np.array(ends, np.int64))
    counts = {
        "documents": len(ends),
        "tokens": ends[-1] - 2 * len(ends),
        "characters": characters,
    }
    record = {**counts, "sha256": _seal(path, counts)}
    with draft(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")


def _seal(path: Path, counts: dict[str, int]) -> str:
    """Returns a hash of everything that is kept of a text."""
    facts = [digest(path), digest(_ends(path)), counts]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _write_ids(
    file: BinaryIO, kind: np.dtype, ends: "array[int]", texts: Texts, pipeline: Pipeline
) -> int:
    """Appends the ids of all documents, and their ends to ``ends``; returns the characters."""
    _write_header(file, kind, 0)
    written = characters = 0
    for ids, some, read in _encoded(texts, pipeline):
        file.write(np.array(ids, kind).tobytes())  # `tofile` overlooks a full disk
        ends.extend(written + end for end in some)
        written += len(ids)
        characters += read
    file.seek(0)
    _write_header(file, kind, written)  # as long as before: numpy leaves room for any length
    return characters


def _write_header(file: BinaryIO, kind: np.dtype, length: int) -> None:
    facts = {"descr": kind.str, "fortran_order": False, "shape": (length,)}
    np.lib.format.write_array_header_1_0(file, facts)


def _encoded(texts: Texts, pipeline: Pipeline) -> Iterator[tuple[list[int], list[int], int]]:
    """Yields ids, many at a time, where documents end among them, and the characters read."""
    at_spaces, space = _cutting(pipeline)
    with tqdm(
        desc=f"encode {texts.name}", disable=None, unit=" characters", unit_scale=True
    ) as bar:
        for some in _batches(texts, at_spaces):
            ids: list[int] = []
            ends = []
            read = 0
            rows = pipeline.encode([piece for piece, _, _ in some])
            for (piece, first, last), row in zip(some, rows, strict=True):
                ids += [BOS, *row] if first else row
                ids += [EOS] if last else space
                ends += [len(ids)] if last else []
                read += len(piece) + (at_spaces and not last)
            bar.update(read)
            yield ids, ends, read


def _cutting(pipeline: Pipeline) -> tuple[bool, list[int]]:
    """Returns whether documents are cut at spaces only, and the ids that stand for such a space.

    Normalizers look at neighbours too: at combining marks, at the end of a word (Greek sigma).
    """
    tokenizer = pipeline.tokenizer
    if tokenizer.kind not in ("char", "byte"):
        return True, []
    at_spaces = not pipeline.normalizers.reversible
    return at_spaces, pipeline.vocabulary.ids(tokenizer.encode([" "])[0]) if at_spaces else []


Marked = tuple[str, bool, bool]
"""A piece, and whether it is the first and the last of its document."""


def _batches(texts: Texts, at_spaces: bool) -> Iterator[list[Marked]]:
    """Collects the pieces of all documents, so that short ones are encoded together."""
    some: list[Marked] = []
    size = 0
    for document in texts.documents():
        for marked in _marked(document, at_spaces):
            some.append(marked)
            size += len(marked[0])
            if size >= CHARACTERS_AT_ONCE:
                yield some
                some, size = [], 0
    if some:
        yield some


def _marked(document: Document, at_spaces: bool) -> Iterator[Marked]:
    parts = pieces(document, at_spaces)
    part, first = next(parts), True
    for following in parts:
        yield part, first, False
        part, first = following, False
    yield part, first, True


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
    begins = np.concatenate([[0], store.ends[:-1]])[order]
    counts = store.ends[order] - begins - 1
    starts, total = np.cumsum(counts) - counts, int(counts.sum())
    bounds = _bounds(counts, starts, config, turn)
    # A stretch lies within one document and one row; places beyond the line are its beginning.
    breaks = np.sort(np.concatenate([starts, starts + total, bounds]), kind="stable")
    breaks = breaks[(breaks >= bounds[0]) & (breaks <= bounds[-1])]
    lengths = np.diff(breaks)
    breaks, lengths = breaks[:-1][lengths > 0], lengths[lengths > 0]
    rows = np.searchsorted(bounds, breaks, side="right") - 1
    places = breaks % total
    documents = np.searchsorted(starts, places, side="right") - 1
    sources = begins[documents] + places - starts[documents]
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
    costs = -(-counts // config.steps) * config.steps
    ends = np.cumsum(costs)
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
    parts = -(-lengths // config.steps)
    stretch = np.repeat(np.arange(len(parts)), parts)
    before = config.steps * _places(parts, stretch)
    per_row = np.bincount(rows[stretch], minlength=config.rows)
    table = np.full((per_row.max(), config.rows), -1)
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


class Carried(_Planned):
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
