"""Prefixes, terms, coverage and diverse beams, beside every text that there is."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from seq2seq.errors import ConfigError
from seq2seq.search.asked import Asked, Term, Words
from seq2seq.search.beam import beam_search
from seq2seq.search.config import STRATEGIES, SearchConfig
from seq2seq.search.stepper import Hypothesis
from seq2seq.search.strategies import search, strategy_of
from seq2seq.symbols import EOS, UNK
from tests.search.test_search import (
    TABLE,
    VOCAB,
    WORDS,
    Ids,
    all_hypotheses,
    likely,
    looks,
    sentences,
)
from tests.terms import fits, times, unmet

WIDE = SearchConfig(beam_size=200, max_length=4, length_penalty=0.6)


def found(
    asked: Sequence[Asked], config: SearchConfig, n_best: int = 200
) -> list[list[Hypothesis]]:
    numbers = [one.number for one in asked]
    return search(TABLE, sentences(numbers), config, n_best, asked)


def shown(hypotheses: Sequence[Hypothesis]) -> list[tuple[Ids, Any]]:
    return [(one.ids, pytest.approx(one.score)) for one in hypotheses]


def rest(prefix: Ids, sentence: int, config: SearchConfig) -> list[tuple[Ids, float]]:
    return [one for one in all_hypotheses(sentence, config) if fits(one[0], Asked(0, prefix))]


@pytest.mark.parametrize("prefix", [(), (4,), (5, 5), (6, 4, 4), (4, 5, 6, 4)], ids=str)
def test_a_prefix_leaves_the_texts_that_begin_with_it(prefix: Ids) -> None:
    asked = [Asked(1, prefix), Asked(2), Asked(3, (6,))]
    for one, hypotheses in zip(asked, found(asked, WIDE), strict=True):
        assert [(ids, score) for ids, score in rest(one.prefix, one.number, WIDE)] == shown(
            hypotheses
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_begins_with_the_prefix(strategy: str) -> None:
    config = SearchConfig(strategy=strategy, beam_size=4, max_length=5)
    asked = [Asked(1, (5, 6)), Asked(7), Asked(3, (4,)), Asked(4, (UNK, 6))]
    together = found(asked, config, 2)
    for one, hypotheses in zip(asked, together, strict=True):
        assert all(some.ids[: len(one.prefix)] == one.prefix for some in hypotheses)
        [alone] = found([one], config, 2)
        assert shown(hypotheses) == [(some.ids, some.score) for some in alone]


def test_a_prefix_is_longer_than_the_limit() -> None:
    [[best]] = found([Asked(1, (4, 5, 6, 4))], replace(WIDE, max_length=2), 1)
    assert best.ids == (4, 5, 6, 4)


WORDS_OF_TWO = Words(
    opens=(True, True, True, True, False, True, False),
    closes=(True, True, True, True, False, False, True),
)
"""Tokens 4 and 6 go on with a word; after a 6 it is over."""
TERMS = [
    (Term(((4,),)),),
    (Term(((4, 5), (6,))), Term(((5,),))),
    (Term(((6,),), times=2),),
    (Term(((4, 5),)), Term(((5,),))),
]


@pytest.mark.parametrize("terms", TERMS, ids=str)
@pytest.mark.parametrize("words", [None, WORDS_OF_TWO], ids=["anywhere", "words"])
def test_a_wide_beam_finds_every_text_with_all_terms(
    terms: tuple[Term, ...], words: Words | None
) -> None:
    asked = [Asked(1, terms=terms, words=words), Asked(2, (5,), terms[:1], words), Asked(3)]
    for one in asked:
        config = replace(WIDE, max_length=max(4, one.least), beam_size=500)
        [hypotheses] = found([one], config, 500)
        expected = [some for some in all_hypotheses(one.number, config) if fits(some[0], one)]
        assert expected == shown(hypotheses)


@pytest.mark.parametrize("bonus", [0.0, 2.0, 30.0])
def test_soft_terms_are_worth_their_bonus(bonus: float) -> None:
    terms = (Term(((4, 5),)), Term(((6,), (4, 6))))
    config = replace(WIDE, terms="soft", term_bonus=bonus, max_length=5, beam_size=400)

    def worth(ids: Ids, score: float) -> float:
        missing = sum(times(ids, term, None) == 0 for term in terms)
        return score - float(bonus * missing / (len(ids) + 1) ** config.length_penalty)

    expected = [(ids, worth(ids, score)) for ids, score in all_hypotheses(1, config)]
    expected.sort(key=lambda one: -one[1])
    assert expected == shown(found([Asked(1, terms=terms)], config, 400)[0])


def test_without_terms_it_is_beam_search() -> None:
    config = SearchConfig(beam_size=3, max_length=6)
    asked = [Asked(number) for number in range(12)]
    plain = found(asked, config, 3)
    beside = found([*asked, Asked(99, terms=(Term(((4,),)),))], config, 3)
    assert [shown(one) for one in plain] == [
        [(some.ids, some.score) for some in one] for one in beside[:-1]
    ]


@pytest.mark.parametrize("seed", range(6))
def test_hard_terms_always_stand_in_the_text(seed: int) -> None:
    assert list(unmet(seed, 20)) == []
    assert list(unmet(seed, 20, terms="soft", term_bonus=0.0)) != []


def test_terms_go_before_what_may_not_be_repeated() -> None:
    twice = [Asked(1, terms=(Term(((4,),), times=2),)), Asked(2, terms=(Term(((5, 6, 5, 6),)),))]
    for size in (1, 2):
        config = SearchConfig(beam_size=3, max_length=8, no_repeat_ngram=size)
        for one, hypotheses in zip(twice, found(twice, config, 3), strict=True):
            assert all(fits(some.ids, one) for some in hypotheses), hypotheses
            rest = [[token for token in some.ids if token == 6] for some in hypotheses]
            assert size > 1 or one.number == 2 or all(len(others) < 2 for others in rest)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_texts_whose_terms_stand_anyway_are_left_as_they_are(mode: str) -> None:
    config = SearchConfig(beam_size=3, max_length=6, terms=mode)
    plain = found([Asked(number) for number in range(30)], config, 1)
    asked = [
        Asked(number, terms=(Term((best.ids[:2],)), Term(((5, 5, 5, 5), best.ids[-1:]))))
        for number, (best,) in enumerate(plain)
        if best.ids
    ]
    assert len(asked) > 10
    for one, (best,) in zip(asked, found(asked, config, 1), strict=True):
        assert shown([best]) == [(some.ids, some.score) for some in plain[one.number]]
    for some in found(asked, config, 3):
        assert len({one.ids for one in some}) == len(some)
        assert some == sorted(some, key=lambda one: -one.score)


def test_terms_need_a_beam() -> None:
    with pytest.raises(ConfigError) as error:
        found([Asked(1, terms=TERMS[0])], SearchConfig(strategy="sampling"))
    assert str(error.value) == "strategy: must be beam where terms are asked for, got 'sampling'"


def missed(sentence: int, ids: Ids) -> float:
    """Returns the coverage of a text's source, as the paper writes it."""
    steps = 1 + sentence % 3
    rows = [looks(sentence, ids[:at], 3) for at in range(len(ids) + 1)]
    return sum(math.log(min(1.0, sum(row[step] for row in rows))) for step in range(steps))


@pytest.mark.parametrize("beta", [0.2, 1.5])
def test_the_coverage_penalty_is_that_of_the_paper(beta: float) -> None:
    config = replace(WIDE, coverage_penalty=beta)
    for sentence in (1, 2, 3):
        expected = [
            (ids, score + beta * missed(sentence, ids))
            for ids, score in all_hypotheses(sentence, config)
        ]
        expected.sort(key=lambda one: -one[1])
        assert expected == shown(found([Asked(sentence)], config)[0])
    assert strategy_of(replace(config, beam_size=1)) is beam_search


def slowly(sentence: int, config: SearchConfig) -> list[tuple[Ids, float]]:
    """Searches with groups as the paper describes it, one hypothesis after the other."""
    size = config.beam_size // config.groups
    alive: list[list[tuple[Ids, float]]] = [[((), 0.0)] for _ in range(config.groups)]
    done: list[list[tuple[Ids, float]]] = [[] for _ in range(config.groups)]
    over = [False] * config.groups
    for length in range(1, config.max_length + 2):
        taken = dict.fromkeys(range(VOCAB), 0)
        for group in range(config.groups):
            if over[group]:
                continue
            options = [
                (
                    total + likely(sentence, ids)[token] - config.diversity * taken[token],
                    ids,
                    token,
                    total + likely(sentence, ids)[token],
                )
                for ids, total in alive[group]
                for token in ((EOS, *WORDS) if length <= config.max_length else (EOS,))
            ]
            options.sort(key=lambda one: -one[0])
            options = options[: 2 * size]
            for _, ids, token, total in options[:size]:
                if token == EOS:
                    done[group].append((ids, total / length**config.length_penalty))
            alive[group] = [
                ((*ids, token), total) for _, ids, token, total in options if token != EOS
            ][:size]
            for ids, _ in alive[group]:
                taken[ids[-1]] += 1
            best = max((score for _, score in done[group]), default=-math.inf)
            hope = alive[group][0][1] / length**config.length_penalty if alive[group] else -math.inf
            over[group] = not alive[group] or (len(done[group]) >= size and best >= hope)
    every = [one for group in done for one in sorted(group, key=lambda one: -one[1])[:size]]
    return sorted(every, key=lambda one: -one[1])


@pytest.mark.parametrize(
    "settings",
    [{"groups": 2}, {"groups": 3, "diversity": 4.0}, {"groups": 6, "diversity": 0.0}],
    ids=str,
)
def test_diverse_beams_are_those_of_the_paper(settings: dict[str, Any]) -> None:
    config = SearchConfig(strategy="diverse", beam_size=6, max_length=5, **settings)
    together = found([Asked(number) for number in range(8)], config, 6)
    for number, hypotheses in enumerate(together):
        assert slowly(number, config) == shown(hypotheses)


def test_one_group_is_beam_search() -> None:
    asked = [Asked(number) for number in range(10)]
    config = SearchConfig(beam_size=4, max_length=6)
    diverse = replace(config, strategy="diverse")
    assert [shown(one) for one in found(asked, config, 4)] == [
        [(some.ids, some.score) for some in one] for one in found(asked, diverse, 4)
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("groups", 2, "groups: must be a divisor of beam_size (5), got 2"),
        ("diversity", -1.0, "diversity: must be at least 0, got -1.0"),
        ("coverage_penalty", -0.5, "coverage_penalty: must be at least 0, got -0.5"),
        ("term_bonus", -2.0, "term_bonus: must be at least 0, got -2.0"),
        ("terms", "herd", "terms: must be one of hard, soft, got 'herd'; did you mean 'hard'?"),
    ],
)
def test_settings_that_make_no_sense(key: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SearchConfig(**{key: value})  # type: ignore[arg-type]
    assert str(error.value) == message


def test_all_phrases_of_three_tokens_can_be_had() -> None:
    phrases = list(product(WORDS, repeat=3))
    asked = [Asked(number, terms=(Term((one,)),)) for number, one in enumerate(phrases)]
    for one, hypotheses in zip(asked, found(asked, SearchConfig(beam_size=2), 1), strict=True):
        assert fits(hypotheses[0].ids, one)
