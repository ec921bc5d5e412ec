"""Encoded pairs: made once, kept as Arrow, memory-mapped, gathered without a loop over tokens."""

import hashlib
import json
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from seq2seq.data.cache import clear_leftovers, draft, storing
from seq2seq.data.files import digest
from seq2seq.data.growing import Growing, growing
from seq2seq.data.layout import make_batch
from seq2seq.data.pairs.corpus import Corpus, Pair, usable
from seq2seq.errors import DataError, require
from seq2seq.lists import chunks
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline

FORMAT = 3
PAIRS_AT_ONCE = 10_000
CHARACTERS_AT_ONCE = 2**21
"""As many pairs, or texts as long together, are in memory with their tokens."""
Row: TypeAlias = tuple[list[int], list[int], str, str]
"""Ids and texts of both sides."""
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
"""Ends a file in Arrow's stream format."""
log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Which pairs are left out of training; blank ones always are."""

    max_source_length: int = 250
    """Most source tokens."""
    max_target_length: int = 250
    """Most target tokens."""
    max_ratio: float = 0.0
    """Most tokens of the longer side for one of the shorter, from 10 tokens on; 0: any."""

    def __post_init__(self) -> None:
        for key in ("max_source_length", "max_target_length"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        fits = self.max_ratio == 0 or self.max_ratio >= 1
        require(fits, "max_ratio", "0 or at least 1", self.max_ratio)

    def reason(self, source: Sequence[int], target: Sequence[int]) -> str | None:
        """Returns why a pair is left out, or None."""
        if not source or not target:
            return "blank"
        if len(source) > self.max_source_length or len(target) > self.max_target_length:
            return "too long"
        short, long = sorted((len(source), len(target)))
        return "ratio" if self.max_ratio and long >= 10 and long > self.max_ratio * short else None


class PairStore:
    """Encoded pairs on disk; only their lengths are in memory."""

    def __init__(self, table: pa.Table, dropped: Counter[str] | None = None) -> None:
        self._table = table
        self._sides = {side: _Lists(table[side]) for side in ("source", "target")}
        self.dropped = dropped if dropped is not None else Counter[str]()
        self.source_lengths = self._sides["source"].lengths()
        self.target_lengths = self._sides["target"].lengths()

    @classmethod
    def open(cls, path: Path, dropped: Counter[str] | None = None) -> "PairStore":
        """Opens an encoded corpus.

        Raises:
            OSError: There is no such file.
            ValueError: It is not in Arrow's stream format.
        """
        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            return cls(stream.read_all(), dropped)

    @classmethod
    def joined(cls, stores: Sequence["PairStore"]) -> "PairStore":
        """Returns stores, one after the other, as one; nothing is copied but their lengths."""
        if len(stores) == 1:
            return stores[0]
        dropped = sum((store.dropped for store in stores), Counter[str]())
        return cls(pa.concat_tables([store._table for store in stores]), dropped)

    def __len__(self) -> int:
        return len(self.source_lengths)

    def share(self, side: str, token: int) -> float:
        """Returns how large a share of one side's tokens ``token`` is."""
        ids = pc.list_flatten(self._table[side])
        return float(pc.mean(pc.equal(ids, token)).as_py())

    def texts(self, rows: np.ndarray) -> tuple[list[str], list[str]]:
        """Returns the texts of the given pairs, where the store keeps them."""
        columns = self._table["source_text"], self._table["target_text"]
        source, target = ([column[row].as_py() for row in rows.tolist()] for column in columns)
        return source, target

    def gather(self, rows: np.ndarray) -> Batch:
        """Returns the given pairs as a batch for teacher forcing."""
        source, target = (side.gather(rows) for side in self._sides.values())
        return make_batch(*source, *target)


class _Lists:
    """A column of lists, read where it lies: Arrow's own ``take`` would copy the whole column."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.starts = np.cumsum([0, *map(len, column.chunks)])
        self.chunks = [
            (chunk.values.to_numpy(), chunk.offsets.to_numpy()) for chunk in column.chunks
        ]

    def lengths(self) -> np.ndarray:
        """Returns the length of each row."""
        lengths = np.empty(self.starts[-1], np.int32)
        for start, (_, offsets) in zip(self.starts.tolist(), self.chunks, strict=False):
            np.subtract(offsets[1:], offsets[:-1], out=lengths[start : start + len(offsets) - 1])
        return lengths

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the items of the given rows, one row after the other, and each row's length."""
        items = []
        chunk_of = np.searchsorted(self.starts, rows, side="right") - 1  # [R]: each row's chunk
        places = rows - self.starts[chunk_of]  # [R]: its place in there
        for chunk, place in zip(chunk_of.tolist(), places.tolist(), strict=True):
            values, offsets = self.chunks[chunk]
            items.append(values[offsets[place] : offsets[place + 1]])
        return np.concatenate(items), np.array([len(row) for row in items])


def encode_corpus(
    corpus: Corpus,
    source: Pipeline,
    target: Pipeline,
    filters: FilterConfig,
    cache: Path,
    *,
    keep_text: bool = False,
) -> PairStore:
    """Encodes a corpus, or finds it encoded in ``cache``: keyed by content and pipelines.

    What is damaged in the cache is encoded anew; what a killed process has left is gone on with.

    Raises:
        DataError: No pair is left after filtering; says how many were dropped and why. Or a file
            is where the cache should be.
        StorageError: The disk refused.
    """
    facts = [FORMAT, corpus.fingerprint(), source.fingerprint, target.fingerprint]
    key = hashlib.sha256(json.dumps([*facts, asdict(filters), keep_text]).encode()).hexdigest()[:32]
    path = cache / f"{key}.arrow"
    clear_leftovers(cache)
    store = _read(path)
    if store is None:
        with storing(cache):
            cache.mkdir(parents=True, exist_ok=True)
            dropped, sha256 = _write(path, corpus, source, target, filters, keep_text)
            record = json.dumps({"sha256": sha256, "dropped": dropped})
            with draft(path.with_suffix(".json")) as temporary:
                temporary.write_text(record, encoding="utf-8")
        store = PairStore.open(path, dropped)
    if not len(store):
        raise DataError(f"{corpus.name}: no pair is left, {describe(store.dropped)}")
    return store


def describe(dropped: Counter[str]) -> str:
    """Says how many pairs were dropped, and why."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items()))
    return f"{dropped.total():,} dropped" + (f" ({reasons})" if reasons else "")


def _read(path: Path) -> PairStore | None:
    """Returns what was encoded earlier, or None where that is missing or damaged."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if record["sha256"] == digest(path):
            return PairStore.open(path, Counter(record["dropped"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a record that cannot be read is damaged, too
    log.warning("%s is damaged; encoding anew", path)
    return None


def _write(
    path: Path,
    corpus: Corpus,
    source: Pipeline,
    target: Pipeline,
    filters: FilterConfig,
    keep_text: bool,
) -> tuple[Counter[str], str]:
    """Encodes the corpus to an Arrow file, or goes on with what a killed process has left.

    Each list of pairs that is encoded at once is a part of the file. Returns what was dropped, and
    the file's SHA-256.
    """
    columns = {"source": _ids(source), "target": _ids(target)}
    if keep_text:
        columns |= {"source_text": pa.string(), "target_text": pa.string()}
    schema = pa.schema(columns)
    blank: Counter[str] = Counter()
    pairs = iter(tqdm(usable(corpus.pairs(), blank), f"encode {corpus.name}", disable=None,
                      unit=" pairs"))  # fmt: skip
    with growing(path) as file:
        done, dropped = _gone_on(file, corpus.name, schema)
        deque(islice(pairs, done), maxlen=0)
        for chunk in chunks(pairs, PAIRS_AT_ONCE, CHARACTERS_AT_ONCE, _characters):
            kept = _kept(chunk, source, target, filters, dropped)
            file.write(_message(kept, schema))
            kept.clear()  # before as much is read again
            done += len(chunk)
            file.end_part({"pairs": done, "dropped": dropped})
        file.write(END_OF_STREAM)
        return dropped + blank, file.sha256


def _gone_on(file: Growing, name: str, schema: pa.Schema) -> tuple[int, Counter[str]]:
    """Returns how many pairs a file has behind it, and what was dropped of them; begins one that
    has none.
    """  # noqa: D205
    if not file.told:
        file.write(memoryview(schema.serialize()))
        return 0, Counter()
    done = int(file.told["pairs"])
    log.info("%s: going on after %s pairs, which are encoded", name, f"{done:,}")
    return done, Counter(file.told["dropped"])


def _message(rows: Sequence[Row], schema: pa.Schema) -> memoryview:
    """Returns rows as a part of Arrow's stream format."""
    sides = [list(side) for side in zip(*rows, strict=True)] or [[] for _ in range(4)]
    arrays = [pa.array(side, kind) for side, kind in zip(sides, schema.types, strict=False)]
    return memoryview(pa.record_batch(arrays, schema=schema).serialize())


def _kept(
    chunk: Sequence[Pair],
    source: Pipeline,
    target: Pipeline,
    filters: FilterConfig,
    dropped: Counter[str],
) -> list[Row]:
    """Returns the ids and texts of the pairs that are kept, and counts the others."""
    texts = [list(side) for side in zip(*chunk, strict=True)]
    kept = []
    for row in zip(source.encode(texts[0]), target.encode(texts[1]), *texts, strict=True):
        reason = filters.reason(row[0], row[1])
        if reason is None:
            kept.append(row)
        else:
            dropped[reason] += 1
    return kept


def _characters(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])


def _ids(pipeline: Pipeline) -> pa.DataType:
    """Returns the type of a column of ids: two bytes a token where the vocabulary allows it."""
    return pa.list_(pa.uint16() if len(pipeline) <= 2**16 else pa.int32())
