"""Which word each token belongs to, for every tokenizer."""

from dataclasses import replace

import pytest

from seq2seq.symbols import UNK
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.places import NONE, word_of_each, word_of_source
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.tokenizers import TOKENIZERS
from tests.codes import settings_of

TEXTS = [
    "A dog (wet), isn't it?",
    "größere Hündchen laufen",
    " two  spaces and more ",
    "x",
    "",
    "日本 and ☃ !",
]


def pipeline(kind: str, **more: object) -> Pipeline:
    config = PipelineConfig(**settings_of(kind, 330), **more)  # type: ignore[arg-type]
    return Pipeline.train(config, [text for text in TEXTS if text])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_tokens_of_the_first_words_are_the_text_of_the_first_words(
    kind: str, text: str, turned: bool
) -> None:
    made = pipeline(kind, reversed=turned)
    (ids,) = made.encode([text])
    (whole,) = made.decode([ids])
    words = whole.split()
    places = word_of_each(made, ids)
    if turned:
        made, ids, places = replace(made, reversed=False), ids[::-1], places[::-1]
    known = [place for place in places if place != NONE]
    assert known == sorted(known)
    assert set(known) == set(range(len(words)))
    for number in range(len(words)):
        last = max(at for at, place in enumerate(places) if place == number)
        (begun,) = made.decode([ids[: last + 1]])
        assert begun.split() == words[: number + 1]


def test_white_space_belongs_to_no_word() -> None:
    made = pipeline("char")
    assert word_of_each(made, made.encode([" x  y"])[0]) == [NONE, 0, NONE, NONE, 1]


def test_bytes_of_one_letter_belong_to_one_word() -> None:
    made = pipeline("byte")
    assert word_of_each(made, made.encode(["é é"])[0]) == [0, 0, NONE, 1, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a ﷺ b", [0, *[1] * 4, 2]),  # NFKC makes four words of this one sign
        ("a ¨ b", [0, 1, 2]),  # a space and a mark
        ("<2x> a b", [0, 1, 2]),
        ("A  B", [0, 1]),
    ],
)
def test_words_of_a_source_are_those_that_were_given(text: str, expected: list[int]) -> None:
    config = PipelineConfig(
        tokenizer="word", normalizers=("nfkc", "lower", "whitespace"), tags=("<2x>",)
    )
    made = Pipeline.train(config, ["a b", "صلى الله عليه وسلم", "\u0308"])
    (ids,) = made.encode([text])
    assert len(text.split()) == max(expected) + 1
    assert word_of_source(made, text, ids) == expected


def test_what_stands_for_unknown_tokens_is_seen() -> None:
    made = pipeline("space")
    (after,) = made.encode(["x"])
    assert word_of_each(made, [UNK, *after], ["New York"]) == [0, 2]
    turned = replace(made, reversed=True)
    assert word_of_each(turned, [UNK, *after, UNK], ["b", "New York"]) == [3, 2, 0]


def test_a_tag_is_the_first_word_of_reversed_ids_too() -> None:
    config = PipelineConfig(tokenizer="word", tags=("<2x>",), reversed=True)
    made = Pipeline.train(config, ["a b"])
    (ids,) = made.encode(["<2x> a b"])
    assert word_of_each(made, ids) == word_of_source(made, "<2x> a b", ids) == [0, 2, 1]
