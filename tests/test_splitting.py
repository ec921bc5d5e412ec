"""Texts of several sentences: told of, or translated sentence by sentence and joined again."""

import math
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.mixture import TrainingCorpusConfig
from seq2seq.errors import ConfigError
from seq2seq.models.seq2seq import EncoderConfig, Seq2SeqConfig
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.search.config import SearchConfig
from seq2seq.tasks.translation.config import DataConfig, TranslationConfig
from seq2seq.tasks.translation.pipelines import Pipelines, build_model
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator, _warn
from seq2seq.text.sentences import Splitter, in_sentences, splitter
from seq2seq.text.settings import PipelineConfig

PAIRS: list[Pair] = [
    (f"<2x> der satz {number} {'x ' * (number % 4)}.", f"sentence {number} .")
    for number in range(24)
]
SENTENCE = "der satz 3 ."
ONE = [SENTENCE, "kein punkt", "", " ", "  \n ", " der satz . ", "<2x> der satz 1 .", "<2x>"]
SEVERAL = [
    "der satz 1 . der satz 2 .",
    "Dr. X kam. Er ging!",
    "“der satz.” der satz 2 . satz x x",
    "satz 1。satz 2。der",
    "satz ... der satz 4 . 5 .",
    "der satz 1 .\nder satz 2 .",
    "der satz 1 .\n\n  der satz 2 . satz\n",
    "der satz 7\n",
    "<2x> der satz 1 . der satz 2 .\r\nsatz",
    "... . .",
]


def signs(text: str) -> list[str]:
    """Cuts after signs of punctuation, as a stand-in for the library."""
    return re.findall(r"[^.。!]*[.。!]+[”\s]*|[^.。!]+", text)


@pytest.fixture(params=["stand-in", "library"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Splitter:
    if request.param == "library":
        pytest.importorskip("sentencex", reason="the extra `sentences` is not installed")
        return splitter("en")
    monkeypatch.setattr("seq2seq.tasks.translation.translator.splitter", lambda language: signs)
    return signs


CONFIG = TranslationConfig(
    source=PipelineConfig(tokenizer="word", tags=("<2x>",)),
    target=PipelineConfig(tokenizer="char"),
    model=Seq2SeqConfig(
        embedding_size=16,
        encoder=EncoderConfig(hidden_size=16),
        decoder=DecoderConfig(hidden_size=16),
    ),
    search=SearchConfig(max_length=8),
)


@pytest.fixture(scope="module")
def translator() -> Translator:
    """A translator whose weights are random, and large enough that its texts differ."""
    pipelines = Pipelines.train(CONFIG, Corpus.of(PAIRS))
    model = build_model(CONFIG, pipelines).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    return Translator([model], pipelines, CONFIG.search)


@pytest.fixture(autouse=True)
def _untold() -> Iterator[None]:
    _warn.cache_clear()
    yield
    _warn.cache_clear()


def same(one: Translation, other: Translation) -> None:
    for field in ("text", "score", "source_tokens", "target_tokens", "source"):
        assert getattr(one, field) == getattr(other, field)
    assert np.array_equal(one.attention, other.attention)
    assert len(one.alternatives) == len(other.alternatives)


def pieces(translator: Translator, text: str, cut: Splitter) -> list[Translation]:
    tag, rest = translator.pipelines.source.cut_tag(text)
    found = in_sentences(rest, cut).pieces
    return translator(
        [piece if tag is None else f"{tag} {piece}" for piece in found], beam_size=3, n_best=3
    )


@pytest.mark.parametrize("text", ONE)
def test_a_text_of_one_sentence_is_translated_as_without(
    text: str, translator: Translator, cut: Splitter
) -> None:
    (expected,) = translator([text], n_best=3)
    (found,) = translator([text], n_best=3, split="sentences")
    same(found, expected)
    for one, other in zip(found.alternatives, expected.alternatives, strict=True):
        same(replace(one, alternatives=()), replace(other, alternatives=()))


@pytest.mark.parametrize("text", [*ONE, *SEVERAL])
def test_words_are_aligned_as_they_are_numbered_in_the_whole(
    text: str, translator: Translator, cut: Splitter
) -> None:
    (whole,) = translator([text], beam_size=3, split="sentences")
    parts = pieces(translator, text, cut)
    tag, rest = translator.pipelines.source.cut_tag(text)
    spaced = all(in_sentences(rest, cut).gaps[1:-1])
    links = whole.alignment("word")
    assert len(links) == len(whole.text.split())
    assert all(0 <= link < len(text.split()) for link in links)
    if not spaced:  # the last word of a sentence and the first of the next are one
        return
    expected, before = [], 0
    for part in parts:
        tags = int(tag is not None)
        expected += [before + link if link >= tags else 0 for link in part.alignment("word")]
        before += len(part.source.split()) - tags
    assert links == expected
    assert pickle.loads(pickle.dumps(whole)).alignment("word") == links


@pytest.mark.parametrize("text", SEVERAL)
def test_sentences_are_translated_by_themselves_and_joined(
    text: str, translator: Translator, cut: Splitter
) -> None:
    (whole,) = translator([text], beam_size=3, n_best=3, split="sentences")
    parts = pieces(translator, text, cut)
    sentences = in_sentences(translator.pipelines.source.cut_tag(text)[1], cut)
    assert whole.source == text
    assert whole.text == sentences.join(part.text for part in parts)
    assert "".join(whole.text.split()) == "".join("".join(part.text for part in parts).split())
    breaks = re.findall(r"[\r\n]+", text)
    assert re.findall(r"[\r\n]+", whole.text) == breaks
    lengths = [len(part.target_tokens) for part in parts]
    logarithms = [
        part.score * length**translator.search.length_penalty
        for part, length in zip(parts, lengths, strict=True)
    ]
    assert whole.score == pytest.approx(
        sum(logarithms) / sum(lengths) ** translator.search.length_penalty
    )


@pytest.mark.parametrize("text", SEVERAL)
def test_alignments_point_at_the_words_of_the_whole_text(
    text: str, translator: Translator, cut: Splitter
) -> None:
    (whole,) = translator([text], beam_size=3, n_best=3, split="sentences")
    parts = pieces(translator, text, cut)
    tokens = [token for part in parts for token in part.source_tokens]
    assert list(whole.source_tokens) == tokens
    assert whole.attention.shape == (len(whole.target_tokens), len(whole.source_tokens))
    np.testing.assert_allclose(whole.attention.sum(1), 1, rtol=1e-5)
    assert whole.target_tokens.count("<eos>") == 1
    assert whole.target_tokens[-1] == "<eos>"
    begin = 0
    expected: list[tuple[str, int]] = []
    for part in parts:
        steps = zip(part.target_tokens, part.alignment(), strict=True)
        expected += [(token, begin + at) for token, at in steps if token != "<eos>"]
        begin += len(part.source_tokens)
    last = begin - len(parts[-1].source_tokens) + parts[-1].alignment()[-1]
    aligned = zip(whole.target_tokens, whole.alignment(), strict=True)
    assert list(aligned) == [*expected, ("<eos>", last)]


@pytest.mark.parametrize("text", SEVERAL)
def test_n_best_of_several_sentences(text: str, translator: Translator, cut: Splitter) -> None:
    (whole,) = translator([text], beam_size=3, n_best=3, split="sentences")
    parts = pieces(translator, text, cut)
    scores = [one.score for one in whole.alternatives]
    assert scores == sorted(scores, reverse=True)
    possible = math.prod(len(part.alternatives) for part in parts)
    assert len(scores) == min(3, possible)
    assert len({one.target_tokens for one in whole.alternatives}) == len(scores)
    same(replace(whole.alternatives[0], alternatives=()), replace(whole, alternatives=()))
    assert [row["text"] for row in whole.record()["hypotheses"]] == [
        one.text for one in whole.alternatives
    ]


def test_texts_beside_each_other_change_nothing(translator: Translator, cut: Splitter) -> None:
    texts = [*SEVERAL, *ONE]
    together = translator(texts, split="sentences", batch_size=3)
    for text, found in zip(texts, together, strict=True):
        (alone,) = translator(text, split="sentences")
        assert (found.text, found.target_tokens) == (alone.text, alone.target_tokens)


def test_what_is_drawn_depends_on_the_number_of_the_text_alone(
    translator: Translator, cut: Splitter
) -> None:
    texts = [SEVERAL[0], SENTENCE, SEVERAL[5], SENTENCE]
    drawn = replace(translator.search, strategy="sampling", beam_size=1)
    unsplit = translator(texts, search=drawn)
    split = translator(texts, search=drawn, split="sentences")
    assert [split[at].text for at in (1, 3)] == [unsplit[at].text for at in (1, 3)]
    for way in (None, "sentences"):
        whole = [one.text for one in translator(texts, search=drawn, split=way)]
        chunks = [
            one.text
            for at in range(0, 4, 2)
            for one in translator(texts[at : at + 2], search=drawn, first=at, split=way)
        ]
        assert chunks == whole
    assert unsplit[1].text != unsplit[3].text


def test_other_splits_are_refused(translator: Translator) -> None:
    message = r"^split: must be one of sentences, got 'sentence'; did you mean 'sentences'\?$"
    with pytest.raises(ConfigError, match=message):
        translator(SENTENCE, split="sentence")


@pytest.mark.parametrize(
    ("usual", "texts", "told"),
    [
        (0.0, ["Eins zwei. Drei vier."], True),
        (0.0, [SENTENCE, "eins\nzwei"], True),
        (0.0, [SENTENCE, "Dr. Eins"], False),
        (0.0, ["Eins zwei. Drei vier."] + [SENTENCE] * 200, False),
        (0.1, ["Eins zwei. Drei vier."], True),
        (0.1, ["Eins zwei. Drei vier.", SENTENCE], False),
        (0.5, ["Eins zwei. Drei vier."], False),
        (None, ["Eins zwei. Drei vier."], False),
    ],
)
def test_texts_of_several_sentences_are_told_of_once(
    usual: float | None,
    texts: list[str],
    told: bool,
    translator: Translator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unlike = Translator(
        translator.models, replace(translator.pipelines, several=usual), translator.search
    )
    for _ in range(2):
        unlike(texts)
        unlike([*texts, *texts])
    found = [message for message in caplog.messages if "several sentences" in message]
    assert len(found) == told
    assert all("--split sentences" in message for message in found)
    caplog.clear()


def test_split_texts_are_not_told_of(
    translator: Translator, cut: Splitter, caplog: pytest.LogCaptureFixture
) -> None:
    translator(SEVERAL, split="sentences")
    assert not [message for message in caplog.messages if "several sentences" in message]


def test_a_run_remembers_how_its_training_texts_were(tmp_path: Path) -> None:
    pairs = [("Eins zwei. Drei.", "One two. Three."), *PAIRS[:3]]
    learned = Pipelines.train(CONFIG, Corpus.of(pairs))
    learned.save(tmp_path)
    assert Pipelines.load(tmp_path).several == learned.several == 0.25
    (tmp_path / "sources.json").unlink()  # as earlier versions left it
    assert Pipelines.load(tmp_path).several is None


@pytest.mark.parametrize(
    ("corpus", "language"),
    [
        (TrainingCorpusConfig(source="train.de", target="train.en"), "de"),
        (TrainingCorpusConfig(source="a/train.pt_BR.gz", target="train.en"), "pt"),
        (TrainingCorpusConfig(source="train.txt", target="target.txt"), "en"),
        (TrainingCorpusConfig(path="a.jsonl", source_column="translation.fr"), "fr"),
        (TrainingCorpusConfig(path="a.tsv"), "en"),
        (TrainingCorpusConfig(path="a.tsv", source_column="1", target_column="0"), "en"),
        (None, "en"),
    ],
)
def test_files_and_columns_tell_the_language(
    corpus: TrainingCorpusConfig | None, language: str
) -> None:
    assert DataConfig(train=corpus).source_language == language
