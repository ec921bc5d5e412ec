import gc
import logging
import os
import resource
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.store import FilterConfig, PairStore, describe, encode_corpus
from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.symbols import EOS, PAD
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig

PAIRS = [("ein Hund", "a dog"), ("zwei Katzen", "two cats"), ("", "nothing"), ("drei", " ")]
Ids = list[list[int]]
ROWS = st.lists(
    st.tuples(*[st.lists(st.integers(4, 30), min_size=1, max_size=7)] * 2), min_size=1, max_size=9
)


def chars(pairs: Sequence[Pair], side: int) -> Pipeline:
    texts = [pair[side] for pair in pairs]
    return Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), texts)


def encode(
    pairs: Sequence[Pair], cache: Path, filters: FilterConfig | None = None, text: bool = False
) -> PairStore:
    sides = chars(PAIRS, 0), chars(PAIRS, 1)
    corpus = Corpus.of(pairs, "toy")
    return encode_corpus(corpus, *sides, filters or FilterConfig(), cache, keep_text=text)


def padded(rows: Ids) -> Ids:
    width = max(map(len, rows))
    return [row + [PAD] * (width - len(row)) for row in rows]


# --- gathering


@given(ROWS, st.data())
def test_gathering_takes_the_rows_asked_for(
    rows: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    table = pa.concat_tables(  # an encoded corpus comes in many pieces
        pa.table({"source": [source], "target": [target]}) for source, target in rows
    )
    store = PairStore(table)
    wanted = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=9))
    batch = store.gather(np.array(wanted))
    assert batch.source.values.tolist() == padded([list(rows[row][0]) for row in wanted])
    assert batch.target_out.values.tolist() == padded([[*rows[row][1], EOS] for row in wanted])
    assert store.source_lengths.tolist() == [len(source) for source, _ in rows]
    tokens = [token for source, _ in rows for token in source]
    assert store.share("source", tokens[0]) == tokens.count(tokens[0]) / len(tokens)


# --- encoding


def test_pairs_are_encoded_and_blank_ones_dropped_with_count(tmp_path: Path) -> None:
    store = encode(PAIRS, tmp_path, text=True)
    assert len(store) == 2
    assert store.dropped == Counter(blank=2)
    assert describe(store.dropped) == "2 dropped (2 blank)"
    assert store.texts(np.array([1, 0])) == (
        ["zwei Katzen", "ein Hund"],
        ["two cats", "a dog"],
    )
    batch = store.gather(np.array([0, 1]))
    rows = [row[row != PAD].tolist() for row in batch.source.values]
    assert chars(PAIRS, 0).decode(rows) == ["ein Hund", "zwei Katzen"]


@pytest.mark.parametrize(("characters", "at_once"), [(4, 3), (100, 2), (2000, 1)])
def test_few_pairs_are_encoded_at_once_where_they_are_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, characters: int, at_once: int
) -> None:
    counts = []
    encode_texts = Pipeline.encode

    def counted(pipeline: Pipeline, texts: Sequence[str]) -> Ids:
        counts.append(len(texts))
        return encode_texts(pipeline, texts)

    monkeypatch.setattr(Pipeline, "encode", counted)
    monkeypatch.setattr("seq2seq.data.pairs.store.CHARACTERS_AT_ONCE", 400)
    monkeypatch.setattr("seq2seq.data.pairs.store.PAIRS_AT_ONCE", 3)
    pairs = [("e" * characters, "a" * characters)] * 6
    filters = FilterConfig(max_source_length=9999, max_target_length=9999)
    assert len(encode(pairs, tmp_path, filters)) == 6
    assert counts == [at_once] * (2 * 6 // at_once)


@pytest.mark.parametrize(("tokens", "kind"), [(65_536, "uint16"), (65_537, "int32")])
def test_ids_are_as_narrow_as_the_vocabulary_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: int, kind: str
) -> None:
    monkeypatch.setattr(Pipeline, "__len__", lambda _: tokens)
    monkeypatch.setattr(Pipeline, "encode", lambda _, texts: [[tokens - 1, 5]] * len(texts))
    store = encode(PAIRS, tmp_path)
    (path,) = tmp_path.glob("*.arrow")
    with pa.ipc.open_stream(str(path)) as stream:
        assert stream.schema.field("source").type.value_type == kind
    batch = store.gather(np.array([0]))
    assert batch.source.values.tolist() == [[tokens - 1, 5]]
    assert batch.target_out.values.tolist() == [[tokens - 1, 5, EOS]]
    assert store.share("source", tokens - 1) == 0.5


def test_a_second_call_finds_the_cache_and_encodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode(PAIRS, tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {Path(name).suffix for name in files} == {".arrow", ".json"}

    def refuse(*_: object) -> list[list[int]]:
        raise AssertionError("encoded again")

    monkeypatch.setattr(Pipeline, "encode", refuse)
    second = encode(PAIRS, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    assert second.dropped == first.dropped
    assert second.source_lengths.tolist() == first.source_lengths.tolist()


def test_the_cache_s_key_holds_all_that_decides_about_the_content(tmp_path: Path) -> None:
    corpus = Corpus.of(PAIRS)
    source, target = chars(PAIRS, 0), chars(PAIRS, 1)
    other = chars([*PAIRS, ("ß", "é")], 0)
    filters = FilterConfig(max_ratio=9.0)
    for number, (what, one, two, which, text) in enumerate(
        [
            (corpus, source, target, FilterConfig(), False),
            (Corpus.of(PAIRS[:1]), source, target, FilterConfig(), False),
            (corpus, other, target, FilterConfig(), False),
            (corpus, source, source, FilterConfig(), False),
            (corpus, source, target, filters, False),
            (corpus, source, target, FilterConfig(), True),
        ],
        1,
    ):
        encode_corpus(what, one, two, which, tmp_path, keep_text=text)
        assert len(list(tmp_path.glob("*.arrow"))) == number


def test_an_interrupted_encoding_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FilterConfig, "reason", stop)
        with pytest.raises(KeyboardInterrupt):
            encode(PAIRS, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(encode(PAIRS, tmp_path)) == 2


def test_leftovers_of_killed_processes_are_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, recent = tmp_path / "a.tmp-1", tmp_path / "b.tmp-2"
    for draft, age in ((old, 4000), (recent, 10)):
        draft.touch()
        os.utime(draft, (time.time() - age,) * 2)
    with caplog.at_level(logging.INFO, "seq2seq"):
        encode(PAIRS, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.tmp-*")) == [recent.name]
    assert caplog.messages == [f"removed {old}, left over from an interrupted encoding"]


@pytest.mark.parametrize("suffix", ["arrow", "json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "directory"])
def test_a_damaged_cache_is_encoded_anew(
    tmp_path: Path, suffix: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    encode(PAIRS, tmp_path)
    (path,) = tmp_path.glob(f"*.{suffix}")
    whole = path.read_bytes()
    flipped = whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]
    found = {"cut": whole[:-8], "flip": flipped, "empty": b"", "other": b"[1]"}
    if damage == "directory":
        path.unlink()
        path.mkdir()
        with pytest.raises(StorageError, match=r"cannot keep encoded corpora \(Is a directory\);"):
            encode(PAIRS, tmp_path)
    else:
        path.write_bytes(found[damage])
        assert len(encode(PAIRS, tmp_path)) == 2
        assert path.read_bytes() == whole
    arrow = path.with_suffix(".arrow")
    assert caplog.messages == [f"{arrow} is damaged; encoding anew"]
    assert not list(tmp_path.glob("*.tmp-*"))


@pytest.mark.parametrize("suffix", ["arrow", "json"])
def test_half_a_cache_is_encoded_anew(tmp_path: Path, suffix: str) -> None:
    encode(PAIRS, tmp_path)
    (path,) = tmp_path.glob(f"*.{suffix}")
    path.unlink()
    assert len(encode(PAIRS, tmp_path)) == 2
    assert path.exists()


@pytest.mark.parametrize("limit", [0, 3000])
def test_a_disk_without_room_for_the_cache(tmp_path: Path, limit: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(StorageError) as error:
            encode([("ein Hund " * 20, "a dog " * 20)] * 100, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(error.value) == (
        f"{tmp_path}: cannot keep encoded corpora (File too large); make room, or name another "
        "folder with data.cache"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: cannot keep encoded corpora \(File exists\);"):
        encode(PAIRS, tmp_path / "file")


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (5, 5, None),
        (0, 5, "blank"),
        (5, 0, "blank"),
        (6, 5, "too long"),
        (5, 31, "too long"),
        (3, 9, None),
        (3, 10, "ratio"),
        (5, 10, None),
    ],
)
def test_filters(source: int, target: int, reason: str | None) -> None:
    filters = FilterConfig(max_source_length=5, max_target_length=30, max_ratio=3.0)
    assert filters.reason([4] * source, [4] * target) == reason


def test_a_line_of_50_000_tokens_is_dropped_with_count(tmp_path: Path) -> None:
    store = encode([*PAIRS, ("e" * 50_000, "a"), ("e", "a" * 50_000)], tmp_path)
    assert store.dropped == Counter(blank=2, **{"too long": 2})
    assert describe(store.dropped) == "4 dropped (2 blank, 2 too long)"


def test_no_pair_is_left(tmp_path: Path) -> None:
    filters = FilterConfig(max_source_length=1)
    text = r"^toy: no pair is left, 4 dropped \(2 blank, 2 too long\)$"
    for _ in range(2):  # the second time from the cache
        with pytest.raises(DataError, match=text):
            encode(PAIRS, tmp_path, filters)


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("max_source_length", 0, "at least 1"),
        ("max_target_length", -1, "at least 1"),
        ("max_ratio", 0.5, "0 or at least 1"),
    ],
)
def test_refused_filters(key: str, value: float, accepted: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: must be {accepted}, got {value}$"):
        FilterConfig(**{key: value})  # type: ignore[arg-type]


def test_tokens_stay_on_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pairs = [("ein Hund " * 20, "a dog " * 20)] * 2000
    encode(pairs, tmp_path)  # 600,000 tokens, 1.2 MB
    gc.collect()
    tracemalloc.start()
    try:
        with caplog.at_level(logging.ERROR):
            store = encode(pairs, tmp_path)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store) == 2000
    assert kept < 400_000
