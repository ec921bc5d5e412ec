import math

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn.attention import (
    ATTENTIONS,
    AdditiveAttention,
    Attention,
    GeneralAttention,
)

KINDS: tuple[str, ...] = ("additive", "dot", "general")
LENGTHS = torch.tensor([5, 2, 1])
VALID = torch.arange(5) < LENGTHS[:, None]


def built(kind: str, query: int = 4, memory: int = 4) -> Attention:
    torch.manual_seed(1)
    attention = ATTENTIONS[kind](query, memory)
    assert attention is not None
    return attention.double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double)


def score(attention: Attention, query: Tensor, step: Tensor) -> Tensor:
    """Scores one query against one step of the memory, as the papers write it."""
    if isinstance(attention, AdditiveAttention):
        own, other, last = attention.query, attention.key_projection, attention.score
        assert other is not None
        return last.weight[0] @ torch.tanh(own.weight @ query + own.bias + other.weight @ step)
    if isinstance(attention, GeneralAttention):
        assert attention.key_projection is not None
        return query @ attention.key_projection.weight @ step
    return query @ step


@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_contexts_are_those_of_the_papers(kind: str) -> None:
    attention = built(kind)
    if isinstance(attention, AdditiveAttention):
        nn.init.uniform_(attention.query.bias)
    queries, memory = random(3, 2, 4), random(3, 5, 4)
    contexts, weights = attention(queries, attention.keys(memory), memory, VALID)
    for row, length in enumerate(LENGTHS.tolist()):
        for place in range(2):
            scores = [score(attention, queries[row, place], memory[row, s]) for s in range(length)]
            expected = torch.stack(scores).softmax(dim=0)
            torch.testing.assert_close(weights[row, place, :length], expected)
            context = sum(w * m for w, m in zip(expected, memory[row], strict=False))
            torch.testing.assert_close(contexts[row, place], context)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sum_to_1_and_are_0_where_not_valid(kind: str) -> None:
    attention = built(kind)
    memory = random(3, 5, 4) * 100  # saturated weights too
    _, weights = attention(random(3, 2, 4), attention.keys(memory), memory, VALID)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 2, dtype=torch.double))
    assert weights[~VALID[:, None].expand_as(weights)].eq(0).all()
    assert weights.ge(0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_memory_of_padding_changes_nothing(kind: str) -> None:
    attention = built(kind)
    queries, memory = random(3, 2, 4), random(3, 5, 4)
    contexts, weights = attention(queries, attention.keys(memory), memory, VALID)
    longer = torch.cat([memory, 1e3 * random(3, 2, 4)], dim=1)
    valid = torch.cat([VALID, torch.zeros(3, 2, dtype=torch.bool)], dim=1)
    again, wider = attention(queries, attention.keys(longer), longer, valid)
    torch.testing.assert_close(again, contexts, atol=1e-10, rtol=0)
    torch.testing.assert_close(wider[..., :5], weights, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", ["additive", "general"])
def test_the_memory_may_have_another_width(kind: str) -> None:
    attention, memory = built(kind, query=3, memory=6), random(3, 5, 6)
    contexts, weights = attention(random(3, 2, 3), attention.keys(memory), memory, VALID)
    assert (contexts.shape, weights.shape) == ((3, 2, 6), (3, 2, 5))


def test_additive_attention_with_constant_weights() -> None:
    attention = built("additive", query=1, memory=1)
    for parameter in attention.parameters():
        nn.init.constant_(parameter, 0.5)
    steps = [-1.0, 0.0, 2.0]
    memory = torch.tensor(steps, dtype=torch.double)[None, :, None]
    query = torch.ones(1, 1, 1, dtype=torch.double)
    # 0.5 * tanh(0.5 * 1 + 0.5 + 0.5 * m), m = -1, 0, 2
    scores = [0.5 * math.tanh(1 + 0.5 * step) for step in steps]
    total = sum(math.exp(one) for one in scores)
    expected = [math.exp(one) / total for one in scores]
    assert expected == pytest.approx([0.290125605725, 0.336989728867, 0.372884665408], abs=1e-9)
    context, weights = attention(
        query, attention.keys(memory), memory, torch.ones(1, 3, dtype=torch.bool)
    )
    assert weights.flatten().tolist() == pytest.approx(expected, abs=1e-12)
    assert context.item() == pytest.approx(2 * expected[2] - expected[0], abs=1e-12)


def test_every_name_has_its_attention() -> None:
    assert ATTENTIONS["none"](4, 4) is None
