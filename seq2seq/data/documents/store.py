"""Encoded documents: made once, kept as one array of ids, memory-mapped.

A document is kept as ``BOS ids EOS``. A prediction is one step inside of it, from a token to the
next one: a document of ``n`` ids has ``n + 1``.
"""

import hashlib
import json
import logging
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Bool, Int, Integer
from tqdm import tqdm

from seq2seq.data.cache import clear_leftovers, draft, storing
from seq2seq.data.documents.texts import Texts, pieces
from seq2seq.data.files import digest
from seq2seq.errors import DataError
from seq2seq.lists import chunks
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Padded, TextBatch
from seq2seq.text.pipeline import Pipeline

FORMAT = 1
CHARACTERS_AT_ONCE = 2**18
IDS_AT_ONCE = 2**24
log = logging.getLogger("seq2seq")


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
        steps = np.arange(int(lengths.max(initial=0)) + 1)  # [T+1]
        places = np.minimum(begins[:, None] + steps, len(self.ids) - 1)  # [B, T+1]
        ids = self.ids[places].astype(np.int64)
        valid = steps[:-1] < lengths[:, None]  # [B, T]
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
        pass  # a record that cannot be read is damaged, too
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
    for ids, ends_inside, read in _encoded(texts, pipeline):
        file.write(np.array(ids, kind).tobytes())  # `tofile` overlooks a full disk
        ends.extend(written + end for end in ends_inside)
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
    at_spaces, space = _cuts(pipeline)
    with tqdm(
        desc=f"encode {texts.name}", disable=None, unit=" characters", unit_scale=True
    ) as bar:
        # Short documents are encoded together.
        batches = chunks(
            _pieces(texts, at_spaces), size=CHARACTERS_AT_ONCE, measure=lambda piece: len(piece[0])
        )
        for batch in batches:
            ids: list[int] = []
            ends = []
            read = 0
            rows = pipeline.encode([piece for piece, _, _ in batch])
            for (piece, first, last), row in zip(batch, rows, strict=True):
                ids += [BOS, *row] if first else row
                ids += [EOS] if last else space
                ends += [len(ids)] if last else []
                read += len(piece) + (at_spaces and not last)
            bar.update(read)
            yield ids, ends, read


def _cuts(pipeline: Pipeline) -> tuple[bool, list[int]]:
    """Returns whether documents are cut at spaces only, and the ids that stand for such a space.

    Normalizers look at neighbours too: at combining marks, at the end of a word (Greek sigma). And
    a user's symbol must not be cut.
    """
    tokenizer = pipeline.tokenizer
    if tokenizer.kind not in ("char", "byte"):
        return True, []
    at_spaces = bool(pipeline.symbols) or not pipeline.normalizers.reversible
    return at_spaces, pipeline.vocabulary.ids(tokenizer.encode([" "])[0]) if at_spaces else []


Piece = tuple[str, bool, bool]
"""A part of a document, and whether it is the first and the last of it."""


def _pieces(texts: Texts, at_spaces: bool) -> Iterator[Piece]:
    """Yields the pieces of all documents."""
    for document in texts.documents():
        parts = pieces(document, at_spaces)
        part, first = next(parts), True
        for following in parts:
            yield part, first, False
            part, first = following, False
        yield part, first, True
