"""Strategies and rules: each is one entry of a table."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import ConfigError
from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.search.asked import Asked, Bounds
from seq2seq.search.beam import beam_search
from seq2seq.search.config import STRATEGIES, SamplingConfig, SearchConfig
from seq2seq.search.greedy import greedy_search
from seq2seq.search.rules import RULES, SPECIALS, rules_of
from seq2seq.search.sampling import sampled_search
from seq2seq.search.stepper import Hypothesis, Start
from seq2seq.search.strategies import search, strategy_of
from seq2seq.symbols import BOS, EOS
from seq2seq.tensors import Padded

VOCAB = 8
SAMPLING = SearchConfig(strategy="sampling", max_length=3, length_penalty=0.0)


def model_of() -> Any:
    torch.manual_seed(2)
    config = Seq2SeqConfig(
        embedding_size=6,
        encoder=EncoderConfig(hidden_size=6),
        decoder=DecoderConfig(hidden_size=6),
    )
    return build_seq2seq(config, VOCAB, VOCAB).double().eval()


def padded(rows: list[list[int]]) -> Padded:
    longest = max(map(len, rows))
    values = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return Padded(values, torch.tensor([len(row) for row in rows]))


SOURCES = [[4, 5, 6], [7], [6, 6, 5, 4], [5, 7]]


def shown(found: list[list[Hypothesis]]) -> list[list[tuple[tuple[int, ...], float]]]:
    return [[(one.ids, round(one.score, 9)) for one in group] for group in found]


def test_a_name_chooses_its_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert strategy_of(SearchConfig()) is beam_search
    assert strategy_of(SearchConfig(beam_size=1)) is greedy_search
    assert strategy_of(SearchConfig(strategy="greedy")) is greedy_search
    assert strategy_of(SAMPLING) is sampled_search
    monkeypatch.setitem(STRATEGIES, "mine", greedy_search)
    assert strategy_of(SearchConfig(strategy="mine")) is greedy_search
    with pytest.raises(ConfigError) as error:
        SearchConfig(strategy="beem")
    accepted = "beam, greedy, diverse, sampling, mine"
    assert (
        str(error.value) == f"strategy: must be one of {accepted}, got 'beem'; did you mean 'beam'?"
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neither_batch_nor_order_changes_what_is_found(strategy: str) -> None:
    model, config = model_of(), replace(SAMPLING, strategy=strategy, beam_size=3)
    together = search(model, padded(SOURCES), config, 2)
    backwards = search(
        model, padded(SOURCES[::-1]), config, 2, asked=[Asked(number) for number in (3, 2, 1, 0)]
    )
    assert shown(backwards[::-1]) == shown(together)
    for number, source in enumerate(SOURCES):
        assert shown(search(model, padded([source]), config, 2, asked=[Asked(number)])) == shown(
            together[number : number + 1]
        )


def test_the_same_seed_draws_the_same_and_another_draws_another() -> None:
    model, source = model_of(), padded(SOURCES)
    first, again = (search(model, source, SAMPLING, 4) for _ in range(2))
    other = search(model, source, replace(SAMPLING, seed=2), 4)
    assert shown(first) == shown(again) != shown(other)
    for group in first:
        assert [one.score for one in group] == sorted((one.score for one in group), reverse=True)


@torch.no_grad()
def test_a_translator_is_sampled_from_its_own_distribution() -> None:
    """Chi-squared over all texts that are common enough."""
    model, source, draws = model_of(), padded([[4, 5, 6]]), 4000
    config = replace(SAMPLING, max_length=2)
    rows = padded([[4, 5, 6]] * draws)
    found = Counter(group[0].ids for group in search(model, rows, config, 1))
    words = range(EOS + 1, VOCAB)
    everything = [(), *((a,) for a in words), *((a, b) for a in words for b in words)]
    memory, state = model.start(source)
    expected: dict[tuple[int, ...], float] = {}
    for ids in everything:
        total, token, now = 0.0, BOS, state
        for place, following in enumerate([*ids, EOS]):
            step = model.step(memory, now, torch.tensor([[token]]))
            scores = step.log_probs[0, 0].clone()
            scores[list(SPECIALS)] = -torch.inf
            total += 0.0 if place == 2 else float(scores.log_softmax(0)[following])
            now, token = step.state, following
        expected[ids] = draws * math.exp(total)
    assert sum(expected.values()) == pytest.approx(draws)
    common = [ids for ids in everything if expected[ids] >= 10]
    rest = draws - sum(expected[ids] for ids in common)
    squared = sum((found[ids] - expected[ids]) ** 2 / expected[ids] for ids in common)
    beyond = draws - sum(found[ids] for ids in common)
    squared += (beyond - rest) ** 2 / rest if rest > 1 else 0.0
    degrees = len(common)
    assert len(common) > 8
    # Exceeded once in a thousand (Wilson and Hilferty's approximation).
    critical = degrees * (1 - 2 / (9 * degrees) + 3.09 * math.sqrt(2 / (9 * degrees))) ** 3
    assert squared < critical


def test_at_temperature_0_sampling_is_greedy() -> None:
    model, source = model_of(), padded(SOURCES)
    cold = replace(SAMPLING, sampling=SamplingConfig(temperature=0.0))
    greedy = replace(SAMPLING, strategy="greedy")
    assert shown(search(model, source, cold)) == shown(search(model, source, greedy))


@pytest.mark.parametrize("strategy", STRATEGIES)
@torch.no_grad()
def test_a_language_model_is_searched_without_a_memory(strategy: str) -> None:
    torch.manual_seed(3)
    layers = RecurrentConfig(cell="gru", hidden_size=6)
    model = build_language_model(LanguageModelConfig(embedding_size=5, layers=layers), VOCAB)
    model = model.double().eval()
    config = SearchConfig(strategy=strategy, beam_size=400, max_length=3, length_penalty=0.0)
    limits = torch.full((1,), 4)
    start = Start(None, model.start(1), Bounds.none(limits), [Asked(0)])
    hypotheses = strategy_of(config)(model, start, config, 5)[0]
    for found in hypotheses:
        total, state = 0.0, model.start(1)
        for token, following in zip([BOS, *found.ids], [*found.ids, EOS], strict=True):
            step = model.step(None, state, torch.tensor([[token]]))
            total, state = total + float(step.log_probs[0, 0, following]), step.state
        assert found.score == pytest.approx(total)
        assert found.attention.shape == (len(found.ids) + 1, 0)
    if strategy == "beam":
        assert len(hypotheses) == 5


def test_rules_that_are_off_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rules_of(SearchConfig())) == 2
    assert len(rules_of(SearchConfig(min_length=1, no_repeat_ngram=2))) == len(RULES)

    def no_fives(config: SearchConfig) -> Any:
        def rule(log_probs: Tensor, prefix: Tensor, limits: Tensor) -> None:
            log_probs[..., 5] = -torch.inf

        return rule

    monkeypatch.setitem(RULES, "no_fives", no_fives)
    for strategy in STRATEGIES:
        config = replace(SAMPLING, strategy=strategy, beam_size=3)
        found = search(model_of(), padded(SOURCES), config, 3)
        assert not any(5 in one.ids for group in found for one in group)
