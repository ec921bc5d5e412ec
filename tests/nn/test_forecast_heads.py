"""Heads of forecasts beside torch's distributions, and beside integrals and sums of those."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.nn.forecast_heads import (
    HEADS,
    ForecastHead,
    GaussianHead,
    NegativeBinomialHead,
    QuantileHead,
    StudentTHead,
)
from seq2seq.nn.inputs import FeatureInput
from seq2seq.nn.quantiles import negative_binomial_quantiles, student_t_quantiles
from seq2seq.tensors import Padded

of_torch: Any = torch.distributions
LEVELS = (0.01, 0.1, 0.3, 0.5, 0.8, 0.95, 0.999)
SIZE, COLUMNS = 5, 3


def doubles(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.double)


def head_of(name: str) -> ForecastHead:
    torch.manual_seed(1)
    head = HEADS[name](SIZE, COLUMNS, (0.1, 0.5, 0.9)).double()
    torch.nn.init.normal_(head.project.bias)
    return head


def vectors_of(head: ForecastHead, *shape: int) -> Tensor:
    """Returns vectors; where the head works on counts, with scales of about 7."""
    vectors = torch.randn(*shape, SIZE, dtype=torch.double)
    if not head.counts:
        return vectors
    return torch.cat([vectors, 2 + 0.1 * torch.randn(*shape, COLUMNS).double()], dim=-1)


def targets_of(head: ForecastHead, vectors: Tensor) -> Tensor:
    """Returns numbers that may be targets."""
    if not head.counts:
        return torch.randn(*vectors.shape[:-1], COLUMNS, dtype=torch.double)
    scale = vectors[..., SIZE:].exp()
    return torch.randint(30, scale.shape) / scale


def padded(values: Tensor) -> Padded:
    return Padded(values, torch.full((len(values),), values.shape[1]))


def expected_costs(name: str, head: Any, vectors: Tensor, targets: Tensor) -> Any:
    """Returns the loss of each number, by torch's distributions where there is one."""
    error = targets - head.point(vectors)
    if isinstance(head, GaussianHead):
        return -of_torch.Normal(*head.shape(vectors)).log_prob(targets)
    if isinstance(head, StudentTHead):
        place, width, freedom = head.shape(vectors)
        return -of_torch.StudentT(freedom, place, width).log_prob(targets)
    if isinstance(head, NegativeBinomialHead):
        mean, shape, scale = head.shape(vectors)
        twin = of_torch.NegativeBinomial(shape, mean / (mean + shape))
        return -twin.log_prob((targets * scale).round())
    if isinstance(head, QuantileHead):
        found: Any = torch.zeros_like(targets)
        for at, level in enumerate((0.1, 0.5, 0.9)):
            short = targets - head.raw(vectors)[..., at]
            cost = torch.where(short > 0, level * short, (level - 1) * short)
            found = found + 2 / 3 * cost
        return found
    losses = {"mae": error.abs(), "mse": error**2}
    small = error.abs() <= 1
    return losses.get(name, torch.where(small, error**2 / 2, error.abs() - 0.5))


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_is_the_sum_over_the_targets_that_are_there(name: str) -> None:
    head = head_of(name)
    vectors = vectors_of(head, 4, 6).requires_grad_()
    targets = targets_of(head, vectors.detach())
    gone = torch.rand(targets.shape) < 0.3
    gone[3, 2:] = True
    expected = expected_costs(name, head, vectors, targets).masked_fill(gone, 0.0).sum()
    own = targets.masked_fill(gone, float("nan"))
    own[3, 2:] = 1e6  # behind the end of the row
    loss = head.loss(vectors, Padded(own, torch.tensor([6, 6, 6, 2])), 0.1)
    torch.testing.assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    wanted = [vectors, *head.parameters()]
    for one, other in zip(
        torch.autograd.grad(loss, wanted), torch.autograd.grad(expected, wanted), strict=True
    ):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", HEADS)
def test_a_target_that_is_missing_changes_nothing(name: str) -> None:
    head = head_of(name)
    vectors = vectors_of(head, 2, 3)
    targets = targets_of(head, vectors)
    targets[0, 1] = float("nan")
    loss = head.loss(vectors, padded(targets))
    vectors[0, 1] = 50.0
    assert head.loss(vectors, padded(targets)) == loss
    nothing = head.loss(vectors, padded(torch.full_like(targets, float("nan"))))
    assert nothing == 0


@pytest.mark.parametrize("name", HEADS)
def test_quantiles_rise_and_do_not_depend_on_neighbours(name: str) -> None:
    head = head_of(name)
    vectors = vectors_of(head, 4, 3)
    found = head.quantiles(vectors, LEVELS)
    assert found.shape == (4, 3, COLUMNS, len(LEVELS))
    assert (found.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(head.quantiles(vectors[2:3, :1], LEVELS), found[2:3, :1])
    mixed = doubles(LEVELS).expand(found.shape)[..., [3, 0]]
    torch.testing.assert_close(head.quantiles(vectors, mixed), found[..., [3, 0]])
    widths = found[..., -1] - found[..., 0]
    assert (widths > 0).all() if head.spread else (found == head.point(vectors)[..., None]).all()


def integral(density: Any, upto: Tensor, steps: int = 20_001) -> Tensor:
    """Integrates densities from minus infinity by Simpson's rule."""
    grid = torch.linspace(0, 1, steps, dtype=torch.double)[:, None]
    # t = upto - (1 - g) / g, from minus infinity at g = 0 to upto at g = 1.
    inner = grid[1:]
    values = density(upto - (1 - inner) / inner) / inner**2
    values = torch.cat([torch.zeros_like(values[:1]), values])
    weights = torch.ones(steps, 1, dtype=torch.double)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0
    return (weights * values).sum(dim=0) / (3 * (steps - 1))


def test_quantiles_of_the_normal_invert_its_distribution() -> None:
    head: Any = head_of("gaussian")
    vectors = vectors_of(head, 4)
    mean, deviation = head.shape(vectors)
    found = head.quantiles(vectors, LEVELS)
    levels = of_torch.Normal(mean[..., None], deviation[..., None]).cdf(found)
    torch.testing.assert_close(levels, doubles(LEVELS).expand_as(levels))


@given(
    levels=st.lists(st.floats(1e-4, 1 - 1e-4), min_size=5, max_size=5),
    freedom=st.lists(st.floats(2.01, 200), min_size=5, max_size=5),
)
@settings(max_examples=15)
def test_quantiles_of_students_t_invert_its_distribution(
    levels: list[float], freedom: list[float]
) -> None:
    wanted, degrees = doubles(levels), doubles(freedom)
    found = student_t_quantiles(wanted, degrees)

    def density(values: Tensor) -> Any:
        return of_torch.StudentT(degrees).log_prob(values).exp()

    torch.testing.assert_close(integral(density, found), wanted, atol=1e-7, rtol=0)


def test_quantiles_of_students_t_are_those_of_the_tables() -> None:
    table = [(0.975, 5, 2.570582), (0.95, 10, 1.812461), (0.995, 3, 5.840909), (0.9, 30, 1.310415)]
    for level, freedom, expected in table:
        given = doubles([level, 1 - level, 0.5]), torch.full((3,), freedom, dtype=torch.double)
        found = student_t_quantiles(*given).tolist()
        assert found == pytest.approx([expected, -expected, 0.0], abs=1e-6)


@given(
    level=st.floats(1e-4, 1 - 1e-4),
    mean=st.floats(1e-3, 500),
    shape=st.floats(0.05, 1000),
)
@settings(max_examples=20)
def test_quantiles_of_counts_are_the_first_that_sums_of_probabilities_reach(
    level: float, mean: float, shape: float
) -> None:
    wanted, centre, width = (doubles([one]) for one in (level, mean, shape))
    (found,) = negative_binomial_quantiles(wanted, centre, width).tolist()
    twin = of_torch.NegativeBinomial(width, centre / (centre + width))
    counts = torch.arange(found + 1, dtype=torch.double)
    below = twin.log_prob(counts).exp().cumsum(0)
    assert below[-1].item() >= level - 1e-9
    assert found == 0 or below[-2].item() < level + 1e-9


def test_quantiles_of_large_counts_are_nearly_normal() -> None:
    level = doubles([0.001, 0.5, 0.999])
    mean, shape = doubles([1e6] * 3), doubles([1e4] * 3)
    found = negative_binomial_quantiles(level, mean, shape)
    deviation = math.sqrt(1e6 + 1e12 / 1e4)
    expected = mean + deviation * torch.special.ndtri(level)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)


def test_scaled_counts_are_counts() -> None:
    head: Any = head_of("negative-binomial")
    vectors = vectors_of(head, 50)
    scale = vectors[:, SIZE:].exp()
    counts = head.quantiles(vectors, LEVELS) * scale[..., None]
    torch.testing.assert_close(counts, counts.round())
    # A mean of quantiles at evenly spread levels is the mean of the distribution.
    even = [(place + 0.5) / 400 for place in range(400)]
    mean = head.quantiles(vectors, even).mean(dim=-1)
    torch.testing.assert_close(mean, head.point(vectors), rtol=0.05, atol=0.05)


def test_learned_quantiles_are_hit_and_the_lines_between_are_normal() -> None:
    head: Any = head_of("quantiles")
    vectors = vectors_of(head, 20)
    known = head.raw(vectors).sort(dim=-1).values
    assert not known.equal(head.raw(vectors))
    torch.testing.assert_close(head.quantiles(vectors, (0.1, 0.5, 0.9)), known)
    torch.testing.assert_close(head.point(vectors), known[..., 1])
    with torch.no_grad():  # three quantiles of one normal distribution
        head.project.weight.zero_()
        bells = 2 + 3 * torch.special.ndtri(doubles([0.1, 0.5, 0.9]))
        head.project.bias.copy_(bells.repeat(COLUMNS))
    levels = doubles(LEVELS)
    expected = 2 + 3 * torch.special.ndtri(levels)
    torch.testing.assert_close(head.quantiles(vectors, LEVELS)[0, 0], expected)


def test_one_learned_quantile_is_that_of_all_levels() -> None:
    head = QuantileHead(SIZE, COLUMNS, (0.5,)).double()
    vectors = vectors_of(head, 2)
    found = head.quantiles(vectors, (0.1, 0.9))
    assert found.equal(head.point(vectors)[..., None].expand_as(found))
    targets = targets_of(head, vectors)
    expected = (targets - head.point(vectors)).abs().sum()
    torch.testing.assert_close(head.loss(vectors[None], padded(targets[None])), expected)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_learns_the_distribution_of_its_targets(name: str) -> None:
    torch.manual_seed(1)
    head = HEADS[name](1, 1, (0.1, 0.5, 0.9)).double()
    numbers = of_torch.Gamma(4.0, 0.5).sample((1, 500, 1)).double().round()  # mean 8, skewed
    vectors = torch.ones(1, 500, 1 + head.counts, dtype=torch.double)
    vectors[..., 1:] = 0.0  # the logarithm of a scale of 1
    optimizer = torch.optim.Adam(head.parameters(), 0.3)
    for _ in range(150):
        optimizer.zero_grad()
        loss: Any = head.loss(vectors, padded(numbers)) / 500
        loss.backward()
        optimizer.step()
    point = head.point(vectors[:, :1]).item()
    median, mean = numbers.median().item(), numbers.mean().item()
    expected = {"mae": median, "quantiles": median, "huber": median, "student-t": median}
    assert point == pytest.approx(expected.get(name, mean), abs=0.6)
    if head.spread:
        low, high = head.quantiles(vectors[:, :1], (0.1, 0.9))[0, 0, 0].tolist()
        inside = ((numbers >= low) & (numbers <= high)).double().mean().item()
        assert 0.75 < inside < 0.93  # the numbers are whole, and skewed


@pytest.mark.parametrize("name", HEADS)
def test_heads_are_single_precision_under_autocast(name: str) -> None:
    head = head_of(name).float()
    vectors = vectors_of(head, 2, 3).float()
    targets = targets_of(head, vectors).float()
    expected = head.loss(vectors, padded(targets))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = head.loss(vectors, padded(targets))
        assert head.point(vectors).dtype == torch.float32
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.05)


def test_features_that_are_missing_are_nothing_and_some_are_told() -> None:
    values = torch.tensor([[[1.0, float("nan"), 3.0], [4.0, 5.0, float("nan")]]])
    plain, flagged = FeatureInput(3), FeatureInput(3, 2)
    assert (plain.size, flagged.size) == (3, 5)
    assert plain(values).tolist() == [[[1.0, 0.0, 3.0], [4.0, 5.0, 0.0]]]
    assert flagged(values)[..., :3].equal(plain(values))
    assert flagged(values)[..., 3:].tolist() == [[[0.0, 1.0], [1.0, 0.0]]]
