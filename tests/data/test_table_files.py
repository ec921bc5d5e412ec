"""CSV, Parquet and Arrow as others write them: quotes, nested columns, both of Arrow's formats."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from seq2seq.data import tables
from seq2seq.data.pairs.corpus import Corpus, CorpusConfig, open_corpus
from seq2seq.errors import DataError
from tests.formats import WRITERS, arrow

NESTED: dict[str, Any] = {"source_column": "translation.de", "target_column": "translation.en"}
SHARED_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def opened(folder: Path, name: str, content: bytes, **columns: Any) -> Corpus:
    (folder / name).write_bytes(content)
    return open_corpus(CorpusConfig(path=name, **columns), folder)


TEXT = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), min_size=1)


@SHARED_FOLDER
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_csv_comes_back_as_it_was(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    content = WRITERS["csv"]([("source", "target"), *pairs])
    assert list(opened(tmp_path, "a.csv", content).pairs()) == pairs


@pytest.mark.parametrize(
    ("content", "columns", "expected"),
    [
        ('"a, b",x\r\n"c ""d""",y\r\n', {}, [("a, b", "x"), ('c "d"', "y")]),
        ('"a\r\nb",x\n\nc,y\n', {}, [("a\nb", "x"), ("", ""), ("c", "y")]),
        ("\ufeffid,target,source\n1,x,a\n", {}, [("a", "x")]),
        ("de,en\na,x\n", {"source_column": "en", "target_column": "de"}, [("x", "a")]),
        ("a,b,x\n", {"source_column": "0", "target_column": "2"}, [("a", "x")]),
    ],
)
def test_csv(
    content: str, columns: dict[str, str], expected: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert list(opened(tmp_path, "a.csv", content.encode(), **columns).pairs()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'a,x\n"b,y\nc,z\n',
            r"line 2: is not CSV \(unexpected end of data\); a field with a comma",
        ),
        ('a,x\n"b"c,y\n', r"line 2: is not CSV \(',' expected after '\"'\); a field with"),
        ("a,x\nb\n", "line 2: has 1 of the 2 columns needed; commas part them"),
        (
            "source,targte\na,x\n",
            "line 1: has no column target; found source, targte; did you mean",
        ),
    ],
)
def test_unusable_csv_is_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"a.csv: {message}") as error:
        list(opened(tmp_path, "a.csv", content.encode()).pairs())
    assert "\n" not in str(error.value)


def rows(count: int) -> pa.Table:
    translation = [{"de": f"de {n}", "en": f"en {n}"} for n in range(count)]
    return pa.table({"id": list(range(count)), "translation": translation})


def written(kind: str, folder: Path, table: pa.Table) -> str:
    """Writes a table as a kind of file, and returns the file's name."""
    names = {"parquet": "a.parquet", "feather": "a.feather", "file": "b.arrow", "stream": "c.arrow"}
    path = folder / names[kind]
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=400)
    elif kind == "feather":
        feather.write_feather(table, str(path))
    else:
        make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with make(str(path), table.schema) as writer:
            writer.write_table(table)
    return path.name


KINDS = ("parquet", "feather", "file", "stream")


@pytest.mark.parametrize("kind", KINDS)
def test_nested_columns_of_tables(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 300)
    name = written(kind, tmp_path, rows(1000))
    corpus = open_corpus(CorpusConfig(path=name, **NESTED), tmp_path)
    expected = [(f"de {n}", f"en {n}") for n in range(1000)]
    assert list(corpus.pairs()) == list(corpus.pairs()) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_in_a_table_is_told(kind: str, tmp_path: Path) -> None:
    table = pa.table({"translation.de": ["a", None], "translation.en": ["x", "y"], "id": [1, 2]})
    name = written(kind, tmp_path, table)
    corpus = open_corpus(CorpusConfig(path=name, **NESTED), tmp_path)
    assert next(corpus.pairs()) == ("a", "x")
    with pytest.raises(DataError, match=f"{name}: row 1: translation.de must be text, got None"):
        list(corpus.pairs())
    with pytest.raises(DataError, match=f"{name}: has no column source; found translation.de, tr"):
        open_corpus(CorpusConfig(path=name), tmp_path)
    with pytest.raises(DataError, match=f"{name}: row 0: id must be text, got 1$"):
        open_corpus(CorpusConfig(path=name, **(NESTED | {"source_column": "id"})), tmp_path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("content", [b"", b"no table at all", b"ARROW1\0\0\0\0", b"PAR1PAR1"])
def test_other_content_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    message = r"a\.\w+: is not (Parquet|Arrow) that can be read \(.+\)$"
    with pytest.raises(DataError, match=message) as error:
        opened(tmp_path, name, content)
    assert "\n" not in str(error.value)


def test_packed_tables_are_refused(tmp_path: Path) -> None:
    content = gzip.compress(arrow([("a", "x")]))
    with pytest.raises(DataError, match=r"a.arrow.gz: is packed by gzip, as only text may be; run"):
        opened(tmp_path, "a.arrow.gz", content)
    with pytest.raises(DataError, match=r"b.parquet does not exist; did you mean 'a.parquet'\?$"):
        open_corpus(CorpusConfig(path="b.parquet"), written_one(tmp_path))


def written_one(folder: Path) -> Path:
    written("parquet", folder, rows(1))
    return folder


@pytest.mark.parametrize("kind", KINDS)
@settings(SHARED_FOLDER, derandomize=True, max_examples=60)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_any_damage_gives_pairs_or_a_data_error(
    kind: str, tmp_path: Path, place: int, byte: int
) -> None:
    name = written(kind, tmp_path, rows(20))
    damaged = bytearray((tmp_path / name).read_bytes())
    damaged[place % len(damaged)] = byte
    try:
        list(opened(tmp_path, name, bytes(damaged), **NESTED).pairs())
    except DataError as error:
        message = str(error)
        assert "\n" not in message
