import gzip
import json
import logging
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from seq2seq.data.documents.texts import ROWS, TextConfig, Texts, Unit, open_texts, pieces
from seq2seq.data.files import read_text
from seq2seq.errors import ConfigError, DataError

SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(texts: Texts) -> list[str]:
    return ["".join(document) for document in texts.documents()]


def open_files(folder: Path, *files: str, **settings: Any) -> Texts:
    return open_texts(TextConfig(files=files, **settings), folder)


# --- the reader of whole texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\n\n b \t\n", "a\n\n b \t\n"),
        ("a\r\nb\r\r\nc\rd\r", "a\nb\r\nc\rd\r"),
        ("\ufeffa\ufeffb", "a\ufeffb"),
        ("a\u2028b\x85c\x0c", "a\u2028b\x85c\x0c"),
        ("", ""),
        ("\ufeff", ""),
        (gzip.compress("ä\r\n".encode(), mtime=0), "ä\n"),
        (gzip.compress(b"", mtime=0), ""),
    ],
)
def test_every_character_is_kept(content: str | bytes, expected: str, tmp_path: Path) -> None:
    assert "".join(read_text(write(tmp_path / "text", content))) == expected


@SHARED_FOLDER
@given(content=st.text(alphabet="aä€😀\r\n\ufeff", max_size=60), size=st.integers(1, 9))
def test_no_character_is_lost_between_blocks(tmp_path: Path, content: str, size: int) -> None:
    path = write(tmp_path / "text", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.data.files.BLOCK_BYTES", size)
        blocks = list(read_text(path))
    assert "".join(blocks) == content.removeprefix("\ufeff").replace("\r\n", "\n")
    assert all(0 < len(block) <= size + 1 for block in blocks)


@SHARED_FOLDER
@given(content=st.binary(max_size=40), size=st.integers(1, 9))
def test_the_first_wrong_byte_is_found(tmp_path: Path, content: bytes, size: int) -> None:
    content = b"a\n" + content.replace(b"\0", b"\n") + b"\xff\xe4x"
    with pytest.raises(UnicodeDecodeError) as plain:
        content.decode()
    at = plain.value.start
    path = write(tmp_path / "text", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.data.files.BLOCK_BYTES", size)
        with pytest.raises(DataError) as error:
            list(read_text(path))
    line, byte = content[:at].count(b"\n") + 1, content[at]
    assert str(error.value) == (
        f"{path}: line {line}: byte 0x{byte:02x} at offset {at} is not UTF-8; convert the file "
        "with iconv"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\xe4", "text: line 1: byte 0xe4 at offset 3 is not UTF-8; convert the file with i"),
        ("some Latin text\n".encode("utf-16-le"), "looks like UTF-16, run iconv -f UTF-16 -t UTF"),
        (b"\x28\xb5\x2f\xfd\0\0", "is packed by zstd, only gzip is read; unpack it with zstd -d"),
        (gzip.compress(b"a" * 100, mtime=0)[:-4], r"the gzip data are damaged or cut off \("),
    ],
)
def test_unusable_content_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    write(tmp_path / "text", content)
    with pytest.raises(DataError, match=message):
        list(read_text(tmp_path / "text"))
    with pytest.raises(DataError, match=message):
        read(open_files(tmp_path, "te*"))


def test_nulls_are_replaced_and_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "text", "a\0b\0")
    with caplog.at_level(logging.WARNING, logger="seq2seq"):
        assert list(read_text(path)) == ["a\ufffdb\ufffd"]
    assert caplog.messages == [f"{path}: replaced 2 NUL characters by U+FFFD"]


def test_a_file_larger_than_memory_would_do(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(b"a line of a text\n" * 10_000)  # 13.6 MB in all
    texts = open_files(tmp_path, "text.gz", share=(0.25, 1.0))
    tracemalloc.start()
    try:
        found = sum(len(block) for document in texts.documents() for block in document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 10_200_000
    assert peak < 2_000_000


# --- which files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = ["b.py", "a.py", "sub/c.py", "sub/deep/d.py", ".git/e.py", "f.txt", "g[1].txt"]
    for name in names:
        write(tmp_path / name, Path(name).stem)
    write(tmp_path / "sub" / "__init__.py", "")
    (tmp_path / "folder.py").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("**/*.py",), "a b c d"),
        (("*.py",), "a b"),
        (("f.txt", "b.py", "a.py"), "a b f"),
        (("b.py", "./b.py", "*.py", "sub/../b.py"), "a b"),
        (("sub/*.py", "f.txt"), "f c"),
        (("g[1].txt",), "g[1]"),
        (("[ab].py",), "a b"),
        ((".git/*.py",), "e"),
    ],
)
def test_files_are_sorted_and_each_comes_once(
    files: tuple[str, ...], expected: str, tree: Path
) -> None:
    assert read(open_files(tree, *files)) == expected.split()
    absolute = [str(tree / name) for name in files]
    assert read(open_files(Path("elsewhere"), *absolute)) == expected.split()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ("a.py", "**/*.rs"),
            r"\*\*/\*.rs: matches no file; \* stands for any name, \*\* for any ",
        ),
        (("folder*",), "folder.: matches no file; "),
        (("a.py", "f.text"), r"f.text does not exist; did you mean 'f.txt'\?$"),
        (("a.py", "sub"), "sub is a directory; a file is needed$"),
        (("sub/__init__.py",), r"__init__.py: holds no text; at least one character is needed$"),
    ],
)
def test_missing_text_is_refused(files: tuple[str, ...], message: str, tree: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_files(tree, *files)


def test_blank_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", " \n\u3000\t\n")
    write(tmp_path / "b", "")
    expected = f"{tmp_path / 'a'}, {tmp_path / 'b'}: holds no text; at least one character is n"
    with pytest.raises(DataError, match=expected):
        open_files(tmp_path, "a", "b")


# --- documents


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("file", ["\n a \nb\n\n \nc\n\n\nd", "e\n"]),
        ("line", [" a ", "b", "c", "d", "e"]),
        ("paragraph", [" a \nb", "c", "d", "e"]),
    ],
)
def test_what_a_document_is(unit: Unit, expected: list[str], tmp_path: Path) -> None:
    write(tmp_path / "1", "\n a \nb\n\n \nc\n\n\nd")
    write(tmp_path / "2", " \n")
    write(tmp_path / "3", "e\n")
    texts = open_files(tmp_path, "*", documents=unit)
    assert read(texts) == expected
    assert read(texts) == expected
    assert read(open_files(tmp_path, "*", documents=unit, limit=2)) == expected[:2]


@SHARED_FOLDER
@given(content=st.text(alphabet="a \n", max_size=40), size=st.integers(1, 9))
def test_lines_and_paragraphs_do_not_depend_on_blocks(
    tmp_path: Path, content: str, size: int
) -> None:
    write(tmp_path / "text", content + "b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.data.files.BLOCK_BYTES", size)
        patch.setattr("seq2seq.data.documents.texts.BLOCK", size)
        lines = read(open_files(tmp_path, "text", documents="line"))
        paragraphs = read(open_files(tmp_path, "text", documents="paragraph"))
    assert lines == [line for line in (content + "b").split("\n") if line.strip()]
    assert "\n".join(paragraphs) == "\n".join(lines)


def test_blocks_are_short(tmp_path: Path) -> None:
    write(tmp_path / "text", "long " * 50_000)
    write(tmp_path / "rows.jsonl", json.dumps({"text": "long " * 50_000}))
    for texts in (
        open_files(tmp_path, "text"),
        open_files(tmp_path, "text", documents="line"),
        open_texts(TextConfig(path="rows.jsonl"), tmp_path),
        Texts.of(["long " * 50_000]),
    ):
        (blocks,) = map(list, texts.documents())
        assert "".join(blocks) == "long " * 50_000
        assert max(map(len, blocks)) == 2**16


# --- a share of the text

CUTS = st.lists(st.floats(0, 1), min_size=2, max_size=2, unique=True).map(sorted)


def share_of(texts: Texts, share: tuple[float, float], **settings: Any) -> Texts:
    return Texts(texts.name, texts.read, texts.digest, share, **settings)


@given(st.text(alphabet="ab\n", min_size=1, max_size=50), CUTS, st.integers(1, 7))
def test_one_document_is_shared_by_characters(text: str, cuts: list[float], size: int) -> None:
    first, last = cuts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seq2seq.data.documents.texts.BLOCK", size)
        found = read(share_of(Texts.of([f"x{text}"]), (first, last)))
    text = f"x{text}"
    expected = text[int(len(text) * first) : int(len(text) * last)]
    assert found == ([expected] if expected.strip() else [])


@given(st.lists(st.text(alphabet="ab ", max_size=3), max_size=9), CUTS)
def test_several_documents_are_shared_by_number(documents: list[str], cuts: list[float]) -> None:
    first, last = cuts
    texts = Texts.of(["x", *documents])
    found = read(share_of(texts, (first, last), divisible=False))
    whole = read(texts)
    assert found == whole[int(len(whole) * first) : int(len(whole) * last)]
    if len(whole) > 1:
        assert read(share_of(texts, (first, last))) == found


@pytest.mark.parametrize("unit", ["file", "line"])
def test_shares_are_of_files_and_limits_of_shares(unit: Unit, tmp_path: Path) -> None:
    for name in "abcdefghij":
        write(tmp_path / name, name)
    texts = open_files(tmp_path, "?", share=(0.2, 0.9), documents=unit)
    assert "".join(read(texts)) == "cdefghi"
    texts = open_files(tmp_path, "?", share=(0.2, 0.9), documents=unit, limit=3)
    assert "".join(read(texts)) == "cde"


def test_a_share_of_a_file_is_exact(tmp_path: Path) -> None:
    write(tmp_path / "text", "ä" * 9 + "\r\n" + "b" * 10)
    parts = [open_files(tmp_path, "text", share=share) for share in ((0.0, 0.5), (0.5, 1.0))]
    assert [read(part) for part in parts] == [["ä" * 9 + "\n"], ["b" * 10]]


def test_a_share_without_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "text", "a\nb\n")
    message = r"text: share \[0.0, 0.4\] leaves no text; widen it$"
    with pytest.raises(DataError, match=message):
        open_files(tmp_path, "text", share=(0.0, 0.4), documents="line")


# --- rows of tables


@pytest.mark.parametrize("suffix", ROWS)
def test_rows_of_files(suffix: str, tmp_path: Path) -> None:
    table = pa.table({"text": ["a\nb", " ", "c"], "page": [{"body": "x"}] * 3})
    path = tmp_path / f"rows{suffix}"
    if ROWS[suffix][0] == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif ROWS[suffix][0] == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    texts = open_texts(TextConfig(path=path.name), tmp_path)
    assert read(texts) == ["a\nb", "c"]
    assert read(open_texts(TextConfig(path=path.name, column="page.body"), tmp_path)) == ["x"] * 3
    lines = TextConfig(path=path.name, documents="line")
    assert read(open_texts(lines, tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize("key", ["configuration", "data_files"])
def test_what_only_a_hub_has(key: str, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", '{"text": "a"}')
    message = f"^{key}: must be left out unless path is a hub id, got 'x'$"
    with pytest.raises(ConfigError, match=message):
        open_texts(replace(TextConfig(path="rows.jsonl"), **{key: "x"}), tmp_path)  # type: ignore[arg-type]


def test_a_configuration_and_files_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    asked = []

    def load_dataset(path: str, /, **chosen: object) -> Any:
        asked.append((path, chosen))
        return datasets.Dataset.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    config = TextConfig(path="owner/name", configuration="raw", data_files=("a.txt",))
    assert read(open_texts(config, tmp_path)) == ["a"]
    ((name, chosen),) = asked
    assert name == "owner/name"
    assert (chosen["name"], chosen["data_files"]) == ("raw", ["a.txt"])


def test_jsonl(tmp_path: Path) -> None:
    rows: list[Any] = [{"text": "a\r\n\nb"}, {"text": " "}, {"text": "c"}]
    content = "\n".join(json.dumps(row) for row in rows[:2]) + f"\n\n{json.dumps(rows[2])}\n"
    write(tmp_path / "rows.jsonl.gz", gzip.compress(content.encode(), mtime=0))
    config = TextConfig(path="rows.jsonl.gz")
    assert read(open_texts(config, tmp_path)) == ["a\r\n\nb", "c"]
    lines = TextConfig(path="rows.jsonl.gz", documents="paragraph")
    assert read(open_texts(lines, tmp_path)) == ["a\r", "b", "c"]
    write(tmp_path / "nested.jsonl", json.dumps({"page": {"body": "d"}}))
    nested = TextConfig(path="nested.jsonl", column="page.body")
    assert read(open_texts(nested, tmp_path)) == ["d"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"line 2: is not JSON \(Expecting .*\); one object a line is needed$"),
        ('{"txt": "a"}', r"line 2: has no column text; found txt; did you mean 'txt'\?$"),
        ('{"text": 5}', "line 2: text must be text, got 5$"),
        ('{"text": "\\ud800"}', "line 2: text holds half a surrogate pair; whole characters are"),
    ],
)
def test_unusable_jsonl_is_refused(content: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", f"\n{content}\n")
    with pytest.raises(DataError, match=f"rows.jsonl: {message}"):
        open_texts(TextConfig(path="rows.jsonl"), tmp_path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import datasets

    datasets.disable_progress_bars()
    folder = tmp_path_factory.mktemp("saved")
    table = datasets.Dataset.from_dict({"id": [1, 2, 3], "text": ["a\nb", "", "c"]})
    datasets.DatasetDict(train=table, test=table.select([2])).save_to_disk(folder / "many")
    return folder


def test_data_sets(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load_dataset(name: str, *, split: str, revision: str | None) -> Any:
        assert (name, split, revision) == ("owner/name", "test", "v1")
        return datasets.load_from_disk(str(saved / "many"))[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    texts = open_texts(TextConfig(path="many"), saved)
    assert texts.name == str(saved / "many")
    assert read(texts) == ["a\nb", "c"]
    hub = open_texts(TextConfig(path="owner/name", split="test", revision="v1"), saved)
    assert hub.name == "owner/name"
    assert read(hub) == ["c"]
    assert len({texts.fingerprint(), hub.fingerprint()}) == 2
    assert open_texts(TextConfig(path="many"), saved).fingerprint() == texts.fingerprint()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"path": "many", "split": "tset"}, "has no split tset; found train, test; did you mean"),
        ({"path": "many", "column": "txt"}, "has no column txt; found id, text; did you mean 'te"),
        ({"path": "many", "column": "id"}, "many: row 0: id must be text, got 1$"),
        ({"path": "."}, r"was not written by datasets' save_to_disk \("),
    ],
)
def test_unusable_data_sets_are_refused(config: dict[str, Any], message: str, saved: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_texts(TextConfig(**config), saved)


def test_an_unreachable_hub_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load_dataset(name: str, *, split: str, revision: str | None) -> Any:
        raise ConnectionError("Couldn't reach it")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = (
        r"^owner/name is not reachable \(ConnectionError: Couldn't reach it\); set path to a local "
        "copy, or files to text files$"
    )
    with pytest.raises(DataError, match=message):
        open_texts(TextConfig(path="owner/name"), tmp_path)


@pytest.mark.parametrize("path", ["book.txt", "pairs.tsv"])
def test_a_path_of_another_format_is_refused(path: str, tmp_path: Path) -> None:
    message = (
        r"^path: must be a file named \*.jsonl, \*.ndjson, \*.parquet, \*.arrow, \*.feather, a "
        "folder written by datasets' save_to_disk or a hub id owner/name, "
        f"got '{path}'; text files belong in files$"
    )
    with pytest.raises(ConfigError, match=message):
        open_texts(TextConfig(path=path), tmp_path)


# --- configuration, texts in memory, fingerprints


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"files: must be text files or patterns, unless path is given, got \[\]"),
        ({"files": ("a",), "path": "b"}, "path: must be left out where files are given, got 'b'"),
        ({"path": "a", "column": ""}, "column: must be the name of a column, got ''"),
        ({"path": "a", "limit": -1}, "limit: must be 0 or more, got -1"),
        *(
            (
                {"path": "a", "share": share},
                r"share: must be two numbers, 0 <= first < second <= 1, got \[",
            )
            for share in ((-0.1, 1.0), (0.5, 0.5), (0.0, 1.1), (0.0, float("nan")))
        ),
    ],
)
def test_unusable_configuration_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        TextConfig(**settings)


def test_texts_in_memory() -> None:
    texts = Texts.of(["a dog", "", " \n", "a cat"], "animals")
    assert texts.name == "animals"
    assert read(texts) == read(texts) == ["a dog", "a cat"]
    assert read(Texts.of([])) == []
    assert read(share_of(Texts.of([]), (0.0, 0.5))) == []


def variants(folder: Path) -> Iterator[Texts]:
    for name, content in {"a": "a\nb", "b": "c", "c.jsonl": '{"text": "a", "t": "b"}\n'}.items():
        write(folder / name, content)
    yield open_files(folder, "a")
    yield open_files(folder, "b")
    yield open_files(folder, "a", "b")
    yield open_files(folder, "a", "b", documents="line")
    yield open_files(folder, "a", "b", documents="paragraph")
    yield open_files(folder, "a", "b", limit=1)
    yield open_files(folder, "a", "b", share=(0.0, 0.6))
    yield open_files(folder, "a", "b", share=(0.4, 1.0))
    yield open_texts(TextConfig(path="c.jsonl"), folder)
    yield open_texts(TextConfig(path="c.jsonl", column="t"), folder)
    yield Texts.of(["a\nb"])
    yield Texts.of(["a\n", "b"])


def test_fingerprints_tell_texts_apart(tmp_path: Path) -> None:
    first = [texts.fingerprint() for texts in variants(tmp_path / "here")]
    second = [texts.fingerprint() for texts in variants(tmp_path / "there")]
    assert first == second
    assert len(set(first)) == len(first) == 12
    assert all(len(fingerprint) == 64 for fingerprint in first)


def test_the_order_of_files_in_the_configuration_does_not_matter(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, name)
    one, other = open_files(tmp_path, "a", "b"), open_files(tmp_path, "b", "a")
    assert one.fingerprint() == other.fingerprint()
    assert read(one) == read(other) == ["a", "b"]


# --- pieces

DOCUMENTS = st.lists(st.text(alphabet="ab \n", max_size=9), max_size=9)


@given(DOCUMENTS)
def test_pieces_are_the_document(blocks: list[str]) -> None:
    assert list(pieces(blocks, at_spaces=False)) == [block for block in blocks if block]
    found = list(pieces(blocks, at_spaces=True))
    assert " ".join(found) == "".join(blocks)
    assert all(found)
    for left, right in pairwise(found):
        assert not left[-1].isspace()
        assert not right[0].isspace()


def test_pieces_end_at_the_last_single_space_of_a_block() -> None:
    blocks = ["one two three", " four  five\n six", "seven eig", "ht"]
    assert list(pieces(blocks, at_spaces=True)) == [
        "one two",
        "three four  five\n sixseven",
        "eight",
    ]
