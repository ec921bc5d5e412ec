"""Encodings that are killed go on after their last whole part, to the same bytes."""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from seq2seq.data import growing as module
from seq2seq.data.cache import PART, PART_SECONDS
from seq2seq.data.growing import growing
from seq2seq.data.pairs import store
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.store import FilterConfig, PairStore, encode_corpus
from seq2seq.errors import DataError
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig

PAIRS: list[Pair] = [
    *((f"satz {n} {'x' * (n % 9)}", f"line {n}") for n in range(20)),
    ("", "blank"),
    ("ein " * 40, "long"),
    *((f"satz {n}", "" if n % 5 == 0 else f"line {n}") for n in range(20, 40)),
]
CHARS = PipelineConfig(tokenizer="char")
SOURCE, TARGET = (Pipeline.train(CHARS, [pair[side] for pair in PAIRS]) for side in (0, 1))
FILTERS = FilterConfig(max_source_length=100)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PAIRS_AT_ONCE", 7)


def corpus(stop: int | None = None, error: type[BaseException] = KeyboardInterrupt) -> Corpus:
    """Returns the pairs; reading them ends with an error before the pair of number ``stop``."""

    def read() -> Iterator[Pair]:
        for number, pair in enumerate(PAIRS):
            if number == stop:
                raise error
            yield pair

    return Corpus("toy", read, lambda: "same")


def encode(cache: Path, one: Corpus, text: bool = True) -> PairStore:
    return encode_corpus(one, SOURCE, TARGET, FILTERS, cache, keep_text=text)


def content(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "PAIRS_AT_ONCE", 7)
        cache = tmp_path_factory.mktemp("cache")
        encode(cache, corpus())
        return content(cache)


@pytest.mark.parametrize("stop", range(0, len(PAIRS), 3))
@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_encoding_goes_on_to_the_same_bytes(
    stop: int,
    torn: bool,
    tmp_path: Path,
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, corpus(stop))
    left = {path.suffix for path in tmp_path.iterdir()}
    assert left == ({".part", ".json"} if stop > 7 else set())
    if torn:  # a kill may come in the middle of a write
        for part in tmp_path.glob("*.part"):
            part.write_bytes(part.read_bytes() + b"half a batch")
    encoded = 0
    encode_texts = Pipeline.encode

    def counted(pipeline: Pipeline, texts: Any) -> list[list[int]]:
        nonlocal encoded
        encoded += len(texts)
        return encode_texts(pipeline, texts)

    monkeypatch.setattr(Pipeline, "encode", counted)
    with caplog.at_level(logging.INFO, "seq2seq"):
        found = encode(tmp_path, corpus())
    assert content(tmp_path) == undisturbed
    assert len(found) == 36
    assert found.dropped == {"blank": 5, "too long": 1}
    usable = len(PAIRS) - 5
    before = sum(bool(a and b) for a, b in PAIRS[:stop]) // 7 * 7
    assert encoded == 2 * (usable - before)
    told = f"toy: going on after {before} pairs, which are encoded"
    assert (told in caplog.text) == (before > 0)


@pytest.mark.parametrize("times", [2, 5])
def test_killed_again_and_again(times: int, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    for number in range(times):
        with pytest.raises(KeyboardInterrupt):
            encode(tmp_path, corpus((number + 1) * len(PAIRS) // (times + 1)))
    encode(tmp_path, corpus())
    assert content(tmp_path) == undisturbed


@pytest.mark.parametrize("suffix", ["part", "part.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "missing"])
def test_damaged_parts_are_encoded_anew(
    suffix: str, damage: str, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, corpus(30))
    (path,) = tmp_path.glob(f"*.{suffix}")
    whole = path.read_bytes()
    found = {"cut": whole[:-9], "flip": whole[:40] + b"\xff" + whole[41:], "empty": b""}
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(found.get(damage, b"[1]"))
    encode(tmp_path, corpus())
    assert content(tmp_path) == undisturbed


def test_the_bytes_are_those_of_arrow_s_own_writer(undisturbed: dict[str, bytes]) -> None:
    (whole,) = (text for name, text in undisturbed.items() if name.endswith(".arrow"))
    sink = pa.BufferOutputStream()
    with (
        pa.ipc.open_stream(whole) as stream,
        pa.ipc.new_stream(sink, stream.schema) as writer,
    ):
        for batch in stream:
            writer.write_batch(batch)
    assert sink.getvalue().to_pybytes() == whole


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        encode(tmp_path, corpus(30, DataError))
    assert list(tmp_path.iterdir()) == []


def test_other_settings_do_not_go_on_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, corpus(30))
    assert encode(tmp_path, corpus(), text=False).dropped.total() == 6
    assert len(list(tmp_path.glob("*.part"))) == 1


def test_two_processes_do_not_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "key.arrow"
    with growing(path) as one, growing(path) as other:
        for file in (one, other):
            file.write(b"ab")
            file.end_part({"pairs": 1})
        assert [name.suffix for name in sorted(tmp_path.iterdir())] == [
            ".part",
            ".json",
            f".tmp-{os.getpid()}",
        ]
        one.write(b"c")
        other.write(b"c")
    assert [(name.name, name.read_bytes()) for name in tmp_path.iterdir()] == [(path.name, b"abc")]


@pytest.mark.parametrize("without", ["module", "locks"])
def test_where_files_have_no_locks_an_encoding_begins_anew(
    without: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    if without == "module":
        monkeypatch.setattr(module, "fcntl", None)
    else:
        monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, corpus(30))
    assert not any(path.stat().st_size for path in tmp_path.iterdir())
    encode(tmp_path, corpus())
    found = {name: text for name, text in content(tmp_path).items() if text}
    assert found == undisturbed


def test_parts_that_nobody_goes_on_with_are_removed(tmp_path: Path) -> None:
    old, recent = tmp_path / "old", tmp_path / "recent"
    with pytest.raises(KeyboardInterrupt):
        encode(old, corpus(30))
    shutil.copytree(old, recent)
    for path in old.iterdir():
        os.utime(path, (time.time() - PART_SECONDS - 10,) * 2)
    for cache in (old, recent):
        encode(cache, corpus(), text=False)
    assert not list(old.glob("*.part*"))
    assert len(list(recent.glob("*.part*"))) == 2
    (record,) = recent.glob("*.part.json")
    told = json.loads(record.read_text())
    assert told["told"] == {"pairs": 21, "dropped": {"too long": 1}}


def test_a_part_of_another_user_s_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    opened = os.open

    def refuse(path: object, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(PART):
            raise PermissionError(13, "Permission denied")
        return opened(str(path), flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    encode(tmp_path, corpus())
    assert content(tmp_path) == undisturbed


def test_who_begins_as_another_ends_keeps_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "whole.arrow"
    replace = Path.replace

    def and_another(self: Path, target: Path) -> Path:
        found = replace(self, target)
        self.write_bytes(b"another's")
        return found

    with growing(path) as file:
        file.write(b"all")
        file.end_part({})
        monkeypatch.setattr(Path, "replace", and_another)
    assert path.read_bytes() == b"all"
    assert path.with_suffix(PART).read_bytes() == b"another's"
