"""Searches over real, random models: what they find does not hang on how they are asked."""

from typing import Any

import pytest
import torch

from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.search.config import SearchConfig
from seq2seq.search.stepper import Hypothesis
from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Padded
from tests.searching import by_beam, greedily

VOCAB = 12
LIMIT: dict[str, Any] = {"max_length": 7}


def model_of(
    attention: str = "general", feeding: bool = True, dtype: torch.dtype = torch.double
) -> Seq2Seq:
    """Builds a random model of strong opinions, else every search would be a tie."""
    torch.manual_seed(2)
    config = Seq2SeqConfig(
        embedding_size=8,
        tie_embeddings=False,
        encoder=EncoderConfig(cell="gru", hidden_size=8),
        decoder=DecoderConfig(
            cell="gru", hidden_size=8, attention=attention, input_feeding=feeding
        ),
    )
    model = build_seq2seq(config, VOCAB, VOCAB)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model.to(dtype).eval()


def sentences(count: int) -> list[list[int]]:
    torch.manual_seed(3)
    lengths = torch.randint(1, 8, (count,)).tolist()
    return [torch.randint(4, VOCAB, (length,)).tolist() for length in lengths]


def padded(some: list[list[int]]) -> Padded:
    width = max(len(one) for one in some)
    values = [one + [PAD] * (width - len(one)) for one in some]
    return Padded(torch.tensor(values), torch.tensor([len(one) for one in some]))


def search(model: Seq2Seq, some: list[list[int]], beam: int) -> list[Hypothesis]:
    config = SearchConfig(beam_size=beam, **LIMIT)
    if beam == 1:
        return greedily(model, padded(some), config)
    return [hypotheses[0] for hypotheses in by_beam(model, padded(some), config)]


def batched(
    model: Seq2Seq, some: list[list[int]], beam: int, size: int, shuffled: bool
) -> list[Hypothesis]:
    """Searches in batches of a size, and returns the outcome in the order of the sentences."""
    order = torch.randperm(len(some)).tolist() if shuffled else list(range(len(some)))
    found: dict[int, Hypothesis] = {}
    for start in range(0, len(some), size):
        rows = order[start : start + size]
        found.update(zip(rows, search(model, [some[row] for row in rows], beam), strict=True))
    return [found[row] for row in range(len(some))]


@pytest.mark.parametrize("beam", [1, 5])
def test_batch_size_order_and_neighbours_change_nothing(beam: int) -> None:
    model, some = model_of(), sentences(64)
    expected = batched(model, some, beam, size=1, shuffled=False)
    assert len({one.ids for one in expected}) > 20  # the models say something
    for size in (7, 64):
        found = batched(model, some, beam, size, shuffled=True)
        assert [one.ids for one in found] == [one.ids for one in expected]
        for one, other, source in zip(found, expected, some, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-10)
            own = one.attention[:, : len(source)]
            torch.testing.assert_close(own, other.attention, atol=1e-10, rtol=0)
            assert one.attention[:, len(source) :].eq(0).all()


@pytest.mark.parametrize("beam", [1, 5])
def test_single_precision_changes_at_most_ties(beam: int) -> None:
    model, some = model_of(dtype=torch.float32), sentences(1000)
    large = batched(model, some, beam, size=200, shuffled=False)
    small = batched(model, some, beam, size=30, shuffled=True)
    differing = [pair for pair in zip(large, small, strict=True) if pair[0].ids != pair[1].ids]
    assert len(differing) <= 1
    for one, other in differing:
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize(
    ("penalty", "attention", "feeding"),
    [(0.0, "additive", False), (0.6, "general", True), (1.0, "none", False), (0.6, "none", True)],
)
def test_scores_and_attention_are_those_of_forced_decoding(
    penalty: float, attention: str, feeding: bool
) -> None:
    model, some = model_of(attention, feeding), sentences(4)
    config = SearchConfig(beam_size=3, length_penalty=penalty, **LIMIT)
    source = padded(some)
    found = by_beam(model, source, config)
    for row, greedy in enumerate(greedily(model, source, config)):
        for hypothesis in (greedy, *found[row]):
            check_forced(model, source, row, hypothesis, penalty)


def check_forced(
    model: Seq2Seq, source: Padded, row: int, hypothesis: Hypothesis, penalty: float
) -> None:
    """Reads a hypothesis in the model's other direction: given, not searched for."""
    memory, state = model.start(Padded(source.values[row, None], source.lengths[row, None]))
    tokens = torch.tensor([[BOS, *hypothesis.ids, EOS]])
    total, looked = torch.zeros((), dtype=torch.double), []
    with torch.no_grad():
        outputs, _ = model.decoder(model.target_input(tokens[:, :-1]), state, memory)
        forced = model.head(outputs)[0].gather(1, tokens[0, 1:, None]).sum()
        for place in range(tokens.shape[1] - 1):
            step = model.step(memory, state, tokens[:, place : place + 1])
            state = step.state
            total = total + step.log_probs[0, 0, tokens[0, place + 1]]
            looked.append(step.attention[0, 0])
    torch.testing.assert_close(total, forced, atol=1e-10, rtol=0)
    length = len(hypothesis.ids) + 1
    assert hypothesis.score == pytest.approx(forced.item() / length**penalty, abs=1e-10)
    assert hypothesis.attention.shape == (length, source.values.shape[1])
    torch.testing.assert_close(hypothesis.attention.double(), torch.stack(looked))
    has_attention = model.decoder.attention is not None
    rows = hypothesis.attention.sum(dim=1).double()
    torch.testing.assert_close(rows, torch.full_like(rows, float(has_attention)))


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("attention", ["additive", "general", "dot", "none"])
def test_a_beam_of_1_is_greedy(attention: str, feeding: bool) -> None:
    model, source = model_of(attention, feeding), padded(sentences(30))
    config = SearchConfig(beam_size=1, **LIMIT)
    best = by_beam(model, source, config)
    for [beam], greedy in zip(best, greedily(model, source, config), strict=True):
        assert beam.ids == greedy.ids
        assert beam.score == pytest.approx(greedy.score, rel=1e-12)
        torch.testing.assert_close(beam.attention, greedy.attention)


def test_a_wider_beam_finds_likelier_texts() -> None:
    model, some = model_of(), sentences(64)
    narrow, wide = (
        sum(one.score for one in batched(model, some, beam, 50, shuffled=False)) for beam in (1, 8)
    )
    assert wide > narrow
