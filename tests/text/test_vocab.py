import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import CheckpointError, DataError, StorageError
from seq2seq.symbols import UNK
from seq2seq.text.vocab import SPECIALS, Vocabulary

TOKENS = st.lists(st.text(), unique=True).map(tuple)


def test_ids_are_specials_then_tags_then_tokens() -> None:
    vocabulary = Vocabulary(("a", "b"), ("<2pt>",))
    assert SPECIALS[UNK] == "<unk>"
    assert vocabulary.tokens(range(len(vocabulary))) == [*SPECIALS, "<2pt>", "a", "b"]
    assert vocabulary.ids(["b", "c", "a"]) == [6, UNK, 5]
    assert vocabulary.tag_ids == {"<2pt>": 4}
    assert "a" in vocabulary
    assert "c" not in vocabulary


def test_a_word_spelt_like_a_special_symbol_or_tag_is_a_word() -> None:
    assert Vocabulary((), ("<2pt>",)).ids(["<pad>", "<eos>", "<2pt>"]) == [UNK] * 3
    vocabulary = Vocabulary(("<pad>", "<2pt>"), ("<2pt>",))
    assert vocabulary.ids(["<pad>", "<2pt>"]) == [5, 6]


def test_build_takes_the_most_frequent_and_orders_equals_by_spelling() -> None:
    counts = Counter({"rare": 1, "b": 2, "a": 2, "top": 9})
    assert Vocabulary.build(counts, None, 1).entries == ("top", "a", "b", "rare")
    assert Vocabulary.build(counts, None, 2, ["<x>"]) == Vocabulary(("top", "a", "b"), ("<x>",))
    assert Vocabulary.build(counts, 2, 1).entries == ("top", "a")


@given(st.lists(st.text(max_size=2)), st.randoms())
def test_build_does_not_depend_on_the_order_of_the_text(tokens: list[str], random: object) -> None:
    assert Vocabulary.build(Counter(tokens), None, 1) == Vocabulary.build(
        Counter(reversed(tokens)), None, 1
    )


@given(TOKENS)
def test_known_tokens_come_back(tokens: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(tokens)
    assert vocabulary.tokens(vocabulary.ids(tokens)) == list(tokens)


def test_save_and_load(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("ü", "漢", '"', "\n", "\u2028", ""), ("<2pt>",))
    vocabulary.save(tmp_path / "new" / "folder")
    assert Vocabulary.load(tmp_path / "new" / "folder") == vocabulary
    assert "漢" in (tmp_path / "new" / "folder" / "vocab.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"vocab.json: is not JSON: Expecting property name"),
        ("[" * 100_000, r"vocab.json: is not JSON: "),
        ("\udcff", r"vocab.json: is not JSON: "),
        ("[]", r"vocab.json: is not an object with a 'format' version"),
        ('{"format": 2}', r"vocab.json: has format 2, this version reads 1"),
        ('{"format": 1, "tags": 3}', r"vocab.json: tags: must be of type list, got 3"),
        (
            '{"format": 1, "tags": [], "tokens": ["a", 3]}',
            r"vocab.json: tokens: must be a list of strings",
        ),
        (
            '{"format": 1, "tags": [], "tokens": ["a", "b", "a"]}',
            r"vocab.json: tokens: 'a' appears twice",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "vocab.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=message):
        Vocabulary.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"vocab.json: cannot be read: No such file"):
        Vocabulary.load(tmp_path)


def test_a_refused_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").mkdir()
    with pytest.raises(StorageError, match=r"vocab.json: cannot be written: Is a directory$"):
        Vocabulary(()).save(tmp_path)


@pytest.mark.parametrize(
    ("place", "why"), [("file", "File exists"), ("file/sub", "Not a directory")]
)
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=rf"{place}: is no folder \({why}\); name a new one$"):
        Vocabulary(()).save(tmp_path / place)


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=r"new: cannot be made: Read-only file system$"):
        Vocabulary(()).save(tmp_path / "new")


def test_a_vocabulary_grows_at_its_end_and_keeps_its_ids(tmp_path: Path) -> None:
    old = Vocabulary(("a", "<2pt>"), ("<2en>",))
    once = old.grown(Vocabulary(("b", "a"), ("<2pt>", "<2en>")))
    twice = once.grown(Vocabulary(("c",), ("<2fr>", "<2pt>")))
    texts = ["<pad>", "<unk>", "<bos>", "<eos>", "<2en>", "a", "<2pt>", "<2pt>", "b", "<2fr>", "c"]
    assert twice.tokens(range(len(twice))) == texts
    assert once.tokens(range(len(once))) == texts[: len(once)]
    assert old.tokens(range(len(old))) == texts[: len(old)]
    assert twice.tag_ids == {"<2en>": 4, "<2pt>": 7, "<2fr>": 9}
    assert twice.ids(["a", "<2pt>", "<2fr>", "b", "c"]) == [5, 6, UNK, 8, 10]
    assert twice.places_in(old) == [*range(7), -1, -1, -1, -1]
    assert old.places_in(twice) == [*range(7)]
    assert twice.places_in(Vocabulary(("c", "<2en>"), ("<2pt>",)))[4:] == [-1, -1, -1, 4, -1, -1, 5]
    twice.save(tmp_path)
    assert Vocabulary.load(tmp_path) == twice
    assert old.grown(old) == old
    assert b"later" not in old.files()["vocab.json"]
    (tmp_path / "vocab.json").write_text('{"format": 1, "tags": [], "tokens": [], "later_tags": 3}')
    with pytest.raises(
        CheckpointError, match=r"vocab.json: later_tags: must be ids by tag, got 3$"
    ):
        Vocabulary.load(tmp_path)
