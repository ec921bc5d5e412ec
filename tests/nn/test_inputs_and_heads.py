import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from seq2seq.nn.heads import IGNORED, TokenHead, _SmoothedCrossEntropy, smoothed_cross_entropy
from seq2seq.nn.inputs import TokenInput
from seq2seq.tensors import Padded


def layer(rows: int, size: int = 5, vocab: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns random features, weight, bias and targets in float64, gradients wanted."""
    torch.manual_seed(rows)
    made = [torch.randn(shape, dtype=torch.double) for shape in ((rows, size), (vocab, size))]
    bias = torch.randn(vocab, dtype=torch.double)
    for one in (*made, bias):
        one.requires_grad_()
    return made[0], made[1], bias, torch.randint(vocab, (rows,))


def expected_loss(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
) -> Tensor:
    logits = functional.linear(features, weight, bias)
    return functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)


@given(rows=st.integers(1, 9), chunk=st.integers(1, 10), smoothing=st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=40, deadline=None)
def test_loss_and_gradients_are_those_of_torch(rows: int, chunk: int, smoothing: float) -> None:
    *parts, targets = layer(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_SmoothedCrossEntropy.ROWS, "cpu", chunk)
        loss = smoothed_cross_entropy(parts[0], parts[1], parts[2], targets, smoothing)
    expected = expected_loss(parts[0], parts[1], parts[2], targets, smoothing)
    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-12)
    ours = torch.autograd.grad(3 * loss, parts)
    theirs = torch.autograd.grad(3 * expected, parts)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_rows_of_padding_count_nothing(smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_SmoothedCrossEntropy.ROWS, "cpu", 4)
    *parts, targets = layer(9)
    targets[[0, 5, 8]] = IGNORED
    loss = smoothed_cross_entropy(parts[0], parts[1], parts[2], targets, smoothing, ignoring=True)
    real = targets != IGNORED
    expected = expected_loss(parts[0][real], parts[1], parts[2], targets[real], smoothing)
    torch.testing.assert_close(loss, expected, atol=1e-10, rtol=1e-12)
    ours = torch.autograd.grad(loss, parts)
    theirs = torch.autograd.grad(expected, parts)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradients_are_those_of_finite_differences(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_SmoothedCrossEntropy.ROWS, "cpu", 2)
    *parts, targets = layer(5, size=3, vocab=4)

    def loss(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return smoothed_cross_entropy(features, weight, bias, targets, smoothing)

    assert torch.autograd.gradcheck(loss, tuple(parts))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_half_precision_stays_near_single(smoothing: float) -> None:
    features, weight, bias, targets = (one.detach() for one in layer(600, size=16, vocab=50))
    single = [one.float().requires_grad_() for one in (features, weight, bias)]
    expected = expected_loss(single[0], single[1], single[2], targets, smoothing)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = single[0].to(torch.bfloat16)  # as the layer before the head gives them
        loss = smoothed_cross_entropy(half, single[1], single[2], targets, smoothing)
    assert (loss.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)
    ours = torch.autograd.grad(loss, single)
    for one, other in zip(ours, torch.autograd.grad(expected, single), strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.02 * other.norm()


def test_single_precision_features_under_autocast() -> None:
    features, weight, bias, targets = layer(20)
    single = [one.detach().float().requires_grad_() for one in (features, weight, bias)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = smoothed_cross_entropy(single[0], single[1], single[2], targets, 0.1)
    expected = expected_loss(single[0], single[1], single[2], targets, 0.1)
    assert loss.item() == pytest.approx(expected.item(), rel=0.02)
    ours = torch.autograd.grad(loss, single)
    for one, other in zip(ours, torch.autograd.grad(expected, single), strict=True):
        assert (one - other).norm() < 0.02 * other.norm()


def test_the_loss_needs_no_gradients() -> None:
    features, weight, bias, targets = layer(4)
    wanted = smoothed_cross_entropy(features, weight, bias, targets, 0.1)
    with torch.no_grad():
        watched = smoothed_cross_entropy(features, weight, bias, targets, 0.1)
    free = [one.detach() for one in (features, weight, bias)]
    unwatched = smoothed_cross_entropy(free[0], free[1], free[2], targets, 0.1)
    assert not watched.requires_grad
    assert not unwatched.requires_grad
    assert wanted.item() == watched.item() == unwatched.item()


def test_a_loss_that_is_only_looked_at_makes_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Tensor) -> Tensor:
        raise AssertionError("a product of the backward pass")

    features, weight, bias, targets = layer(4)
    monkeypatch.setattr(torch, "mm", refuse)
    for looking in (torch.no_grad, torch.inference_mode):
        with looking():
            smoothed_cross_entropy(features, weight, bias, targets, 0.1)
    with pytest.raises(AssertionError, match="backward pass"):
        smoothed_cross_entropy(features, weight, bias, targets, 0.1)


def test_a_mean_over_many_tokens_scales_half_precision_gradients_exactly() -> None:
    features, weight, bias, targets = (one.detach() for one in layer(300, size=16, vocab=50))
    half = features.bfloat16().requires_grad_()
    ends = []
    for count in (1, 3950):  # a count that bfloat16 rounds, and so does its reciprocal
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = smoothed_cross_entropy(half, weight.float(), bias.float(), targets, 0.1)
        ends.append(torch.autograd.grad(loss / count, half)[0].double() * count)
    assert (ends[1].norm() / ends[0].norm()).item() == pytest.approx(1, abs=2e-4)


def test_no_rows_cost_nothing() -> None:
    *parts, _ = layer(3)
    none = torch.zeros(0, dtype=torch.long)
    loss = smoothed_cross_entropy(parts[0][:0], parts[1], parts[2], none, 0.1)
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, parts):
        assert gradient.eq(0).all()


def test_the_head_counts_real_steps_only() -> None:
    torch.manual_seed(1)
    head = TokenHead(7, 5).double()
    torch.nn.init.normal_(head.bias)
    features = torch.randn(2, 4, 5, dtype=torch.double)
    targets = Padded(torch.randint(7, (2, 4)), torch.tensor([4, 1]))
    picked = head(features).gather(2, targets.values[..., None])[..., 0]
    expected = -(picked[0].sum() + picked[1, 0])
    torch.testing.assert_close(head.loss(features, targets), expected)
    assert head(features).exp().sum(dim=2).allclose(torch.ones(2, 4, dtype=torch.double))


def test_a_tied_head_shares_the_weight_and_both_gradients() -> None:
    torch.manual_seed(1)
    tokens = TokenInput(7, 5).double()
    head = TokenHead(7, 5, tied=tokens).double()
    assert head.weight is tokens.weight
    ids = torch.tensor([[1, 2]])
    loss = head.loss(tokens(ids), Padded(ids, torch.tensor([2])))
    (ours,) = torch.autograd.grad(loss, tokens.weight)
    weight = tokens.weight.detach().clone().requires_grad_()
    logits = functional.linear(functional.embedding(ids, weight), weight, head.bias)
    expected = functional.cross_entropy(logits[0], ids[0], reduction="sum")
    torch.testing.assert_close(ours, torch.autograd.grad(expected, weight)[0])


def test_word_dropout_leaves_out_whole_tokens() -> None:
    torch.manual_seed(1)
    tokens = TokenInput(5, 16, dropout=0.25)
    ids = torch.randint(5, (40, 50))
    noisy, plain = tokens(ids), functional.embedding(ids, tokens.weight)
    gone = noisy.eq(0).all(dim=2)
    assert gone.float().mean().item() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(noisy[~gone], plain[~gone] / 0.75)
    assert tokens.eval()(ids).equal(plain)


def test_dropout_by_type_leaves_out_a_token_wherever_it_stands() -> None:
    torch.manual_seed(1)
    tokens = TokenInput(200, 16, dropout=0.25, by_type=True)
    ids = torch.randint(200, (40, 50))
    noisy, plain = tokens(ids), functional.embedding(ids, tokens.weight)
    gone = noisy.eq(0).all(dim=2)
    types = set(ids[gone].tolist())
    assert types.isdisjoint(ids[~gone].tolist())
    assert len(types) / 200 == pytest.approx(0.25, abs=0.08)
    torch.testing.assert_close(noisy[~gone], plain[~gone] / 0.75)
    others = tokens(ids).eq(0).all(dim=2)
    assert not others.equal(gone)
    assert tokens.eval()(ids).equal(plain)
