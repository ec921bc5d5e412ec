"""Pipelines of an earlier run: kept as they are, or grown, for every tokenizer."""

import re
from pathlib import Path
from typing import Any

import pytest

from seq2seq.errors import ConfigError, brief
from seq2seq.symbols import UNK
from seq2seq.text.earlier import grown, kept
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.tokenizers import SUBWORDS, TOKENIZERS
from tests.codes import settings_of

OLD = ["two dogs run .", "a dog in 2016"] * 3
NEW = ["<x> Öl: zwei Hunde!", "a dog", "Öl Öl"]


def config(kind: str, **changes: Any) -> PipelineConfig:
    return PipelineConfig(**{"vocab_size": 0, **settings_of(kind, 300), **changes})


def learned(kind: str, **changes: Any) -> Pipeline:
    return Pipeline.train(config(kind, **changes), OLD, trim=True)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_grown_vocabulary_knows_new_texts_and_keeps_every_id(kind: str, tmp_path: Path) -> None:
    old = learned(kind)
    assert any(UNK in row for row in old.encode(NEW))
    new = grown(old, config(kind, tags=("<x>",)), lambda: NEW, key="source", trim=True)
    assert not any(UNK in row for row in new.encode(NEW))
    assert new.encode(OLD) == old.encode(OLD)
    assert new.tokens(range(len(old))) == old.tokens(range(len(old)))
    assert new.decode(new.encode(NEW)) == NEW
    assert new.encode(NEW)[0][0] == len(old)  # the tag
    assert new.tokenizer == old.tokenizer
    again = grown(new, config(kind, tags=("<x>",)), lambda: OLD, key="source", trim=True)
    assert again == new
    new.save(tmp_path)
    assert Pipeline.load(tmp_path).fingerprint == new.fingerprint


@pytest.mark.parametrize("kind", SUBWORDS)
def test_with_sampling_all_pieces_come_back(kind: str) -> None:
    old = learned(kind)
    assert len(old) < len(old.tokenizer.alphabet or ())
    new = grown(old, config(kind, sampling=0.3), lambda: OLD, key="target", trim=True)
    assert new.reversible
    assert getattr(new.tokenizer, "sampling", 0) == 0.3


def test_what_is_rare_or_beyond_the_size_is_not_added() -> None:
    old = learned("word")
    few = grown(old, config("word", min_count=2), lambda: NEW, key="source")
    assert few.tokens(range(len(old), len(few))) == ["Öl"]
    few = grown(old, config("word", vocab_size=1), lambda: NEW, key="source")
    assert few.tokens(range(len(old), len(few))) == ["Öl"]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_what_is_kept_is_as_it_was(kind: str) -> None:
    old = learned(kind, tags=("<x>", "<y>"))
    assert kept(old, config(kind, tags=("<y>", "<x>")), "source") is old


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tokenizer": "bpe"}, r"tokenizer: must be unigram, .*: replaced\), got 'bpe'"),
        ({"normalizers": ("nfc",)}, r"normalizers: must be \[\], .*: replaced\), got \['nfc'\]"),
        ({"reversed": True}, r"reversed: must be False, .*: replaced\), got True"),
        ({"tags": ("<x>",)}, r"tags: must be \[\], .*: grown\), got \['<x>'\]"),
        ({"sampling": 0.5}, r"sampling: must be 0.0, .*: grown\), got 0.5"),
    ],
)
def test_other_settings_are_refused(changes: dict[str, Any], text: str) -> None:
    old, other = learned("unigram"), config("unigram", **changes)
    with pytest.raises(ConfigError, match=rf"^source.{text}$"):
        kept(old, other, "source")
    if "replaced" in text:
        with pytest.raises(ConfigError, match=rf"^source.{text}$"):
            grown(old, other, lambda: NEW, key="source")


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_model_of_the_users_own_must_be_the_same(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "own.model"
    old = learned(kind)
    file.write_bytes(old.tokenizer.files()["tokenizer.model"])
    settings = config(kind, model_file=str(file))
    assert kept(old, settings, "target") is old
    assert grown(old, settings, lambda: OLD, key="target").tokenizer == old.tokenizer
    other = Pipeline.train(config(kind), NEW)
    text = (
        "target.model_file: must be the same model, as in the run that train.start names "
        f"(or write train.start_vocabulary: replaced), got {brief(str(file))}"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        kept(other, settings, "target")
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        grown(other, settings, lambda: NEW, key="target")
