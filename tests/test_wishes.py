"""Prefixes, phrases and glossaries in translations of models that know nothing."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch

from seq2seq import config as configuration
from seq2seq.data.pairs.corpus import Corpus
from seq2seq.errors import ConfigError, DataError
from seq2seq.search.config import SearchConfig
from seq2seq.tasks.translation.borders import is_border
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.glossary import Glossary
from seq2seq.tasks.translation.pipelines import Pipelines, build_model
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tasks.translation.wish_files import WishFiles
from seq2seq.tasks.translation.wishes import Wishes, spellings, words_of
from seq2seq.text.marks import JOINED
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.tokenizers import TOKENIZERS
from tests.codes import settings_of

PAIRS = [
    ("ein Hund läuft", "a dog runs"),
    ("zwei Hunde laufen", "two dogs run , quickly"),
    ("der große Hund", "the big dog (wet)"),
    ("ein kleiner Hund", "a small dog-house"),
    ("eine Katze", "the cat sat"),
    ("Katzen überall", "cats and über-cats everywhere"),
    ("ein Hund 狗", "一只大狗跑 cats"),
] * 4
TEXTS = [source for source, _ in PAIRS[:6]]


@cache
def translator_of(tokenizer: str, turned: bool = False) -> Translator:
    side = {"vocab_size": 0, **settings_of(tokenizer, 300)}
    sizes = {"cell": "gru", "hidden_size": 8}
    settings = {
        "source": side,
        "target": {**side, "reversed": turned},
        "model": {"embedding_size": 8, "encoder": sizes, "decoder": sizes},
    }
    config = configuration.from_mapping(TranslationConfig, settings)
    pipelines = Pipelines.train(config, Corpus.of(PAIRS))
    torch.manual_seed(4)
    model = build_model(config, pipelines).eval()
    return Translator([model], pipelines, SearchConfig(max_length=12))


def stands(phrase: str, text: str) -> bool:
    """Tells whether a phrase stands in a text as whole words."""
    return any(
        (not found.start() or is_border(text[found.start() - 1], phrase[0]))
        and (not text[found.end() :] or is_border(phrase[-1], text[found.end()]))
        for found in re.finditer(re.escape(phrase), text)
    )


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_phrases_stand_in_translations_as_whole_words(tokenizer: str, turned: bool) -> None:
    translator = translator_of(tokenizer, turned)
    terms: list[list[str | list[str]]] = [
        ["dog"],
        ["cats", "dog"],
        [["cat", "cats"]],
        ["two dogs"],
        [],
        ["the big dog", "sat"],
    ]
    found = translator(TEXTS, wishes=Wishes(terms=terms), beam_size=3)
    for listed, one in zip(terms, found, strict=True):
        for term in listed:
            ways = [term] if isinstance(term, str) else term
            assert any(stands(way, one.text) for way in ways), (term, one.text)
    for text, listed, one in list(zip(TEXTS, terms, found, strict=True))[1:5:3]:
        [alone] = translator(text, wishes=Wishes(terms=[listed]), beam_size=3)
        assert alone.text == one.text


@pytest.mark.parametrize("tokenizer", ["unigram", "bpe", "char", "byte"])
def test_phrases_of_scripts_without_spaces(tokenizer: str) -> None:
    translator = translator_of(tokenizer)
    terms = [["狗"], ["大狗"], ["狗", "cats"], ["只", "一"], [], ["狗跑", "dog"]]
    found = translator(TEXTS, wishes=Wishes(terms=terms), beam_size=2)
    for listed, one in zip(terms, found, strict=True):
        assert all(stands(term, one.text) for term in listed), (listed, one.text)
    target = translator.pipelines.target
    if tokenizer != "byte":  # a byte alone does not tell the script of its letter
        last, dog = target.encode("a狗")[0]
        assert (dog,) in spellings(target, "狗")
        assert words_of(target).part(last, dog)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_translations_begin_with_their_prefix(tokenizer: str) -> None:
    translator = translator_of(tokenizer)
    prefixes = ["a dog", "", "the", "two dogs run", "a", "the cat sat"]
    for beam_size in (1, 3):
        found = translator(TEXTS, wishes=Wishes(prefixes=prefixes), beam_size=beam_size)
        assert all(one.text.startswith(prefix) for prefix, one in zip(prefixes, found, strict=True))
        assert found[1].text == translator(TEXTS[1], beam_size=beam_size)[0].text


def test_what_writes_from_the_end_takes_no_prefix() -> None:
    message = r"^prefixes: must be left out where target.reversed is true, got \['a'\]$"
    with pytest.raises(ConfigError, match=message):
        translator_of("word", turned=True)(TEXTS[0], wishes=Wishes(prefixes=["a"]))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_borders_are_those_of_the_text(tokenizer: str) -> None:
    target = translator_of(tokenizer).pipelines.target
    words = words_of(target)
    for _, text in PAIRS[:7]:
        ids = target.encode(text)[0]
        for at in range(1, len(ids)):
            [before], [whole] = target.decode([ids[:at]]), target.decode([ids[: at + 1]])
            if (
                not before
                or "\ufffd" in before + whole
                or not whole.startswith(before)
                or whole == before
            ):
                continue  # in the middle of a letter
            border = is_border(before[-1], whole[len(before)])
            assert words.part(ids[at - 1], ids[at]) == border, (before, whole)


def test_a_phrase_is_spelt_at_the_beginning_and_after_a_word() -> None:
    target = translator_of("unigram").pipelines.target
    ways = spellings(target, "dog")
    assert {target.decode([way])[0].strip() for way in ways} == {"dog"}
    assert spellings(translator_of("word").pipelines.target, "zebra") == ()


def test_a_glossary_finds_whole_words_and_the_longest() -> None:
    terms = {"Hund": ("dog",), "großer Hund": ("big dog", "large dog"), "A/C": ("air",)}
    glossary = Glossary(terms)
    assert glossary.found("Ein großer Hund, Hunde, ein Hund und ein Hund.") == [
        ("big dog", "large dog"),
        ("dog",),
    ]
    assert glossary.found("hund A/C") == [("air",)]
    assert Glossary(terms, ignore_case=True).found("HUND a/c") == [("dog",), ("air",)]


@pytest.mark.parametrize(
    ("term", "text", "stands"),
    [
        ("狗", "一只大狗跑", True),
        ("Python", "我喜歡Python。", True),
        ("หมา", "หมาวิ่ง", True),
        ("हिन्द", "हिन्दी है", False),
        ("می", "می\u200cخواهم", False),
        ("개", "개가", False),
        (".NET", "ASP.NET", True),
        ("C++", "in C++ und C++17", True),
        ("Käse", "Ka\u0308se", True),
        ("Ka\u0308se", "Käse", True),
        ("Kas", "Ka\u0308se", False),
        ("großer  Hund", "großer\tHund", True),
        ("homme", "l’homme", True),
        ("x_1", "x_12", False),
    ],
)
def test_where_terms_stand_in_a_source(term: str, text: str, stands: bool) -> None:
    assert Glossary({term: ("it",)}).found(text) == [("it",)] * stands
    assert Glossary({term: ("it",)}, ignore_case=True).found(text) == [("it",)] * stands


@pytest.mark.parametrize(
    ("term", "text", "stands"),
    [
        ("straße", "STRASSE", True),
        ("STRASSE", "Große Straße", True),
        ("ΣΑΣ", "σας", True),
        ("istanbul", "İstanbul", False),
        ("İSTANBUL", "İstanbul", True),
        ("s", "ß", False),
    ],
)
def test_terms_without_their_case(term: str, text: str, stands: bool) -> None:
    assert Glossary({term: ("it",)}, ignore_case=True).found(text) == [("it",)] * stands


def test_a_term_that_is_written_alike_goes_before_others() -> None:
    terms = {"Morgen": ("morning",), "morgen": ("tomorrow",)}
    glossary = Glossary(terms, ignore_case=True)
    assert glossary.found("morgen") == [("tomorrow",)]
    assert glossary.found("Morgen, morgen") == [("morning",), ("tomorrow",)]
    assert glossary.found("MORGEN") == [("morning",)]


def test_a_glossary_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "terms.tsv"
    file.write_text("Hund\tdog\n\nKatze\tcat\tcats\nHund\thound\n", encoding="utf-8")
    glossary = Glossary.read(file)
    assert glossary.terms == {"Hund": ("dog", "hound"), "Katze": ("cat", "cats")}
    for tokenizer in TOKENIZERS:
        found = translator_of(tokenizer)(TEXTS, wishes=Wishes(glossary=glossary), beam_size=2)
        expected = [["dog", "hound"], [], ["dog", "hound"], ["dog", "hound"], ["cat", "cats"], []]
        for ways, one in zip(expected, found, strict=True):
            assert not ways or any(stands(way, one.text) for way in ways), one.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Hund dog\n", "line 1: must be a source term, a tab and a target term, got 'Hund dog'"),
        (
            "Hund\tdog\n\tcat\n",
            "line 2: must be a source term, a tab and a target term, got '\\tcat'",
        ),
        ("\n", "holds no terms; at least one is needed"),
    ],
)
def test_what_is_no_glossary(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "terms.tsv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as error:
        Glossary.read(file)
    assert str(error.value) in (f"{file}: {message}", f"{file} {message}", f"{file}: {message}")


def test_soft_terms_are_no_obligation() -> None:
    translator = translator_of("word")
    wishes = Wishes(terms=[["the big dog runs"]])
    never = SearchConfig(max_length=3, terms="soft", term_bonus=0.0)
    always = SearchConfig(max_length=6, terms="soft", term_bonus=1000.0)
    assert not stands("the big dog runs", translator(TEXTS[0], search=never, wishes=wishes)[0].text)
    assert stands("the big dog runs", translator(TEXTS[0], search=always, wishes=wishes)[0].text)


def test_a_term_that_cannot_be_written_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    translator = translator_of("word")
    found = translator(TEXTS[0], wishes=Wishes(terms=[["platypus"]]))
    assert found[0].text == translator(TEXTS[0])[0].text
    assert caplog.messages == [
        "the term 'platypus' cannot be written with the model's vocabulary, and is left out"
    ]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(prefixes=["a"]), "prefixes: must be as many as texts (2), got 1"),
        (Wishes(terms=[["a"]] * 3), "terms: must be as many as texts (2), got 3"),
    ],
)
def test_wishes_and_texts_differ_in_number(wishes: Wishes, message: str) -> None:
    with pytest.raises(DataError) as error:
        translator_of("word")(TEXTS[:2], wishes=wishes)
    assert str(error.value) == message


def test_sentences_have_no_prefixes_of_their_own() -> None:
    with pytest.raises(ConfigError, match=r"^wishes: must be a glossary alone where split is "):
        translator_of("word")(TEXTS[:1], split="sentences", wishes=Wishes(prefixes=["a"]))


def test_files_beside_the_texts(tmp_path: Path) -> None:
    prefix, require = tmp_path / "prefix.txt", tmp_path / "require.tsv"
    prefix.write_text("a\n\nthe\n", encoding="utf-8")
    require.write_text("dog\tcats\n\nsat\n", encoding="utf-8")
    files = WishFiles({"prefix": str(prefix), "require": str(require)}, Wishes())
    assert files.of(2) == Wishes(prefixes=["a", ""], terms=[["dog", "cats"], []])
    assert files.of(1) == Wishes(prefixes=["the"], terms=[["sat"]])
    with pytest.raises(DataError) as error:
        files.of(1)
    assert str(error.value) == (
        f"--prefix: {prefix} has fewer lines than there are texts; each needs one, which may be "
        "empty"
    )
    assert WishFiles({"prefix": None}, Wishes()).of(3) is None


def test_a_glossary_of_python_takes_a_term_and_refuses_none() -> None:
    assert Glossary({"Hund": "dog"}).terms == {"Hund": ("dog",)}
    with pytest.raises(ConfigError, match=r"^terms: must be at least one target term for each"):
        Glossary({"Hund": ()})
    with pytest.raises(DataError, match=r"^terms: row 0: must be phrases, or lists"):
        Wishes(terms=[[[]]]).asked(["a"], [0], translator_of("word").pipelines.target)


def test_symbols_part_no_words() -> None:
    config = PipelineConfig(symbols=("<url>",), **settings_of("subword-nmt", 300))
    target = Pipeline.train(config, [text for _, text in PAIRS])
    words = words_of(target)
    assert not set(words.separators) & set(target.vocabulary.symbol_ids.values())
    glue = target.vocabulary.symbol_ids[JOINED]
    assert not words.opens[glue]
    assert not words.closes[glue]
