import io
import json
import logging
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.text.fixed import JOINER, WordTokenizer
from seq2seq.text.subword import SubwordKind, SubwordTokenizer
from seq2seq.text.subword_nmt import NAME, SubwordNmtTokenizer
from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.tokenizers import SAMPLED, TOKENIZERS, load_tokenizer
from tests.codes import CODES

TEXTS = [
    "a dog runs over the meadow .",
    "two dogs run",
    "der Hund läuft über die Wiese",
    "the year 2016, the year 1999",
    "running, jumping and playing",
] * 30


def texts() -> list[str]:
    return TEXTS


LEARNED: dict[SubwordKind, SubwordTokenizer] = {
    kind: SubwordTokenizer.train(texts, kind=kind, vocab_size=320) for kind in get_args(SubwordKind)
}
ALL: dict[str, Tokenizer] = {
    "unigram": LEARNED["unigram"],
    "bpe": LEARNED["bpe"],
    **{kind: TOKENIZERS[kind]() for kind in TOKENIZERS if kind not in SAMPLED},
    NAME: SubwordNmtTokenizer.from_files(CODES),
}
REVERSIBLE = [tokenizer for tokenizer in ALL.values() if tokenizer.reversible]


def test_every_kind_has_a_tokenizer() -> None:
    assert set(ALL) == set(TOKENIZERS)
    assert all(tokenizer.kind == kind for kind, tokenizer in ALL.items())
    assert all(isinstance(tokenizer, Tokenizer) for tokenizer in ALL.values())


def test_all_but_words_are_reversible() -> None:
    lossy = [tokenizer.kind for tokenizer in ALL.values() if not tokenizer.reversible]
    assert lossy == ["word", "subword-nmt"]


# Texts that tokenizers are known to lose.
NASTY = ["", " ", " a  b ", "\n", "\r\n", "\x00", "a\x00b", "\t", "\u2028", "\ufeff", "\ufffd"]
NASTY += ["\u2581", "a\u2581 b", "\U0010fffd", "\U0010fffd1\u25810", "\u2585", " \u2047 ", "\uffff"]
NASTY += ["<unk>", "<s>", "<0x41>", "e\u0301", "\U0001f469\u200d\U0001f680"]


@pytest.mark.parametrize("tokenizer", REVERSIBLE, ids=lambda tokenizer: tokenizer.kind)
@settings(max_examples=50)
@given(texts=st.lists(st.text()))
@example(texts=NASTY)
def test_round_trip(tokenizer: Tokenizer, texts: list[str]) -> None:
    tokens = tokenizer.encode(texts)
    assert tokenizer.decode(tokens) == texts
    if tokenizer.alphabet is not None:
        assert {token for row in tokens for token in row} <= set(tokenizer.alphabet)


@pytest.mark.parametrize("kind", LEARNED)
@settings(max_examples=50)
@given(texts=st.lists(st.text() | st.sampled_from(TEXTS)), seed=st.integers())
@example(texts=TEXTS[:5] + NASTY, seed=2**32 - 1)
def test_sampling_round_trip(kind: SubwordKind, texts: list[str], seed: int) -> None:
    model = LEARNED[kind].model
    tokenizer = SubwordTokenizer(kind, model, reversible=True, sampling=0.3)
    tokens = tokenizer.sample(texts, seed)
    assert tokenizer.decode(tokens) == texts
    assert tokenizer.sample(texts, seed) == tokens


@pytest.mark.parametrize("kind", LEARNED)
def test_sampling_differs_between_seeds_and_is_off_by_default(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer(kind, LEARNED[kind].model, reversible=True, sampling=0.3)
    assert tokenizer.sample(TEXTS, 1) != tokenizer.sample(TEXTS, 2)
    assert tokenizer.sample(TEXTS[:5] * 2, 1)[:5] != tokenizer.sample(TEXTS[:5] * 2, 1)[5:]
    assert LEARNED[kind].sample(TEXTS, 1) == LEARNED[kind].encode(TEXTS)


@pytest.mark.parametrize("kind", LEARNED)
def test_sampling_is_the_same_in_every_process(kind: SubwordKind, tmp_path: Path) -> None:
    tokenizer = replace(LEARNED[kind], sampling=0.3)
    tokenizer.save(tmp_path)
    code = (
        "import json, sys; from pathlib import Path; "
        "from seq2seq.text.tokenizers import load_tokenizer; "
        "print(json.dumps(load_tokenizer(Path(sys.argv[1])).sample(sys.argv[2:], 7)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), *TEXTS[:5]]
    printed = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    assert [json.loads(one) for one in printed] == [tokenizer.sample(TEXTS[:5], 7)] * 2


NO_CHANCE: dict[SubwordKind, float] = {"unigram": 1e9, "bpe": 1e-99}
"""With these values of ``sampling``, only the best way is found."""


def is_best(tokenizer: SubwordTokenizer, texts: list[str]) -> bool:
    """Tells whether sampling without chance is encoding; two ways may have equal scores."""
    model = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)

    def score(row: list[str]) -> float:
        return sum(model.get_score(model.piece_to_id(piece)) for piece in row)

    found = replace(tokenizer, sampling=NO_CHANCE[tokenizer.kind]).sample(texts, 1)
    return all(
        one == other or (tokenizer.kind == "unigram" and abs(score(one) - score(other)) < 1e-3)
        for one, other in zip(found, tokenizer.encode(texts), strict=True)
    )


@pytest.mark.parametrize("kind", LEARNED)
@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text() | st.text("adogsrun ü9-漢", max_size=60), max_size=5))
@example(texts=TEXTS)
@example(texts=["".join(TEXTS[:5]).replace(" ", "") * 3])
@example(texts=NASTY)
def test_sampling_without_chance_is_encoding(kind: SubwordKind, texts: list[str]) -> None:
    assert is_best(LEARNED[kind], texts)


def test_without_any_merge_words_fall_into_characters() -> None:
    tokenizer = replace(LEARNED["bpe"], sampling=1.0)
    assert tokenizer.sample(["a dög漢"], 1) == [
        ["▁", "a", "▁", "d", "<0xC3>", "<0xB6>", "g", "<0xE6>", "<0xBC>", "<0xA2>"]
    ]


@pytest.mark.parametrize("tokenizer", [ALL[kind] for kind in TOKENIZERS if kind not in LEARNED])
def test_other_tokens_are_never_sampled(tokenizer: Tokenizer) -> None:
    assert tokenizer.sample(TEXTS, 1) == tokenizer.encode(TEXTS)


@given(st.text().filter(lambda text: JOINER not in text))
@example("A dog (wet), isn't it? “Yes” -- 3.5 or 10:30, U.S.A.")
@example("... ' '' -a- a-'b")
def test_words_lose_only_runs_of_white_space(text: str) -> None:
    tokenizer = WordTokenizer()
    assert tokenizer.decode(tokenizer.encode([text])) == [" ".join(text.split())]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The dog.", "The dog ￭."),
        ("don't, well-known", "don't ￭, well-known"),
        ("3.5% at 10:30", "3.5 ￭% at 10:30"),
        ("end.Next", "end ￭.￭ Next"),
        ("“Ja!”", "“￭ Ja ￭! ￭”"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया ￭।"),
    ],
)
def test_words(text: str, tokens: str) -> None:
    assert WordTokenizer().encode([text]) == [tokens.split()]


def test_a_word_is_the_same_token_everywhere() -> None:
    assert {"dog"} == {row[0] for row in WordTokenizer().encode(["dog", "dog.", "dog’"])}
    for tokenizer in LEARNED.values():
        first, middle = tokenizer.encode(["dog", "a dog"])
        assert middle[-len(first) :] == first


@given(st.lists(st.binary()))
def test_bytes_that_are_no_text_become_replacement_characters(contents: list[bytes]) -> None:
    rows = [[f"<0x{byte:02X}>" for byte in content] for content in contents]
    expected = [content.decode(errors="replace") for content in contents]
    assert TOKENIZERS["byte"]().decode(rows) == expected


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
@settings(max_examples=30)
@given(data=st.data())
def test_any_row_of_tokens_can_be_decoded(tokenizer: Tokenizer, data: st.DataObject) -> None:
    tokens = st.sampled_from(tokenizer.alphabet or ("a", "￭,", "")) | st.just("\u2047")
    rows = data.draw(st.lists(st.lists(tokens)))
    assert len(tokenizer.decode(rows)) == len(rows)


@pytest.mark.parametrize("tokenizer", ALL.values(), ids=list(ALL))
def test_save_and_load(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.files() == tokenizer.files()
    assert loaded.reversible == tokenizer.reversible
    assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)
    assert pickle.loads(pickle.dumps(loaded)).encode(TEXTS) == tokenizer.encode(TEXTS)


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("sample_size", [0, 101])
def test_training_is_deterministic(kind: SubwordKind, sample_size: int) -> None:
    first, second = (
        SubwordTokenizer.train(texts, kind=kind, vocab_size=300, sample_size=sample_size)
        for _ in range(2)
    )
    assert first == second


def test_split_digits() -> None:
    def years() -> list[str]:
        return ["in 2016 and 2016"]

    plain = SubwordTokenizer.train(years, kind="bpe", vocab_size=275)
    split = SubwordTokenizer.train(years, kind="bpe", vocab_size=267, split_digits=True)
    assert plain.encode(["2016"]) == [["▁2016"]]
    assert split.encode(["2016"]) == [["▁", "2", "0", "1", "6"]]


def test_training_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    SubwordTokenizer.train(texts, kind="unigram", vocab_size=300)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", LEARNED)
def test_too_large_a_vocabulary_is_lowered(
    kind: SubwordKind, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = SubwordTokenizer.train(texts, kind=kind, vocab_size=8000, key="target")
    size = len(tokenizer.alphabet)
    expected = f"target.vocab_size: lowered from 8000 to {size}, all that the training text allows"
    assert caplog.record_tuples == [("seq2seq", logging.WARNING, expected)]


@pytest.mark.parametrize("kind", LEARNED)
def test_too_small_a_vocabulary_is_refused_and_the_least_works(kind: SubwordKind) -> None:
    message = (
        r"^target.vocab_size: must be at least (\d+), room for all characters of the training "
        r"text and 256 bytes, got 100; or lower target.character_coverage$"
    )
    with pytest.raises(ConfigError, match=message) as caught:
        SubwordTokenizer.train(texts, kind=kind, vocab_size=100, key="target")
    least = int(re.findall(r"least (\d+)", str(caught.value))[0])
    tokenizer = SubwordTokenizer.train(texts, kind=kind, vocab_size=least)
    assert len(tokenizer.alphabet) == least


@pytest.mark.parametrize("empty", [[], ["", ""], ["\n"]])
def test_no_training_text(empty: list[str]) -> None:
    with pytest.raises(DataError, match=r"^source: no training text: every line is blank$"):
        SubwordTokenizer.train(lambda: empty, kind="unigram", vocab_size=300)


def test_a_mistake_in_the_training_text_is_reported_as_it_is() -> None:
    def broken() -> Iterator[str]:
        yield from TEXTS
        raise DataError("train.en:21: invalid byte")

    with pytest.raises(DataError, match=r"^train.en:21: invalid byte$"):
        SubwordTokenizer.train(broken, kind="unigram", vocab_size=300)


def test_another_failure_of_training_is_not_hidden() -> None:
    with pytest.raises(RuntimeError, match="character_coverage"):
        SubwordTokenizer.train(texts, kind="bpe", vocab_size=300, character_coverage=2.0)


def test_own_model(tmp_path: Path) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(LEARNED["bpe"].model)
    tokenizer = SubwordTokenizer.from_file(path, "bpe")
    assert not tokenizer.reversible
    assert tokenizer.encode(TEXTS) == LEARNED["bpe"].encode(TEXTS)
    assert tokenizer.decode(tokenizer.encode(TEXTS)) == TEXTS


def own_model(**options: Any) -> bytes:
    """Trains a model as a user might, with the library's own defaults."""
    model = io.BytesIO()
    texts = [*TEXTS, "漢字 <mask> ."]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, minloglevel=3, hard_vocab_limit=False,
        user_defined_symbols="<mask>", character_coverage=0.98, **options,
    )  # fmt: skip
    return model.getvalue()


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"split_by_whitespace": False},
        {"treat_whitespace_as_suffix": True},
        {"byte_fallback": True, "vocab_size": 400},
    ],
)
def test_sampling_with_an_own_model(kind: SubwordKind, options: dict[str, Any]) -> None:
    model = own_model(**{"model_type": kind, "vocab_size": 100, **options})
    texts = [*TEXTS[:5], "a  <mask>dog 漢字漢 ", "Ｄｏｇ<mask>s\n"]
    tokenizer = SubwordTokenizer(kind, model)
    assert is_best(tokenizer, texts)
    rows = replace(tokenizer, sampling=0.2).sample(texts, 1)
    assert rows != tokenizer.encode(texts)
    assert tokenizer.decode(rows) == tokenizer.decode(tokenizer.encode(texts))
    if kind == "bpe":
        assert [row.count("<mask>") for row in rows] == [0] * 5 + [1, 1]


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [("unigram", "bpe"), ("bpe", "unigram"), ("char", "bpe"), ("word", "unigram")],
)
def test_own_model_learned_in_another_way(
    tmp_path: Path, model_type: str, kind: SubwordKind
) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(own_model(model_type=model_type, vocab_size=60))
    found = model_type if model_type in LEARNED else "word or char"
    message = f"own.model: is a {found} model, but tokenizer is {kind}; they must be the same$"
    with pytest.raises(DataError, match=message):
        SubwordTokenizer.from_file(path, kind)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 99])
def test_own_model_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"own.model: is not a SentencePiece model$"):
        SubwordTokenizer.from_file(path, "bpe")


def test_own_model_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"own.model: cannot be read: No such file"):
        SubwordTokenizer.from_file(tmp_path / "own.model", "bpe")


def test_damaged_model(tmp_path: Path) -> None:
    LEARNED["bpe"].save(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"tokenizer.model: is not a SentencePiece model$"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer.model: cannot be read: No such file"):
        load_tokenizer(tmp_path)


def test_unknown_kind(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"format": 1, "kind": "unigrm"}))
    message = (
        r"tokenizer.json: kind: must be one of unigram, bpe, char, byte, word, space, subword-nmt, "
        r"got 'unigrm'; did you mean 'unigram'\?$"
    )
    with pytest.raises(CheckpointError, match=message):
        load_tokenizer(tmp_path)
