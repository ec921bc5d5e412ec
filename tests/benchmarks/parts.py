"""The parts of the benchmarks: what is measured, against what a user of torch would write.

Each is a function of the :class:`Options`, and runs in a process of its own.
"""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from seq2seq.data.layout import flatten, make_batch, pad
from seq2seq.data.pairs.batches import BatchConfig, Batches, padding
from seq2seq.data.pairs.corpus import CorpusConfig, open_corpora, open_corpus
from seq2seq.data.pairs.store import FilterConfig, PairStore, encode_corpus
from seq2seq.device import pick_precision
from seq2seq.errors import ConfigError
from seq2seq.evaluation.metrics import bleu
from seq2seq.models.language_model import LanguageModel, LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import (
    EncoderConfig,
    FoldedSeq2Seq,
    Seq2Seq,
    Seq2SeqConfig,
    build_seq2seq,
)
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.linear import SearchPrecision
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.search.asked import Asked, Term
from seq2seq.search.config import SamplingConfig, SearchConfig
from seq2seq.search.strategies import search as search_for
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tensors import Batch, Padded, TextBatch
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.objective import CrossEntropy
from seq2seq.training.state import weights
from seq2seq.training.trainer import Trainer
from tests.benchmarks import baseline
from tests.benchmarks.flops import TRAINING, pair_flops, token_flops
from tests.benchmarks.timing import PROBE, Part, Rate, Work, gemm, rates, rounds, shown

BASELINE = "baseline"
BEAM = "beam of 5"
SAME = "LSTM, the baseline's architecture"
TRIED: tuple[tuple[str, str, bool, str], ...] = (
    ("LSTM", "lstm", False, "float32"),
    ("LSTM, bfloat16", "lstm", False, "bfloat16"),
    ("LSTM, input feeding", "lstm", True, "float32"),
    ("SRU", "sru", False, "float32"),
    ("SRU, bfloat16", "sru", False, "bfloat16"),
    ("minGRU", "mingru", False, "float32"),
    ("minGRU, bfloat16", "mingru", False, "bfloat16"),
)
"""What is trained: name, cell, input feeding, precision."""
PRECISIONS: tuple[SearchPrecision, ...] = ("float32", "int8")
LETTERS = "".join(chr(code) for code in range(ord("!"), ord("!") + 64))
BATCH, FORCED = 64, 13
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is measured, and how large."""

    data: str = "data/multi30k"
    """The folder with Multi30k's files."""
    run: str = ""
    """A trained translator; empty: search with random weights at a forced length."""
    threads: int = 0
    """CPU threads; 0: torch's choice."""
    repetitions: int = 7
    """Rounds."""
    sentences: int = 256
    """Sentences to translate."""
    vocabulary: int = 8000
    """Joint subwords of the reference model."""
    embedding: int = 256
    """Width of its embeddings."""
    hidden: int = 512
    """Width of its layers, and of those of the language model."""
    layers: int = 2
    """Its layers on each side, and those of the language model."""
    tokens: int = 4096
    """Most tokens of a batch on either side."""
    rows: int = 50
    """Rows of a batch of characters."""
    steps: int = 128
    """Steps of a batch of characters."""
    length: int = 300
    """Characters to generate."""
    streams: int = 64
    """Texts generated side by side."""
    lines: int = 10_000
    """Lines to tokenize in a round."""


# --- training a translator


@dataclass(frozen=True)
class Pairs:
    """Batches of pairs, and the vocabularies they need."""

    batches: list[Batch]
    source_vocab: int
    target_vocab: int
    joint: Tensor
    """The id of each of the target's tokens among those of both sides, ``[V]``."""
    note: str

    @property
    def joined(self) -> list[Batch]:
        """The batches with targets of the joint vocabulary."""
        return [
            Batch(batch.source, self._joined(batch.target_in), self._joined(batch.target_out))
            for batch in self.batches
        ]

    @property
    def plain(self) -> list[tuple[tuple[Tensor, ...], Tensor]]:
        """The batches as the baseline takes them, with targets of the joint vocabulary."""
        return [
            (
                (batch.source.values, batch.source.lengths, batch.target_in.values),
                batch.target_out.values,
            )
            for batch in self.joined
        ]

    def _joined(self, side: Padded) -> Padded:
        return replace(side, values=self.joint[side.values])

    def flops(self, model: Seq2Seq) -> float:
        """Returns the operations of training a model, for each target token of the batches."""
        per, operations, tokens = pair_flops(model), 0, 0
        for batch in self.batches:
            targets = batch.target_out.lengths.tolist()
            for source, target in zip(batch.source.lengths.tolist(), targets, strict=True):
                operations += per.forward(source, target)
            tokens += sum(targets)
        return TRAINING * operations / tokens


def read_pairs(options: Options) -> Pairs:
    """Returns batches of Multi30k, one for each round and one to warm up, or synthetic ones."""
    if not (Path(options.data) / "train.de").is_file():
        return random_pairs(options)
    store, pipelines = encoded(options.data, options.vocabulary)
    both = pipelines.source, pipelines.target
    batches, share = planned(store, options)
    note = (
        f"Multi30k, German to English, joint BPE of {options.vocabulary:,}, of which targets "
        f"contain {len(pipelines.target):,}; batches of at most {options.tokens:,} tokens a side, "
        f"{100 * share:.1f} % padding, which does not count"
    )
    return Pairs(batches, len(both[0]), len(both[1]), joint_ids(pipelines), note)


@cache
def encoded(data: str, vocabulary: int) -> tuple[PairStore, Pipelines]:
    """Returns Multi30k's training pairs as ids of joint subwords."""
    corpus = open_corpus(CorpusConfig(source="train.de", target="train.en"), Path(data))
    pieces = PipelineConfig(tokenizer="bpe", vocab_size=vocabulary)
    config = TranslationConfig(joint_tokenizer=True, source=pieces, target=pieces)
    pipelines = Pipelines.train(config, corpus)
    both = pipelines.source, pipelines.target
    with tempfile.TemporaryDirectory() as cache:
        # The file stays readable while it is mapped, though its name is gone.
        return encode_corpus(corpus, *both, FilterConfig(), Path(cache)), pipelines


def planned(store: PairStore, options: Options) -> tuple[list[Batch], float]:
    """Returns the first full batches of an epoch, and the share of padding of all."""
    plan = Batches(store, BatchConfig(tokens=options.tokens), seed=1)
    gathered = map(store.gather, plan.plan(0))
    # The last pairs of a length are few.
    full = (one for one in gathered if int(one.target_out.lengths.sum()) > options.tokens / 2)
    kept = [batch for batch, _ in zip(full, range(options.repetitions + 1), strict=False)]
    return kept, padding(plan.plan(0), store)


def joint_ids(pipelines: Pipelines) -> Tensor:
    """Returns the id that each of the target's tokens has in the source's, larger, vocabulary."""
    texts = pipelines.target.tokens(range(len(pipelines.target)))
    found = pipelines.source.vocabulary.ids(texts)
    return torch.tensor([*range(EOS + 1), *found[EOS + 1 :]])


def random_pairs(options: Options, pairs: int = 64, length: int = 15) -> Pairs:
    """Returns synthetic batches without padding; somewhat more than half of all types are targets.

    As in the real text, where 4,273 of 8,004 are.
    """
    vocab = options.vocabulary + EOS + 1
    types = vocab * 8 // 15
    batches = [
        Batch(*(random_ids(most, pairs, length) for most in (vocab, types, types)))
        for _ in range(options.repetitions + 1)
    ]
    note = f"SYNTHETIC batches of {pairs} x {length}: {options.data} has no files of Multi30k"
    return Pairs(batches, vocab, types, torch.arange(types), note)


def random_ids(vocab: int, rows: int, steps: int) -> Padded:
    """Returns sequences of the same length, special symbols left out."""
    ids = torch.randint(EOS + 1, vocab, (rows, steps))
    return Padded(ids, torch.full((rows,), steps), rows * steps)


def reference(
    options: Options, cell: str = "lstm", *, feeding: bool = False, tied: bool = True
) -> Seq2SeqConfig:
    """Returns the reference model's configuration."""
    return Seq2SeqConfig(
        embedding_size=options.embedding,
        tie_embeddings=tied,
        encoder=EncoderConfig(cell=cell, layers=options.layers, hidden_size=options.hidden),
        decoder=DecoderConfig(
            cell=cell,
            layers=options.layers,
            hidden_size=options.hidden,
            input_feeding=feeding,
            output_size=0 if tied else options.hidden,
        ),
    )


def training(options: Options) -> Part:
    """Measures whole updates of a translator."""
    pairs = read_pairs(options)
    plain = baseline.Translator(
        pairs.source_vocab,
        pairs.source_vocab,
        embedding=options.embedding,
        source_embedding=options.embedding,
        hidden=options.hidden,
        layers=options.layers,
        output=options.hidden,
    )
    # As many products as the baseline has.
    same = build_seq2seq(
        reference(options, feeding=True, tied=False), pairs.source_vocab, pairs.source_vocab
    )
    flops = dict.fromkeys((BASELINE, SAME), pairs.flops(same))
    works = {PROBE: gemm(), BASELINE: plain_updates(plain, pairs.plain)}
    with tempfile.TemporaryDirectory() as folder:
        works[SAME] = updates(same, pairs.joined, "float32", Path(folder))
        for name, cell, feeding, precision in TRIED:
            config = reference(options, cell, feeding=feeding)
            model = build_seq2seq(config, pairs.source_vocab, pairs.target_vocab)
            flops[name] = pairs.flops(model)
            works[name] = updates(model, pairs.batches, precision, Path(folder))
        found = rounds(works, options.repetitions)
    work = "; ".join(f"{name}: {shown(one / 1e6)}" for name, one in flops.items())
    return Part(
        rates=rates(found, "target tokens", BASELINE, flops),
        notes=[pairs.note, f"MFLOP of training a target token: {work}"],
    )


def updates(model: nn.Module, batches: Sequence[Any], precision: str, folder: Path) -> Work:
    """Returns updates of one of the library's models, in target tokens."""
    config = TrainConfig(steps=10**6, precision=precision)  # type: ignore[arg-type]
    dtype = pick_precision(precision, torch.device("cpu"))
    trainer: Trainer[Any] = Trainer(model, config, folder, dtype=dtype)

    def work(number: int) -> float:
        batch = batches[number % len(batches)]
        trainer.update([batch])
        return float(batch.target_out.lengths.sum())

    return work


def plain_updates(model: nn.Module, batches: Sequence[tuple[tuple[Tensor, ...], Tensor]]) -> Work:
    """Returns updates of one of the baseline's models, in target tokens."""
    trainer = baseline.Trainer(model)

    def work(number: int) -> float:
        inputs, target = batches[number % len(batches)]
        trainer.update(inputs, target)
        return float((target != PAD).sum())

    return work


# --- training a language model


def language_model(options: Options, cell: str = "lstm") -> LanguageModel:
    """Returns a character model that drops nothing, as the baseline's."""
    layers = RecurrentConfig(
        cell=cell, layers=options.layers, hidden_size=options.hidden, dropout=0.0
    )
    config = LanguageModelConfig(layers=layers, output_dropout=0.0)
    return build_language_model(config, len(LETTERS) + EOS + 1)


def characters(options: Options) -> Part:
    """Measures whole updates of a character model."""
    vocab = len(LETTERS) + EOS + 1
    batches = [
        TextBatch(
            random_ids(vocab, options.rows, options.steps),
            random_ids(vocab, options.rows, options.steps),
            torch.zeros(options.rows, dtype=torch.bool),
        )
        for _ in range(2)
    ]
    same = [((batch.target_in.values,), batch.target_out.values) for batch in batches]
    model = language_model(options)
    plain = plain_characters(model)
    works = {PROBE: gemm(), BASELINE: plain_updates(plain, same)}
    flops: dict[str, float] = {BASELINE: TRAINING * token_flops(model)}
    with tempfile.TemporaryDirectory() as folder:
        for name, cell, feeding, precision in TRIED:
            if not feeding:
                model = language_model(options, cell)
                flops[name] = TRAINING * token_flops(model)
                works[name] = updates(model, batches, precision, Path(folder))
        found = rounds(works, options.repetitions)
    return Part(
        rates=rates(found, "characters", BASELINE, flops),
        notes=[f"batches of {options.rows} x {options.steps} random characters, no dropout"],
    )


def plain_characters(model: Any) -> baseline.Characters:
    """Returns the baseline's character model with the weights of one of the library's."""
    layers = len(model.decoder.layers.layers)
    vocab, embedding = model.input.weight.shape
    plain = baseline.Characters(
        vocab, embedding=embedding, hidden=model.head.weight.shape[1], layers=layers
    )
    named = weights(model)
    own = {
        "embedding.weight": named["input.weight"],
        "head.weight": named["head.weight"],
        "head.bias": named["head.bias"],
    }
    for layer in range(layers):
        for name, kind in (("ih", "input"), ("hh", "recurrent")):
            for part in ("weight", "bias"):
                theirs = f"decoder.layers.layers.{layer}.{part}_{kind}"
                own[f"lstm.{part}_{name}_l{layer}"] = named[theirs]
    plain.load_state_dict(own)
    return plain


# --- translating


def beam(options: Options) -> Part:
    """Measures beam search with 5 hypotheses."""
    return translating(options, 5)


def greedy(options: Options) -> Part:
    """Measures greedy search."""
    return translating(options, 1)


def translating(options: Options, size: int) -> Part:
    """Measures search: with a trained model from text to text, with random weights on ids."""
    return trained_search(options, size) if options.run else random_search(options, size)


def turns(side: Callable[[Sequence[ItemT]], object], items: Sequence[ItemT]) -> Work:
    """Returns the work of taking every second sentence, in turns; a turn has all lengths."""

    def work(number: int) -> float:
        some = items[number % 2 :: 2]
        side(some)
        return len(some)

    return work


@dataclass(frozen=True)
class Found:
    """A translation."""

    text: str
    ids: list[int]


def trained_search(options: Options, size: int) -> Part:
    """Measures translating the test set of a run, from text to text, and compares the texts."""
    translator = Translator.load(options.run, device="cpu")
    sources, references = test_set(options)
    plain = plain_translator(translator, options.run)
    pipelines = translator.pipelines

    def ordinary(texts: Sequence[str]) -> list[Found]:
        rows = baseline.translate(plain, pipelines.source.encode(texts), size, BATCH)
        return [Found(*one) for one in zip(pipelines.target.decode(rows), rows, strict=True)]

    sides: dict[str, Callable[[Sequence[str]], list[Found]]] = {BASELINE: ordinary}
    for precision in PRECISIONS:
        sides[precision] = library(options.run, precision, size)
    found = rounds(
        {name: turns(side, sources) for name, side in sides.items()}, options.repetitions
    )
    texts = {name: side(sources) for name, side in sides.items()}
    scores = ", ".join(
        f"{name} {bleu([one.text for one in some], references).value:.2f}"
        for name, some in texts.items()
    )
    notes = [f"{len(sources)} sentences of the run's test set, text to text; BLEU: {scores}"]
    for precision in PRECISIONS:
        notes += differences(translator, sources, texts[BASELINE], texts[precision], precision)
    return Part(rates=rates(found, "sentences", BASELINE), notes=notes)


def library(
    run: str, precision: SearchPrecision, size: int
) -> Callable[[Sequence[str]], list[Found]]:
    """Returns the library's own way from text to text."""
    translator = Translator.load(run, device="cpu", precision=precision)
    vocabulary = translator.pipelines.target.vocabulary

    def translate(texts: Sequence[str]) -> list[Found]:
        found = translator(texts, beam_size=size, batch_size=BATCH)
        return [Found(one.text, vocabulary.ids(one.target_tokens[:-1])) for one in found]

    return translate


def run_config(run: str) -> TranslationConfig:
    """Reads the configuration of a run whose model the baseline can be.

    Raises:
        ConfigError: The baseline has no such model.
    """
    config = read_config(Path(run))
    if isinstance(config, TranslationConfig):
        encoder, decoder = config.model.encoder, config.model.decoder
        odd = decoder.input_feeding or decoder.attention != "general" or decoder.residual
        odd = odd or encoder.layer_norm or decoder.layer_norm or not encoder.bidirectional
        same = (encoder.layers, encoder.hidden_size) == (decoder.layers, decoder.hidden_size)
        if same and not odd and {encoder.cell, decoder.cell} == {"lstm"}:
            return config
    raise ConfigError(
        f"{run}: is not a model of the baseline's kind; accepted: a translator with as many LSTM "
        "layers, as wide, on both sides, a bidirectional encoder and general attention alone"
    )


def test_set(options: Options) -> tuple[list[str], list[str]]:
    """Returns the first pairs of a run's test set; its folder may have moved to ``data``."""
    config = run_config(options.run)
    own = Path(config.data.folder)
    folder = own if own.is_dir() else Path(options.data)
    corpus = open_corpora(config.data.corpora("test"), folder)
    pairs = [pair for pair, _ in zip(corpus.pairs(), range(options.sentences), strict=False)]
    return [source for source, _ in pairs], [target for _, target in pairs]


def plain_translator(translator: Translator, run: str) -> baseline.Translator:
    """Returns the baseline's model with a run's weights."""
    residual = run_config(run).model.encoder.residual
    return baseline.plain(weights(translator.models[0]), residual=residual)


def differences(
    translator: Translator,
    sources: Sequence[str],
    expected: Sequence[Found],
    found: Sequence[Found],
    name: str,
) -> list[str]:
    """Says how many texts differ, and by how much the float32 model prefers either.

    A gap above 0 says that the library's text is likelier than the baseline's.
    """
    rows = translator.pipelines.source.encode(sources)
    gaps = [
        (score(translator, row, new.ids) - score(translator, row, old.ids), old.text, new.text)
        for row, old, new in zip(rows, expected, found, strict=True)
        if old.text != new.text
    ]
    same = len(sources) - len(gaps)
    lines = [f"{name}: {same} of {len(sources)} texts are the baseline's"]
    if gaps:
        sizes = [abs(gap) for gap, _, _ in gaps]
        lines[0] += (
            f"; gaps of the others, in nats a token: median {statistics.median(sizes):.5f}, "
            f"most {max(sizes):.5f}"
        )
    worst = sorted(gaps, key=lambda one: -abs(one[0]))[:3]
    return lines + [f"{name}: gap {gap:+.5f}: {old!r} became {new!r}" for gap, old, new in worst]


@torch.inference_mode()
def score(translator: Translator, source: Sequence[int], target: Sequence[int]) -> float:
    """Returns the mean log-probability of a translation, its end counted."""
    batch = make_batch(*flatten([source]), *flatten([target]))
    nats = CrossEntropy()(translator.models[0], batch, None).nats
    return -float(nats) / (len(target) + 1)


def random_search(options: Options, size: int) -> Part:
    """Measures search with random weights; nothing ends before its time."""
    vocab = options.vocabulary + EOS + 1
    model: Any = build_seq2seq(reference(options), vocab, vocab * 8 // 15).eval()
    with torch.no_grad():
        # The baseline's greedy search cannot force a length, but nobody ends by chance.
        model.head.bias[EOS] = -1e4 if size == 1 else 0.0
    plain = baseline.plain(weights(model), residual=False)
    sources = random_ids(vocab, options.sentences, FORCED).values.tolist()
    forced = 0 if size == 1 else FORCED
    sides: dict[str, Callable[[Sequence[list[int]]], list[list[int]]]] = {
        BASELINE: lambda rows: baseline.translate(plain, rows, size, BATCH, exactly=forced)
    }
    config = SearchConfig(beam_size=size, min_length=forced, max_length=forced)
    for precision in PRECISIONS:
        sides[precision] = searching(model.fold(precision), config)
    works = {name: turns(side, sources) for name, side in sides.items()}
    found = rounds(works, options.repetitions)
    texts = {name: side(sources) for name, side in sides.items()}
    notes = [f"RANDOM weights, sources of {FORCED} tokens, ids to ids: give --run for real texts"]
    for precision in PRECISIONS:
        pairs = zip(texts[precision], texts[BASELINE], strict=True)
        same = sum(one == other for one, other in pairs)
        notes.append(f"{precision}: {same} of {len(sources)} are the baseline's")
    return Part(rates=rates(found, "sentences", BASELINE), notes=notes)


def searching(
    model: FoldedSeq2Seq, config: SearchConfig
) -> Callable[[Sequence[list[int]]], list[list[int]]]:
    """Returns the library's search from ids to ids."""

    def search(rows: Sequence[list[int]]) -> list[list[int]]:
        texts: list[list[int]] = []
        for start in range(0, len(rows), BATCH):
            source = pad(*flatten(rows[start : start + BATCH]))
            found = search_for(model, source, config)
            texts += [list(hypotheses[0].ids) for hypotheses in found]
        return texts

    return search


# --- what is asked of texts


def decoding(options: Options) -> Part:
    """Measures what each way to search costs beside beam search, with random weights.

    No text has its terms by chance, so each is searched for twice.
    """
    vocab = options.vocabulary + EOS + 1
    model = build_seq2seq(reference(options), vocab, vocab).eval().fold("float32")
    source = random_ids(vocab, min(options.sentences, BATCH), FORCED)
    count = len(source.lengths)
    phrases = random_ids(vocab, 3 * count, 2).values.tolist()
    plain = SearchConfig(beam_size=5, min_length=FORCED, max_length=FORCED)
    drawn = replace(plain, strategy="sampling")

    def asked(of: Callable[[int], Asked]) -> list[Asked]:
        return [of(number) for number in range(count)]

    def with_terms(number: int, terms: int) -> Asked:
        own = phrases[number * 3 :][:terms]
        return Asked(number, terms=tuple(Term((tuple(one),)) for one in own))

    ways: dict[str, tuple[SearchConfig, list[Asked]]] = {
        BEAM: (plain, asked(Asked)),
        "prefix": (plain, asked(lambda number: Asked(number, tuple(phrases[number])))),
        "coverage penalty": (replace(plain, coverage_penalty=0.2), asked(Asked)),
        "diverse, 5 groups": (replace(plain, strategy="diverse", groups=5), asked(Asked)),
        "1 term": (plain, asked(lambda number: with_terms(number, 1))),
        "3 terms": (plain, asked(lambda number: with_terms(number, 3))),
        "sampling": (drawn, asked(Asked)),
    }
    works = {name: looking(model, source, *way) for name, way in ways.items()}
    note = f"RANDOM weights, sources of {FORCED} tokens, ids to ids"
    return Part(rates=rates(rounds(works, options.repetitions), "sentences", BEAM), notes=[note])


def looking(
    model: FoldedSeq2Seq, source: Padded, config: SearchConfig, asked: Sequence[Asked]
) -> Work:
    """Returns the work of searching a batch."""

    def work(number: int) -> float:
        return float(len(search_for(model, source, config, 1, asked)))

    return work


# --- generating


def generation(options: Options) -> Part:
    """Measures generating characters, one text and many; nobody ends by chance."""
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), [LETTERS])
    model: Any = language_model(options).eval()
    with torch.no_grad():
        model.head.bias[: EOS + 1] = -1e4
    plain = plain_characters(model).eval()
    prompt = torch.tensor([[BOS, *pipeline.encode([LETTERS[:8]])[0]]])
    makers = {p: Generator(model, pipeline, SamplingConfig(temperature=0.0), p) for p in PRECISIONS}
    found: dict[str, Rate] = {}
    notes = []
    for streams, length in ((1, options.length), (options.streams, options.length // 4)):
        sides = {BASELINE: plain_texts(plain, pipeline, prompt.expand(streams, -1), length)}
        for precision, maker in makers.items():
            sides[precision] = texts_of(maker, streams, length)
        works = {name: counted(side) for name, side in sides.items()}
        own = rates(rounds(works, options.repetitions), "characters", BASELINE)
        title = "one text" if streams == 1 else f"{streams} texts"
        found |= {f"{title}, {name}": rate for name, rate in own.items()}
        same = sides["float32"]() == sides[BASELINE]()
        notes.append(f"{title}: float32 and the baseline {'agree' if same else 'DIFFER'}")
    return Part(rates=found, notes=notes)


def plain_texts(
    model: baseline.Characters, pipeline: Pipeline, prompts: Tensor, length: int
) -> Callable[[], list[str]]:
    """Returns the baseline's way to texts."""
    return lambda: pipeline.decode(model.generate(prompts, length).tolist())


def texts_of(generator: Generator, streams: int, length: int) -> Callable[[], list[str]]:
    """Returns the library's own way to texts, the likeliest character each time."""
    prompt = LETTERS[:8]

    def texts() -> list[str]:
        if streams == 1:
            return ["".join(generator.stream(prompt, length=length, seed=1))]
        return [one.text for one in generator.samples(prompt, streams, length=length, seed=1)]

    return texts


def counted(side: Callable[[], list[str]]) -> Work:
    """Returns work in characters."""
    return lambda number: float(sum(map(len, side())))


# --- text, and the start


def tokenization(options: Options) -> Part:
    """Measures encoding; each round has lines of its own."""
    lines, note = some_lines(options)
    bpe = PipelineConfig(tokenizer="bpe", vocab_size=min(options.vocabulary, 8000))
    char = PipelineConfig(tokenizer="char", vocab_size=0)
    pipelines = {name: Pipeline.train(one, lines) for name, one in (("BPE", bpe), ("char", char))}
    works = {name: encoding(pipeline, lines, options.lines) for name, pipeline in pipelines.items()}
    return Part(rates=rates(rounds(works, options.repetitions), "MB"), notes=[note])


def some_lines(options: Options) -> tuple[list[str], str]:
    """Returns German lines, or lines of numbers, and says which."""
    path = Path(options.data) / "train.de"
    if path.is_file():
        return path.read_text(encoding="utf-8").splitlines(), "Multi30k's German lines"
    numbers = torch.randint(10**5, (options.lines, 12)).tolist()
    made = [" ".join(f"{one:x}" for one in row) for row in numbers]
    return made, f"SYNTHETIC lines: {options.data} has no files of Multi30k"


def encoding(pipeline: Pipeline, lines: Sequence[str], count: int) -> Work:
    """Returns the work of encoding lines, in MB of UTF-8."""

    def work(number: int) -> float:
        start = number * count % len(lines)
        some = lines[start : start + count]
        pipeline.encode(some)
        return sum(len(line.encode()) for line in some) / 1e6

    return work


def start_up(options: Options) -> Part:
    """Measures what a user waits for before anything happens."""
    python = sys.executable
    commands = {
        "import torch": [python, "-c", "import torch"],
        "import seq2seq": [python, "-c", "import seq2seq"],
        "seq2seq --help": [python, "-m", "seq2seq.cli", "--help"],
    }
    if options.run:
        name = "seq2seq translate, one line"
        commands[name] = [python, "-m", "seq2seq.cli", "translate", options.run]
    works = {name: started(command) for name, command in commands.items()}
    return Part(rates=rates(rounds(works, options.repetitions, 0.0), "starts"), notes=[])


def started(command: Sequence[str]) -> Work:
    """Returns a whole process, which reads a line."""

    def work(number: int) -> float:
        line = "Ein Mann liest.\n"
        subprocess.run(command, input=line, check=True, stdout=subprocess.DEVNULL, text=True)
        return 1.0

    return work


def probe(options: Options) -> Part:
    """Measures the machine."""
    return Part(rates=rates(rounds({PROBE: gemm()}, options.repetitions), "GFLOP"), notes=[])


PARTS: Mapping[str, Callable[[Options], Part]] = {
    "training": training,
    "characters": characters,
    "beam": beam,
    "greedy": greedy,
    "decoding": decoding,
    "generation": generation,
    "tokenization": tokenization,
    "start-up": start_up,
    "probe": probe,
}
