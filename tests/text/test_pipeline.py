import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.text.pipeline import Pipeline, train_tokenizer
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword import SubwordTokenizer
from seq2seq.text.tokenizers import TOKENIZERS
from seq2seq.text.vocab import SPECIALS
from tests.codes import settings_of

TEXTS = ["two dogs run .", "der Hund läuft", "a  dog in 2016", "<pad> is a word"] * 3
TAGS = ("<2pt>", "<2de>")
NASTY = ["", " ", " a  b ", "\n", "\x00", "\u2028", "\u2581", "\U0010fffd1", "\u2047", "<unk>"]
NASTY += [
    "<2pt>",
    "<2pt> ",
    "<2pt>  a",
    "<2pt>a",
    " <2pt> a",
    "<2pt> <2de> a",
    "<2pt>\na",
    "<2de> a",
]
KINDS = tuple(TOKENIZERS)


def config(tokenizer: str, **changes: Any) -> PipelineConfig:
    return PipelineConfig(**{**settings_of(tokenizer), "vocab_size": 300, **changes})


def trained(tokenizer: str, **changes: Any) -> Pipeline:
    return Pipeline.train(config(tokenizer, **changes), TEXTS)


PLAIN = {kind: trained(kind) for kind in KINDS}
TAGGED = {kind: trained(kind, tags=TAGS) for kind in KINDS}
REVERSIBLE = [pipeline for pipeline in (*PLAIN.values(), *TAGGED.values()) if pipeline.reversible]
# Trimming must not leave out what may be drawn.
SAMPLING = {
    kind: Pipeline.train(config(kind, sampling=0.3, tags=TAGS), TEXTS, trim=True)
    for kind in KINDS[:2]
}
TURNED = {kind: trained(kind, tags=TAGS, reversed=True) for kind in KINDS}
TAGGED_TEXT = st.builds(
    "{}{}{}".format, st.sampled_from(TAGS), st.sampled_from(["", " "]), st.text()
)


def test_bytes_and_subwords_are_reversible() -> None:
    assert [kind for kind in KINDS if PLAIN[kind].reversible] == ["unigram", "bpe", "byte"]
    assert not trained("byte", normalizers=("nfc",)).reversible
    assert not Pipeline.train(config("byte"), TEXTS, trim=True).reversible
    assert not Pipeline.train(config("bpe"), TEXTS, trim=True).reversible
    assert [kind for kind in KINDS if not PLAIN[kind].lossless] == ["word", "subword-nmt"]
    assert not trained("byte", normalizers=("nfc",)).lossless


@pytest.mark.parametrize("pipeline", REVERSIBLE, ids=lambda it: it.tokenizer.kind)
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text() | TAGGED_TEXT))
@example(texts=NASTY)
def test_round_trip(pipeline: Pipeline, texts: list[str]) -> None:
    rows = pipeline.encode(texts)
    assert pipeline.decode(rows) == texts
    assert not {PAD, UNK, BOS, EOS} & {index for row in rows for index in row}


@given(texts=st.lists(st.text("two dgsrun.")))
def test_known_chars_come_back(texts: list[str]) -> None:
    assert PLAIN["char"].decode(PLAIN["char"].encode(texts)) == texts


@given(texts=st.lists(st.lists(st.sampled_from(["two", "dogs", ".", ""])).map(" ".join)))
def test_known_pretokenized_text_comes_back(texts: list[str]) -> None:
    assert PLAIN["space"].decode(PLAIN["space"].encode(texts)) == texts


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text() | st.sampled_from(TEXTS) | TAGGED_TEXT), seed=st.integers())
@example(texts=TEXTS + NASTY, seed=0)
def test_sampling_is_pure_and_comes_back(kind: str, texts: list[str], seed: int) -> None:
    rows = SAMPLING[kind].sample(texts, seed)
    assert SAMPLING[kind].decode(rows) == texts
    assert SAMPLING[kind].sample(texts, seed) == rows


@pytest.mark.parametrize("kind", SAMPLING)
def test_sampling_depends_on_the_seed(kind: str) -> None:
    assert SAMPLING[kind].sample(TEXTS, 1) != SAMPLING[kind].sample(TEXTS, 2)
    assert PLAIN["char"].sample(TEXTS, 1) == PLAIN["char"].encode(TEXTS)


def test_a_tag_is_one_symbol() -> None:
    pipeline = TAGGED["char"]
    tag = pipeline.encode(["<2de>"])[0]
    assert pipeline.tokens(tag) == ["<2de>"]
    assert pipeline.encode(["<2de> dog"]) == [tag + pipeline.encode(["dog"])[0]]
    assert pipeline.decode([tag, tag + pipeline.encode(["dog"])[0]]) == ["<2de>", "<2de> dog"]


def test_tags_are_not_normalized_nor_learned() -> None:
    tagged = [f"<2PT> {text}" for text in TEXTS]
    changes = {"tags": ("<2PT>",), "normalizers": ("lower",)}
    pipeline = Pipeline.train(config("bpe", **changes), tagged)
    assert pipeline.vocabulary.entries == trained("bpe", normalizers=("lower",)).vocabulary.entries
    assert pipeline.decode(pipeline.encode(["<2PT> DOG"])) == ["<2PT> dog"]


@pytest.mark.parametrize("kind", KINDS)
def test_reversed_ids_are_the_others_turned_round_after_the_tag(kind: str) -> None:
    texts = [*TEXTS, *NASTY, *(f"{tag} {text}" for tag in TAGS for text in TEXTS)]
    for text, row, turned in zip(
        texts, TAGGED[kind].encode(texts), TURNED[kind].encode(texts), strict=True
    ):
        tags = int(TAGGED[kind].cut_tag(text)[0] is not None)
        assert turned == row[:tags] + row[tags:][::-1]
        assert TURNED[kind].decode([[*turned, EOS, 5]]) == TAGGED[kind].decode([row])
    sampled = TURNED[kind].sample(texts, 1)
    assert TURNED[kind].decode(sampled) == TAGGED[kind].decode(TAGGED[kind].sample(texts, 1))


def test_only_reversed_pipelines_say_so(tmp_path: Path) -> None:
    TURNED["bpe"].save(tmp_path)
    assert Pipeline.load(tmp_path) == TURNED["bpe"] != TAGGED["bpe"]
    assert TURNED["bpe"].fingerprint != TAGGED["bpe"].fingerprint
    changed = replace(TURNED["bpe"], reversed=False)
    assert changed.fingerprint == TAGGED["bpe"].fingerprint
    assert b"reversed" not in changed.files()["pipeline.json"]


def test_decode_stops_at_the_end_and_skips_padding() -> None:
    dog = PLAIN["char"].encode(["dog"])[0]
    assert PLAIN["char"].decode([[BOS, *dog, PAD, EOS, *dog], [EOS], [], [PAD]]) == [
        "dog",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_tokens_are_shown(kind: str) -> None:
    pipeline = PLAIN[kind]
    assert pipeline.decode([[UNK]]) == ["⁇"]
    known = pipeline.encode(["dog"])[0]
    assert "⁇" in pipeline.decode([[*known, UNK, *known]])[0]


def test_a_word_spelt_like_a_special_symbol_is_a_word() -> None:
    ids = PLAIN["space"].encode(["<pad> is <eos>"])[0]
    assert ids[0] >= len(SPECIALS)
    assert ids[2] == UNK
    assert PLAIN["space"].decode([ids]) == ["<pad> is ⁇"]


def test_only_what_decoding_restores_is_done_to_references() -> None:
    texts = ["U\u0308 \N{LATIN SMALL LIGATURE FI}", "Dog  "]
    for names in (("nfd", "lower"), ("nfkd", "whitespace")):
        composed = trained("char", normalizers=names).restored(texts)
        assert composed == ["\u00dc \N{LATIN SMALL LIGATURE FI}", "Dog  "]
    assert trained("char", normalizers=("nfkc", "lower", "whitespace")).restored(texts) == texts


@pytest.mark.parametrize("kind", KINDS)
def test_any_row_of_ids_can_be_decoded(kind: str) -> None:
    pipeline = TAGGED[kind]
    ids = range(len(pipeline))
    assert all(isinstance(text, str) for text in pipeline.decode(list(product(ids[:8], ids, [7]))))


def test_trimming_keeps_what_the_texts_need() -> None:
    for kind in KINDS:
        whole, trimmed = PLAIN[kind], Pipeline.train(config(kind), TEXTS, trim=True)
        needed = {token for row in whole.tokenizer.encode(TEXTS) for token in row}
        assert set(trimmed.vocabulary.entries) == needed
        assert trimmed.decode(trimmed.encode(TEXTS)) == whole.decode(whole.encode(TEXTS))
    assert len(PLAIN["byte"]) == len(SPECIALS) + 256


def test_vocabulary_limits() -> None:
    assert len(trained("word", vocab_size=5)) == len(SPECIALS) + 5
    assert len(trained("word", vocab_size=0)) == len(PLAIN["word"])
    once = Pipeline.train(config("space", min_count=2), ["a b", "b c"])
    assert once.vocabulary.entries == ("b",)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_joint_tokenizer(kind: str) -> None:
    source, target = TEXTS[:2], TEXTS[2:4]
    joint = train_tokenizer(config(kind), lambda: [*source, *target])
    pipelines = [
        Pipeline.train(config(kind, sampling=rate), side, trim=trim, tokenizer=joint)
        for side, rate, trim in ((source, 0.1, False), (target, 0.0, True))
    ]
    assert [pipeline.tokenizer.files()["tokenizer.model"] for pipeline in pipelines] == [
        joint.files()["tokenizer.model"]
    ] * 2
    assert len(pipelines[1]) < len(pipelines[0])
    assert pipelines[1].sample(target, 3) == pipelines[1].encode(target)
    assert pipelines[0].decode(pipelines[0].sample(source, 3)) == source


def test_own_model_is_used_as_it_is(tmp_path: Path) -> None:
    tokenizer = PLAIN["bpe"].tokenizer
    assert isinstance(tokenizer, SubwordTokenizer)
    path = tmp_path / "own.model"
    path.write_bytes(tokenizer.model)
    pipeline = trained("bpe", model_file=str(path))
    assert not pipeline.reversible
    assert pipeline.encode(TEXTS) == PLAIN["bpe"].encode(TEXTS)
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"own.model: is not a SentencePiece model$"):
        trained("bpe", model_file=str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(kind: str, tmp_path: Path) -> None:
    pipeline = trained(kind, tags=TAGS, normalizers=("nfkc", "lower"))
    pipeline.save(tmp_path)
    loaded = Pipeline.load(tmp_path)
    assert loaded == pipeline
    assert loaded.fingerprint == pipeline.fingerprint
    assert loaded.encode(TEXTS + NASTY) == pipeline.encode(TEXTS + NASTY)


def test_fingerprints_tell_pipelines_apart() -> None:
    different = [
        *PLAIN.values(),
        *TAGGED.values(),
        *SAMPLING.values(),
        trained("bpe", normalizers=("nfc",)),
        trained("char", vocab_size=3),
    ]
    assert len({pipeline.fingerprint for pipeline in different}) == len(different)
    assert trained("bpe").fingerprint == PLAIN["bpe"].fingerprint


@pytest.mark.parametrize(
    "name", ["pipeline.json", "tokenizer.json", "tokenizer.model", "vocab.json"]
)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    PLAIN["bpe"].save(tmp_path)
    os.remove(tmp_path / name)
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read: No such file"):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_changes_a_pipeline(kind: str, tmp_path: Path) -> None:
    trained(kind, normalizers=("nfc", "lower")).save(tmp_path)
    whole, silent = Pipeline.load(tmp_path).fingerprint, []
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 12)):
            changed = bytearray(content)
            changed[place] ^= 1 << place % 7
            path.write_bytes(changed)
            with suppress(CheckpointError):
                if Pipeline.load(tmp_path).fingerprint != whole:
                    silent.append((path.name, place))
        path.write_bytes(content)
    assert silent == []


def test_a_model_whose_pieces_are_no_text_is_none(tmp_path: Path) -> None:
    trained("bpe").save(tmp_path)
    (tmp_path / "pipeline.json").write_text(json.dumps({"format": 1, "normalizers": []}))
    path = tmp_path / "tokenizer.model"
    path.write_bytes(path.read_bytes().replace("▁".encode(), b"\xe2\x96\xff"))
    with pytest.raises(CheckpointError, match=r"tokenizer.model: is not a SentencePiece model$"):
        Pipeline.load(tmp_path)


def test_files_of_a_pipeline_belong_together(tmp_path: Path) -> None:
    for name, reverse in (("one", 1), ("other", -1)):
        Pipeline.train(config("char"), TEXTS[::reverse][:2]).save(tmp_path / name)
    shutil.copy(tmp_path / "one" / "vocab.json", tmp_path / "other")
    text = re.escape(f"{tmp_path / 'other' / 'vocab.json'}: is not the one that was written with ")
    with pytest.raises(CheckpointError, match=f"^{text}pipeline.json; restore it$"):
        Pipeline.load(tmp_path / "other")
    for names, problem in ((["lower", "nfc"], "is not as it was written"), (["nfc", "lower"], "")):
        trained("char", normalizers=("nfc", "lower")).save(tmp_path / "one")
        path = tmp_path / "one" / "pipeline.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "normalizers": names}))
        with pytest.raises(CheckpointError, match=problem) if problem else nullcontext():
            Pipeline.load(tmp_path / "one")


def test_pipelines_of_earlier_versions_have_no_hashes(tmp_path: Path) -> None:
    trained("char").save(tmp_path)
    (tmp_path / "pipeline.json").write_text(json.dumps({"format": 1, "normalizers": []}))
    assert Pipeline.load(tmp_path).fingerprint == trained("char").fingerprint


def test_an_unknown_normalizer_is_named(tmp_path: Path) -> None:
    PLAIN["char"].save(tmp_path)
    (tmp_path / "pipeline.json").write_text(json.dumps({"format": 1, "normalizers": ["lowr"]}))
    message = (
        r"pipeline.json: normalizers: must be of nfc, nfkc, nfd, nfkd, lower, whitespace, "
        r"got 'lowr'; did you mean 'lower'\?$"
    )
    with pytest.raises(CheckpointError, match=message):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, r"vocab_size: must be at least 1, got 0"),
        ({"vocab_size": -1, "tokenizer": "char"}, r"vocab_size: must be at least 0, got -1"),
        ({"min_count": 0}, r"min_count: must be at least 1, got 0"),
        ({"sampling": 1.5}, r"sampling: must be in \[0, 1\], got 1.5"),
        ({"sample_size": 100}, r"sample_size: must be 0 or more than 100, got 100"),
        ({"sample_size": -1}, r"sample_size: must be 0 or more than 100, got -1"),
        ({"character_coverage": 0.0}, r"character_coverage: must be in \(0, 1\], got 0.0"),
        ({"tags": ("a b",)}, r"tags: must be texts without white space, got 'a b'"),
        ({"tags": ("",)}, r"tags: must be texts without white space, got ''"),
        ({"tags": ("a", "a")}, r"tags: must be all different, got \['a', 'a'\]"),
        (
            {"tokenizer": "char", "sampling": 0.1},
            r"sampling: must be left out unless tokenizer is unigram, bpe or subword-nmt, got 0.1",
        ),
        (
            {"tokenizer": "char", "model_file": "own.model"},
            r"model_file: must be left out unless tokenizer is unigram, bpe or subword-nmt, got "
            r"'own.model'",
        ),
        (
            {"tokenizer": "char", "split_digits": True},
            r"split_digits: must be left out unless tokenizer is unigram or bpe, got True",
        ),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{message}$"):
        PipelineConfig(**changes)


@pytest.mark.parametrize("kind", KINDS)
def test_no_training_text(kind: str) -> None:
    message = r"^target: no training text: every line is blank$"
    with pytest.raises(DataError, match=message):
        Pipeline.train(config(kind), ["", ""], key="target", trim=True)


def test_messages_of_training_name_the_section(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=r"^target.vocab_size: must be at least \d+, room for "):
        Pipeline.train(config("bpe", vocab_size=9), TEXTS, key="target")
    Pipeline.train(config("bpe", vocab_size=9000), TEXTS, key="target")
    assert caplog.messages[0].startswith("target.vocab_size: lowered from 9000 to ")
    assert caplog.records[0].levelno == logging.WARNING


def test_half_a_surrogate_pair_is_refused() -> None:
    message = (
        r"^text 2: U\+D83D at character 3 is half a surrogate pair; only Unicode text is accepted$"
    )
    bad = ["fine", "no\ud83d"]
    for attempt in (
        lambda: PLAIN["char"].encode(bad),
        lambda: PLAIN["bpe"].sample(bad, 1),
        lambda: Pipeline.train(config("bpe"), bad),
        lambda: Pipeline.train(config("char"), bad),
    ):
        with pytest.raises(DataError, match=message):
            attempt()


def test_texts_may_be_a_function_or_an_iterator() -> None:
    def texts() -> Iterator[str]:
        return iter(TEXTS)

    assert Pipeline.train(config("bpe"), texts, trim=True) == Pipeline.train(
        config("bpe"), TEXTS, trim=True
    )
    assert Pipeline.train(config("bpe"), texts()) == Pipeline.train(config("bpe"), TEXTS)


def test_long_texts_are_counted_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together: list[int] = []
    cut = Pipeline._cut

    def watched(self: Pipeline, texts: Sequence[str], *rest: Any) -> Any:
        together.append(len(texts))
        return cut(self, texts, *rest)

    monkeypatch.setattr(Pipeline, "_cut", watched)
    texts = ["a" * 2**17, "b" * 2**17, "c", "d"]
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), texts)
    assert together == [2, 2]
    assert len(pipeline) == 8
