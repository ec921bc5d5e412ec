import logging
import math
import time
import tracemalloc
from collections.abc import Sequence
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import seq2seq
from seq2seq.data.layout import flatten, pad
from seq2seq.data.pairs.corpus import Pair
from seq2seq.errors import CheckpointError, ConfigError, DataError, Seq2SeqError
from seq2seq.models.language_model import LanguageModel, LanguageModelConfig, build_language_model
from seq2seq.nn.decoder import DecoderState
from seq2seq.nn.linear import has_int8
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.search.config import SamplingConfig
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.tasks.language_model.generator import FIXED_ROWS, Generator
from seq2seq.tasks.language_model.surprisal import Surprisal
from seq2seq.tensors import Step, TextBatch
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from tests.full_memory import full_above

TEXT = "the cat sat on the mat. the dog ran, and the cow sang.\n"
SCRIPTS = "añ한😀x é中\n🙂! ab  ab 1.5 (so) 👩‍🚀 ok"
"""Characters of one to four bytes, white space and marks."""
CONFIG: dict[str, Any] = {
    "task": "language-model",
    "data.batch.rows": 4,
    "data.batch.steps": 16,
    "model.embedding_size": 8,
    "model.layers.hidden_size": 16,
    "model.layers.layers": 1,
    "train.steps": 30,
    "train.optimizer.learning_rate": 0.02,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sample": 0,
}
REPLACED = "\N{REPLACEMENT CHARACTER}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    own = {**CONFIG, "folder": str(place / "text"), "data.cache": str(place / "cache")}
    return seq2seq.train(own, data={"train": [TEXT * 5] * 4, "valid": [TEXT]}).folder


@pytest.fixture(scope="module")
def generator(folder: Path) -> Generator:
    return Generator.load(folder, device="cpu")


@cache
def pipeline_of(kind: str) -> Pipeline:
    size = 300 if kind in ("bpe", "unigram") else 0
    config = PipelineConfig(tokenizer=kind, vocab_size=size)
    return Pipeline.train(config, [SCRIPTS, "ab ab", *SCRIPTS], key="text")


class Scripted(LanguageModel):
    """Gives the same log-probabilities whatever was read, place after place; then ends the text."""

    def __init__(self, places: Sequence[dict[int, float]], vocab_size: int) -> None:
        layers = RecurrentConfig(cell="gru", hidden_size=1)
        config = LanguageModelConfig(embedding_size=1, layers=layers)
        plain = build_language_model(config, vocab_size)
        super().__init__(config, plain.input, plain.decoder, plain.head)
        self.places = places
        self.vocab_size = vocab_size
        self.steps = 0

    def read(self, batch: TextBatch, carried: Tensor | None = None) -> tuple[Tensor, DecoderState]:
        return torch.zeros(*batch.target_in.values.shape, 1), self.start(len(batch.fresh))

    def step(self, memory: None, state: DecoderState, tokens: Tensor) -> Step[DecoderState]:
        self.steps += 1
        place = int(state.layers[0, 0, 0])
        log_probs = torch.full((len(tokens), 1, self.vocab_size), -torch.inf)
        shares = self.places[place] if place < len(self.places) else {EOS: 1.0}
        for token, share in shares.items():
            log_probs[:, :, token] = math.log(share)
        after = DecoderState(state.layers + 1, state.feed)
        return Step(log_probs, after, torch.zeros(len(tokens), 1, 0))


def scripted(pipeline: Pipeline, places: Sequence[dict[int, float]]) -> Generator:
    model = Scripted(places, len(pipeline)).eval()
    return Generator(model, pipeline, SamplingConfig())


def reciting(text: str, kind: str = "char") -> Generator:
    """Returns a generator that can only say one text."""
    pipeline = pipeline_of(kind)
    return scripted(pipeline, [{one: 1.0} for one in pipeline.encode([text])[0]])


def of_bytes(*content: int) -> Generator:
    """Returns a generator that can only say some bytes."""
    pipeline = pipeline_of("byte")
    ids = pipeline.vocabulary.ids([f"<0x{one:02X}>" for one in content])
    return scripted(pipeline, [{one: 1.0} for one in ids])


# --- seeds and samples


@pytest.mark.parametrize("prompt", [None, "the c"])
def test_a_sample_is_a_function_of_seed_and_number(
    generator: Generator, prompt: str | None
) -> None:
    expected = list(generator.samples(prompt, 64, length=40, seed=3))
    assert [one.number for one in expected] == list(range(64))
    assert len({one.text for one in expected}) > 50
    for count in (1, 3, 8, 9):
        assert list(generator.samples(prompt, count, length=40, seed=3)) == expected[:count]
    assert generator(prompt, length=40, seed=3) == (prompt or "") + expected[0].text
    assert {(one.seed, one.prompt) for one in expected} == {(3, prompt or "")}


def test_where_memory_is_full_fewer_samples_are_made_at_once(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = list(generator.samples("the c", 9, length=20, seed=3))
    together = full_above(2, lambda _, context, numbers: len(numbers), Generator._together)
    monkeypatch.setattr(Generator, "_together", together)
    assert list(generator.samples("the c", 9, length=20, seed=3)) == expected


@pytest.mark.skipif(not has_int8("cpu"), reason="this torch has no product of integers")
def test_eight_bits_generate_alike_too(generator: Generator) -> None:
    fast = Generator(generator.model, generator.pipeline, generator.sampling, "int8")
    expected = list(fast.samples("the c", 70, length=30, seed=3))
    for count in (1, 3, 64):
        assert list(fast.samples("the c", count, length=30, seed=3)) == expected[:count]
    assert fast("the c", length=30, seed=3) == "the c" + expected[0].text
    float32 = list(generator.samples("the c", 70, length=30, seed=3))
    same = sum(one.text == other.text for one, other in zip(expected, float32, strict=True))
    assert 30 < same < 70


def test_another_seed_gives_another_text(generator: Generator) -> None:
    texts = {generator(length=60, seed=seed, end=False) for seed in (1, 2, 2**63)}
    texts |= {generator(length=60, end=False) for _ in range(2)}
    assert len(texts) == 5
    assert generator(length=60, seed=1, end=False) in texts


def test_a_seed_that_is_drawn_is_logged(
    generator: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "seq2seq"):
        text = generator(length=60, end=False)
        (one,) = generator.samples(length=60, end=False, seed=None)
        seeds = [int(message.removeprefix("seed ")) for message in caplog.messages]
        assert generator(length=60, end=False, seed=seeds[0]) == text
        with pytest.raises(DataError):
            generator("")
    assert one.seed == seeds[1]
    assert len(caplog.messages) == 2


def test_samples_are_made_as_they_are_asked_for() -> None:
    generator = reciting("abba")
    model = generator.model
    assert isinstance(model, Scripted)
    found = generator.samples(count=3 * FIXED_ROWS, length=2, seed=0)
    assert model.steps == 0
    assert next(found).text == "ab"
    assert model.steps == 2
    assert len(list(found)) == 3 * FIXED_ROWS - 1
    assert model.steps == 6


def test_greedy_is_the_argmax_of_the_whole_text(generator: Generator) -> None:
    context = [BOS, *generator.pipeline.encode(["the "])[0]]
    for _ in range(30):
        log_probs = whole(generator, context)[-1]
        log_probs[[PAD, UNK, BOS, EOS]] = -torch.inf
        context.append(int(log_probs.argmax()))
    expected = generator.pipeline.decode([context])[0]
    assert generator("the ", length=30, temperature=0.0, end=False) == expected
    assert generator("the ", length=30, top_k=1, end=False, seed=7) == expected


def whole(generator: Generator, ids: Sequence[int]) -> Tensor:
    """Returns the log-probabilities after each token of a text that is read at once."""
    rows = pad(*flatten([ids]))
    with torch.no_grad():
        outputs, _ = generator.model.read(TextBatch(rows, rows, torch.tensor([True])))
        log_probs: Tensor = generator.model.head(outputs)[0]
        return log_probs


def test_a_prompt_may_be_read_in_parts(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = TEXT[:41]
    expected = generator(prompt, length=50, seed=1), generator.score(prompt).bits
    for size in (1, 3, 40, 41):
        monkeypatch.setattr("seq2seq.tasks.language_model.generator.STEPS_AT_ONCE", size)
        assert generator(prompt, length=50, seed=1) == expected[0]
        np.testing.assert_allclose(generator.score(prompt).bits, expected[1], atol=1e-5)


def test_the_settings_are_the_runs_unless_given(generator: Generator) -> None:
    bold = Generator(generator.model, generator.pipeline, SamplingConfig(temperature=0.0))
    assert bold(length=20, seed=1) == generator(length=20, seed=1, temperature=0.0)
    assert bold(length=20, seed=1, temperature=1.0) == generator(length=20, seed=1)


# --- pieces


def test_the_stream_joined_is_the_text(generator: Generator) -> None:
    asked: dict[str, Any] = {"length": 80, "seed": 4, "stop": ["e d", "xyz"], "end": False}
    pieces = list(generator.stream("the ", **asked))
    assert "the " + "".join(pieces) == generator("the ", **asked)
    assert all(pieces)


def test_pieces_come_one_by_one() -> None:
    generator = reciting("ab ab")
    model = generator.model
    assert isinstance(model, Scripted)
    for place, piece in enumerate(generator.stream(), 1):
        assert (piece, model.steps) == ("ab ab"[place - 1], place)


def test_mistakes_are_told_before_the_first_piece(generator: Generator) -> None:
    with pytest.raises(DataError, match=r"^prompt: is empty; give some text, or leave it out"):
        generator.stream("")
    with pytest.raises(ConfigError, match=r"^top_p: must be in \(0, 1\], got 0.0$"):
        generator.stream(top_p=0.0)
    with pytest.raises(ConfigError, match=r"^count: must be at least 1, got 0$"):
        generator.samples(count=0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"length": 0}, "length: must be at least 1, got 0"),
        ({"stop": ""}, "stop: must be not empty, got ''"),
        ({"stop": ["a", ""]}, "stop: must be not empty, got ''"),
        ({"seed": -1}, "seed: must be at least 0, got -1"),
        ({"temperature": -0.5}, "temperature: must be at least 0, got -0.5"),
        ({"repetition_window": 0}, "repetition_window: must be at least 1, got 0"),
    ],
)
def test_requests_that_make_no_sense(
    generator: Generator, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        generator(**asked)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "unigram"])
def test_a_length_counts_whole_characters(kind: str) -> None:
    text = "añ한😀 é\N{ZERO WIDTH JOINER}🚀b"
    generator = reciting(text, kind)
    for length in range(1, len(text) + 2):
        (found,) = generator.samples(length=length, seed=0)
        assert found.text == text[:length]
        assert found.ending == ("length" if length <= len(text) else "document")


@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_a_random_model_keeps_to_the_length(kind: str) -> None:
    pipeline = pipeline_of(kind)
    torch.manual_seed(1)
    layers = RecurrentConfig(hidden_size=4)
    model = build_language_model(
        LanguageModelConfig(embedding_size=4, layers=layers), len(pipeline)
    )
    generator = Generator(model.eval(), pipeline, SamplingConfig())
    for length in (1, 7, 50):
        texts = generator.samples(count=9, length=length, end=False, seed=1)
        assert [len(one.text) for one in texts] == [length] * 9


def test_the_length_is_exact(generator: Generator) -> None:
    assert [len(generator(length=n, end=False, seed=1)) for n in (1, 2, 200)] == [1, 2, 200]
    assert len(generator("the ", length=5, end=False, seed=1)) == 9


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\xf0\x9f\x98\x80b", "a😀b"),
        (b"a\xf0\x9fb", f"a{REPLACED}b"),
        (b"\x80b", f"{REPLACED}b"),
        (b"a\xf0\x9f\x98", f"a{REPLACED}"),
        (b"\xff" * 18 + b"b", f"{REPLACED * 18}b"),
        ("a\ufffdb\ufffd".encode(), "a\ufffdb\ufffd"),
    ],
)
def test_bytes_that_are_no_text(content: bytes, text: str) -> None:
    assert of_bytes(*content)() == text
    for length in range(1, len(text)):
        assert of_bytes(*content)(length=length) == text[:length]


def test_a_vocabulary_may_hold_the_replacement_character() -> None:
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char"), ["a\ufffd"], key="text")
    ids = pipeline.encode(["\ufffda\ufffd\ufffd"])[0]
    assert scripted(pipeline, [{one: 1.0} for one in ids])() == "\ufffda\ufffd\ufffd"


def test_a_character_of_the_prompt_is_not_repeated() -> None:
    generator = reciting("é b", "byte")
    assert generator("añ한😀", length=2) == "añ한😀é "
    assert reciting("é b", "bpe")("añ한😀", length=2) == "añ한😀 é"
    assert reciting("ok!", "word")("ok") == "ok ok!"
    assert reciting("1.5", "space")("ok") == "ok 1.5"


@pytest.mark.parametrize("end", [" ", "\n\n", " \t "])
def test_white_space_that_a_prompt_ends_in_parts_words(end: str) -> None:
    generator = reciting("ok so!", "word")
    assert generator(f"ok{end}") == f"ok{end}ok so!"
    assert generator(f"ok{end}", length=4) == f"ok{end}ok s"
    assert list(generator.stream(f"ok{end}", stop="so")) == ["ok", " "]
    assert reciting("ok", "space")("ok", length=3) == "ok ok"
    assert reciting("! ok", "word")(f"ok{end}") == f"ok{end}! ok"


def test_white_space_that_tokens_keep_is_theirs() -> None:
    assert reciting(" ok", "char")("ok ") == "ok  ok"
    assert reciting("ok", "bpe")("ok ") == "ok  ok"
    assert reciting(" ok", "char")("ok\t", unknown="replace") == "ok\t ok"
    config = PipelineConfig(tokenizer="char", normalizers=("whitespace",))
    pipeline = Pipeline.train(config, ["ok so"], key="text")
    ids = pipeline.vocabulary.ids([" ", "s", "o"])
    assert scripted(pipeline, [{one: 1.0} for one in ids])("ok \n") == "ok \nso"


# --- pieces of any tokenizer are the whole text

KINDS = ["char", "byte", "bpe", "unigram", "word", "space"]


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_pieces_join_to_what_the_tokens_decode_to(data: st.DataObject) -> None:
    pipeline = pipeline_of(data.draw(st.sampled_from(KINDS)))
    text = data.draw(st.text(alphabet="ab é한😀\n.(▁", max_size=30))
    ids = [one for one in pipeline.encode([text])[0] if one != UNK]
    generator = scripted(pipeline, [{one: 1.0} for one in ids])
    assert "".join(generator.stream()) == pipeline.decode([ids])[0]


# --- stop texts


@pytest.mark.parametrize("kind", ["char", "bpe", "byte"])
@pytest.mark.parametrize(
    ("text", "stop", "found", "ending"),
    [
        ("ab so ok", ["so"], "ab ", "stop"),
        ("ab so ok", "b s", "a", "stop"),
        ("ab so ok", ["ok", "so", "xx"], "ab ", "stop"),
        ("ab so ok", ["ab"], "", "stop"),
        ("ab so ok", ["a"], "", "stop"),
        ("ab so ok", ["ok!"], "ab so ok", "document"),
        ("ab so ok", ["zz"], "ab so ok", "document"),
        ("ababax", ["abax"], "ab", "stop"),
        ("aab", ["ab"], "a", "stop"),
        ("ab한ab", ["한"], "ab", "stop"),
        ("ab😀ab", ["b😀a"], "a", "stop"),
        ("ab ab", ["ab ab"], "", "stop"),
        ("abxab", ["bxabz", "xa"], "ab", "stop"),
    ],
)
def test_a_stop_text_ends_the_text_before_it(
    kind: str, text: str, stop: str | list[str], found: str, ending: str
) -> None:
    generator = reciting(text, kind)
    assert generator(stop=stop, length=50) == found
    stops = (stop,) if isinstance(stop, str) else tuple(stop)
    (one,) = generator.samples(stop=stops, seed=0)
    assert (one.text, one.ending) == (found, ending)


def long_tokens(*tokens: str) -> Generator:
    """Returns a generator whose tokens are words, spaces between them."""
    pipeline = Pipeline.train(PipelineConfig(tokenizer="space"), [" ".join(tokens)], key="text")
    ids = pipeline.encode([" ".join(tokens)])[0]
    return scripted(pipeline, [{one: 1.0} for one in ids])


def test_stop_texts_inside_of_long_tokens() -> None:
    assert long_tokens("one", "two", "three")(stop="w") == "one t"
    assert long_tokens("one", "two", "three")(stop="e t") == "on"
    assert long_tokens("one", "two", "three")(stop=["three", "wo th"]) == "one t"


def test_the_stop_text_that_is_complete_first_wins_whatever_the_tokens() -> None:
    for generator in (long_tokens("so", "abba"), reciting("so abba")):
        assert generator(stop=["abba", "bb"]) == "so a"


def test_a_length_reached_before_the_stop_text_is_the_ending() -> None:
    generator = long_tokens("abcd", "efgh")
    for length, ending in ((2, "length"), (3, "stop"), (4, "stop")):
        (one,) = generator.samples(length=length, stop=("d",), seed=0)
        assert (one.text, one.ending) == ("abcd"[: min(length, 3)], ending)


def test_what_might_become_a_stop_text_counts_only_once_it_is_certain() -> None:
    # Text before a stop text is the same whatever the length: cut first there, then to the length.
    generator = reciting("so ok ab")
    assert generator(stop="ok", length=4) == "so "
    assert generator(stop="okay", length=4) == "so o"
    assert list(generator.stream(stop="okay")) == ["s", "o ", "ok ", "a", "b"]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(alphabet="ab", min_size=1, max_size=12),
    stop=st.text(alphabet="ab", min_size=1, max_size=4),
    length=st.integers(1, 14),
)
def test_stopping_is_cutting(text: str, stop: str, length: int) -> None:
    assert reciting(text)(stop=stop, length=length) == text.partition(stop)[0][:length]


# --- the end of a document


def test_a_text_ends_where_a_document_does_unless_told_otherwise() -> None:
    pipeline = pipeline_of("char")
    (letter,) = pipeline.encode(["a"])[0]
    generator = scripted(pipeline, [{EOS: 0.999, letter: 0.001}] * 30)
    (one,) = generator.samples(length=20, seed=1)
    assert (one.text, one.ending) == ("", "document")
    (one,) = generator.samples(length=20, end=False, seed=1)
    assert (one.text, one.ending) == ("a" * 20, "length")
    assert generator("ab", length=20, temperature=0.0) == "ab"
    assert list(generator.stream(length=20, temperature=0.0)) == []


def test_special_symbols_are_never_generated() -> None:
    pipeline = pipeline_of("char")
    (letter,) = pipeline.encode(["a"])[0]
    shares = {PAD: 0.3, BOS: 0.3, UNK: 0.3, letter: 0.1}
    assert scripted(pipeline, [shares] * 30)(length=30, seed=1) == "a" * 30


# --- unknown characters


def test_unknown_characters_are_named(generator: Generator) -> None:
    with pytest.raises(DataError) as error:
        generator("the ëcät ")
    assert str(error.value) == (
        "prompt: the vocabulary lacks 'ë' (U+00EB), 'ä' (U+00E4); leave out what it lacks, or read "
        "it as unknown with --unknown replace (in Python: unknown='replace')"
    )
    with pytest.raises(DataError, match=r"^text: the vocabulary lacks 'Q' .* and 2 more; leave"):
        generator.score("QWXYVKZ")
    text = generator("the ëcät ", unknown="replace", length=10, end=False)
    assert text.startswith("the ëcät ")
    assert len(text) == 19
    assert len(generator.score("the ë", unknown="replace").bits) == 5


def test_unknown_words_have_no_code_point() -> None:
    with pytest.raises(DataError, match=r"lacks 'abc', 'Q' \(U\+0051\); leave"):
        reciting("ok", "space")("abc Q")


# --- scores


def test_bits_are_those_of_the_whole_text(generator: Generator) -> None:
    found = generator.score(TEXT)
    ids = generator.pipeline.encode([TEXT])[0]
    log_probs = whole(generator, [BOS, *ids])[:-1].double()
    expected = [-row[token].item() / math.log(2) for row, token in zip(log_probs, ids, strict=True)]
    np.testing.assert_allclose(found.bits, expected, atol=1e-6)
    assert found.tokens == tuple(TEXT)
    assert found.bits_per_character == pytest.approx(sum(expected) / len(TEXT))


def test_a_model_that_knows_nothing_needs_log_v_bits() -> None:
    pipeline = pipeline_of("byte")
    model = build_language_model(LanguageModelConfig(embedding_size=2), len(pipeline))
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)
    found = Generator(model.eval(), pipeline, SamplingConfig()).score("aé")
    assert found.tokens == ("a", "é")  # the second takes two bytes
    np.testing.assert_allclose(found.bits, [math.log2(260), 2 * math.log2(260)])
    assert found.bits_per_character == pytest.approx(1.5 * math.log2(260))


@pytest.mark.parametrize(
    ("kind", "text", "pieces"),
    [
        ("byte", "a\ufffd", ("a", "\ufffd")),
        ("byte", "a\ufffd\ufffd", ("a", "\ufffd\ufffd")),
        ("word", "ok \uffed", ("ok", "")),  # the mark that joins: alone it has no text
    ],
)
def test_no_bits_are_lost_at_the_end(kind: str, text: str, pieces: tuple[str, ...]) -> None:
    pipeline = Pipeline.train(PipelineConfig(tokenizer=kind, vocab_size=0), [text], key="text")
    model = build_language_model(LanguageModelConfig(embedding_size=2), len(pipeline)).eval()
    generator = Generator(model, pipeline, SamplingConfig())
    found = generator.score(text)
    ids = pipeline.encode([text])[0]
    log_probs = whole(generator, [BOS, *ids])[:-1].double()
    expected = -log_probs[range(len(ids)), ids].sum().item() / math.log(2)
    assert found.tokens == pieces
    assert len(found.bits) == len(pieces)
    assert found.bits.sum() == pytest.approx(expected, rel=1e-5)


def test_surprisal_by_hand() -> None:
    found = Surprisal(("a", "bc"), np.array([1.0, 5.0]), 3)
    assert found.bits_per_character == 2


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_text_without_tokens_is_empty(text: str) -> None:
    generator = reciting("ok", "word")
    with pytest.raises(DataError, match=r"^text: is empty; give some text$"):
        generator.score(text)
    with pytest.raises(DataError) as error:
        generator(text)
    assert str(error.value) == (
        "prompt: is empty; give some text, or leave it out to begin as documents begin"
    )


def test_a_picture_of_the_surprisal(generator: Generator, tmp_path: Path) -> None:
    path = generator.plot_surprisal(TEXT, tmp_path / "surprisal.png")
    assert path == tmp_path / "surprisal.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"^text: the vocabulary lacks 'ë' .* unknown='replace'\)$"):
        generator.plot_surprisal("the ë", path)
    assert generator.plot_surprisal("the ë", path, unknown="replace") == path


# --- loading


def test_a_run_is_loaded_as_what_its_task_makes_of_it(folder: Path, generator: Generator) -> None:
    found = seq2seq.load(folder, device="cpu")
    assert isinstance(found, seq2seq.Generator)
    assert found(length=30, seed=1) == generator(length=30, seed=1)
    with pytest.raises(CheckpointError) as error:
        seq2seq.Translator.load(folder)
    assert str(error.value) == (
        f"{folder}: its task is language-model, which cannot be used here; "
        "seq2seq.load loads any run"
    )


def test_a_translator_does_not_generate(tmp_path: Path) -> None:
    pairs: list[Pair] = [("a b", "b a")] * 4
    own = {
        "folder": str(tmp_path / "run"),
        "data.cache": str(tmp_path / "cache"),
        "source.tokenizer": "char",
        "target.tokenizer": "char",
        "model.embedding_size": 4,
        "model.encoder.hidden_size": 4,
        "model.decoder.hidden_size": 4,
        "train.steps": 1,
        "train.device": "cpu",
        "validation.sentences": 0,
    }
    folder = seq2seq.train(own, data={"train": pairs, "valid": pairs}).folder
    assert isinstance(seq2seq.load(folder, device="cpu"), seq2seq.Translator)
    with pytest.raises(CheckpointError) as error:
        Generator.load(folder)
    assert str(error.value) == (
        f"{folder}: its task is translation, which cannot be used here; seq2seq.load loads any run"
    )


# --- time and memory


def test_a_hundred_thousand_characters_in_constant_memory() -> None:
    generator = long_tokens(*["w" * 499] * 250)
    held: list[int] = []
    count = 0
    tracemalloc.start()
    for number, piece in enumerate(generator.stream(length=100_000, stop="x", seed=1)):
        count += len(piece)
        if number % 50 == 20:
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert count == 100_000
    assert len(held) == 4
    assert all(after - before < 12_000 for before, after in pairwise(held))


def test_the_first_piece_comes_at_once(generator: Generator) -> None:
    def wait() -> float:
        start = time.perf_counter()
        assert list(islice(generator.stream("the ", seed=1, end=False), 1))
        return time.perf_counter() - start

    assert min(wait() for _ in range(3)) < 0.5


@pytest.mark.parametrize("kind", ["char", "byte", "word", "space", "unigram", "bpe"])
def test_the_pieces_of_a_score_are_the_text(kind: str) -> None:
    pipeline = pipeline_of(kind)
    model = build_language_model(LanguageModelConfig(embedding_size=2), len(pipeline)).eval()
    found = Generator(model, pipeline, SamplingConfig()).score(TEXT, unknown="replace")
    assert "".join(found.tokens) == pipeline.decode(pipeline.encode([TEXT]))[0]
    assert len(found.bits) == len(found.tokens)


def test_a_model_without_numbers_is_refused_instead_of_going_on_for_ever() -> None:
    pipeline = pipeline_of("char")
    model = build_language_model(LanguageModelConfig(embedding_size=2), len(pipeline)).eval()
    for weights in model.parameters():
        torch.nn.init.constant_(weights, math.nan)
    with pytest.raises(Seq2SeqError, match="probabilities are not numbers; use another checkpoint"):
        Generator(model, pipeline, SamplingConfig())(length=5)
