"""Mixtures of corpora: how often each pair comes, and in which order."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.pairs.batches import BatchConfig, Batches, Shares
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.mixture import (
    Mixture,
    Part,
    TrainingCorpusConfig,
    encode_mixture,
    passes,
)
from seq2seq.data.pairs.store import FilterConfig, encode_corpus
from seq2seq.errors import ConfigError, DataError
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig

WEIGHTS = st.floats(0.01, 4, allow_nan=False)
SIZES = st.lists(st.tuples(st.integers(1, 30), WEIGHTS), min_size=1, max_size=4)


def pairs(letter: str, count: int) -> list[Pair]:
    return [(f"{letter} {'x' * (n % 7)}", f"{letter} {n}") for n in range(count)]


def part(letter: str, count: int, weight: float = 1.0, longest: int = 0) -> Part:
    filters = FilterConfig(max_source_length=longest) if longest else None
    return Part(Corpus.of(pairs(letter, count), letter), weight, filters, f"{letter}.tsv")


@settings(deadline=None)
@given(SIZES, st.integers(0, 99), st.integers(0, 99))
def test_an_epoch_has_each_row_as_often_as_its_corpus_weighs(
    corpora: list[tuple[int, float]], seed: int, epoch: int
) -> None:
    sizes, weights = zip(*corpora, strict=True)
    counts = passes(sizes, weights)
    rows = Shares(sizes, tuple(counts)).rows(seed, epoch)
    assert rows.dtype == np.int32
    assert np.array_equal(rows, Shares(sizes, tuple(counts)).rows(seed, epoch))
    start = 0
    for size, weight, wanted in zip(sizes, weights, counts, strict=True):
        assert wanted == max(1, round(size * weight))
        often = Counter(rows[(rows >= start) & (rows < start + size)].tolist())
        assert often.total() == wanted
        every = [often[row] for row in range(start, start + size)]
        assert max(every) - min(every) <= 1  # drawn without replacement
        start += size


def test_what_is_drawn_differs_from_epoch_to_epoch_and_from_corpus_to_corpus() -> None:
    shares = Shares((40, 40), (20, 20))
    drawn = [shares.rows(1, epoch) for epoch in range(3)]
    subsets = {tuple(sorted(rows[:20].tolist())) for rows in drawn}
    others = {tuple(sorted((rows[20:] - 40).tolist())) for rows in drawn}
    assert len(subsets | others) == 6
    assert not np.array_equal(drawn[0], shares.rows(2, 0))


@pytest.mark.parametrize(
    ("sizes", "temperature", "expected"),
    [
        ([900, 100], 1.0, [900, 100]),
        ([900, 100], 2.0, [750, 250]),
        ([900, 100], 1e9, [500, 500]),
        ([1000, 10, 10], 5.0, [568, 226, 226]),  # 1000^0.2 = 3.98 against 1.58
        ([10**6, 1], 1.0, [10**6, 1]),
    ],
)
def test_temperature(sizes: list[int], temperature: float, expected: list[int]) -> None:
    assert passes(sizes, [1.0] * len(sizes), temperature) == expected
    assert sum(expected) == sum(sizes) or min(expected) == 1


def learned(weights: list[float], temperature: float | None = None) -> Counter[str]:
    parts = [part(letter, 20, weight) for letter, weight in zip("ab", weights, strict=False)]
    parts += [part("c", 180)] if temperature else []
    return Counter(target[0] for target in Mixture.mix(parts, temperature).targets())


def test_vocabularies_learn_from_what_an_epoch_has() -> None:
    assert learned([1.0, 1.0]) == {"a": 20, "b": 20}
    assert learned([2.5, 0.25]) == {"a": 50, "b": 20}  # each at least once
    assert learned([1.0], 2.0) == {"a": 50, "c": 180}
    mixture = Mixture.mix([part("a", 4, 1.5)])
    own = pairs("a", 4)
    assert list(mixture.pairs()) == [*own, own[1], own[3]]  # evenly spaced
    assert list(mixture.sources()) == [source for source, _ in mixture.pairs()]


def test_one_corpus_that_weighs_nothing_special_is_itself() -> None:
    own = part("a", 5).corpus
    for one in (Mixture.mix([Part(own)]), Mixture.mix([Part(own)], 2.0)):
        assert one.fingerprint() == own.fingerprint()
        assert (one.name, list(one.pairs())) == (own.name, list(own.pairs()))


def test_fingerprints_hold_all_that_decides_about_the_order() -> None:
    mixtures = [
        [part("a", 5)],
        [part("a", 5, 2.0)],
        [part("a", 5, 1.0, 3)],
        [part("a", 5), part("b", 5)],
        [part("b", 5), part("a", 5)],
        [part("a", 5), part("b", 5, 0.5)],
        [part("a", 5), part("b", 5, 1.0, 3)],
    ]
    found = [Mixture.mix(parts).fingerprint() for parts in mixtures]
    assert found == [Mixture.mix(parts).fingerprint() for parts in mixtures]
    assert len(set(found)) == len(found)


@pytest.fixture(scope="module")
def sides() -> tuple[Pipeline, Pipeline]:
    texts = [pair for letter in "abc" for pair in pairs(letter, 30)]
    config = PipelineConfig(tokenizer="char")
    source, target = (Pipeline.train(config, [pair[side] for pair in texts]) for side in (0, 1))
    return source, target


def batches_of(
    parts: list[Part],
    sides: tuple[Pipeline, Pipeline],
    cache: Path,
    temperature: float | None = None,
) -> tuple[Batches, str]:
    mixture = Mixture.mix(parts, temperature)
    encoded = encode_mixture(mixture, *sides, FilterConfig(), cache)
    return Batches(encoded.store, BatchConfig(tokens=60), 3, None, encoded.shares), encoded.facts


def test_corpora_that_weigh_the_same_come_as_one_file_would(
    sides: tuple[Pipeline, Pipeline], tmp_path: Path
) -> None:
    together = Corpus.of(pairs("a", 9) + pairs("b", 12))
    store = encode_corpus(together, *sides, FilterConfig(), tmp_path)
    one = Batches(store, BatchConfig(tokens=60), 3)
    other, facts = batches_of([part("a", 9), part("b", 12)], sides, tmp_path)
    for epoch in range(2):
        plans = [batches.plan(epoch) for batches in (one, other)]
        assert [rows.tolist() for rows in plans[0]] == [rows.tolist() for rows in plans[1]]
    assert facts == "21 pairs an epoch (a.tsv: 9, 0 dropped, × 1; b.tsv: 12, 0 dropped, × 1)"
    alone, facts = batches_of([part("a", 9)], sides, tmp_path)
    assert alone.shares is None
    assert facts == "9 pairs, 0 dropped"


def test_batches_of_a_mixture(sides: tuple[Pipeline, Pipeline], tmp_path: Path) -> None:
    parts = [part("a", 20, 0.5), part("b", 7, 2.0, 5), part("c", 3, 3.0)]
    batches, facts = batches_of(parts, sides, tmp_path)
    assert facts == (
        "27 pairs an epoch (a.tsv: 20, 0 dropped, × 0.5; b.tsv: 4, 3 dropped (3 too long), × 2; "
        "c.tsv: 3, 0 dropped, × 3)"
    )
    for epoch in range(3):
        targets = Counter(
            text
            for batch in batches.epoch(epoch)
            for text in sides[1].decode(batch.target_out.values.tolist())
        )
        assert targets.total() == 27
        assert all(targets[target] == 3 for _, target in pairs("c", 3))
        assert sorted(Counter(text[0] for text in targets.elements()).items()) == [
            ("a", 10),
            ("b", 8),
            ("c", 9),
        ]
        plan = [rows.tolist() for rows in batches.plan(epoch)]
        again, _ = batches_of(parts, sides, tmp_path)
        assert [rows.tolist() for rows in again.plan(epoch)] == plan
        assert len(list(again.epoch(epoch, 2))) == len(plan) - 2
    warm, facts = batches_of([part("a", 48), part("c", 3)], sides, tmp_path, 2.0)
    assert facts.startswith("51 pairs an epoch (a.tsv: 48, 0 dropped, × 0.854; c.tsv: 3,")
    assert warm.shares == Shares((48, 3), (41, 10))  # 48 ** 0.5 is four times 3 ** 0.5


def test_another_weight_encodes_nothing_anew(
    sides: tuple[Pipeline, Pipeline], tmp_path: Path
) -> None:
    for weight in (1.0, 2.0):
        batches_of([part("a", 5), part("b", 5, weight)], sides, tmp_path)
        assert len(list(tmp_path.glob("*.arrow"))) == 2


def test_a_corpus_of_which_nothing_is_left(
    sides: tuple[Pipeline, Pipeline], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"^b: no pair is left, 5 dropped \(5 too long\)$"):
        batches_of([part("a", 5), part("b", 5, 1.0, 1)], sides, tmp_path)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_refused_weights(weight: float) -> None:
    with pytest.raises(ConfigError, match=f"^weight: must be above 0, got {weight}$"):
        TrainingCorpusConfig(path="a.tsv", weight=weight)
