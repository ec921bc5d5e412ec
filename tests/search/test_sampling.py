"""Sampling, against definitions in plain Python."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.search import sampling
from seq2seq.search.config import SamplingConfig
from seq2seq.search.rules import never
from seq2seq.search.sampling import (
    Dice,
    draw,
    filtered,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    likeliest,
    sample,
)
from seq2seq.search.stepper import Stepper
from seq2seq.symbols import BOS, PAD
from seq2seq.tensors import Step

INF = math.inf
NONE = torch.zeros(1, 0, dtype=torch.long)
WEIGHTS = (3, 40, 7, 0, 7, 22, 1, 20)
"""Of a vocabulary of 8: one token impossible, two alike."""

CRITICAL = (0.0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322)
"""What chi squared exceeds once in a thousand, by degrees of freedom."""


def normal(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]


def logs(weights: Sequence[float]) -> list[float]:
    return [math.log(share) if share else -INF for share in normal(weights)]


def first_reaching(shares: list[float], order: list[int], least: float) -> list[float]:
    """Returns the first tokens in an order, up to the one at which their sum reaches ``least``."""
    kept, total = [0.0] * len(shares), 0.0
    for index in order:
        if total < least:
            kept[index] = shares[index]
            total += shares[index]
    return normal(kept)


def by_likelihood(shares: list[float]) -> list[int]:
    return sorted(range(len(shares)), key=lambda index: (-shares[index], index))


def plain_top_k(shares: list[float], most: int) -> list[float]:
    kept = by_likelihood(shares)[:most]
    return normal([share if index in kept else 0.0 for index, share in enumerate(shares)])


def plain_top_p(shares: list[float], least: float) -> list[float]:
    return first_reaching(shares, by_likelihood(shares), least)


def plain_min_p(shares: list[float], least: float) -> list[float]:
    return normal([share if share >= least * max(shares) else 0.0 for share in shares])


def surprises(shares: list[float]) -> list[float]:
    """Returns how far each token's information is from the entropy, in bits."""
    entropy = -sum(share * math.log2(share) for share in shares if share)
    return [abs(-math.log2(share) - entropy) if share else INF for share in shares]


def plain_typical(shares: list[float], least: float) -> list[float]:
    distances = surprises(shares)
    order = sorted(range(len(shares)), key=lambda index: (distances[index], index))
    return first_reaching(shares, order, least)


def plain(scores: list[float], recent: list[int], config: SamplingConfig) -> list[float]:
    """Returns what may be drawn, and how likely it is."""
    for index in set(recent) - {PAD}:
        scores = [*scores[:index], scores[index] * config.repetition_penalty, *scores[index + 1 :]]
    if config.temperature == 0:
        return [float(index == scores.index(max(scores))) for index in range(len(scores))]
    shares = normal([math.exp(score / config.temperature) for score in scores])
    if config.top_k:
        shares = plain_top_k(shares, config.top_k)
    shares = plain_top_p(shares, config.top_p) if config.top_p < 1 else shares
    shares = plain_min_p(shares, config.min_p)
    return plain_typical(shares, config.typical) if config.typical < 1 else shares


def apart(values: Sequence[float]) -> bool:
    """Returns whether no two values are equal but for rounding."""
    ranked = sorted(value for value in values if value < INF)
    return all(a == b or b - a > 1e-9 for a, b in pairwise(ranked))


# The settings, one by one and together.

ALONE: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"temperature": 0.6},
    {"temperature": 1.7},
    {"top_k": 3},
    {"top_p": 0.75},
    {"min_p": 0.15},
    {"typical": 0.6},
    {"repetition_penalty": 1.8},
]
TOGETHER: list[dict[str, Any]] = [
    {"temperature": 1.5, "top_k": 5, "top_p": 0.9},
    {"temperature": 0.8, "min_p": 0.1, "repetition_penalty": 1.3},
    {"top_k": 6, "typical": 0.8, "repetition_penalty": 2.0},
    {
        "temperature": 1.9,
        "top_k": 6,
        "top_p": 0.95,
        "min_p": 0.05,
        "typical": 0.9,
        "repetition_penalty": 1.2,
    },
]


@pytest.mark.parametrize("options", [*ALONE, *TOGETHER], ids=str)
def test_draws_follow_the_definition(options: dict[str, Any]) -> None:
    """20,000 draws of each, by Pearson's chi-squared test."""
    rows, turns = 1000, 20
    config, scores, recent = SamplingConfig(**options), logs(WEIGHTS), [0, 1, 5, 5]
    log_probs = torch.tensor([scores], dtype=torch.double).expand(rows, -1)
    shares = filtered(log_probs, torch.tensor([recent]).expand(rows, -1), config)
    dice = Dice(1, range(rows))
    drawn = torch.cat([draw(shares, dice.roll()) for _ in range(turns)])
    counts = drawn.bincount(minlength=len(scores)).tolist()
    expected = [share * rows * turns for share in plain(scores, recent, config)]
    pairs = list(zip(counts, expected, strict=True))
    assert all(count == 0 for count, mean in pairs if mean == 0)
    possible = [(count, mean) for count, mean in pairs if mean > 0]
    statistic = sum((count - mean) ** 2 / mean for count, mean in possible)
    assert statistic <= CRITICAL[len(possible) - 1]


def test_the_statistic_tells_distributions_apart() -> None:
    """The test above would not pass for a temperature 5 % off."""
    rows, turns = 1000, 20
    shares = filtered(torch.tensor([logs(WEIGHTS)]), NONE, SamplingConfig()).expand(rows, -1)
    dice = Dice(1, range(rows))
    drawn = torch.cat([draw(shares, dice.roll()) for _ in range(turns)])
    counts = drawn.bincount(minlength=len(WEIGHTS)).tolist()
    wrong = plain(logs(WEIGHTS), [], SamplingConfig(temperature=1.05))
    means = [share * rows * turns for share in wrong]
    pairs = zip(counts, means, strict=True)
    assert sum((count - mean) ** 2 / mean for count, mean in pairs if mean) > CRITICAL[6]


def test_golden_values() -> None:
    halves = torch.tensor([[1, 8, 2, 4, 1]], dtype=torch.double) / 16
    # The entropy is 1.875 bits: 2 bits are nearest, then 1, then 3, then 4.
    expected = [
        (keep_top_k(halves, 2), [0, 2 / 3, 0, 1 / 3, 0]),
        (keep_top_k(halves, 4), [1 / 15, 8 / 15, 2 / 15, 4 / 15, 0]),
        (keep_top_p(halves, 0.75), [0, 2 / 3, 0, 1 / 3, 0]),
        (keep_top_p(halves, 0.7501), [0, 8 / 14, 2 / 14, 4 / 14, 0]),
        (keep_top_p(halves, 0.01), [0, 1, 0, 0, 0]),
        (keep_min_p(halves, 0.25), [0, 8 / 14, 2 / 14, 4 / 14, 0]),
        (keep_typical(halves, 0.2), [0, 0, 0, 1, 0]),
        (keep_typical(halves, 0.76), [0, 8 / 14, 2 / 14, 4 / 14, 0]),
        (keep_typical(halves, 0.9), [1 / 15, 8 / 15, 2 / 15, 4 / 15, 0]),
    ]
    for found, shares in expected:
        assert found.tolist() == [pytest.approx(shares, rel=1e-15)]


def test_the_repetition_penalty_is_a_power() -> None:
    log_probs = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.double).log()
    config = SamplingConfig(repetition_penalty=2.0)
    found = filtered(log_probs, torch.tensor([[PAD, 3, 3, 1]]), config)
    assert found.tolist() == [pytest.approx(normal([0.1, 0.04, 0.3, 0.16]))]


DYADIC = st.lists(st.integers(0, 16), min_size=7, max_size=7).flatmap(
    lambda weights: st.permutations([*weights, 128 - sum(weights)])
)
"""Eight weights whose sum is 128: their shares and sums are exact."""
SHARES = st.integers(1, 127).map(lambda share: share / 128)


@given(weights=DYADIC, share=SHARES, most=st.integers(1, 9))
@example(weights=[32, 32, 64, 0, 0, 0, 0, 0], share=0.5, most=1)
@settings(max_examples=80, deadline=None)
def test_filters_are_exactly_their_definitions(weights: list[int], share: float, most: int) -> None:
    shares = normal(weights)
    rows = torch.tensor([shares], dtype=torch.double)
    assert keep_top_k(rows, most).tolist() == [plain_top_k(shares, most)]
    assert keep_top_p(rows, share).tolist() == [plain_top_p(shares, share)]
    assert keep_min_p(rows, share).tolist() == [plain_min_p(shares, share)]
    if set(weights) <= {0, 1, 2, 4, 8, 16, 32, 64, 128} or apart(surprises(shares)):
        assert keep_typical(rows, share).tolist() == [plain_typical(shares, share)]


# With a large prime below the line, no sum meets a threshold but for rounding.
ODD_SHARES = st.integers(1, 1_000_002).map(lambda share: share / 1_000_003)
CONFIGS = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.3, 3.0]),
    top_k=st.integers(0, 9),
    top_p=ODD_SHARES | st.just(1.0),
    min_p=ODD_SHARES.map(lambda share: share / 4) | st.just(0.0),
    typical=ODD_SHARES | st.just(1.0),
    repetition_penalty=st.sampled_from([1.0, 1.1, 2.0, 3.5]),
)
RECENT = st.lists(st.integers(0, 7), max_size=4)


@given(
    weights=st.lists(st.integers(0, 30), min_size=8, max_size=8).filter(any),
    recent=RECENT,
    config=CONFIGS,
)
@settings(max_examples=80, deadline=None)
def test_filters_together_are_their_definitions(
    weights: list[int], recent: list[int], config: SamplingConfig
) -> None:
    scores = logs(weights)
    bare = SamplingConfig(
        temperature=config.temperature, repetition_penalty=config.repetition_penalty
    )
    # Shares that are equal but for rounding have no order that both must find.
    assume(config.temperature == 0 or apart(plain(scores, recent, bare)))
    before = plain(scores, recent, SamplingConfig(**{**vars(config), "typical": 1.0}))
    assume(apart(surprises(before)))
    found = filtered(
        torch.tensor([scores], dtype=torch.double),
        torch.tensor([recent], dtype=torch.long),
        config,
    )
    expected = plain(scores, recent, config)
    assert [share > 0 for share in found[0].tolist()] == [share > 0 for share in expected]
    assert found.tolist() == [pytest.approx(expected, rel=1e-9)]


SCORES = st.floats(-800, 0, width=32) | st.just(-INF) | st.sampled_from([-1.0, 0.0])
WILD = st.builds(
    SamplingConfig,
    temperature=st.floats(0, 1e308),
    top_k=st.integers(0, 9),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1, exclude_max=True),
    typical=st.floats(0, 1, exclude_min=True),
    repetition_penalty=st.floats(1, 1e308),
)


@given(
    table=st.lists(st.lists(SCORES, min_size=8, max_size=8), min_size=1, max_size=4).filter(
        lambda rows: all(max(row) > -INF for row in rows)
    ),
    recent=RECENT,
    config=WILD,
    kind=st.sampled_from([torch.float, torch.double]),
)
@settings(max_examples=80, deadline=None)
def test_what_holds_for_all_settings(
    table: list[list[float]], recent: list[int], config: SamplingConfig, kind: torch.dtype
) -> None:
    log_probs = torch.tensor(table, dtype=kind)
    looked = torch.tensor([recent] * len(table), dtype=torch.long)
    found = filtered(log_probs, looked, config)
    assert found.dtype == torch.double
    assert found.sum(dim=1).tolist() == pytest.approx([1.0] * len(table), rel=1e-12)
    assert not found[log_probs.isneginf()].any()
    assert (found >= 0).all()
    if config.top_k:
        assert (found.count_nonzero(dim=1) <= config.top_k).all()
    for row, alone in zip(found, log_probs, strict=True):
        assert row.equal(filtered(alone[None], looked[:1], config)[0])


@given(
    scores=st.lists(SCORES, min_size=8, max_size=8),
    recent=RECENT,
    penalty=st.sampled_from([1.0, 1.3, 1e9]),
    uniform=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=60, deadline=None)
def test_at_temperature_0_the_likeliest_is_what_is_drawn(
    scores: list[float], recent: list[int], penalty: float, uniform: float
) -> None:
    config = SamplingConfig(temperature=0.0, repetition_penalty=penalty)
    given = torch.tensor([scores]), torch.tensor([recent], dtype=torch.long), config
    drawn = draw(filtered(*given), torch.tensor([uniform], dtype=torch.double))
    assert likeliest(*given).tolist() == drawn.tolist()


def test_extreme_settings_leave_what_was_possible() -> None:
    log_probs = torch.tensor([[-INF, -3.0, -2.0, -2.5]])
    cold = filtered(log_probs, NONE, SamplingConfig(temperature=1e-310))
    assert cold.tolist() == [[0, 0, 1, 0]]
    harsh = SamplingConfig(repetition_penalty=1e308)
    found = filtered(log_probs, torch.tensor([[0, 1, 2, 3]]), harsh)
    assert found.tolist() == [[0, *normal([1, 1, 1])]]  # all as bad as can be


def test_ties_go_to_the_lower_id() -> None:
    log_probs = torch.full((1, 5000), -1.0)
    for options in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-9}, {"typical": 1e-9}):
        found = filtered(log_probs, NONE, SamplingConfig(**options))
        assert found.nonzero().tolist() == [[0, 0]]


def test_what_has_no_possible_token_draws_padding() -> None:
    for options in [*ALONE, *TOGETHER]:
        found = filtered(
            torch.full((1, 8), -INF), torch.tensor([[1, 2]]), SamplingConfig(**options)
        )
        assert found.isnan().all()
        assert draw(found, torch.tensor([0.5])).tolist() == [PAD]


# Drawing.

LAST = math.nextafter(1, 0)


def test_draw_is_the_first_whose_sum_exceeds() -> None:
    shares = torch.tensor([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]], dtype=torch.double)
    for uniform, expected in [
        (0.0, 1),
        (math.nextafter(0.25, 0), 1),
        (0.25, 3),
        (math.nextafter(0.75, 0), 3),
        (0.75, 4),
        (LAST, 4),
    ]:
        found = draw(shares, torch.tensor([uniform], dtype=torch.double))
        assert found.tolist() == [expected]


@given(
    weights=st.lists(
        st.just(0.0) | st.floats(1e-300, 1) | st.floats(0.1, 1), min_size=1, max_size=20
    ).filter(any),
    uniform=st.sampled_from([0.0, 1e-320, 0.5, LAST]) | st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=80, deadline=None)
def test_draws_are_possible(weights: list[float], uniform: float) -> None:
    shares = torch.tensor([normal(weights)], dtype=torch.double)
    [found] = draw(shares, torch.tensor([uniform], dtype=torch.double)).tolist()
    assert shares[0, found] > 0


def test_a_long_tail_of_zeros_is_never_drawn() -> None:
    shares = torch.zeros(1, 100_000, dtype=torch.double)
    shares[0, 1:50_000:2] = 1 / 25_000
    uniforms = torch.linspace(0, LAST, 20, dtype=torch.double)
    found = draw(shares.expand(20, -1), uniforms)
    assert (shares[0, found] > 0).all()


def test_streams_are_those_of_seed_and_index_alone() -> None:
    alone = [Dice(7, [index]) for index in range(5)]
    together, backwards = Dice(7, range(5)), Dice(7, [4, 3, 2, 1, 0])
    for _ in range(3):
        rolled = together.roll()
        assert rolled.dtype == torch.double
        assert rolled.tolist() == [one.roll().item() for one in alone]
        assert rolled.tolist() == backwards.roll().tolist()[::-1]
        assert len(set(rolled.tolist())) == 5
    generator = np.random.Generator(np.random.PCG64([7, 2]))
    assert Dice(7, [2]).roll().item() == generator.random()
    assert Dice(8, [2]).roll().item() != Dice(7, [2]).roll().item()


def test_the_streams_stay_what_they_are() -> None:
    """A saved command makes the same text with the next release."""
    dice = Dice(1, [0, 1])
    rolled = [dice.roll().tolist() for _ in range(2)]
    assert rolled == [
        [0.5118216247002567, 0.33187239186810047],
        [0.9504636963259353, 0.6118959736456587],
    ]


# Sampling from a model.


@dataclass(frozen=True)
class Sums:
    """A state: how many tokens each row has read, and their sum."""

    values: Tensor

    def select(self, rows: Tensor) -> "Sums":
        return Sums(self.values[rows])


@dataclass
class Wheel:
    """A model whose scores turn with the sum of the tokens read."""

    scores: Sequence[float] = field(default_factory=lambda: logs(WEIGHTS))
    weight: Tensor = field(default_factory=lambda: torch.ones(1, requires_grad=True))
    modes: list[bool] = field(default_factory=list)

    def step(self, memory: None, state: Sums, tokens: Tensor) -> Step[Sums]:
        self.modes.append(torch.is_inference_mode_enabled())
        sums = state.values + tokens
        places = (torch.arange(len(self.scores)) + sums) % len(self.scores)
        log_probs = (torch.tensor(self.scores) * self.weight)[places]
        return Step(log_probs[:, None], Sums(sums), torch.zeros(len(tokens), 1, 0))


def checked(model: Stepper[None, Sums]) -> Stepper[None, Sums]:
    """Lets the type checker see that the wheel continues texts."""
    return model


def texts(
    samples: Sequence[int],
    length: int = 30,
    banned: Sequence[int] = (PAD, BOS),
    wheel: Wheel | None = None,
    **options: Any,
) -> list[list[int]]:
    rows = torch.tensor(samples)[:, None]
    drawn = sample(
        checked(wheel or Wheel()),
        None,
        Sums(torch.zeros_like(rows)),
        rows % 8,
        SamplingConfig(**options),
        Dice(3, samples),
        [never(banned)],
    )
    return torch.stack(list(islice(drawn, length)), dim=1).tolist()


@pytest.mark.parametrize("options", [*ALONE, *TOGETHER], ids=str)
def test_a_text_is_the_same_however_many_are_made(options: dict[str, Any]) -> None:
    together = texts(range(4), **options)
    assert together[::-1] == texts(range(4)[::-1], **options)
    for index, text in enumerate(together):
        assert texts([index], length=10, **options) == [text[:10]]


def test_sampling_feeds_the_model_what_it_drew() -> None:
    """A loop over one row, written out."""
    config = SamplingConfig(repetition_penalty=1.5, repetition_window=3, top_p=0.9)
    [found] = texts([5], repetition_penalty=1.5, repetition_window=3, top_p=0.9)
    stream = np.random.Generator(np.random.PCG64([3, 5]))
    read, scores = [5], torch.tensor(logs(WEIGHTS)).tolist()
    for token in found:
        turned = [scores[(index + sum(read)) % 8] for index in range(8)]
        turned = [-INF if index in (PAD, BOS) else turned[index] for index in range(8)]
        shares, crossing = plain(turned, read[-3:], config), stream.random()
        sums = [sum(shares[: index + 1]) for index in range(8)]
        assert token == next(index for index in range(8) if sums[index] > crossing * sums[-1])
        read.append(token)


def test_at_temperature_0_the_likeliest_follows() -> None:
    wheel = Wheel(logs([1, 2, 3, 9, 5, 9, 4, 1]))
    first = texts([0], length=4, banned=(), wheel=wheel, temperature=0.0)
    read = [0]
    for token in first[0]:
        turned = [wheel.scores[(index + sum(read)) % 8] for index in range(8)]
        assert token == turned.index(max(turned))
        read.append(token)
    assert first == texts([0], length=4, banned=(), wheel=wheel, temperature=0.0, top_k=3)


@pytest.mark.parametrize("options", [*ALONE, *TOGETHER], ids=str)
def test_banned_tokens_never_are_drawn(options: dict[str, Any]) -> None:
    drawn = {token for text in texts(range(20), banned=(0, 2, 5), **options) for token in text}
    assert not drawn & {0, 2, 5}
    everything = {token for text in texts(range(20), banned=()) for token in text}
    assert everything == set(range(8))


@pytest.mark.parametrize("value", [math.nan, -INF])
def test_a_model_without_an_answer_gives_padding(value: float) -> None:
    assert texts([1, 2], length=3, wheel=Wheel([value] * 8)) == [[PAD] * 3] * 2
    assert texts([1], length=3, banned=range(8)) == [[PAD] * 3]


def test_what_is_not_a_number_is_impossible() -> None:
    broken = Wheel([math.nan, -1.0, math.nan, -INF, -1.0, -2.0, math.nan, -1.0])
    mended = Wheel([-INF if math.isnan(score) else score for score in broken.scores])
    for options in ALONE:
        found = texts([1, 2], wheel=broken, **options)
        assert found == texts([1, 2], wheel=mended, **options)


def test_nobody_is_left_in_inference_mode() -> None:
    wheel = Wheel()
    start = Sums(torch.zeros(2, 1, dtype=torch.long))
    drawn = sample(
        checked(wheel),
        None,
        start,
        torch.tensor([[1], [2]]),
        SamplingConfig(),
        Dice(1, range(2)),
        [never([PAD])],
    )
    for ids in islice(drawn, 3):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
        assert not ids.is_inference()
        ids.add_(0)
    assert wheel.modes == [True] * 3


def test_memory_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []

    def spy(log_probs: Tensor, recent: Tensor, config: SamplingConfig) -> Tensor:
        seen.append(recent[0].tolist())
        assert recent.untyped_storage().nbytes() == recent.numel() * recent.element_size()
        return filtered(log_probs, recent, config)

    monkeypatch.setattr(sampling, "filtered", spy)
    [text] = texts([4], length=50, repetition_window=5, repetition_penalty=1.1)
    read = [PAD] * 4 + [4, *text]
    assert seen == [read[turn : turn + 5] for turn in range(50)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": -1.0}, "temperature: must be at least 0, got -1.0"),
        ({"temperature": math.nan}, "temperature: must be finite, got nan"),
        ({"temperature": INF}, "temperature: must be finite, got inf"),
        ({"top_k": -1}, "top_k: must be at least 0, got -1"),
        ({"top_p": 0.0}, "top_p: must be in (0, 1], got 0.0"),
        ({"top_p": 1.1}, "top_p: must be in (0, 1], got 1.1"),
        ({"top_p": math.nan}, "top_p: must be finite, got nan"),
        ({"min_p": -0.1}, "min_p: must be in [0, 1), got -0.1"),
        ({"min_p": 1.0}, "min_p: must be in [0, 1), got 1.0"),
        ({"min_p": math.nan}, "min_p: must be finite, got nan"),
        ({"typical": 0.0}, "typical: must be in (0, 1], got 0.0"),
        ({"typical": math.nan}, "typical: must be finite, got nan"),
        ({"repetition_penalty": 0.9}, "repetition_penalty: must be at least 1, got 0.9"),
        ({"repetition_penalty": math.nan}, "repetition_penalty: must be finite, got nan"),
        ({"repetition_penalty": INF}, "repetition_penalty: must be finite, got inf"),
        ({"repetition_window": 0}, "repetition_window: must be at least 1, got 0"),
    ],
    ids=str,
)
def test_refused_settings(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SamplingConfig(**options)
    assert str(caught.value) == expected


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Dice(-1, [0])
    assert str(caught.value) == "seed: must be at least 0, got -1"


@pytest.mark.parametrize("tokens", [1, 7, 97])
def test_a_temperature_of_one_gives_the_bits_of_the_general_way(tokens: int) -> None:
    torch.manual_seed(1)
    scores = (5 * torch.randn(4, tokens, dtype=torch.double)).log_softmax(dim=1)
    scores[1:3, 1 : tokens // 2] = -torch.inf
    general = ((scores - scores.amax(dim=1, keepdim=True)) / 1.0).softmax(dim=1)
    no_history = torch.zeros(4, 1, dtype=torch.long)
    assert torch.equal(filtered(scores, no_history, SamplingConfig()), general)
