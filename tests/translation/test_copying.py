"""What is copied from sources: for every pair of tokenizers, and by a model that has learned to."""

import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seq2seq.data.pairs.corpus import Corpus
from seq2seq.errors import ConfigError, DataError
from seq2seq.search.config import SearchConfig
from seq2seq.symbols import UNK
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.copying import Copying, Spelling, read_dictionary, spelling
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tasks.translation.wishes import Wishes
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.tokenizers import TOKENIZERS
from tests.codes import settings_of
from tests.translation.toy import NEW


def copying(translator: Translator) -> Translator:
    made = pickle.loads(pickle.dumps(translator))
    made.search = replace(made.search, replace_unknown=True)
    assert isinstance(made, Translator)
    return made


def test_names_never_seen_in_training_are_copied(translator: Translator) -> None:
    sources = [source for source, _ in NEW]
    expected = [target for _, target in NEW]
    found = copying(translator)(sources)
    assert [one.text for one in found] == expected
    assert all("<unk>" in one.target_tokens for one in found)
    for one in found:
        (place,) = (at for at, token in enumerate(one.target_tokens) if token == "<unk>")
        assert one.alignment("word")[place] == one.alignment()[place] == place
    plain = translator(sources)
    assert not any("<unk>" in one.target_tokens or "⁇" in one.text for one in plain)
    assert not any(one.text == target for one, target in zip(plain, expected, strict=True))


def test_a_dictionary_says_what_is_written(translator: Translator, tmp_path: Path) -> None:
    file = tmp_path / "names.tsv"
    file.write_text("Neu0\tNew York\n\nNeu1\tb\nNeu1\tc\n", encoding="utf-8")
    words = read_dictionary(file)
    assert words == {"Neu0": "New York", "Neu1": "b"}
    (source, target) = NEW[0]
    (found,) = copying(translator)(source, wishes=Wishes(dictionary=words))
    assert found.text == target.replace("Neu0", "New York")
    # One token, and two words of the text: the first of them stands for both.
    assert len(found.alignment("word")) == 4
    file.write_text("a\tb\nc d\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_dictionary(file)
    assert str(error.value) == f"{file}: line 2: has no tab; one parts source and target"


def test_a_dictionary_needs_what_it_is_for(translator: Translator) -> None:
    message = "^dictionary: must be left out where replace_unknown is false, got {'a': 'b'}$"
    with pytest.raises(ConfigError, match=message):
        translator("eins", wishes=Wishes(dictionary={"a": "b"}))


def test_placeholders_that_are_lost_are_told_of(
    translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="seq2seq"):
        translator(
            ["eins zwei drei", "zwei zwei <url>"], wishes=Wishes(placeholders=["<url>", "<n>"])
        )
    told = "1 of 2 translations lack placeholders of their sources; the first lacks <url>: "
    assert f"{told}'zwei zwei <url>'" in caplog.messages


def test_a_placeholder_is_the_one_that_was_looked_at() -> None:
    looked = np.eye(3)[[1, 0, 2]]
    source = Spelling(["<n1>", "<n2>", "x"], ["<n1>", "<n2>", "x"])
    made = Copying(placeholders=("<n1>", "<n2>"))
    row, instead = made.copied([7, 8, 9], ["<n1>", "<n2>", "y"], looked, source)
    assert (row, instead) == ([UNK, UNK, 9], ["<n2>", "<n1>"])
    nothing = made.copied([7, UNK], ["<n1>", "<unk>"], np.zeros((3, 3)), source)
    assert nothing == ([7, UNK], [])


def test_symbols_of_both_sides_are_placeholders_unless_told() -> None:
    assert Wishes().copying(SearchConfig()) is None
    assert Wishes(placeholders=[]).copying(SearchConfig(), ("<n>",)) is None
    for wishes, marks in ((Wishes(), ("<n>",)), (Wishes(placeholders=["<url>"]), ("<url>",))):
        copying = wishes.copying(SearchConfig(), ("<n>",))
        assert copying is not None
        assert copying.placeholders == marks


TEXTS = ["A dog (wet), isn't it?", "größere Hündchen, laufen", "x y"]


def pipelines(source: str, target: str, **more: Any) -> Pipelines:
    config = TranslationConfig(
        source=PipelineConfig(**settings_of(source, 300), **more),
        target=PipelineConfig(**settings_of(target, 300), reversed=more.get("reversed", False)),
    )
    return Pipelines.train(config, Corpus.of([(text, text) for text in TEXTS]))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_source_spelt_out_is_the_source(kind: str, text: str, turned: bool) -> None:
    made = pipelines(kind, kind, reversed=turned)
    (ids,) = made.source.encode([text])
    spelt = spelling(made, text, ids)
    assert made.target.decode([[UNK] * len(ids)], [list(spelt.tokens)]) == [text]


@pytest.mark.parametrize("source", TOKENIZERS)
def test_where_only_targets_are_words_whole_words_are_copied(source: str) -> None:
    made = pipelines(source, "word")
    text = "größere Hündchen, laufen"
    (ids,) = made.source.encode([text])
    (tokens,) = made.source.tokenizer.encode([text])
    found = [one for one in spelling(made, text, ids).texts if one]
    assert len(found) <= len(tokens)
    assert list(dict.fromkeys(found)) == [
        "größere", "Hündchen", *([","] if source == "word" else []), "laufen",
    ] if source not in ("space", "subword-nmt") else ["größere", "Hündchen,", "laufen"]  # fmt: skip


def test_what_is_copied_is_spelt_as_it_was_given() -> None:
    made = pipelines("word", "word", normalizers=("lower",))
    text = "Größere HÜNDCHEN, laufen"
    (ids,) = made.source.encode([text])
    assert list(spelling(made, text, ids).tokens) == ["Größere", "HÜNDCHEN", "￭,", "laufen"]
