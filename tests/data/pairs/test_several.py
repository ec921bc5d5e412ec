"""Corpora of several files: lists, patterns and folders, in every format."""

import gzip
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq.data.pairs.corpus import (
    FORMATS,
    Corpus,
    CorpusConfig,
    files_of,
    open_corpora,
    open_corpus,
)
from seq2seq.errors import ConfigError, DataError
from tests.formats import PLAIN, WRITERS

ONE, TWO = [("a b", "x"), ("c, d", 'y "z"')], [("é\u2028e", "w"), ("f", "v")]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Writes a file and another, packed where it can be, and returns how their names end."""

    def write(form: str) -> str:
        (suffix, *_), content = FORMATS[form].suffixes, WRITERS[form]
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "sub" / "other.txt").write_text("nothing of interest\n")
        (tmp_path / "sub" / f"b{suffix}").write_bytes(content(ONE))
        packed = gzip.compress(content(TWO), mtime=0) if form in PLAIN else content(TWO)
        name = f"sub/c{suffix}{'.gz' if form in PLAIN else ''}"
        (tmp_path / name).write_bytes(packed)
        return name

    return write


def pairs(folder: Path, **settings: Any) -> list[tuple[str, str]]:
    return list(open_corpus(CorpusConfig(**settings), folder).pairs())


@pytest.mark.parametrize("form", WRITERS)
def test_one_file_a_list_a_pattern_and_a_folder(
    form: str, written: Callable[[str], str], tmp_path: Path
) -> None:
    name, suffix = written(form), FORMATS[form].suffixes[0]
    assert pairs(tmp_path, path=f"sub/b{suffix}") == ONE
    assert pairs(tmp_path, path=name) == pairs(tmp_path, path=(name,)) == TWO
    assert pairs(tmp_path, path=(name, f"sub/b{suffix}")) == TWO + ONE
    assert pairs(tmp_path, path="sub", format=form) == ONE + TWO
    assert pairs(tmp_path, path=f"**/*{suffix}*") == ONE + TWO
    assert pairs(tmp_path, path=f"sub/*{suffix}*", limit=3, tag="<t>") == [
        ("<t> a b", "x"),
        ("<t> c, d", 'y "z"'),
        ("<t> é\u2028e", "w"),
    ]


def test_a_pattern_of_a_file_s_own_name_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1].tsv").write_bytes(WRITERS["tsv"](ONE))
    (tmp_path / "a1.tsv").write_bytes(WRITERS["tsv"](TWO))
    assert pairs(tmp_path, path="a[1].tsv") == ONE
    assert pairs(tmp_path, path="a[2-1]*.tsv".replace("2-1", "0-9")) == TWO


def test_both_sides_by_patterns_and_lists(tmp_path: Path) -> None:
    for name, text in (("a/x.de", "1\n"), ("a/y.de", "2\n"), ("a/x.en", "one\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "a" / "y.en.gz").write_bytes(gzip.compress(b"two\n"))
    (tmp_path / "z.de").write_text("3\n")
    (tmp_path / "z.en").write_text("three\n")
    assert pairs(tmp_path, source="./a/*.de", target="a/?.en*") == [("1", "one"), ("2", "two")]
    both = {"source": ("z.de", "a/[xy].de"), "target": ("z.en", "a/[xy].en*")}
    assert pairs(tmp_path, **both) == [("3", "three"), ("1", "one"), ("2", "two")]
    (tmp_path / "a" / "w.de").write_text("4\n")
    with pytest.raises(DataError, match=r"a/w.de: has no counterpart named a/\*.en\*; each file"):
        pairs(tmp_path, source="a/*.de", target="a/*.en*")
    (tmp_path / "a" / "w.en").write_text("four\n")
    (tmp_path / "a" / "w.en.txt").write_text("four\n")
    with pytest.raises(DataError, match=r"a/w.en and a/w.en.txt: only one of them can be a count"):
        pairs(tmp_path, source="a/*.de", target="a/*.en*")
    with pytest.raises(ConfigError, match=r"^target: must be a pattern where source is one, and"):
        pairs(tmp_path, source="a/*.de", target="z.en")
    with pytest.raises(ConfigError, match=r"^target: must be 2 files, as source, got \('z.en',\)"):
        CorpusConfig(source=("z.de", "a/w.de"), target=("z.en",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "no/*.tsv"}, r"no/\*.tsv: matches no file; \* stands for any name, \*\* for any"),
        ({"path": ".", "format": "jsonl"}, r"holds no file named \*.jsonl or \*.ndjson$"),
        ({"path": "."}, r"was not written by .*; if it holds files of pairs, name their format$"),
        ({"path": ("a.tsv", "empty.tsv")}, "empty.tsv: holds no pairs; at least one is needed"),
        (
            {"path": "a.tsv", "configuration": "x"},
            "^configuration: must be left out unless path is",
        ),
        (
            {"path": "a.tsv", "data_files": "x"},
            "^data_files: must be left out unless path is a hub",
        ),
        ({"path": "a.tsv", "streaming": True}, "^streaming: must be left out unless path is a hub"),
        ({"path": ()}, "^path: must be at least one, got"),
        ({"path": "a.tsv", "tag": "a b"}, "^tag: must be a text without white space, got 'a b'"),
    ],
)
def test_unusable_paths_are_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(WRITERS["tsv"](ONE))
    (tmp_path / "empty.tsv").write_text("source\ttarget\n")
    with pytest.raises((ConfigError, DataError), match=message):
        pairs(tmp_path, **settings)


def test_what_is_held_out_is_left_out_of_patterns_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "valid"):
        (tmp_path / f"{name}.tsv").write_bytes(WRITERS["tsv"]([(name, name)]))
    held = files_of(CorpusConfig(path="valid.tsv"), tmp_path)
    caplog.set_level(logging.INFO, "seq2seq")
    for settings in ({"path": "*.tsv"}, {"path": ".", "format": "tsv"}):
        corpus = open_corpus(CorpusConfig(**settings), tmp_path, held)  # type: ignore[arg-type]
        assert list(corpus.sources()) == ["a", "b"]
    assert [line for line in caplog.messages if "left out" in line] == [
        f"{tmp_path / '*.tsv'}: valid.tsv left out, for validation or test",
        f"{tmp_path}: ./valid.tsv left out, for validation or test",
    ]
    named = open_corpus(CorpusConfig(path=("valid.tsv", "a.tsv")), tmp_path, held)
    assert list(named.sources()) == ["valid", "a"]
    with pytest.raises(DataError, match=r"v\*.tsv: stands only for files that are for validation"):
        open_corpus(CorpusConfig(path="v*.tsv"), tmp_path, held)


def test_a_blank_source_stays_blank_behind_its_tag() -> None:
    corpus = Corpus("c", lambda: iter([(" ", "x"), ("a", "y")]), str, tag="<t>")
    assert list(corpus.pairs()) == [(" ", "x"), ("<t> a", "y")]


def test_fingerprints_of_several(tmp_path: Path) -> None:
    for name, content in (("a.tsv", ONE), ("b.tsv", TWO)):
        (tmp_path / name).write_bytes(WRITERS["tsv"](content))
    settings: list[dict[str, Any]] = [
        {"path": "a.tsv"},
        {"path": ("a.tsv", "b.tsv")},
        {"path": ("b.tsv", "a.tsv")},
        {"path": ("a.tsv", "b.tsv"), "limit": 3},
        {"path": "a.tsv", "tag": "<t>"},
        {"path": "a.tsv", "tag": "<u>"},
    ]
    found = [open_corpus(CorpusConfig(**one), tmp_path).fingerprint() for one in settings]
    assert len(set(found)) == len(found)
    shutil.copytree(tmp_path, tmp_path / "copy")
    copies = [open_corpus(CorpusConfig(**one), tmp_path / "copy") for one in settings]
    assert [copy.fingerprint() for copy in copies] == found
    # A list of one, a pattern, a folder: the name plays no part.
    for one in ({"path": ("a.tsv",)}, {"path": "a*.tsv"}):
        assert open_corpus(CorpusConfig(**one), tmp_path).fingerprint() == found[0]
    both = [CorpusConfig(path="a.tsv"), CorpusConfig(path="b.tsv")]
    assert list(open_corpora(both, tmp_path).pairs()) == ONE + TWO
    assert open_corpora(both[:1], tmp_path).fingerprint() == found[0]
    names = open_corpus(CorpusConfig(path=("a.tsv", "b.tsv", "a.tsv")), tmp_path).name
    assert names == f"{tmp_path / 'a.tsv'}, {tmp_path / 'b.tsv'}, 1 more"


def test_a_folder_that_is_held_out_holds_out_its_files(tmp_path: Path) -> None:
    for name in ("train", "valid"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.tsv").write_text(f"{name}\tx\n")
    found = open_corpus(CorpusConfig(path="**/*.tsv"), tmp_path, {(tmp_path / "valid").resolve()})
    assert list(found.pairs()) == [("train", "x")]


def test_what_is_held_out_of_one_side_is_out_of_both(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        for language in ("de", "en"):
            (tmp_path / f"{name}.{language}").write_text(f"{name} {language}\n")
    config = CorpusConfig(source="*.de", target="*.en")
    for held in ("dev.de", "dev.en"):
        found = open_corpus(config, tmp_path, {(tmp_path / held).resolve()})
        assert list(found.pairs()) == [("train de", "train en")]


def test_a_pattern_adds_no_file_that_a_list_has_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.tsv").write_text(f"{name}\tx\n")
    assert pairs(tmp_path, path=("b.tsv", "*.tsv")) == [("b", "x"), ("a", "x")]
    assert pairs(tmp_path, path=("a.tsv", "a.tsv")) == [("a", "x")] * 2


@pytest.mark.parametrize("bracket", ["[a-cz-b]", "[^b]", "[!b]", "[ab]"])
def test_brackets_of_patterns_are_those_of_files(bracket: str, tmp_path: Path) -> None:
    for name in ("a.de", "a.en"):
        (tmp_path / name).write_text(f"{name}\n")
    if bracket == "[^b]":  # to a pattern of files ^ is a sign as any other
        (tmp_path / "a.de").rename(tmp_path / "^.de")
        (tmp_path / "a.en").rename(tmp_path / "^.en")
    found = pairs(tmp_path, source=f"{bracket}.de", target=f"{bracket}.en")
    assert len(found) == 1


def test_a_text_of_a_csv_file_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{'a' * 200_000},x\n")
    assert pairs(tmp_path, path="a.csv") == [("a" * 200_000, "x")]
