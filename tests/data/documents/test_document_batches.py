import gc
import json
import logging
import os
import resource
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.documents.batches import (
    Plan,
    ReadThrough,
    TextBatchConfig,
    TextBatches,
    Windows,
    plan_rows,
)
from seq2seq.data.documents.store import TextStore, encode_texts
from seq2seq.data.documents.texts import TextConfig, Texts, open_texts
from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.tensors import TextBatch
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig

TEXTS = ["a dog", " \n", "two cats\nand a dog", "zoo"]
QUICK = settings(deadline=None, max_examples=60)
LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=12)
CONFIGS = st.builds(TextBatchConfig, rows=st.integers(1, 6), steps=st.integers(1, 9))
SEEDS, EPOCHS = st.integers(0, 2**31), st.integers(0, 1000)


def store_of(lengths: list[int]) -> TextStore:
    """No two tokens between start and end symbols are equal, in no two documents."""
    ids, ends, token = list[int](), [], 4
    for length in lengths:
        ids += [BOS, *range(token, token + length), EOS]
        ends.append(len(ids))
        token += length
    return TextStore(np.array(ids, np.int32), np.array(ends, np.int64), token - 4)


def chars(*texts: str) -> Pipeline:
    return Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), texts)


def documents_of(store: TextStore) -> list[list[int]]:
    return [part.tolist() for part in np.split(store.ids, store.ends[:-1])]


def same(one: TextBatch, other: TextBatch) -> bool:
    return torch.equal(one.fresh, other.fresh) and all(
        torch.equal(getattr(one, side).values, getattr(other, side).values)
        and torch.equal(getattr(one, side).lengths, getattr(other, side).lengths)
        for side in ("target_in", "target_out")
    )


def all_predictions(store: TextStore) -> Counter[int]:
    """The place in the store of each prediction's input."""
    ends = set((store.ends - 1).tolist())
    return Counter(place for place in range(len(store.ids)) if place not in ends)


def found_predictions(plan: Plan) -> Counter[int]:
    used = plan.table[plan.table >= 0]
    spans = zip(plan.begins[used].tolist(), plan.lengths[used].tolist(), strict=True)
    return Counter(place for begin, length in spans for place in range(begin, begin + length))


# --- the order


@QUICK
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS)
def test_each_prediction_comes_once_an_epoch(
    lengths: list[int], config: TextBatchConfig, seed: int, epoch: int
) -> None:
    store = store_of(lengths)
    for order in (
        TextBatches(store, config, seed),
        ReadThrough(store, config.rows, config.steps),
        Windows(store, config.steps, config.rows),
    ):
        plan = order.plan(epoch)
        assert found_predictions(plan) == all_predictions(store)
        assert order.size(epoch) == len(list(order.epoch(epoch)))
        assert plan.lengths.max() <= config.steps
        assert plan.table.shape[1] == config.rows
    assert store.predictions == all_predictions(store).total()


@QUICK
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS)
def test_rows_go_on_where_they_stopped_unless_they_are_fresh(
    lengths: list[int], config: TextBatchConfig, seed: int, epoch: int
) -> None:
    store = store_of(lengths)
    begins = {0, *store.ends[:-1].tolist()}
    for order in (TextBatches(store, config, seed), ReadThrough(store, config.rows, config.steps)):
        plan = order.plan(epoch)
        middle = 0
        for row in plan.table.T.tolist():
            live = [chunk for chunk in row if chunk >= 0]
            assert row == live + [-1] * (len(row) - len(live))
            middle += len([0 for chunk in live[:1] if plan.begins[chunk] not in begins])
            assert all(plan.fresh[live[:1]])
            for one, other in pairwise(live):
                begin, end = plan.begins[other], plan.begins[one] + plan.lengths[one]
                document = np.searchsorted(store.ends, [plan.begins[one], begin], side="right")
                assert plan.fresh[other] == (begin in begins)
                assert plan.fresh[other] == (end + 1 in store.ends)
                assert plan.fresh[other] or (begin == end and document[0] == document[1])
                assert plan.fresh[other] or plan.lengths[one] == config.steps
        assert middle <= config.rows


@QUICK
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS)
def test_batches_hold_what_the_plan_says(
    lengths: list[int], config: TextBatchConfig, seed: int, epoch: int
) -> None:
    store = store_of(lengths)
    order = TextBatches(store, config, seed)
    plan = order.plan(epoch)
    for chunks, batch in zip(plan.table.tolist(), order.epoch(epoch), strict=True):
        assert batch.target_in.values.dtype == batch.target_out.values.dtype == torch.int64
        assert batch.target_in.lengths.tolist() == batch.target_out.lengths.tolist()
        width = max(batch.target_in.lengths.tolist())
        assert batch.target_in.values.shape == (config.rows, width)
        for row, chunk in enumerate(chunks):
            begin, length = (plan.begins[chunk], plan.lengths[chunk]) if chunk >= 0 else (0, 0)
            padding = [PAD] * (width - length)
            ids = store.ids[begin : begin + length + 1].tolist()
            assert batch.target_in.lengths[row] == length
            assert batch.target_in.values[row].tolist() == ids[:-1] + padding
            assert batch.target_out.values[row].tolist() == ids[1:] + padding
            assert batch.fresh[row] == (chunk < 0 or plan.fresh[chunk])


@QUICK
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS, st.data())
def test_an_epoch_goes_on_from_any_position(
    lengths: list[int], config: TextBatchConfig, seed: int, epoch: int, data: st.DataObject
) -> None:
    store = store_of(lengths)
    batches = TextBatches(store, config, seed)
    whole = list(batches.epoch(epoch))
    list(batches.epoch(epoch + 1))
    start = data.draw(st.integers(0, len(whole)))
    for again in (batches, TextBatches(store, config, seed)):
        rest = list(again.epoch(epoch, start))
        assert len(rest) == len(whole) - start
        assert all(map(same, whole[start:], rest))


def test_chunks_of_two_documents_in_two_rows() -> None:
    store = store_of([4, 1])  # 2 4 5 6 7 3, 2 8 3: five and two predictions
    batches = list(ReadThrough(store, rows=2, steps=2).epoch(0))
    assert [batch.target_in.values.tolist() for batch in batches] == [
        [[BOS, 4], [6, 7]],
        [[5, PAD], [BOS, 8]],
    ]
    assert [batch.target_out.values.tolist() for batch in batches] == [
        [[4, 5], [7, EOS]],
        [[6, PAD], [8, EOS]],
    ]
    assert [batch.target_in.lengths.tolist() for batch in batches] == [[2, 2], [1, 2]]
    assert [batch.fresh.tolist() for batch in batches] == [[True, True], [False, True]]
    moved = batches[0].to(torch.device("cpu"))
    assert same(moved, batches[0])


def test_one_row_reads_the_text_as_it_stands() -> None:
    store = store_of([30, 0, 7])
    batches = list(ReadThrough(store, steps=8).epoch(0))
    inputs = [token for batch in batches for token in batch.target_in.values[0].tolist()]
    assert inputs == [token for token in store.ids.tolist() if token != EOS]
    assert [batch.fresh.item() for batch in batches] == [True, *[False] * 3, True, True]


def test_windows_are_independent() -> None:
    store = store_of([6, 1])
    batches = list(Windows(store, size=3, rows=2).epoch(0))
    assert all(batch.fresh.all() for batch in batches)
    assert [batch.target_in.values.tolist() for batch in batches] == [
        [[BOS, 4, 5], [6, 7, 8]],
        [[9, PAD], [BOS, 10]],
    ]
    last = list(Windows(store, size=3, rows=3).epoch(0))[-1]
    assert last.target_in.lengths.tolist() == [2, 0, 0]


def test_a_row_that_turns_past_the_end_of_the_line() -> None:
    store = store_of([9])  # ten predictions
    plan = plan_rows(store, np.array([0]), TextBatchConfig(rows=2, steps=5), turn=0.7)
    assert [plan.begins[row[row >= 0]].tolist() for row in plan.table.T] == [[7, 0], [2]]
    assert [plan.lengths[row[row >= 0]].tolist() for row in plan.table.T] == [[3, 2], [5]]
    assert plan.fresh.all()


def test_epochs_and_seeds_differ() -> None:
    config = TextBatchConfig(rows=2, steps=5)
    for store in (store_of([n % 9 for n in range(60)]), store_of([500])):
        plans = {
            tuple(TextBatches(store, config, seed).plan(epoch).begins.tolist())
            for seed in (1, 2)
            for epoch in range(3)
        }
        assert len(plans) == 6


@pytest.mark.parametrize("longest", [40, 1000])
def test_rows_are_over_at_nearly_the_same_time(longest: int) -> None:
    rng = np.random.default_rng(1)
    store = store_of(rng.integers(1, longest, 400_000 // longest).tolist())
    for epoch in range(3):
        table = TextBatches(store, TextBatchConfig(rows=16, steps=64), 1).plan(epoch).table
        assert (table < 0).any(axis=1).sum() <= 3


def test_the_plan_of_an_epoch_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def watched(*arguments: Any) -> Plan:
        made.append(arguments)
        return plan_rows(*arguments)

    monkeypatch.setattr("seq2seq.data.documents.batches.plan_rows", watched)
    batches = TextBatches(store_of([50]), TextBatchConfig(), seed=1)
    for count, epoch in enumerate((0, 1, 0), 1):
        batches.size(epoch)
        list(batches.epoch(epoch))
        assert batches.size(epoch) == 1
        assert len(made) == count


@pytest.mark.parametrize("key", ["rows", "steps"])
def test_refused_sizes(key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: must be at least 1, got 0$"):
        TextBatchConfig(**{key: 0})


# --- encoding


def test_documents_get_start_and_end_symbols(tmp_path: Path) -> None:
    pipeline = chars(*TEXTS)
    store = encode_texts(Texts.of(TEXTS), pipeline, tmp_path)
    texts = [text for text in TEXTS if text.strip()]
    assert documents_of(store) == [[BOS, *row, EOS] for row in pipeline.encode(texts)]
    length = sum(map(len, texts))
    assert (store.documents, store.tokens, store.characters) == (3, length, length)
    assert store.predictions == length + 3
    record = json.loads(next(tmp_path.glob("*.json")).read_text())
    counts = {"documents": 3, "tokens": length, "characters": length}
    assert {key: record[key] for key in counts} == counts


@pytest.mark.parametrize(("size", "kind"), [(65536, "uint16"), (65537, "int32")])
def test_ids_take_two_bytes_where_they_fit(size: int, kind: str, tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x20000, 0x20000 + size - 4)))
    pipeline = chars(text)
    assert len(pipeline) == size
    store = encode_texts(Texts.of([text]), pipeline, tmp_path)
    assert store.ids.dtype == kind
    assert store.ids.tolist() == [BOS, *pipeline.encode([text])[0], EOS]


def test_the_share_of_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.data.documents.store.IDS_AT_ONCE", 3)
    store = encode_texts(Texts.of(["abxb", "bxyb"]), chars("ab"), tmp_path)
    assert store.share(UNK) == 3 / 8
    assert store.share(int(store.ids[1])) == 1 / 8


KINDS = ["unigram", "bpe", "char", "byte", "word", "space"]
SAMPLE = (
    "The dog isn't  in the house (wet), is it?\n\nNo: ΟΔΟΣ ΟΔΟΣ. A\u0308 a \u0308b, 3.5 ﬁ! "
    "\tindented by  two\n  and  more. \u2581 x\u00a0y \u00a8 z "
)
WORDS = st.sampled_from(
    [*"abΣ.,'- \n\t\u0308\u2581\u00a0\u00a8", "  ", " a ", "The", " dog", "ΟΔΟΣ"]
)


@pytest.fixture(scope="module")
def pipelines() -> dict[tuple[str, ...], Pipeline]:
    found = {}
    for kind in KINDS:
        size = 360 if kind in ("unigram", "bpe") else 0
        for names in ((), ("lower",), ("nfc",), ("nfkd", "lower", "whitespace")):
            config = PipelineConfig(tokenizer=kind, vocab_size=size, normalizers=names)
            found[(kind, *names)] = Pipeline.train(config, [SAMPLE, *SAMPLE.split()])
    return found


@settings(deadline=None, max_examples=25)
@given(
    blocks=st.lists(st.lists(WORDS, max_size=8).map("".join), max_size=6),
    at_once=st.integers(1, 12),
)
def test_documents_cut_in_pieces_get_the_ids_of_the_whole(
    blocks: list[str],
    at_once: int,
    pipelines: dict[tuple[str, ...], Pipeline],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    blocks.append(f"x{SAMPLE}")
    cut = Texts("cut", lambda: iter([iter(blocks), iter(["x y"])]), lambda: "".join(blocks))
    for pipeline in pipelines.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("seq2seq.data.documents.store.CHARACTERS_AT_ONCE", at_once)
            store = encode_texts(cut, pipeline, tmp_path_factory.mktemp("cache"))
        rows = pipeline.encode(["".join(blocks), "x y"])
        assert documents_of(store) == [[BOS, *row, EOS] for row in rows]
        assert store.characters == len("".join(blocks)) + 3


def test_a_file_is_encoded_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pipelines: dict[tuple[str, ...], Pipeline]
) -> None:
    monkeypatch.setattr("seq2seq.data.files.BLOCK_BYTES", 50)
    text = SAMPLE.strip() * 20
    (tmp_path / "text").write_text(text, encoding="utf-8")
    seen = []
    encode = Pipeline.encode

    def watched(self: Pipeline, texts: list[str]) -> list[list[int]]:
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Pipeline, "encode", watched)
    texts = open_texts(TextConfig(files=("text",)), tmp_path)
    for pipeline in pipelines.values():
        store = encode_texts(texts, pipeline, tmp_path)
        assert documents_of(store) == [[BOS, *encode(pipeline, [text])[0], EOS]]
    assert max(map(len, seen)) < 150


# --- the cache


def test_a_second_call_finds_the_cache_and_encodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = chars(*TEXTS)
    first = encode_texts(Texts.of(TEXTS), pipeline, tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sorted(name.partition(".")[2] for name in files) == ["ends.npy", "json", "npy"]

    def refuse(*_: object) -> list[list[int]]:
        raise AssertionError("encoded again")

    monkeypatch.setattr(Pipeline, "encode", refuse)
    second = encode_texts(Texts.of(TEXTS), pipeline, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert documents_of(second) == documents_of(first)
    assert second.characters == first.characters


def test_the_cache_s_key_holds_all_that_decides_about_the_content(tmp_path: Path) -> None:
    pipeline, other = chars(*TEXTS), chars(*TEXTS, "ß")
    texts = Texts.of(TEXTS)
    few = Texts(texts.name, texts.read, texts.digest, limit=1)
    variants = [(texts, pipeline), (texts, other), (Texts.of(TEXTS[:1]), pipeline), (few, pipeline)]
    for number, (what, which) in enumerate(variants, 1):
        encode_texts(what, which, tmp_path)
        assert len(list(tmp_path.glob("*.json"))) == number


def test_an_interrupted_encoding_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = chars(*TEXTS)

    def stop(*_: object) -> list[list[int]]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "encode", stop)
        with pytest.raises(KeyboardInterrupt):
            encode_texts(Texts.of(TEXTS), pipeline, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert encode_texts(Texts.of(TEXTS), pipeline, tmp_path).documents == 3


@pytest.mark.parametrize("suffix", ["npy", "ends.npy", "json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "directory", "gone"])
def test_a_damaged_cache_is_encoded_anew(
    tmp_path: Path, suffix: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = chars(*TEXTS)
    ids = documents_of(encode_texts(Texts.of(TEXTS), pipeline, tmp_path))
    key = next(tmp_path.glob("*.json")).stem
    path = tmp_path / f"{key}.{suffix}"
    whole = path.read_bytes()
    flipped = whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    found = {"cut": whole[:-8], "flip": flipped, "empty": b"", "other": b"[1]"}
    path.unlink()
    if damage == "directory":
        path.mkdir()
        with pytest.raises(StorageError, match=r"cannot keep encoded corpora \(Is a directory\);"):
            encode_texts(Texts.of(TEXTS), pipeline, tmp_path)
    else:
        if damage != "gone":
            path.write_bytes(found[damage])
        assert documents_of(encode_texts(Texts.of(TEXTS), pipeline, tmp_path)) == ids
        assert path.read_bytes() == whole
    told = [] if damage == "gone" else [f"{tmp_path / key}.npy is damaged; encoding anew"]
    assert caplog.messages == told
    assert not list(tmp_path.glob("*.tmp-*"))


def test_leftovers_of_killed_processes_are_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.tmp-1").touch()
    os.utime(tmp_path / "a.tmp-1", (0, 0))
    with caplog.at_level(logging.INFO, "seq2seq"):
        encode_texts(Texts.of(TEXTS), chars(*TEXTS), tmp_path)
    assert caplog.messages == [
        f"removed {tmp_path / 'a.tmp-1'}, left over from an interrupted encoding"
    ]


@pytest.mark.parametrize("limit", [0, 200])
def test_a_disk_without_room_for_the_cache(tmp_path: Path, limit: int) -> None:
    pipeline = chars(*TEXTS)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(StorageError) as error:
            encode_texts(Texts.of(["a dog " * 100]), pipeline, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(error.value).startswith(f"{tmp_path}: cannot keep encoded corpora (")
    assert str(error.value).endswith("make room, or name another folder with data.cache")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: cannot keep encoded corpora \(File exists\);"):
        encode_texts(Texts.of(TEXTS), chars(*TEXTS), tmp_path / "file")


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^toy: holds no text; at least one character is needed$"):
        encode_texts(Texts.of([" "], "toy"), chars(*TEXTS), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    message = r"U\+D800 at character 2 is half a surrogate pair; only Unicode text is accepted$"
    with pytest.raises(DataError, match=message):
        encode_texts(Texts.of(["a\ud800"], "toy"), chars(*TEXTS), tmp_path)


def test_tokens_stay_on_the_disk(tmp_path: Path) -> None:
    pipeline = chars(*TEXTS)
    texts = Texts.of(["a dog " * 200_000])  # 1.2 million tokens
    tracemalloc.start()
    try:
        encode_texts(texts, pipeline, tmp_path)
        _, encoding = tracemalloc.get_traced_memory()
        store = encode_texts(texts, pipeline, tmp_path)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(store.ids, np.memmap)
    assert store.tokens == 1_200_000
    assert encoding < 20_000_000  # a quarter of a million characters at a time
    assert kept < 200_000


def test_the_drawing_of_rows_turns_and_laps() -> None:
    """The docstring of the module: documents 3, 0, 2, 1 of 6, 3, 5 and 2 predictions."""
    ends = np.cumsum([4, 3, 6, 7])  # documents 0 to 3, each with its start symbol
    begins = ends - [4, 3, 6, 7]
    store = TextStore(np.zeros(ends[-1], np.uint16), ends, 0)
    plan = plan_rows(store, np.array([3, 0, 2, 1]), TextBatchConfig(rows=2, steps=4), 4 / 24)
    chunks = [
        [
            (int(np.searchsorted(ends, plan.begins[c], side="right")), int(plan.lengths[c]))
            for c in row
        ]
        for row in plan.table
    ]
    assert chunks == [[(3, 3), (2, 3)], [(0, 3), (1, 2)], [(2, 2), (3, 3)]]
    inside = [[int(plan.begins[c] - begins[d]) for c, (d, _) in zip(row, found, strict=True)]
              for row, found in zip(plan.table, chunks, strict=True)]  # fmt: skip
    assert inside == [[3, 2], [0, 0], [0, 0]]
