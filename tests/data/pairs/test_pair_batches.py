import os
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.pairs.batches import BatchConfig, Batches, padding
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.store import FilterConfig, PairStore, encode_corpus
from seq2seq.errors import ConfigError
from seq2seq.symbols import BOS, EOS
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig

LENGTHS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60)
CONFIGS = st.builds(BatchConfig, tokens=st.integers(1, 200), sentences=st.integers(0, 7))
SEEDS, EPOCHS = st.integers(0, 2**31), st.integers(0, 1000)
MULTI30K = Path(
    os.environ.get("SEQ2SEQ_DATA", Path(__file__).parents[3] / ".." / "shared" / "data")
).resolve()


def store_of(lengths: list[tuple[int, int]]) -> PairStore:
    """Pair number n holds only the token n + 4."""
    rows = [([n + 4] * source, [n + 4] * target) for n, (source, target) in enumerate(lengths)]
    return PairStore(
        pa.table({"source": [one for one, _ in rows], "target": [two for _, two in rows]})
    )


def same(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(getattr(one, side).values, getattr(other, side).values)
        and torch.equal(getattr(one, side).lengths, getattr(other, side).lengths)
        for side in ("source", "target_in", "target_out")
    )


@settings(deadline=None)
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS)
def test_each_pair_comes_once_an_epoch_within_the_budget(
    lengths: list[tuple[int, int]], config: BatchConfig, seed: int, epoch: int
) -> None:
    batches = Batches(store_of(lengths), config, seed)
    seen = []
    for batch in batches.epoch(epoch):
        rows = batch.source.values[:, 0] - 4
        assert torch.equal(batch.target_out.values[:, 0] - 4, rows)
        seen += rows.tolist()
        longest = max(batch.source.values.shape[1], batch.target_in.values.shape[1])
        assert len(rows) == 1 or len(rows) * longest <= config.tokens
        assert not config.sentences or len(rows) <= config.sentences
    assert sorted(seen) == list(range(len(lengths)))


@settings(deadline=None, max_examples=30)
@given(LENGTHS, CONFIGS, SEEDS, EPOCHS, st.data())
def test_an_epoch_goes_on_from_any_position(
    lengths: list[tuple[int, int]],
    config: BatchConfig,
    seed: int,
    epoch: int,
    data: st.DataObject,
) -> None:
    store = store_of(lengths)
    batches = Batches(store, config, seed)
    whole = list(batches.epoch(epoch))
    assert len(whole) == batches.size(epoch)
    start = data.draw(st.integers(0, len(whole)))
    rest = list(Batches(store, config, seed).epoch(epoch, start))
    assert len(rest) == len(whole) - start
    assert all(map(same, whole[start:], rest))


def test_epochs_and_seeds_differ() -> None:
    store = store_of([(n % 9 + 1, n % 7 + 1) for n in range(60)])
    config = BatchConfig(tokens=40)
    plans = {
        tuple(map(tuple, Batches(store, config, seed).plan(epoch)))
        for seed in (1, 2)
        for epoch in range(3)
    }
    assert len(plans) == 6


def test_the_order_of_a_small_store() -> None:
    lengths = [(2, 3), (1, 2), (2, 1), (1, 5), (3, 3), (2, 3), (1, 2), (4, 1)]
    batches = Batches(store_of(lengths), BatchConfig(tokens=8), seed=7)
    assert [rows.tolist() for rows in batches.plan(0)] == [[7], [0, 5], [2, 4], [6, 1], [3]]


def test_a_side_may_be_longer_than_16_bits_can_tell() -> None:
    lengths = [(1, 1), (70_000, 2), (1, 2), (66_000, 1), (2, 65_535)]
    plan = Batches(store_of(lengths), BatchConfig(tokens=10), seed=1).plan(0)
    assert sorted(sorted(rows.tolist()) for rows in plan) == [[0, 2], [1], [3], [4]]


def test_an_epoch_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = []
    plan = Batches._plan

    def counted(batches: Batches, epoch: int) -> list[np.ndarray]:
        planned.append(epoch)
        return plan(batches, epoch)

    monkeypatch.setattr(Batches, "_plan", counted)
    batches = Batches(store_of([(3, 3)] * 9), BatchConfig(tokens=8), seed=1)
    for epoch in (0, 1):
        assert batches.size(epoch) == len(list(batches.epoch(epoch))) == len(batches.plan(epoch))
    assert planned == [0, 1]


def peak_of_reading(table: pa.Table) -> int:
    """Returns the most bytes at once while a store is opened, and two epochs are planned."""
    tracemalloc.start()
    try:
        batches = Batches(PairStore(table), BatchConfig(tokens=4000), seed=1)
        for epoch in (0, 1):
            assert batches.size(epoch) == len(batches.plan(epoch))
            next(batches.epoch(epoch))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_another_pair_needs_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seq2seq.data.pairs.batches.ROWS_AT_ONCE", 1000)
    few, many = 10_000, 40_000
    offsets = np.arange(0, 10 * many + 1, 10, dtype=np.int32)
    column = pa.ListArray.from_arrays(offsets, np.full(10 * many, 4, np.int32))
    table = pa.table({"source": column, "target": column})
    small = table.slice(0, few)
    peaks = [peak_of_reading(one) for one in (small, small, table)]  # the first loads what all need
    assert (peaks[2] - peaks[1]) / (many - few) < 32


def share(store: PairStore, tokens: int = 2000) -> float:
    return padding(Batches(store, BatchConfig(tokens=tokens), seed=1).plan(0), store)


def test_padding_counts_both_sides() -> None:
    store = store_of([(1, 1), (3, 3)])  # source 1 + 3 of 6, target and end symbol 2 + 4 of 8
    assert padding([np.array([0, 1])], store) == pytest.approx(4 / 14)
    assert padding([np.array([0]), np.array([1])], store) == 0


def test_little_padding_on_lengths_like_those_of_captions() -> None:
    rng = np.random.default_rng(1)
    source = np.clip(rng.lognormal(2.5, 0.35, 20_000).round(), 3, 60).astype(int)
    target = np.clip((source * rng.normal(1.05, 0.12, 20_000)).round(), 3, 60).astype(int)
    assert share(store_of(list(zip(source.tolist(), target.tolist(), strict=True)))) < 0.05


def test_little_padding_on_multi30k() -> None:
    texts = [MULTI30K / "multi30k" / f"train.{language}" for language in ("de", "en")]
    if not all(path.is_file() for path in texts):
        pytest.skip(f"no {texts[0]}; SEQ2SEQ_DATA names the folder that holds multi30k")
    sides = [path.read_text(encoding="utf-8").split("\n")[:-1] for path in texts]
    lengths = [(len(a.split()), len(b.split())) for a, b in zip(*sides, strict=True) if a and b]
    assert share(store_of(lengths)) < 0.05


# --- other subwords in each epoch

PAIRS: list[Pair] = [(f"das ist der Satz Nummer {n}", f"this is sentence {n}") for n in range(30)]


@pytest.fixture(scope="module")
def resampled(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    config = PipelineConfig(tokenizer="bpe", vocab_size=300, sampling=0.5)
    sides = [Pipeline.train(config, [pair[side] for pair in PAIRS]) for side in (0, 1)]
    cache = tmp_path_factory.mktemp("cache")
    corpus = Corpus.of(PAIRS)
    store = encode_corpus(corpus, sides[0], sides[1], FilterConfig(), cache, keep_text=True)
    return Batches(store, BatchConfig(tokens=120), seed=3, resample=(sides[0], sides[1]))


def test_resampling_keeps_the_texts(resampled: Batches) -> None:
    assert resampled.resample is not None
    source, target = resampled.resample
    found = []
    for batch in resampled.epoch(0):
        assert (batch.target_in.values[:, 0] == BOS).all()
        ends = batch.target_out.lengths[:, None] - 1
        assert (batch.target_out.values.gather(1, ends) == EOS).all()
        texts = zip(
            source.decode(batch.source.values.tolist()),
            target.decode(batch.target_out.values.tolist()),
            strict=True,
        )
        found += list(texts)
    assert sorted(found) == sorted(PAIRS)


def test_resampling_is_a_function_of_seed_epoch_and_position(resampled: Batches) -> None:
    first = list(resampled.epoch(0))
    assert all(map(same, first, resampled.epoch(0)))
    assert all(map(same, first[3:], resampled.epoch(0, 3)))
    tokens = [sum(int(b.source.lengths.sum()) for b in resampled.epoch(epoch)) for epoch in (0, 1)]
    plain = int(resampled.store.source_lengths.sum())
    assert len({*tokens, plain}) == 3


@pytest.mark.parametrize(("key", "least", "value"), [("tokens", 1, 0), ("sentences", 0, -1)])
def test_refused_sizes(key: str, least: int, value: int) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: must be at least {least}, got {value}$"):
        BatchConfig(**{key: value})
