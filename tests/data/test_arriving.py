import gzip
import io
import os
import pty
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TextIO

import pytest

from seq2seq.data.arriving import arriving, read_arriving
from seq2seq.errors import DataError

LINES = [f"line {number}" for number in range(25)]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def test_lists_of_files_are_full(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = plain.with_name("lines.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for files in ([str(plain), str(packed)], [str(packed), str(plain)]):
        found = list(read_arriving(files, most=20))
        assert [len(lines) for lines in found] == [20, 20, 10]
        assert list(chain(*found)) == LINES * 2
    with plain.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert [len(lines) for lines in read_arriving(["-"], most=20)] == [20, 5]


def fifo(folder: Path) -> tuple[str, TextIO | None, Callable[[], int]]:
    path = folder / "fifo"
    os.mkfifo(path)
    return str(path), None, lambda: os.open(path, os.O_WRONLY)


def pipe(folder: Path) -> tuple[str, TextIO | None, Callable[[], int]]:
    reader, writer = os.pipe()
    return "-", os.fdopen(reader), lambda: writer


def terminal(folder: Path) -> tuple[str, TextIO | None, Callable[[], int]]:
    ours, theirs = pty.openpty()
    return "-", os.fdopen(theirs), lambda: ours


@pytest.mark.parametrize("place", [fifo, pipe, terminal])
def test_what_has_arrived_is_given_out_while_more_may_come(
    place: Callable[[Path], tuple[str, TextIO | None, Callable[[], int]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, stdin, writer = place(tmp_path)
    monkeypatch.setattr(sys, "stdin", stdin)
    found = read_arriving([file])
    first: list[list[str]] = []
    reading = threading.Thread(target=lambda: first.append(next(found)))
    reading.start()
    end = writer()
    os.write(end, b"one\ntw")  # half a line does not hold back a whole one
    reading.join(5)
    assert first == [["one"]]
    os.write(end, b"o\n")
    assert next(found) == ["two"]
    os.write(end, b"three\nfour\nfive")
    if stdin is not None and stdin.isatty():
        os.write(end, b"\n\x04")
    else:
        os.close(end)
    assert list(chain(*found)) == ["three", "four", "five"]
    if stdin is not None:
        stdin.close()


def test_packed_lines_arrive_as_they_were_flushed(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    found = read_arriving([str(path)])
    packer = zlib.compressobj(wbits=31)

    def write(text: str, mode: int) -> None:
        stream.write(packer.compress(text.encode()) + packer.flush(mode))
        stream.flush()

    first: list[list[str]] = []
    reading = threading.Thread(target=lambda: first.append(next(found)))
    reading.start()
    with path.open("wb") as stream:
        write("one\n", zlib.Z_SYNC_FLUSH)
        reading.join(5)
        assert first == [["one"]]
        write("two\n", zlib.Z_SYNC_FLUSH)
        assert next(found) == ["two"]
        write("three\n", zlib.Z_FINISH)
    assert list(found) == [["three"]]


def test_at_most_so_many_are_ahead() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            asked.append(number)
            yield number

    found = arriving(items(), 10)
    seen = [next(found)]
    time.sleep(0.1)
    assert len(asked) <= len(seen[0]) + 10 + 1
    seen += found
    assert all(1 <= len(one) <= 10 for one in seen)
    assert list(chain(*seen)) == list(range(1000))


def test_an_error_comes_after_what_was_read_before_it(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    threading.Thread(target=lambda: path.write_bytes(b"one\ntwo\nsch\xf6n\n")).start()
    found: list[str] = []
    with pytest.raises(DataError, match=r"line 3: byte 0xf6 at offset 11 is not UTF-8"):
        found.extend(chain.from_iterable(read_arriving([str(path)])))
    assert found == ["one", "two"]


@pytest.mark.parametrize("most", [1, 3, 100])
def test_nobody_waits_for_a_reader_that_has_left(most: int) -> None:
    before = threading.active_count()
    with closing(arriving(iter(range(10_000)), most)) as found:  # type: ignore[type-var]
        next(found)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_what_is_no_file_is_read_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    assert list(read_arriving(["-"])) == [["a", "b"]]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        list(read_arriving(["-"]))
    for file, message in ((tmp_path / "none", "does not exist"), (tmp_path, "is a directory")):
        with pytest.raises(DataError, match=message):
            list(read_arriving([str(file)]))
