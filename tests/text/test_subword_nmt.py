"""The codes of subword-nmt and fastBPE: cut as subword-nmt 0.3.8 cuts, whose outputs stand here."""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.symbols import UNK
from seq2seq.text.codes import read_codes
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword_nmt import SubwordNmtTokenizer
from seq2seq.text.tokenizers import load_tokenizer
from tests.codes import CODES, LINES, settings_of

TEXTS = ["the runner runs over the running year", "a  drummer , there: Häuser", "2016 rudder xx"]
PLAIN = [
    "the runner runs over the running year",
    "a d@@ ru@@ m@@ m@@ er , ther@@ e@@ : H@@ ä@@ u@@ s@@ er",
    "2@@ 0@@ 1@@ 6 ru@@ d@@ d@@ er x@@ x",
]
VOCABULARY = "the 4\nr@@ 5\nru@@ 3\nn@@ 2\nn 2\nrun 1\nd@@ 4\ne@@ 3\nr 4\n"
LIMITED = [  # --vocabulary-threshold 2
    "the ru@@ n@@ n@@ e@@ r ru@@ n@@ s o@@ v@@ e@@ r the ru@@ n@@ n@@ i@@ n@@ g y@@ e@@ a@@ r",
    "a d@@ ru@@ m@@ m@@ e@@ r , t@@ h@@ e@@ r@@ e@@ : H@@ ä@@ u@@ s@@ e@@ r",
    "2@@ 0@@ 1@@ 6 ru@@ d@@ d@@ e@@ r x@@ x",
]
DRAWN = [  # --dropout 0.5 --seed 3
    "t@@ h@@ e r@@ u@@ n@@ n@@ e@@ r runs o@@ v@@ e@@ r the run@@ n@@ ing year",
    "a d@@ ru@@ m@@ m@@ er , th@@ e@@ r@@ e@@ : H@@ ä@@ u@@ s@@ er",
    "2@@ 0@@ 1@@ 6 ru@@ d@@ d@@ e@@ r x@@ x",
]
TOKENIZER = SubwordNmtTokenizer.from_files(CODES)


def cut(tokenizer: SubwordNmtTokenizer, texts: list[str]) -> list[str]:
    return list(map(" ".join, tokenizer.encode(texts)))


def test_words_are_cut_as_by_subword_nmt() -> None:
    assert cut(TOKENIZER, TEXTS) == PLAIN
    limited = replace(TOKENIZER, vocabulary=VOCABULARY.encode(), threshold=2)
    assert cut(limited, TEXTS) == LIMITED
    assert limited.alphabet == ("the", "r@@", "ru@@", "n@@", "n", "d@@", "e@@", "r")
    drawn = replace(TOKENIZER, sampling=0.5).sample(TEXTS, 3)
    assert list(map(" ".join, drawn)) == DRAWN


def test_codes_without_a_version_are_of_the_first() -> None:
    codes = b"t h\nth e\nthe </w>\nr u\nru n\nrun </w>\nn </w>\n"
    assert cut(SubwordNmtTokenizer(codes), ["the runner run run the"]) == [
        "the run@@ n@@ e@@ r run run the"
    ]
    assert cut(SubwordNmtTokenizer(b"#version: 0.1.0\n" + codes), ["thea"]) == ["the@@ a"]


def test_codes_of_fastbpe_have_counts_and_end_words_in_the_last_character() -> None:
    lines = CODES.read_text("utf-8").splitlines()[1:]
    counted = "".join(f"{line} {100 - at}\n" for at, line in enumerate(lines)).encode()
    assert cut(SubwordNmtTokenizer(counted), TEXTS) == PLAIN


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_vocabularies_of_others_are_read(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "dict.txt"
    rows = [*VOCABULARY.strip().split("\n"), "", "<x> 2 #fairseq:overwrite"]
    path.write_text("\n".join(row.replace(" ", separator, 1) for row in rows), "utf-8")
    tokenizer = SubwordNmtTokenizer.from_files(CODES, path, 2)
    assert cut(tokenizer, TEXTS) == LIMITED
    assert tokenizer.alphabet is not None
    assert tokenizer.alphabet[-1] == "<x>"


def test_the_vocabulary_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text(VOCABULARY, "utf-8")
    config = PipelineConfig(
        **settings_of("subword-nmt"), vocabulary_file=str(path), vocabulary_threshold=2
    )
    pipeline = Pipeline.train(config, LINES)
    assert pipeline.vocabulary.entries == ("the", "r@@", "ru@@", "n@@", "n", "d@@", "e@@", "r")
    assert pipeline.decode(pipeline.encode(["the runner x"])) == ["the runner ⁇"]
    pipeline.save(tmp_path / "pipeline")
    loaded = Pipeline.load(tmp_path / "pipeline")
    assert (loaded, loaded.fingerprint) == (pipeline, pipeline.fingerprint)
    trimmed = Pipeline.train(config, ["the the"], trim=True)
    assert trimmed.vocabulary.entries == ("the",)


@pytest.mark.parametrize("vocabulary", [None, VOCABULARY.encode()])
@settings(max_examples=50)
@given(texts=st.lists(st.text() | st.text("thern m@</w>ä")), seed=st.integers())
def test_spaced_texts_come_back(vocabulary: bytes | None, texts: list[str], seed: int) -> None:
    texts = [text.replace("@@", "@") for text in texts]  # which ends a piece
    wanted = [" ".join(filter(None, text.strip("\r\n ").split(" "))) for text in texts]
    tokenizer = replace(TOKENIZER, sampling=0.5, vocabulary=vocabulary)
    assert tokenizer.decode(tokenizer.encode(texts)) == wanted
    drawn = tokenizer.sample(texts, seed)
    assert tokenizer.decode(drawn) == wanted
    assert tokenizer.sample(texts, seed) == drawn


def test_what_may_be_drawn_is_in_the_vocabulary() -> None:
    config = PipelineConfig(**settings_of("subword-nmt"), sampling=0.5)
    pipeline = Pipeline.train(config, LINES, trim=True)
    rows = [row for seed in range(30) for row in pipeline.sample([LINES[0], LINES[3]], seed)]
    assert not any(UNK in row for row in rows)
    assert len({tuple(row) for row in rows}) > 30
    old = replace(TOKENIZER, codes=b"a b\nab </w>\n", sampling=1.0)
    assert set(old.drawable) == {"a", "a@@", "b", "b@@", "ab", "ab@@"}
    assert replace(old, sampling=0.0).drawable == ()
    with pytest.raises(DataError, match=r"^source: no training text: every line is blank$"):
        Pipeline.train(config, [""])


def test_save_and_load_with_a_vocabulary(tmp_path: Path) -> None:
    tokenizer = replace(TOKENIZER, vocabulary=VOCABULARY.encode(), threshold=2, sampling=0.25)
    tokenizer.save(tmp_path)
    assert load_tokenizer(tmp_path) == tokenizer
    (tmp_path / "tokenizer.codes").write_bytes(b"a b c\n")
    with pytest.raises(
        CheckpointError, match=r"tokenizer.codes: line 1: must be two pieces, and a"
    ):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (b"", r": line 1: must be two pieces, .*; got ''$"),
        (b"#version: 0.2\n", r": holds no codes; at least one is needed$"),
        (b"#version: 3\na b\n", r": line 1: has version '3'; only 0.1 and 0.2 are read$"),
        (b"#version: 0.2\na b\n\nc d\n", r": line 3: must be two pieces, and a count if fastBPE "),
        (b"a b c\n", r": line 1: must be two pieces, .*parted by spaces; got 'a b c'$"),
        (b"a b\n\xff c\n", r": line 2: is not UTF-8; convert it with iconv$"),
    ],
)
def test_what_is_no_file_of_codes(codes: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "codes.bpe"
    path.write_bytes(codes)
    with pytest.raises(DataError, match=f"codes.bpe{message}"):
        SubwordNmtTokenizer.from_files(path)


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (b"a 1\nb\n", r": line 2: must be a token and its count, got 'b'$"),
        (b"a 1\nb x\n", r": line 2: must be a token and its count, got 'b x'$"),
        (b"a 1\n", r": has no token that is counted 2 times; one is needed$"),
    ],
)
def test_what_is_no_vocabulary(vocabulary: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "dict.txt"
    path.write_bytes(vocabulary)
    with pytest.raises(DataError, match=f"dict.txt{message}"):
        SubwordNmtTokenizer.from_files(CODES, path, 2)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"codes: cannot be read: No such file or directory$"):
        SubwordNmtTokenizer.from_files(tmp_path / "codes")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_file": None},
            "model_file: must be a file of codes where tokenizer is",
        ),
        ({"vocabulary_threshold": 1}, "vocabulary_threshold: must be 0 unless vocabulary_file is"),
        ({"vocabulary_threshold": -1}, "vocabulary_threshold: must be at least 0, got -1"),
        ({"split_digits": True}, "split_digits: must be left out unless tokenizer is unigram or"),
        (
            {"tokenizer": "bpe", "vocabulary_file": "v"},
            "vocabulary_file: must be left out unless tokenizer is subword-nmt, got 'v'",
        ),
    ],
)
def test_settings_that_do_not_go_together(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        PipelineConfig(**{**settings_of("subword-nmt"), **changes})


def package() -> Callable[..., object]:
    if find_spec("subword_nmt") is None:
        pytest.skip("subword-nmt is not installed: its outputs above are constants")
    made: Callable[..., object] = import_module("subword_nmt.apply_bpe").BPE
    return made


@given(data=st.data())
def test_random_codes_cut_as_the_package_cuts(data: st.DataObject) -> None:
    made = package()
    left, right = st.text("abc", min_size=1, max_size=3), st.sampled_from(["", "</w>"])
    merges = st.builds("{} {}{}".format, left, left, right)
    version = data.draw(st.sampled_from(["", "#version: 0.1\n", "#version: 0.2\n"]))
    codes = version + "\n".join(data.draw(st.lists(merges, min_size=1))) + "\n"
    words = data.draw(st.lists(left, max_size=5))
    tokens = set(data.draw(st.lists(st.builds("{}{}".format, left, st.sampled_from(["", "@@"])))))
    counted = "".join(f"{token} 1\n" for token in sorted(tokens)).encode() or None
    own = SubwordNmtTokenizer(codes.encode(), counted, sampling=0.5)
    theirs: object = made(io.StringIO(codes), vocab=tokens or None)
    text = " ".join(words)
    assert cut(own, [text]) == [theirs.segment(text)]  # type: ignore[attr-defined]
    random.seed(5)
    drawn = theirs.segment(text, 0.5)  # type: ignore[attr-defined]
    assert " ".join(own.sample([text], 5)[0]) == drawn


def test_codes_that_stand_twice_count_where_they_stand_first() -> None:
    assert dict(read_codes(b"a b\nb c\na b\n", "").ranks) == {("a", "b"): 0, ("b", "c"): 1}
