"""Pipes given where a file is read more than once hold as much as a file with their content."""

import io
import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seq2seq.data.documents.texts import TextConfig, open_texts
from seq2seq.data.files import opened
from seq2seq.data.pairs.corpus import CorpusConfig, open_corpus
from seq2seq.data.pipes import rereadable
from seq2seq.errors import DataError, StorageError
from tests.formats import WRITERS

PAIRS = [(f"satz {number}", f"line {number}") for number in range(20_000)]
"""More than a pipe holds."""
TEXT = WRITERS["tsv"](PAIRS)
Piped = Callable[[str | bytes], str]


@pytest.fixture
def piped() -> Iterator[Piped]:
    """Gives a pipe, by the name that a shell gives it, into which a text is written."""
    threads, ends = [], []

    def pipe(content: str | bytes) -> str:
        out, into = os.pipe()

        def write() -> None:
            with os.fdopen(into, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)

        thread = threading.Thread(target=write)
        thread.start()
        threads.append(thread)
        ends.append(out)
        return f"/dev/fd/{out}"

    yield pipe
    for thread, end in zip(threads, ends, strict=True):
        thread.join()
        os.close(end)


@pytest.mark.parametrize("form", ["text", *sorted(WRITERS)])
def test_pairs(form: str, piped: Piped, tmp_path: Path) -> None:
    if form in WRITERS:
        content = WRITERS[form](PAIRS)
        (tmp_path / "file").write_bytes(content)
        one, other = (CorpusConfig(path=path, format=form) for path in (piped(content), "file"))
    else:
        sides = ["".join(f"{line}\n" for line in side) for side in zip(*PAIRS, strict=True)]
        for name, side in zip("ab", sides, strict=True):
            (tmp_path / name).write_text(side)
        one = CorpusConfig(source=piped(sides[0]), target=piped(sides[1]), format=form)
        other = CorpusConfig(source="a", target="b", format=form)
    corpus = open_corpus(one, tmp_path)
    assert list(corpus.pairs()) == list(corpus.pairs()) == PAIRS
    assert corpus.fingerprint() == open_corpus(other, tmp_path).fingerprint()
    assert corpus.name.startswith("/dev/fd/")


@pytest.mark.parametrize("kind", ["files", "path"])
def test_documents(kind: str, piped: Piped, tmp_path: Path) -> None:
    text = TEXT.decode()
    if kind == "files":
        config = TextConfig(files=(piped(text),), share=(0.0, 0.5))
    else:
        os.symlink(piped(json.dumps({"text": text}) + "\n"), tmp_path / "pipe.jsonl")
        config = TextConfig(path="pipe.jsonl", share=(0.0, 0.5))
    texts = open_texts(config, tmp_path)
    for _ in range(2):
        assert "".join(map("".join, texts.documents())) == text[: len(text) // 2]


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input(name: str, piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "-":
        stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"a\tb\n")))
        monkeypatch.setattr(sys, "stdin", stream)
    else:
        name = piped("a\tb\n")
    path = rereadable(Path("anywhere"), name)
    for _ in range(2):
        with opened(path) as file:
            assert file.read() == b"a\tb\n"
    assert str(path) == ("standard input" if name == "-" else name)


def test_files_are_not_copied(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", ".", "missing"):
        assert type(rereadable(tmp_path, name)) is type(tmp_path)


def test_messages_name_the_pipe(piped: Piped) -> None:
    name = piped("a\tb\na\n")
    corpus = open_corpus(CorpusConfig(path=name, format="tsv"), Path())
    with pytest.raises(DataError, match=f"^{name}: line 2: has 1 of the 2 columns"):
        list(corpus.pairs())
    empty = piped("")
    with pytest.raises(DataError, match=f"^{empty} is empty"):
        open_corpus(CorpusConfig(path=empty, format="tsv"), Path())


def test_copies_are_for_their_owner_alone(piped: Piped) -> None:
    copy = os.fspath(rereadable(Path(), piped("secret\n")))
    for path in (Path(copy), Path(copy).parent):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_no_room_for_a_copy(piped: Piped, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    name = piped("a\n")
    with pytest.raises(StorageError, match=f"^{name}: cannot be copied to .*No space left"):
        rereadable(Path(), name)
