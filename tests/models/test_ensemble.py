"""Several models as one: their probabilities are averaged, and searches need know nothing of it."""

import math
from typing import Any, get_args

import pytest
import torch
from jaxtyping import TypeCheckError
from torch.testing import assert_close

from seq2seq.errors import ConfigError
from seq2seq.models.ensemble import Ensemble, Mean
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.search.config import SearchConfig
from seq2seq.search.stepper import Hypothesis, Reader
from seq2seq.symbols import BOS, PAD
from seq2seq.tensors import Padded
from tests.searching import by_beam, greedily

VOCAB = 12
SENTENCES = [[4], [5, 6, 7, 8, 9], [10, 4, 11], [6, 6, 5, 11, 4, 8, 9], [7, 10]]


def model_of(seed: int, cell: str = "gru", size: int = 8, attention: str = "general") -> Seq2Seq:
    """Builds a random model of strong opinions, else every search would be a tie."""
    torch.manual_seed(seed)
    config = Seq2SeqConfig(
        embedding_size=size,
        tie_embeddings=False,
        encoder=EncoderConfig(cell=cell, hidden_size=size),
        decoder=DecoderConfig(
            cell=cell, hidden_size=size, attention=attention, input_feeding=attention != "none"
        ),
    )
    model = build_seq2seq(config, VOCAB, VOCAB)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model.double().eval()


@pytest.fixture
def models() -> list[Seq2Seq]:
    """Models of different widths, cells and attention."""
    return [model_of(1), model_of(2, "lstm", 6), model_of(3, "rnn", 10, "none")]


def padded(some: list[list[int]]) -> Padded:
    width = max(len(one) for one in some)
    values = [one + [PAD] * (width - len(one)) for one in some]
    return Padded(torch.tensor(values), torch.tensor([len(one) for one in some]))


def search(model: Seq2Seq | Ensemble, some: list[list[int]], beam: int) -> list[Hypothesis]:
    stepper: Reader[Any, Any] = model
    config = SearchConfig(beam_size=beam, max_length=7)
    with torch.no_grad():
        if beam == 1:
            return greedily(stepper, padded(some), config)
        return [hypotheses[0] for hypotheses in by_beam(stepper, padded(some), config)]


def outcome(found: list[Hypothesis]) -> list[tuple[tuple[int, ...], Any]]:
    return [(one.ids, pytest.approx(one.score, abs=1e-9)) for one in found]


@torch.no_grad()
def test_probabilities_and_attention_are_the_mean_of_the_models(models: list[Seq2Seq]) -> None:
    ensemble, source = Ensemble(models), padded(SENTENCES[:2])
    memory, state = ensemble.start(source)
    alone = [model.start(source) for model in models]
    for token in (BOS, 4, 9):  # each model's state goes on, not only its first
        tokens = torch.full((2, 1), token)
        step = ensemble.step(memory, state, tokens)
        singles = [model.step(*begun, tokens) for model, begun in zip(models, alone, strict=True)]
        shares = [one.log_probs.exp() for one in singles]
        assert_close(step.log_probs.exp(), (shares[0] + shares[1] + shares[2]) / 3)
        looks = [one.attention for one in singles]
        assert_close(step.attention, (looks[0] + looks[1] + looks[2]) / 3)
        state = step.state
        alone = [(begun[0], one.state) for begun, one in zip(alone, singles, strict=True)]


@torch.no_grad()
def test_the_mean_by_hand() -> None:
    first, second = model_of(1), model_of(2)
    model: Any
    for model, shift in ((first, 0.0), (second, 30.0)):
        torch.nn.init.zeros_(model.head.weight)
        torch.nn.init.zeros_(model.head.bias)
        model.head.bias[4] = shift
    ensemble = Ensemble([first, second])
    step = ensemble.step(*ensemble.start(padded([[5]])), torch.tensor([[BOS]]))
    shares = step.log_probs[0, 0].exp()
    assert shares[4].item() == pytest.approx((1 / VOCAB + 1) / 2)
    assert shares[5].item() == pytest.approx(1 / VOCAB / 2)


@torch.no_grad()
def test_one_model_is_itself() -> None:
    model, source, tokens = model_of(1), padded(SENTENCES), torch.full((5, 1), BOS)
    ensemble = Ensemble([model])
    together = ensemble.step(*ensemble.start(source), tokens)
    alone = model.step(*model.start(source), tokens)
    assert torch.equal(together.log_probs, alone.log_probs)
    assert torch.equal(together.attention, alone.attention)
    assert ensemble.device == model.device


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_equal_models_find_what_one_finds(beam: int, count: int) -> None:
    model = model_of(1)
    expected = search(model, SENTENCES, beam)
    assert len({one.ids for one in expected}) > 2
    assert [(one.ids, one.score) for one in search(Ensemble([model] * count), SENTENCES, beam)] == (
        outcome(expected)
    )


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_order_and_neighbours_change_nothing(models: list[Seq2Seq], beam: int) -> None:
    ensemble = Ensemble(models)
    expected = outcome([one for some in SENTENCES for one in search(ensemble, [some], beam)])
    together = search(ensemble, SENTENCES, beam)
    assert [(one.ids, one.score) for one in together] == expected
    backwards = search(ensemble, SENTENCES[::-1], beam)
    assert [(one.ids, one.score) for one in backwards] == expected[::-1]


def test_the_order_of_the_models_does_not_matter(models: list[Seq2Seq]) -> None:
    there = search(Ensemble(models), SENTENCES, 3)
    back = search(Ensemble(models[::-1]), SENTENCES, 3)
    assert [(one.ids, one.score) for one in back] == outcome(there)


def steps_of(ensemble: Ensemble, tokens: tuple[int, ...] = (BOS, 4, 9)) -> list[Any]:
    """Returns what an ensemble says after each of some tokens."""
    memory, state = ensemble.start(padded(SENTENCES[:2]))
    found = []
    for token in tokens:
        step = ensemble.step(memory, state, torch.full((2, 1), token))
        found.append(step)
        state = step.state
    return found


WEIGHTS = [[1.0, 2.0, 4.0], [0.5, 0.5, 1.0], [0.0, 1.0, 3.0], [3.0, 0.0, 0.0]]


@torch.no_grad()
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("mean", get_args(Mean))
def test_probabilities_count_by_their_weights(
    models: list[Seq2Seq], weights: list[float], mean: Mean
) -> None:
    together = steps_of(Ensemble(models, weights, mean))
    alone = [steps_of(Ensemble([model])) for model in models]
    shares = [weight / sum(weights) for weight in weights]
    for step, *singles in zip(together, *alone, strict=True):
        parts = list(zip(shares, singles, strict=True))
        if mean == "arithmetic":
            expected = sum(share * one.log_probs.exp() for share, one in parts)
        else:
            product = math.prod(one.log_probs.exp() ** share for share, one in parts)
            expected = product / product.sum(-1, keepdim=True)
        assert_close(step.log_probs.exp(), expected)
        assert_close(step.attention, sum(share * one.attention for share, one in parts))


@torch.no_grad()
@pytest.mark.parametrize("mean", get_args(Mean))
def test_a_model_that_has_all_the_weight_is_alone(models: list[Seq2Seq], mean: Mean) -> None:
    for found, one in zip(
        steps_of(Ensemble(models, [2.0, 0.0, 0.0], mean)),
        steps_of(Ensemble(models[:1])),
        strict=True,
    ):
        if mean == "arithmetic":  # to the bit
            assert torch.equal(found.log_probs, one.log_probs)
        assert_close(found.log_probs, one.log_probs)
        assert torch.equal(found.attention, one.attention)


@torch.no_grad()
def test_equal_weights_are_none(models: list[Seq2Seq]) -> None:
    together = steps_of(Ensemble(models, [0.3, 0.3, 0.3]))
    for found, one in zip(together, steps_of(Ensemble(models)), strict=True):
        assert torch.equal(found.log_probs, one.log_probs)
        assert torch.equal(found.attention, one.attention)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_weighted_search_is_that_of_the_weighted_probabilities(
    models: list[Seq2Seq], beam: int
) -> None:
    """A model that stands there twice weighs twice."""
    twice = search(Ensemble([models[0], models[0], models[1]]), SENTENCES, beam)
    weighed = search(Ensemble(models[:2], [2.0, 1.0]), SENTENCES, beam)
    assert [(one.ids, one.score) for one in weighed] == outcome(twice)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": [1.0]}, "weights: must be one for each run (3), got [1.0]"),
        ({"weights": [1.0, -1.0, 2.0]},
         "weights: must be at least 0, and one of them above, got [1.0, -1.0, 2.0]"),
        ({"weights": [0.0, 0.0, 0.0]},
         "weights: must be at least 0, and one of them above, got [0.0, 0.0, 0.0]"),
        ({"weights": [1.0, 1.0, math.inf]}, "weights: must be finite, got inf"),
        ({"mean": "harmonic"}, "mean: must be one of arithmetic, geometric, got 'harmonic'"),
    ],
)  # fmt: skip
def test_weights_that_make_no_sense(
    models: list[Seq2Seq], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises((ConfigError, TypeCheckError)) as error:
        Ensemble(models, **settings)
    if isinstance(error.value, ConfigError):  # where types are checked, a name may be refused first
        assert str(error.value) == message
