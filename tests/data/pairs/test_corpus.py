import bz2
import gzip
import io
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from seq2seq.data.files import read_lines
from seq2seq.data.pairs.corpus import Corpus, CorpusConfig, open_corpus, pairs_of, usable
from seq2seq.errors import ConfigError, DataError

UTF16 = "looks like UTF-16"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(content: str | bytes, folder: Path, name: str = "text") -> list[str]:
    return list(read_lines(write(folder / name, content)))


# --- the line reader


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\r\r\nb\r", ["a\r", "b"]),
        ("\n\na\n\n", ["", "", "a", ""]),
        ("\ufeffa\n\ufeffb\n", ["a", "\ufeffb"]),
        ("a\u2028b\x85c\x0cd\re\x0bf\x1cg\n", ["a\u2028b\x85c\x0cd\re\x0bf\x1cg"]),
        ("  a \t\n", ["  a \t"]),
    ],
)
def test_only_line_feeds_end_lines(content: str, expected: list[str], tmp_path: Path) -> None:
    assert lines(content, tmp_path) == expected


@pytest.mark.parametrize("name", ["text.gz", "text"])
def test_gzip_is_read_by_name_and_by_content(name: str, tmp_path: Path) -> None:
    assert lines(gzip.compress("ä\nb\n".encode(), mtime=0), tmp_path, name) == ["ä", "b"]


def test_nulls_are_replaced_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "text", "a\0b\0\nc\0\n")
    with caplog.at_level(logging.WARNING, logger="seq2seq"):
        assert list(read_lines(path)) == list(read_lines(path)) == ["a\ufffdb\ufffd", "c\ufffd"]
    assert caplog.messages == [f"{path}: replaced 3 NUL characters by U+FFFD"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "text is empty; at least one line is needed"),
        (gzip.compress(b"", mtime=0), "text is empty; at least one line is needed"),
        ("a\n".encode("utf-16"), "text looks like UTF-16, run iconv -f UTF-16 -t UTF-8 on it"),
        ("\ufeffa\n".encode("utf-16-be"), UTF16),
        ("some Latin text\n".encode("utf-16-le"), UTF16),
        ("some Latin text\n".encode("utf-16-be"), UTF16),
        (gzip.compress("some Latin text\n".encode("utf-16-le"), mtime=0), UTF16),
        (
            b"ab\ncd\xe4e\n",
            r"text: line 2: byte 0xe4 at offset 5 is not UTF-8; convert the file with iconv, or "
            r"read it with errors=replace",
        ),
        (b"\xed\xa0\x80\n", "line 1: byte 0xed at offset 0 is not UTF-8"),
        (b"\x28\xb5\x2f\xfd\0\0", "text is packed by zstd, only gzip is read; unpack it with zstd"),
    ],
)
def test_unusable_content_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        lines(content, tmp_path)


def test_invalid_bytes_are_replaced_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "text", b"ab\ncd\xe4e\n")
    assert list(read_lines(path, errors="replace")) == ["ab", "cd\ufffde"]


@pytest.mark.parametrize("cut", [3, 15, -9, -4, -1])
def test_truncated_gzip_is_refused(cut: int, tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"{n}\n" for n in range(1000)).encode())
    with pytest.raises(DataError, match=r"text.gz: the gzip data are damaged or cut off \(.*\)$"):
        lines(packed[:cut], tmp_path, "text.gz")


def test_damaged_and_misnamed_gzip_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"a\nb\n" * 100, mtime=0))
    packed[-6] ^= 1
    for content in (bytes(packed), bz2.compress(b"a\n"), b"a\n"):
        with pytest.raises(DataError, match=r"text.gz: the gzip data are damaged or cut off \("):
            lines(content, tmp_path, "text.gz")


def test_missing_file_names_its_nearest_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "train.de", "a\n")
    with pytest.raises(DataError, match=r"trian.de does not exist; did you mean 'train.de'\?$"):
        list(read_lines(tmp_path / "trian.de"))
    with pytest.raises(DataError, match=r"nowhere/x does not exist$"):
        list(read_lines(tmp_path / "nowhere" / "x"))


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is a directory; a file is needed$"):
        list(read_lines(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "text", "a\n")
    path.chmod(0)
    with pytest.raises(DataError, match=r"text cannot be read \(Permission denied\)$"):
        list(read_lines(path))


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "text", "a\n")
    with pytest.raises(DataError, match=r"text/x cannot be read \(Not a directory\)$"):
        list(read_lines(path / "x"))


@pytest.mark.parametrize("buffer", [io.BytesIO, lambda text: io.BufferedReader(io.BytesIO(text))])
def test_standard_input_is_read(buffer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(buffer("ä\r\nb".encode())))
    assert list(read_lines("-")) == ["ä", "b"]
    assert not sys.stdin.closed


def test_unusable_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(DataError, match=r"^standard input is empty; at least one line is needed$"):
        list(read_lines("-"))
    sys.stdin.close()
    with pytest.raises(DataError, match=r"^standard input is closed; give a file, or text through"):
        list(read_lines("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^standard input is closed"):
        list(read_lines("-"))


SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED_FOLDER
@given(
    st.binary(max_size=64) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
)
@example(b"\xff\xfe")
@example(b"\x1f\x8b")
@example(b"\xef\xbb\xbf")
def test_any_bytes_give_their_lines_or_a_data_error(tmp_path: Path, content: bytes) -> None:
    try:
        found = lines(content, tmp_path)
    except DataError as error:
        message = str(error)
        assert "\n" not in message
        return
    text = content.decode().removeprefix("\ufeff").replace("\0", "\ufffd")
    pieces = text.split("\n")
    expected = pieces[:-1] if len(pieces) > 1 and pieces[-1] == "" else pieces
    assert found == [piece.removesuffix("\r") for piece in expected]


@SHARED_FOLDER
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_any_damage_of_gzip_gives_lines_or_a_data_error(
    tmp_path: Path, content: bytes, place: int, byte: int
) -> None:
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[place % len(packed)] = byte
    try:
        lines(bytes(packed), tmp_path)
    except DataError as error:
        message = str(error)
        assert "\n" not in message


# --- two parallel files


def open_text(folder: Path, source: str, target: str, limit: int = 0) -> Corpus:
    write(folder / "train.en", source)
    write(folder / "train.de", target)
    config = CorpusConfig(source="train.en", target="train.de", limit=limit)
    return open_corpus(config, folder)


def test_parallel_files_are_read_again_and_again(tmp_path: Path) -> None:
    corpus = open_text(tmp_path, "a\n\nc\n", "x\ny\nz\n")
    assert list(corpus.pairs()) == list(corpus.pairs()) == [("a", "x"), ("", "y"), ("c", "z")]
    assert list(corpus.sources()) == ["a", "", "c"]
    assert list(corpus.targets()) == ["x", "y", "z"]
    assert corpus.name == f"{tmp_path / 'train.en'}, {tmp_path / 'train.de'}"


def test_limit_takes_the_first_pairs(tmp_path: Path) -> None:
    assert list(open_text(tmp_path, "a\nb\nc\n", "x\ny\nz\n", limit=2).sources()) == ["a", "b"]


def test_differing_line_counts_are_refused_with_a_hint(tmp_path: Path) -> None:
    ten = "".join(f"{n}\n" for n in range(10_000))
    corpus = open_text(tmp_path, ten, ten.replace("\n17\n", "\n\n").replace("\n9998\n9999\n", "\n"))
    expected = r"train.en has 10,000 lines, .*train.de 9,998; only one side is blank at line 18$"
    with pytest.raises(DataError, match=expected):
        list(corpus.pairs())
    corpus = open_text(tmp_path, "a\nb\n", "x\n")
    with pytest.raises(DataError, match=r"train.en has 2 lines, .*train.de 1; each line needs its"):
        list(corpus.pairs())


@pytest.mark.parametrize(("source", "target"), [("", "a\n"), ("a\n", "")])
def test_an_empty_side_is_refused_when_opened(source: str, target: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is empty; at least one line is needed"):
        open_text(tmp_path, source, target)


# --- both sides in one file


def open_file(folder: Path, name: str, content: str | bytes, **settings: Any) -> Corpus:
    write(folder / name, content)
    return open_corpus(CorpusConfig(path=name, **settings), folder)


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ("a\tx\nb\ty\n", {}, [("a", "x"), ("b", "y")]),
        ("a\tx\tCC-BY\nb\ty\tCC-BY\n", {}, [("a", "x"), ("b", "y")]),
        ("target\tid\tsource\nx\t1\ta\n", {}, [("a", "x")]),
        ("en\tde\na\tx\n", {"source_column": "de", "target_column": "en"}, [("x", "a")]),
        ("1\ta\tx\n2\tb\n", {"source_column": "1", "target_column": "0"}, [("a", "1"), ("b", "2")]),
        ('"a\tx"\n\nb\t\n', {}, [('"a', 'x"'), ("", ""), ("b", "")]),
    ],
)
def test_tsv(
    content: str, columns: dict[str, str], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert list(open_file(tmp_path, "train.tsv", content, **columns).pairs()) == expected
    packed = gzip.compress(content.encode(), mtime=0)
    assert list(open_file(tmp_path, "train.tsv.gz", packed, **columns).pairs()) == expected


def test_a_table_without_header_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    list(open_file(tmp_path, "words.tsv", "word\tsound\tnote\na\tx\t\n").pairs())
    told = "no header with the names source and target: line 1 is a pair; of 3 columns the first"
    assert caplog.messages == [f"{tmp_path / 'words.tsv'}: {told} two are read"]
    for content, columns in (
        ("source\ttarget\na\tx\n", {}),
        ("a\tx\n", {"source_column": "0", "target_column": "1"}),
        ("de\ten\na\tx\n", {"source_column": "de", "target_column": "en"}),
    ):
        list(open_file(tmp_path, "train.tsv", content, **columns).pairs())
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("a\tx\nb\n", {}, "train.tsv: line 2: has 1 of the 2 columns needed; tabs part them"),
        (
            "source\ttargte\na\tx\n",
            {},
            r"train.tsv: line 1: has no column target; found source, targte; did you mean 'ta",
        ),
        (
            "de\ten\na\tx\n",
            {"source_column": "fr", "target_column": "it"},
            "line 1: has no column fr; found de, en$",
        ),
        (
            "a\tb\n",
            {"source_column": "0", "target_column": "two"},
            "line 1: has no column 0; found a, b$",
        ),
        (
            "a\tb\n",
            {"source_column": "0", "target_column": "2"},
            "line 1: has 2 of the 3 columns needed",
        ),
    ],
)
def test_unusable_tsv_is_refused(
    content: str, columns: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        list(open_file(tmp_path, "train.tsv", content, **columns).pairs())


NESTED: dict[str, Any] = {"source_column": "translation.de", "target_column": "translation.en"}


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"source": "ä\nb", "target": "x"}, {}),
        ({"translation": {"de": "ä\nb", "en": "x"}}, NESTED),
        ({"translation.de": "ä\nb", "translation.en": "x"}, NESTED),
    ],
)
def test_jsonl(row: dict[str, Any], columns: dict[str, str], tmp_path: Path) -> None:
    content = f"\n{json.dumps(row)}\r\n{json.dumps(row, ensure_ascii=False)}\n"
    expected = [("", ""), ("ä\nb", "x"), ("ä\nb", "x")]
    assert list(open_file(tmp_path, "train.jsonl", content, **columns).pairs()) == expected


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ("{", {}, r"line 2: is not JSON \(Expecting .*\); one object a line is needed$"),
        ("[" * 100_000, {}, r"line 2: is not JSON \(maximum recursion depth exceeded"),
        ("[1]", {}, r"line 2: must be a JSON object, got \[1\]$"),
        (
            '{"sorce": "a", "target": "x"}',
            {},
            r"line 2: has no column source; found sorce, target; did you mean 'sorce'\?$",
        ),
        ("{}", {}, "line 2: has no column source; found none$"),
        ('{"a\\nb": 1}', {}, r"line 2: has no column source; found 'a\\nb'$"),
        ('{"source": 5, "target": "x"}', {}, "line 2: source must be text, got 5$"),
        ('{"source": "a", "target": null}', {}, "line 2: target must be text, got None$"),
        ('{"source": "\\ud800", "target": "x"}', {}, "line 2: source holds half a surrogate pair"),
        (
            '{"translation": {"de": "a", "eng": "x"}}',
            NESTED,
            r"line 2: has no column translation.en; found de, eng; did you mean 'eng'\?$",
        ),
        ('{"translation": "a"}', NESTED, "line 2: has no column translation.de; found none$"),
    ],
)
def test_unusable_jsonl_is_refused(
    row: str, columns: dict[str, str], message: str, tmp_path: Path
) -> None:
    corpus = open_file(tmp_path, "train.jsonl", f"\n{row}\n", **columns)
    with pytest.raises(DataError, match=f"train.jsonl: {message}"):
        list(corpus.pairs())


@SHARED_FOLDER
@given(st.binary(max_size=64) | st.text(alphabet='{}[]"source:,target\\u d8\t\n', max_size=40))
def test_any_file_gives_pairs_or_a_data_error(tmp_path: Path, content: str | bytes) -> None:
    for name in ("train.tsv", "train.jsonl"):
        try:
            list(open_file(tmp_path, name, content).pairs())
        except DataError as error:
            message = str(error)
            assert "\n" not in message


# --- data sets of the `datasets` library


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import datasets

    datasets.disable_progress_bars()
    folder = tmp_path_factory.mktemp("saved")
    rows = [{"de": f"de {n}", "en": f"en {n}"} for n in range(1500)]
    table = datasets.Dataset.from_dict({"id": list(range(1500)), "translation": rows})
    table.save_to_disk(folder / "one")
    datasets.DatasetDict(train=table, test=table.select(range(2))).save_to_disk(folder / "many")
    return folder


def test_saved_data_sets(saved: Path) -> None:
    corpus = open_corpus(CorpusConfig(path="one", **NESTED), saved)
    pairs = list(corpus.pairs())
    assert pairs == list(corpus.pairs())
    assert len(pairs) == 1500
    assert pairs[1234] == ("de 1234", "en 1234")
    test = open_corpus(CorpusConfig(path="many", split="test", **NESTED), saved)
    assert list(test.pairs()) == pairs[:2]
    assert test.fingerprint() != corpus.fingerprint()
    again = open_corpus(CorpusConfig(path="one", **NESTED), saved)
    assert again.fingerprint() == corpus.fingerprint()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            NESTED | {"path": "many", "split": "tset"},
            "has no split tset; found train, test; did you",
        ),
        ({"path": "one"}, "one: has no column source; found id, translation$"),
        (NESTED | {"path": "one", "source_column": "id"}, "one: row 0: id must be text, got 0$"),
        (
            NESTED | {"path": "."},
            r"was not written by datasets' save_to_disk \(FileNotFoundError: ",
        ),
        ({"path": "a/b", "format": "dataset"}, "save_to_disk .FileNotFoundError: .*not found"),
    ],
)
def test_unusable_data_sets_are_refused(
    settings: dict[str, Any], message: str, saved: Path
) -> None:
    with pytest.raises(DataError, match=message):
        open_corpus(CorpusConfig(**settings), saved)


def test_damaged_data_set_is_refused(saved: Path, tmp_path: Path) -> None:
    for file in (saved / "one").iterdir():
        write(tmp_path / file.name, b"x")
    with pytest.raises(
        DataError, match=r"was not written by datasets' save_to_disk .JSONDecodeErr"
    ):
        open_corpus(CorpusConfig(path=str(tmp_path)), tmp_path)


def test_hub_id_is_loaded_by_datasets(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def load_dataset(name: str, *, split: str, revision: str | None) -> Any:
        assert (name, split, revision) == ("owner/name", "test", "v1")
        return datasets.load_from_disk(str(saved / "many"))[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    config = CorpusConfig(path="owner/name", split="test", revision="v1", **NESTED)
    corpus = open_corpus(config, saved)
    assert corpus.name == "owner/name"
    assert list(corpus.pairs()) == [("de 0", "en 0"), ("de 1", "en 1")]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionError("Couldn't reach it\nmore"),
            r"^owner/name is not reachable \(ConnectionError: Couldn't reach it\); set path to a "
            r"local copy, or source and target to two text files$",
        ),
        (
            ValueError('Unknown split "trian"\nmore'),
            r'^owner/name cannot be loaded from the hub \(ValueError: Unknown split "trian"\)$',
        ),
    ],
)
def test_unusable_hub_id_is_refused(
    error: Exception, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def load_dataset(name: str, *, split: str, revision: str | None) -> Any:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match=message):
        open_corpus(CorpusConfig(path="owner/name"), tmp_path)


# --- configuration, pairs in memory, fingerprints


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {},
            "path: must be one file or folder with both sides, unless source and target are given",
        ),
        ({"source": "a"}, "path: must be one file or folder"),
        (
            {"path": "a.tsv", "source": "b"},
            "path: must be left out where source or target is given, got",
        ),
        (
            {"source": "a", "target": "b", "format": "tsv"},
            "format: must be text or auto for two files, got 'tsv'",
        ),
        (
            {"path": "a", "format": "text"},
            "format: must be auto, tsv, csv, jsonl, parquet, arrow, dataset or hub, got",
        ),
        ({"path": "a.tsv", "limit": -1}, "limit: must be 0 or more, got -1"),
        ({"path": "a", "source_column": ""}, "source_column: must be the name of a column, got ''"),
        ({"path": "a", "target_column": ""}, "target_column: must be the name of a column, got ''"),
    ],
)
def test_unusable_configuration_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        CorpusConfig(**settings)


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    message = r"^path: cannot tell the format of 'pairs.txt' by its name; set format: tsv, csv, j"
    with pytest.raises(ConfigError, match=message):
        open_file(tmp_path, "pairs.txt", "a\tx\n")
    assert list(open_file(tmp_path, "pairs.txt", "a\tx\n", format="tsv").sources()) == ["a"]


@pytest.mark.parametrize("path", ["trian.tsv", "no/train.tsv.gz"])
def test_missing_pairs_are_no_hub_id(path: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{path} does not exist"):
        open_corpus(CorpusConfig(path=path), tmp_path)


def test_corpus_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.tsv: holds no pairs; at least one is needed"):
        open_file(tmp_path, "train.tsv", "source\ttarget\n")


def test_blank_sides_are_dropped_and_counted() -> None:
    pairs = [("a", "x"), ("", "y"), ("c", " \u3000\t"), ("", ""), ("e", "z")]
    dropped: Counter[str] = Counter()
    assert list(usable(pairs, dropped)) == [("a", "x"), ("e", "z")]
    assert dropped == {"blank": 3}


@pytest.mark.parametrize("row", ["ab", ("a", "b", "c"), ("a",), 7, None, ("a", 7), b"ab"], ids=repr)
def test_rows_that_are_no_pairs_are_refused(row: Any) -> None:
    with pytest.raises(DataError) as refusal:
        pairs_of([("a", "x"), ["b", "y"], row], "train pairs")
    wanted = f"must be a source and a target text, got {row!r}; leave it out, or give two texts"
    assert str(refusal.value) == f"train pairs: row 2: {wanted}"


def test_pairs_in_memory() -> None:
    assert pairs_of([["a", "x"], ("b", "y")], "pairs") == [("a", "x"), ("b", "y")]
    corpus = Corpus.of([("a", "x"), ("b", "y")])
    assert list(corpus.pairs()) == list(corpus.pairs()) == [("a", "x"), ("b", "y")]
    assert corpus.name == "pairs"


def corpora(folder: Path) -> Iterator[Corpus]:
    yield open_text(folder, "a\nb\n", "x\ny\n")
    yield open_text(folder, "a\nb\n", "x\nz\n")
    yield open_text(folder, "a\nb\n", "x\nz\n", limit=1)
    yield open_text(folder, "x\nz\n", "a\nb\n")
    yield open_file(folder, "pairs.tsv", "a\tx\nb\ty\n")
    yield open_file(folder, "pairs.tsv", "a\tx\nb\ty\n", source_column="1", target_column="0")
    yield Corpus.of([("a", "x"), ("b", "y")])
    yield Corpus.of([("a", "xb"), ("", "y")])


def test_fingerprints_tell_corpora_apart(tmp_path: Path) -> None:
    first = [corpus.fingerprint() for corpus in corpora(tmp_path)]
    (tmp_path / "elsewhere").mkdir()
    second = [corpus.fingerprint() for corpus in corpora(tmp_path / "elsewhere")]
    assert first == second
    assert len(set(first)) == len(first) == 8
    assert all(len(fingerprint) == 64 for fingerprint in first)
