"""A user's own symbols, for every tokenizer: one token each, wherever they stand."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seq2seq import config as configuration
from seq2seq.data.documents.store import encode_texts
from seq2seq.data.documents.texts import Texts
from seq2seq.data.pairs.corpus import Corpus
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.symbols import EOS, UNK
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.pipeline import train_pipeline
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.copying import spelling
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.text.earlier import grown, kept
from seq2seq.text.growing import GrowingText
from seq2seq.text.marks import GLUE, JOINED
from seq2seq.text.model_file import user_defined, with_symbols
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword import SubwordTokenizer
from seq2seq.text.tokenizers import SAMPLED, SUBWORDS, TOKENIZERS
from seq2seq.text.vocab import SPECIALS
from tests.codes import LINES, settings_of

SYMBOLS = ("<url>", "<URL>2", "<0x41>", "\u2581x", "☃", "ab")
TEXTS = [*LINES, "see <url> (<url>)", "der ☃ läuft"] * 3
PLACES = [
    *("<url>", " <url> ", "see <url> dogs", "a<url>b", "(<url>).", "<url><URL>2", "<url>  <url>"),
    *("<URL>2 and <url>2", "<0x41>A\u2581x", "aab b", "☃☃ ☃", "\U0010fffd\U000f0000<url>", "<unk>"),
    *("\uffed<url>\uffed", "@@ <url>", "<url>@@", "ﬁ<url>e\u0301"),
]
ANY = st.text() | st.lists(st.sampled_from([*SYMBOLS, " ", "a", "(", "é", "@@"])).map("".join)


def made(kind: str, texts: list[str] = TEXTS, **changes: Any) -> Pipeline:
    config = PipelineConfig(**{**settings_of(kind), "symbols": SYMBOLS, **changes})
    return Pipeline.train(config, texts)


MADE = {kind: made(kind) for kind in TOKENIZERS}
KEPT = [kind for kind in TOKENIZERS if MADE[kind].reversible]


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(ANY, max_size=4))
@example(texts=PLACES)
def test_each_symbol_is_one_token_and_all_texts_come_back(kind: str, texts: list[str]) -> None:
    pipeline = MADE[kind]
    own = pipeline.symbol_ids
    assert tuple(own) == pipeline.symbols == SYMBOLS
    rows = pipeline.encode(texts)
    for text, row, back in zip(texts, rows, pipeline.decode(rows), strict=True):
        assert [pipeline.tokens([one])[0] for one in row if one in own.values()] == found(text)
        if kind in KEPT:
            assert back == text
        elif UNK not in row and "@@" not in text:
            wanted = text if pipeline.tokenizer.reversible else " ".join(text.split())
            back = back if pipeline.tokenizer.reversible else " ".join(back.split())
            assert back == wanted or JOINED in text


def found(text: str) -> list[str]:
    """Returns the symbols of a text: they do not overlap, and the longest that begins counts."""
    here = [symbol for symbol in SYMBOLS if text.startswith(symbol)]
    longest = max(here, key=len, default="")
    return [longest] * bool(longest) + (found(text[len(longest) or 1 :]) if text else [])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_spaces_around_symbols_are_kept_where_words_are_known(kind: str) -> None:
    pipeline = made(kind, [*TEXTS, "a b ( ) ."])
    for text in ("<url> a", "a <url>", "a<url> b", "a <url>b", "<url><url>", "(<url>) ."):
        assert pipeline.decode(pipeline.encode([text])) == [text]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_any_row_with_symbols_can_be_decoded_and_grows(kind: str) -> None:
    pipeline = MADE[kind]
    rng = np.random.default_rng(1)
    symbols = list(pipeline.vocabulary.symbol_ids.values())
    for _ in range(30):
        row = [*rng.choice(symbols, 3), *rng.integers(EOS + 1, len(pipeline), 5)]
        rng.shuffle(row)
        ids = list(map(int, row))
        (text,) = pipeline.decode([ids])
        assert not any(GLUE >= sign >= "\ud800" for sign in text)
        growing = GrowingText(pipeline)
        assert "".join([*map(growing.add, ids), growing.finish()]) == text


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_symbols_are_always_in_the_vocabulary_and_not_normalized(kind: str) -> None:
    names = ("nfkc", "lower", "whitespace")
    config = PipelineConfig(
        **settings_of(kind), symbols=("<URL>", "ﬁ", "<x>"), normalizers=names, min_count=2
    )
    pipeline = Pipeline.train(config, [*TEXTS, "THE <URL>  ﬁ"], trim=True)
    (row,) = pipeline.encode(["THE <URL>  ﬁ"])
    assert pipeline.tokens(range(4, 7)) == ["<URL>", "ﬁ", "<x>"]
    assert pipeline.decode([row]) == ["the <URL> ﬁ"]
    assert not {"<URL>", "ﬁ", "<x>"} & set(pipeline.vocabulary.entries)


@pytest.mark.parametrize("kind", SAMPLED)
def test_what_is_drawn_keeps_symbols(kind: str) -> None:
    pipeline = made(kind, sampling=0.1)
    rows = [pipeline.sample(["the <url> dogs☃", "ab"], seed) for seed in range(20)]
    assert len({tuple(first) for first, _ in rows}) > 1
    own = pipeline.symbol_ids
    for first, second in rows:
        assert [one for one in first if one in own.values()] == [own["<url>"], own["☃"]]
        assert own["ab"] in second
        assert pipeline.decode([first, second]) == ["the <url> dogs☃", "ab"]


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("tags", [(), ("<2x>",)])
def test_saved_loaded_reversed(kind: str, tags: tuple[str, ...], tmp_path: Path) -> None:
    pipeline = made(kind, tags=tags, reversed=True)
    pipeline.save(tmp_path)
    loaded = Pipeline.load(tmp_path)
    assert (loaded, loaded.fingerprint) == (pipeline, pipeline.fingerprint)
    straight = replace(pipeline, reversed=False)
    texts = [*PLACES, *(f"{tag} {text}" for tag in tags for text in PLACES)]
    cuts = [int(bool(tags) and text.startswith("<2x> ")) for text in texts]
    for at, row, turned in zip(cuts, straight.encode(texts), loaded.encode(texts), strict=True):
        assert turned == row[:at] + row[at:][::-1]
    assert loaded.decode(loaded.encode(texts)) == straight.decode(straight.encode(texts))


def test_pipelines_without_symbols_are_saved_as_ever(tmp_path: Path) -> None:
    Pipeline.train(PipelineConfig(tokenizer="word"), ["a b"]).save(tmp_path)
    content = json.loads((tmp_path / "vocab.json").read_text("utf-8"))
    assert content == {"format": 1, "tags": [], "tokens": ["a", "b"]}
    (tmp_path / "pipeline.json").write_text('{"format": 1, "normalizers": []}')
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({**content, "symbols": ["x", "x"]}))
    with pytest.raises(CheckpointError, match=r"vocab.json: symbols: 'x' appears twice$"):
        Pipeline.load(tmp_path)
    path.write_text(json.dumps({**content, "later_symbols": ["x"]}))
    message = r"vocab.json: later_symbols: must be ids by symbol, got \['x'\]$"
    with pytest.raises(CheckpointError, match=message):
        Pipeline.load(tmp_path)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_grown_vocabularies_take_new_symbols(kind: str, tmp_path: Path) -> None:
    old = Pipeline.train(PipelineConfig(**settings_of(kind), symbols=("<url>",)), TEXTS)
    settings_now = PipelineConfig(**settings_of(kind), symbols=("<num>", "<url>"), tags=("<2x>",))
    new = grown(old, settings_now, lambda: ["<2x> <num> dogs"], key="source")
    assert new.symbols == ("<url>", "<num>")
    assert new.symbol_ids["<url>"] == old.symbol_ids["<url>"]
    assert new.symbol_ids["<num>"] >= len(old)
    assert new.encode(TEXTS) == old.encode(TEXTS)
    assert new.decode(new.encode(["<2x> <num> <url><num>"])) == ["<2x> <num> <url><num>"]
    places = new.vocabulary.places_in(old.vocabulary)
    assert places[: len(old)] == list(range(len(old)))
    assert places[new.symbol_ids["<num>"]] == -1
    new.save(tmp_path)
    assert Pipeline.load(tmp_path) == new
    with pytest.raises(ConfigError, match=r"^source.symbols: must be \['<url>'\], as in the run"):
        kept(old, PipelineConfig(**settings_of(kind)), "source")
    many = PipelineConfig(**settings_of(kind), symbols=tuple(f"<{n}>" for n in range(2000)))
    with pytest.raises(ConfigError, match=r"^source.symbols: must be at most 2000, those of"):
        grown(old, many, lambda: TEXTS, key="source")


def own_model(kind: str, **options: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=model, minloglevel=3, hard_vocab_limit=False,
        user_defined_symbols="<mask>,☃", model_type=kind, vocab_size=90, **options,
    )  # fmt: skip
    return model.getvalue()


@pytest.mark.parametrize("kind", SUBWORDS)
@pytest.mark.parametrize("options", [{}, {"treat_whitespace_as_suffix": True}])
def test_models_of_the_user_with_symbols_of_their_own(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "own.model"
    path.write_bytes(own_model(kind, **options))
    assert user_defined(path.read_bytes()) == {"<mask>", "☃"}
    pipeline = made(kind, model_file=str(path), symbols=("<url>", "<mask>"), sampling=0.2)
    text = "the <mask> dogs run over <url> and ☃"
    own = pipeline.symbol_ids
    for seed in range(10):
        (row,) = pipeline.sample([text], seed)
        assert [one for one in row if one in own.values()] == [own["<mask>"], own["<url>"]]
        assert "☃" in pipeline.tokens(row)
        assert pipeline.decode([row])[0].rstrip() == text  # a space as a suffix is seen
    alone = SubwordTokenizer.from_file(path, kind)  # type: ignore[arg-type]
    drawn = replace(alone, sampling=0.2).sample([text] * 20, 1)
    assert all(row.count("<mask>") == row.count("☃") == 1 for row in drawn)
    assert len(set(map(tuple, drawn))) > 1


def test_pieces_are_added_to_a_model_file() -> None:
    model = own_model("bpe")
    more = with_symbols(model, ["x" * 300, "ü"])
    assert user_defined(more) == {"<mask>", "☃", "x" * 300, "ü"}
    processor = sentencepiece.SentencePieceProcessor(model_proto=more)
    assert processor.encode(f"a{'x' * 300}ü", out_type=str)[-2:] == ["x" * 300, "ü"]


def test_a_joint_tokenizer_learns_no_symbol_of_either_side() -> None:
    settings_both = {
        "joint_tokenizer": True,
        "source": {**settings_of("bpe", 300), "symbols": ["<url>"]},
        "target": {**settings_of("bpe", 300), "symbols": ["<url>", "<num>"]},
    }
    config = configuration.from_mapping(TranslationConfig, settings_both)
    corpus = Corpus.of([("see <url><num>", "siehe <url><num>")] * 40)
    made = Pipelines.train(config, corpus)
    assert not any("url" in piece or "num" in piece for piece in made.source.vocabulary.entries)
    assert (made.source.symbols, made.target.symbols) == (("<url>",), ("<url>", "<num>"))
    assert made.shared_symbols == ("<url>",)
    (row,) = made.target.encode(["siehe <num>"])
    assert row[-1] == made.target.symbol_ids["<num>"]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_what_is_copied_from_a_source_with_symbols(kind: str, turned: bool) -> None:
    pipeline = made(kind, reversed=turned)
    pipelines = Pipelines(pipeline, pipeline)
    text = "(<url>) 漢 ☃"
    (ids,) = pipeline.encode([text])
    spelt = spelling(pipelines, text, ids)
    assert len(spelt.texts) == len(ids)
    places = [ids.index(pipeline.symbol_ids[symbol]) for symbol in ("<url>", "☃")]
    assert [spelt.texts[place] for place in places] == ["<url>", "☃"]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_symbols_of_a_language_model_are_never_cut(kind: str, tmp_path: Path) -> None:
    mapping = {"text": {**settings_of(kind, 300), "symbols": ["<url>"]}}
    config = configuration.from_mapping(LanguageModelTaskConfig, mapping)
    half = "two dogs <url> run\n" * 2
    texts = Texts("texts", lambda: iter([iter([half[:12], half[12:31], half[31:]])]), lambda: "x")
    pipeline = train_pipeline(config, texts)
    store = encode_texts(texts, pipeline, tmp_path)
    assert list(store.ids).count(pipeline.symbol_ids["<url>"]) == 2
    assert pipeline.decode([list(store.ids)])[0].split() == half.split() or kind == "subword-nmt"


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        (["a b"], "texts without white space, got 'a b'"),
        ([""], "texts without white space, got ''"),
        (["\ud800"], r"texts without white space, got '\\ud800'"),
        ([JOINED], f"others than {JOINED}, got '{JOINED}'"),
        (["a", "a"], r"all different, and no tags, got \['a', 'a'\]"),
        (["<2x>"], r"all different, and no tags, got \['<2x>'\]"),
        (list(map(str, range(2001))), "at most 2000, got '2001 of them'"),
    ],
)
def test_what_is_no_symbol(symbols: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^symbols: must be {message}$"):
        PipelineConfig(tags=("<2x>",), symbols=tuple(symbols))


def test_symbols_have_the_first_ids() -> None:
    pipeline = made("char", tags=("<2x>",))
    first = len(SPECIALS) + 1
    assert pipeline.tokens(range(first, first + len(SYMBOLS))) == list(SYMBOLS)
