"""How fast a device trains, searches and generates, beside what a user of torch would write."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import nn

import seq2seq
from seq2seq.data.layout import flatten, pad
from seq2seq.models.seq2seq import build_seq2seq, fold_model
from seq2seq.search.config import SamplingConfig, SearchConfig
from seq2seq.search.replay import Replayed
from seq2seq.search.strategies import search
from seq2seq.symbols import BOS, EOS
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.loader import brought
from seq2seq.training.state import weights
from seq2seq.training.trainer import Trainer
from tests.benchmarks import baseline
from tests.benchmarks.flops import pair_flops, token_flops
from tests.benchmarks.parts import (
    FORCED,
    LETTERS,
    Options,
    Pairs,
    language_model,
    plain_characters,
    random_ids,
    random_pairs,
    read_pairs,
    reference,
)
from tests.gpu.case import Case, Figures, Setting, allowing_tf32
from tests.gpu.plain import WholeSequences

PLAIN, FROZEN = "nn.LSTM", "baseline"
TRAINED = ("lstm", "gru", "sru", "mingru")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
RECIPE = Path(__file__).parents[2] / "recipes" / "multi30k" / "de-en.yaml"
SMALL = Options(
    vocabulary=60, embedding=16, hidden=16, tokens=60, rows=4, steps=12, length=6, streams=4
)
"""What a processor runs through in seconds."""
SECONDS = 1.5
"""How long each figure is measured."""
Work = Callable[[], float]
"""Does some work on the device; returns how many units it was."""


@dataclass
class Board:
    """What was measured so far, so that later figures can be set beside it."""

    setting: Setting
    rates: dict[str, float] = field(default_factory=dict)
    flops: dict[torch.dtype, float] = field(default_factory=dict)
    """Floating-point operations a second that products reach."""

    @property
    def options(self) -> Options:
        """Returns how large the models and batches are."""
        if self.setting.short:
            return SMALL
        data = (self.setting.data or Path()) / "multi30k"
        return Options(data=str(data), sentences=1024)

    def rate(
        self,
        name: str,
        work: Work,
        group: str,
        unit: str,
        *,
        dtype: torch.dtype | None = None,
        flops: float = 0.0,
    ) -> Figures:
        """Measures some work, and sets it beside the others of its group.

        ``flops`` are the operations of a unit, ``dtype`` the numbers that they are made of.
        """
        device = self.setting.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        found = timed(work, device, 0.0 if self.setting.short else SECONDS)
        median = statistics.median(found)
        self.rates[f"{group}: {name}"] = median
        figures: dict[str, float | str] = {
            "rate": median,
            "unit": f"{unit}/s",
            "least": min(found),
            "most": max(found),
        }
        for other in (FROZEN, PLAIN):
            beside = self.rates.get(f"{group}: {other}")
            if beside is not None:
                figures[f"x {other}"] = median / beside
        peak = self.flops.get(dtype) if dtype is not None else None
        if peak and flops:
            figures["of the roofline"] = median * flops / peak
        if device.type == "cuda":
            figures["peak MB"] = torch.cuda.max_memory_allocated(device) / 1e6
        return figures


def timed(work: Work, device: torch.device, seconds: float) -> list[float]:
    """Returns the units a second of each round: three, or as many as fit into ``seconds``.

    One round before is to warm up. On a GPU, events there tell the time; on a processor, the clock.
    """
    started = time.perf_counter()
    work()
    if device.type != "cuda":
        found = list[float]()
        while not found or time.perf_counter() - started < seconds:
            begun = time.perf_counter()
            found.append(work() / (time.perf_counter() - begun))
        return found
    torch.cuda.synchronize(device)
    started, spans = time.perf_counter(), list[tuple[float, Any, Any]]()
    while len(spans) < 3 or time.perf_counter() - started < seconds:
        first, last = (
            torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            for _ in range(2)
        )
        first.record()
        units = work()
        last.record()
        spans.append((units, first, last))
    torch.cuda.synchronize(device)
    return [1e3 * units / first.elapsed_time(last) for units, first, last in spans]


def cases(setting: Setting) -> Iterator[Case]:
    """Yields all figures: those that others are set beside come first."""
    board = Board(setting)
    for dtype in DTYPES:
        yield Case("card", f"product, {numbers(dtype)}", partial(product_of, board, dtype))
    yield Case("card", "product, tf32", partial(product_of, board, torch.float32, tf32=True))
    yield Case("card", "copy", partial(copying, board))
    for tokens in (4096, 32768):
        yield from training(board, tokens)
    yield from translating(board)
    yield from generating(board)
    yield Case("recipe", "Multi30k, German to English", recipe)


def product_of(
    board: Board, dtype: torch.dtype, setting: Setting, *, tf32: bool = False
) -> Figures:
    """Measures products of matrices: what the roofline is made of.

    In float32 that is tf32's, the last measured: torch lets recurrent layers use it.
    """
    shapes = ((256, 128, 256),) if setting.short else ((4096, 512, 8000), (8192, 8192, 8192))
    best: Figures = {}
    for rows, inner, columns in shapes:
        left = torch.randn(rows, inner, device=setting.device, dtype=dtype)
        right = torch.randn(inner, columns, device=setting.device, dtype=dtype)

        def work(left: Any = left, right: Any = right, size: int = rows * inner * columns) -> float:
            for _ in range(10):
                left @ right
            return 10 * 2 * size / 1e12

        name = f"{rows}x{inner}x{columns}, {dtype}"
        with allowing_tf32(tf32):
            found = board.rate(name, work, "product", "TFLOP")
        best = max((one for one in (best, found) if one), key=lambda one: float(one["rate"]))
    board.flops[dtype] = 1e12 * float(best["rate"])
    return best


def copying(board: Board, setting: Setting) -> Figures:
    """Measures how fast memory is read and written."""
    source = torch.randn(2**16 if setting.short else 2**29, device=setting.device)
    target = torch.empty_like(source)

    def work() -> float:
        target.copy_(source)
        return 2 * source.nbytes / 1e9

    return board.rate("copy", work, "copy", "GB")


# --- training


@contextmanager
def made_on(device: torch.device) -> Iterator[None]:
    """Lets the baseline, which was written for a processor, make its tensors on ``device``.

    ``with device:`` would do so, too, and add microseconds to every call of torch.
    """
    names = ("arange", "full", "ones")
    factories = {name: partial(getattr(torch, name), device=device) for name in names}
    elsewhere = SimpleNamespace(**{**vars(torch), **factories})
    with mock.patch.object(baseline, "torch", elsewhere):
        yield


def batches_of(board: Board, tokens: int) -> Pairs:
    """Returns batches of so many tokens, of Multi30k where it is."""
    options = board.options
    if board.setting.short:
        return random_pairs(replace(options, repetitions=1), pairs=6, length=5)
    if board.setting.data is None:
        return random_pairs(replace(options, repetitions=5), pairs=tokens // 16, length=16)
    few = min(9, 3 * 32768 // tokens)
    return read_pairs(replace(options, tokens=tokens, repetitions=few))


def training(board: Board, tokens: int) -> Iterator[Case]:
    """Yields training with batches of so many tokens."""
    for other, dtype in product((FROZEN, PLAIN), DTYPES[:2]):
        run = partial(plain_training, board, tokens, other, dtype)
        yield Case("training speed", f"{tokens:,} tokens, {other}, {numbers(dtype)}", run)
    for cell, dtype in product(TRAINED, DTYPES):
        run = partial(own_training, board, tokens, cell, dtype, False)
        yield Case("training speed", f"{tokens:,} tokens, {cell}, {numbers(dtype)}", run)
    for cell in TRAINED:
        run = partial(own_training, board, tokens, cell, torch.bfloat16, True)
        yield Case("training speed", f"{tokens:,} tokens, {cell}, bfloat16, replayed", run)


def numbers(dtype: torch.dtype) -> str:
    """Returns the name of a type."""
    return str(dtype).removeprefix("torch.")


def compared(tokens: int, dtype: torch.dtype) -> str:
    """Returns what is compared with each other: float16 is set beside torch's bfloat16."""
    half = torch.float32 if dtype == torch.float32 else torch.bfloat16
    return f"training, {tokens}, {numbers(half)}"


def plain_training(
    board: Board, tokens: int, other: str, dtype: torch.dtype, setting: Setting
) -> Figures:
    """Measures what a user of torch would write; its batches are on the device already."""
    options, pairs = board.options, batches_of(board, tokens)
    vocabularies = pairs.source_vocab, pairs.source_vocab
    sizes: dict[str, Any] = {
        "embedding": options.embedding,
        "hidden": options.hidden,
        "layers": options.layers,
    }
    if other == FROZEN:
        model: nn.Module = baseline.Translator(
            *vocabularies,
            source_embedding=options.embedding,
            output=options.hidden,
            **sizes,
        )
        twin = build_seq2seq(reference(options, feeding=True, tied=False), *vocabularies)
    else:
        vocabularies = pairs.source_vocab, pairs.target_vocab
        model = WholeSequences(*vocabularies, **sizes)
        twin = build_seq2seq(reference(options), *vocabularies)
    trainer = baseline.Trainer(model.to(setting.device))
    plain = pairs.plain if other == FROZEN else narrow(pairs)
    there = [
        (tuple(one.to(setting.device) for one in inputs), target.to(setting.device))
        for inputs, target in plain
    ]
    units = sum(one.predictions for one in pairs.batches)

    def work() -> float:
        on = torch.autocast(setting.device.type, dtype, dtype != torch.float32)
        with on, made_on(setting.device):
            for inputs, target in there:
                trainer.update(inputs, target)
        return float(units)

    flops = pairs.flops(twin)
    return board.rate(other, work, compared(tokens, dtype), "tokens", dtype=dtype, flops=flops)


def narrow(pairs: Pairs) -> list[Any]:
    """Returns the batches as the baseline takes them, with the target's own vocabulary."""
    return [
        (
            (batch.source.values, batch.source.lengths, batch.target_in.values),
            batch.target_out.values,
        )
        for batch in pairs.batches
    ]


def own_training(
    board: Board, tokens: int, cell: str, dtype: torch.dtype, replay: bool, setting: Setting
) -> Figures:
    """Measures the library's own updates; its loader brings the batches to the device."""
    if setting.device.type == "cpu" and dtype == torch.float16:
        cell = "gru"  # a processor's LSTM has no float16
    pairs = batches_of(board, tokens)
    model = build_seq2seq(
        reference(board.options, cell), pairs.source_vocab, pairs.target_vocab
    ).to(setting.device)
    units = sum(one.predictions for one in pairs.batches)
    with TemporaryDirectory() as folder:
        config = TrainConfig(steps=10**6)
        trainer: Trainer[Any] = Trainer(model, config, Path(folder), dtype=dtype, replay=replay)

        def work() -> float:
            for batch in brought(iter(pairs.batches), setting.device):
                trainer.update([batch])
            return float(units)

        name = f"{cell}, {numbers(dtype)}, {replay}"
        flops = pairs.flops(model)
        return board.rate(name, work, compared(tokens, dtype), "tokens", dtype=dtype, flops=flops)


# --- search


def translating(board: Board) -> Iterator[Case]:
    """Yields searches with random weights, at a forced length."""
    for size, batch in product((5, 1), (64, 512)):
        name = f"{'beam 5' if size == 5 else 'greedy'}, batches of {batch}"
        yield Case("search speed", f"{name}, {FROZEN}", partial(plain_search, board, size, batch))
        for replay in (False, True):
            run = partial(own_search, board, size, batch, replay)
            yield Case("search speed", f"{name}{', replayed' if replay else ''}", run)


def search_model(board: Board, size: int) -> tuple[Any, list[list[int]]]:
    """Returns a model that never ends by chance, and sources."""
    options = board.options
    torch.manual_seed(1)
    vocab = options.vocabulary + EOS + 1
    model: Any = build_seq2seq(reference(options), vocab, vocab * 8 // 15).eval()
    with torch.no_grad():
        # The baseline's greedy search cannot force a length, but nobody ends by chance.
        model.head.bias[EOS] = -1e4 if size == 1 else 0.0
    count = 6 if board.setting.short else options.sentences
    rows: list[list[int]] = random_ids(vocab, count, FORCED).values.tolist()
    return model, rows


def sentence_flops(model: Any, size: int) -> float:
    """Returns the operations of a sentence's search, its end counted."""
    per, steps = pair_flops(model), FORCED if size > 1 else 2 * FORCED + 20
    target = size * (steps + 1) * (per.target_step + FORCED * per.looks)
    return float(FORCED * per.source_step + per.pair + target)


def plain_search(board: Board, size: int, batch: int, setting: Setting) -> Figures:
    """Measures the baseline's search."""
    model, rows = search_model(board, size)
    plain = baseline.plain(weights(model), residual=False).to(setting.device)
    few = rows[: max(128, batch)]

    def work() -> float:
        with made_on(setting.device):
            for start in range(0, len(few), batch):
                source = torch.tensor(few[start : start + batch]).to(setting.device)
                lengths = torch.full((len(source),), FORCED, device=setting.device)
                if size == 1:
                    baseline.greedy_search(plain, source, lengths)
                else:
                    baseline.beam_search(plain, source, lengths, size, FORCED)
        return float(len(few))

    flops = sentence_flops(model, size)
    group = f"search, {size}, {batch}"
    return board.rate(FROZEN, work, group, "sentences", dtype=torch.float32, flops=flops)


def own_search(board: Board, size: int, batch: int, replay: bool, setting: Setting) -> Figures:
    """Measures the library's search in float32, from ids to ids."""
    model, rows = search_model(board, size)
    stepper: Any = fold_model(model.to(setting.device), "float32")
    stepper = Replayed(stepper) if replay else stepper
    forced = 0 if size == 1 else FORCED
    config = SearchConfig(beam_size=size, min_length=forced, max_length=forced)

    def work() -> float:
        for start in range(0, len(rows), batch):
            source = pad(*flatten(rows[start : start + batch])).to(setting.device)
            search(stepper, source, config)
        return float(len(rows))

    flops = sentence_flops(model, size)
    name, group = f"replayed {replay}", f"search, {size}, {batch}"
    return board.rate(name, work, group, "sentences", dtype=torch.float32, flops=flops)


# --- generation


def generating(board: Board) -> Iterator[Case]:
    """Yields the generation of characters, one text and many."""
    for streams in (1, board.options.streams):
        name = f"{streams} text{'s' if streams > 1 else ''}"
        yield Case(
            "generation speed", f"{name}, {PLAIN}", partial(plain_generation, board, streams)
        )
        for replay in (False, True):
            run = partial(own_generation, board, streams, replay)
            yield Case("generation speed", f"{name}{', replayed' if replay else ''}", run)


def generation_model(board: Board) -> tuple[Any, Pipeline]:
    """Returns a character model that never ends by chance."""
    torch.manual_seed(1)
    model: Any = language_model(board.options).eval()
    with torch.no_grad():
        model.head.bias[: EOS + 1] = -1e4
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), [LETTERS])
    return model, pipeline


def plain_generation(board: Board, streams: int, setting: Setting) -> Figures:
    """Measures ``nn.LSTM`` called for each character."""
    model, pipeline = generation_model(board)
    plain = plain_characters(model).eval().to(setting.device)
    prompt = torch.tensor([[BOS, *pipeline.encode([LETTERS[:8]])[0]]]).expand(streams, -1)
    length = board.options.length

    def work() -> float:
        made = plain.generate(prompt.to(setting.device), length)
        return float(sum(map(len, pipeline.decode(made.tolist()))))

    group, flops = f"generation, {streams}", token_flops(model)
    return board.rate(PLAIN, work, group, "characters", dtype=torch.float32, flops=flops)


def own_generation(board: Board, streams: int, replay: bool, setting: Setting) -> Figures:
    """Measures the library's whole path, sampling included."""
    model, pipeline = generation_model(board)
    sampling = SamplingConfig(temperature=0.0)
    generator = Generator(model.to(setting.device), pipeline, sampling, replay=replay)
    length = board.options.length

    def work() -> float:
        some = generator.samples(LETTERS[:8], streams, length=length, seed=1)
        return float(sum(len(one.text) for one in some))

    name, group, flops = f"replayed {replay}", f"generation, {streams}", token_flops(model)
    return board.rate(name, work, group, "characters", dtype=torch.float32, flops=flops)


# --- the recipe


def recipe(setting: Setting) -> Figures:
    """Trains the Multi30k recipe for a while; without its data, two updates on a few pairs."""
    overrides: dict[str, object] = {
        "folder": str(setting.folder / "recipe"),
        "train.device": setting.device.type,
    }
    if setting.short or setting.data is None:
        few = [(f"Satz {number} von zehn", f"sentence {number} of ten") for number in range(10)]
        overrides |= {"source.tokenizer": "char", "target.tokenizer": "char"}
        overrides |= {"model.encoder.hidden_size": 16, "model.decoder.hidden_size": 16}
        overrides |= {"model.encoder.embedding_size": 16, "model.embedding_size": 16}
        seq2seq.train(RECIPE, overrides, data={"train": few, "valid": few}, dry_run=True)
        return {"data": "ten pairs", "updates": "2"}
    overrides |= {
        "data.folder": str(setting.data / "multi30k"),
        "train.steps": 0,
        "train.minutes": setting.minutes,
    }
    run = seq2seq.train(RECIPE, overrides)
    rates = [row["tokens_per_second"] for row in run.history if "tokens_per_second" in row]
    return {
        "validation BLEU": run.best["bleu"],
        "rate": statistics.median(rates),
        "unit": "tokens/s",
        "updates": str(run.history[-1]["step"]),
        "minutes": run.history[-1]["minutes"],
    }
