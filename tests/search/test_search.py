"""Searches over a model that is only a table: every prefix has its own log-probabilities."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.search.asked import Bounds
from seq2seq.search.beam import BLOCK, largest
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import constrain, rules_of
from seq2seq.search.stepper import Hypothesis, Reader
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.tensors import Padded, Step
from tests.searching import by_beam, greedily

VOCAB = 7
WORDS = (4, 5, 6)
Ids = tuple[int, ...]


@cache
def likely(sentence: int, prefix: Ids) -> tuple[float, ...]:
    """Returns log-probabilities that only the sentence and the prefix decide."""
    numbers = random.Random(repr((sentence, prefix)))
    logits = [numbers.gauss(0, 1.5) for _ in range(VOCAB)]
    total = math.log(sum(math.exp(logit) for logit in logits))
    return tuple(logit - total for logit in logits)


@cache
def broken(sentence: int, prefix: Ids) -> tuple[float, ...]:
    """Returns what a model that has gone wrong may give."""
    numbers = random.Random(repr((sentence, prefix)))
    return tuple(numbers.choice((math.nan, -math.inf, numbers.gauss(-1, 1))) for _ in range(VOCAB))


def looks(sentence: int, prefix: Ids, steps: int) -> list[float]:
    """Returns attention weights that differ for every prefix."""
    numbers = random.Random(repr(("look", sentence, prefix)))
    return [numbers.random() for _ in range(steps)]


@dataclass(frozen=True)
class Grid:
    """Rows of ids: as a memory the sources; as a state the sentence's number and the prefix."""

    ids: Tensor

    def select(self, rows: Tensor) -> "Grid":
        return Grid(self.ids[rows])


@dataclass(frozen=True)
class Table:
    """A stepper; a sentence's first id is its number."""

    scores: Callable[[int, Ids], tuple[float, ...]] = likely

    def start(self, source: Padded) -> tuple[Grid, Grid]:
        return Grid(source.values), Grid(source.values[:, :1])

    def step(self, memory: Grid, state: Grid, tokens: Tensor) -> Step[Grid]:
        batch, beams = tokens.shape
        rows = torch.cat([state.ids, tokens.reshape(-1, 1)], dim=1)
        keys = [(row[0], tuple(row[2:])) for row in rows.tolist()]
        width = memory.ids.shape[1]
        assert state.ids.view(batch, beams, -1)[:, :, 0].eq(memory.ids[:, :1]).all()
        scores = torch.tensor([self.scores(*key) for key in keys], dtype=torch.double)
        looked = torch.tensor([looks(*key, width) for key in keys])
        return Step(scores.view(batch, beams, -1), Grid(rows), looked.view(batch, beams, -1))


def sentences(numbers: list[int], width: int = 3) -> Padded:
    values = torch.tensor(numbers)[:, None].repeat(1, width)
    return Padded(values, torch.tensor([1 + number % width for number in numbers]))


def checked(stepper: Reader[Grid, Grid]) -> Reader[Grid, Grid]:
    """Lets the type checker see that the table is a stepper."""
    return stepper


TABLE = checked(Table())


def repeats(ids: Ids, size: int) -> bool:
    grams = [ids[start : start + size] for start in range(len(ids) - size + 1)]
    return len(set(grams)) < len(grams)


def all_hypotheses(sentence: int, config: SearchConfig) -> list[tuple[Ids, float]]:
    """Enumerates every allowed text and its score, best first."""
    done: list[tuple[Ids, float]] = []
    alive: list[tuple[Ids, float]] = [((), 0.0)]
    for length in range(config.max_length + 1):
        if length >= config.min_length:
            for ids, total in alive:
                score = total + likely(sentence, ids)[EOS]
                done.append((ids, score / (length + 1) ** config.length_penalty))
        alive = [
            ((*ids, word), total + likely(sentence, ids)[word])
            for ids, total in alive
            for word in WORDS
            if not (config.no_repeat_ngram and repeats((*ids, word), config.no_repeat_ngram))
        ]
    return sorted(done, key=lambda one: -one[1])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(
    "limits",
    [
        {"max_length": 3},
        {"max_length": 4},
        {"max_length": 3, "min_length": 2},
        {"max_length": 4, "no_repeat_ngram": 2},
        {"max_length": 3, "min_length": 1, "no_repeat_ngram": 1},
    ],
    ids=str,
)
def test_a_wide_beam_finds_everything(limits: dict[str, Any], penalty: float) -> None:
    config = SearchConfig(beam_size=125, length_penalty=penalty, **limits)
    found = by_beam(TABLE, sentences([1, 2]), config)
    for number, hypotheses in zip((1, 2), found, strict=True):
        expected = all_hypotheses(number, config)
        assert [one.ids for one in hypotheses] == [ids for ids, _ in expected]
        assert [one.score for one in hypotheses] == pytest.approx([score for _, score in expected])


OPTIONS: list[dict[str, Any]] = [
    {"max_length": 6},
    {"length_penalty": 0.0},
    {"length_penalty": 0.6, "min_length": 3, "max_length": 3},
    {"no_repeat_ngram": 2},
    {"no_repeat_ngram": 1, "min_length": 2},
    {"no_repeat_ngram": 1, "min_length": 5, "max_length": 9},  # more words than there are
]


@pytest.mark.parametrize("scores", [likely, broken])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_beam_of_1_is_greedy(options: dict[str, Any], scores: Any) -> None:
    table, config = checked(Table(scores)), SearchConfig(beam_size=1, **options)
    source = sentences(list(range(20)))
    best = by_beam(table, source, config)
    for [beam], greedy in zip(best, greedily(table, source, config), strict=True):
        assert beam.ids == greedy.ids
        assert beam.score == pytest.approx(greedy.score, rel=1e-12)
        assert beam.attention.equal(greedy.attention)


def check(hypothesis: Hypothesis, config: SearchConfig, most: int) -> None:
    """Checks what holds for every finished hypothesis."""
    ids = hypothesis.ids
    assert config.min_length <= len(ids) <= most
    assert not {PAD, UNK, BOS, EOS} & set(ids)
    assert not (config.no_repeat_ngram and repeats(ids, config.no_repeat_ngram))


@given(
    beam=st.integers(1, 6),
    shortest=st.integers(0, 4),
    spare=st.integers(0, 4),
    ngram=st.integers(0, 3),
    penalty=st.sampled_from([0.0, 0.6, 1.0]),
    numbers=st.lists(st.integers(0, 50), min_size=1, max_size=4),
    scores=st.sampled_from([likely, broken]),
)
@settings(max_examples=60, deadline=None)
def test_what_holds_for_every_search(
    beam: int,
    shortest: int,
    spare: int,
    ngram: int,
    penalty: float,
    numbers: list[int],
    scores: Any,
) -> None:
    most = max(1, shortest + spare)
    config = SearchConfig(
        beam_size=beam,
        min_length=shortest,
        max_length=most,
        no_repeat_ngram=ngram,
        length_penalty=penalty,
    )
    found = by_beam(checked(Table(scores)), sentences(numbers), config)
    assert len(found) == len(numbers)
    for number, hypotheses in zip(numbers, found, strict=True):
        assert 1 <= len(hypotheses) <= beam
        assert len({one.ids for one in hypotheses}) == len(hypotheses)
        assert all(one.score >= other.score for one, other in pairwise(hypotheses))
        for one in hypotheses:
            if math.isinf(one.score):  # nothing may follow
                assert (one.ids, one.attention.shape) == ((), (0, 3))
                assert len(hypotheses) == 1
                continue
            check(one, config, most)
            prefixes = [one.ids[:step] for step in range(len(one.ids) + 1)]
            steps = zip(prefixes, (*one.ids, EOS), strict=True)
            total = sum(scores(number, prefix)[token] for prefix, token in steps)
            assert one.score == pytest.approx(total / (len(one.ids) + 1) ** penalty)
            expected = torch.tensor([looks(number, prefix, 3) for prefix in prefixes])
            torch.testing.assert_close(one.attention, expected)


@pytest.mark.parametrize("search", [greedily, by_beam])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_model_without_an_answer_gives_an_empty_text(search: Any, value: float) -> None:
    table = checked(Table(lambda sentence, prefix: (value,) * VOCAB))
    found = search(table, sentences([1, 2]), SearchConfig(beam_size=3))
    if search is by_beam:
        assert [len(some) for some in found] == [1, 1]
        found = [some[0] for some in found]
    assert [(one.ids, one.score) for one in found] == [((), -math.inf)] * 2


def test_an_endless_text_ends_at_the_limit_of_its_sentence() -> None:
    table = checked(Table(lambda sentence, prefix: (-9.0, -9.0, -9.0, -9.0, -0.1, -3.0)))
    source = Padded(torch.tensor([[1, 1, 1], [2, 2, 2]]), torch.tensor([1, 3]))
    free, bound = SearchConfig(beam_size=2), SearchConfig(beam_size=2, max_length=4)
    for config, expected in ((free, [22, 26]), (bound, [4, 4])):
        greedy = [len(one.ids) for one in greedily(table, source, config)]
        beam = [len(some[0].ids) for some in by_beam(table, source, config)]
        assert greedy == beam == expected
    wanting = SearchConfig(min_length=40).limits(source)
    assert wanting.tolist() == [41, 41]


def test_sentences_are_searched_alone() -> None:
    config, numbers = SearchConfig(beam_size=3, max_length=5), list(range(30))
    together = by_beam(TABLE, sentences(numbers), config)
    few = by_beam(TABLE, sentences(numbers), config, 2)
    assert [[(one.ids, one.score) for one in some] for some in few] == [
        [(one.ids, one.score) for one in some[:2]] for some in together
    ]
    for number, hypotheses in zip(numbers, together, strict=True):
        [alone] = by_beam(TABLE, sentences([number]), config)
        assert [(one.ids, one.score) for one in alone] == [
            (one.ids, one.score) for one in hypotheses
        ]


def test_no_sentences_give_no_hypotheses() -> None:
    none = Padded(torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    config = SearchConfig()
    assert greedily(TABLE, none, config) == []
    assert by_beam(TABLE, none, config) == []


@given(
    prefix=st.lists(st.sampled_from(WORDS), max_size=6),
    size=st.integers(1, 4),
    shortest=st.integers(0, 4),
    limit=st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_what_may_follow(prefix: list[int], size: int, shortest: int, limit: int) -> None:
    config = SearchConfig(no_repeat_ngram=size, min_length=shortest)
    before = torch.tensor(prefix, dtype=torch.long)[None, None]
    found = constrain(
        torch.zeros(1, 1, VOCAB), before, Bounds.none(torch.tensor([limit])), rules_of(config)
    )
    allowed = found[0, 0].isfinite()
    grams = [tuple(prefix[at : at + size]) for at in range(len(prefix) - size + 1)]
    for token in range(VOCAB):
        last = (*prefix, token)[-size:]
        expected = token in WORDS and last not in grams and len(prefix) + 1 < limit
        if token == EOS:
            expected = len(prefix) >= shortest
        assert bool(allowed[token]) == expected


@given(
    width=st.integers(1, 12 * BLOCK + 5),
    count=st.integers(1, 10),
    seed=st.integers(0, 100),
    shift=st.sampled_from([0.0, -math.inf]),
)
@settings(max_examples=60, deadline=None)
def test_the_largest_of_many_sums(width: int, count: int, seed: int, shift: float) -> None:
    numbers = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 50, (2, 3, width), generator=numbers).float()  # many ties
    values[..., : width // 2] += shift
    totals = torch.tensor([[0.0, -2, shift], [-7, 3, -1]]).double()
    sums = (values + totals[..., None]).flatten(1)
    count = min(count, 3 * width)
    found, index = largest(totals, values, count)
    assert found.equal(sums.topk(count).values)
    assert sums.gather(1, index).equal(found)
    assert all(len(set(row)) == count for row in index.tolist())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"beam_size": 0}, "beam_size: must be at least 1, got 0"),
        ({"length_penalty": -0.5}, "length_penalty: must be at least 0, got -0.5"),
        ({"length_penalty": math.nan}, "length_penalty: must be finite, got nan"),
        ({"min_length": -1}, "min_length: must be at least 0, got -1"),
        ({"max_length": -1}, "max_length: must be 0, or at least 1 and min_length, got -1"),
        (
            {"max_length": 3, "min_length": 4},
            "max_length: must be 0, or at least 1 and min_length, got 3",
        ),
        ({"no_repeat_ngram": -2}, "no_repeat_ngram: must be at least 0, got -2"),
    ],
)
def test_refused_settings(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        SearchConfig(**settings)
    assert str(refusal.value) == text
