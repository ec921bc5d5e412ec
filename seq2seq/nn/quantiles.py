"""Quantile functions that torch has not: of Student's t and of the negative binomial.

All are worked out in float64, element by element, and are exact to its rounding.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

MOST_TERMS = 5_000
"""Of a continued fraction; it takes about as many as the root of its largest parameter."""
SMALLEST = 1e-300
"""Stands for a zero that would be divided by."""
CLOSE = 1e-12


def beta_share(
    a: Float[Tensor, "*B"],
    b: Float[Tensor, "*B"],
    x: Float[Tensor, "*B"],
    rest: Float[Tensor, "*B"],
) -> Float[Tensor, "*B"]:
    """Returns the regularised incomplete beta function ``I_x(a, b)``.

    Args:
        a: Above 0.
        b: Above 0.
        x: In [0, 1].
        rest: ``1 - x``, which the caller may know without rounding.
    """
    turned = x > (a + 1) / (a + b + 2)  # where the fraction of 1 - I_(1-x)(b, a) is shorter
    a, b = torch.where(turned, b, a), torch.where(turned, a, b)
    x, rest = torch.where(turned, rest, x), torch.where(turned, x, rest)
    log_front = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    log_front = log_front + torch.xlogy(a, x) + torch.xlogy(b, rest)
    share = log_front.exp() * _fraction(a, b, x) / a
    return torch.where(turned, 1 - share, share)


def _fraction(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Returns the continued fraction of the incomplete beta function, by Lentz's method."""

    def safe(value: Tensor) -> Tensor:
        return torch.where(value.abs() < SMALLEST, SMALLEST, value)

    above = torch.ones_like(x)
    below = 1 / safe(1 - (a + b) * x / (a + 1))
    found = below
    for term in range(1, MOST_TERMS):
        even = term * (b - term) * x / ((a + 2 * term - 1) * (a + 2 * term))
        odd = -(a + term) * (a + b + term) * x / ((a + 2 * term) * (a + 2 * term + 1))
        for part in (even, odd):
            below = 1 / safe(1 + part * below)
            above = safe(1 + part / above)
            change = above * below
            found = found * change
        if not bool(((change - 1).abs() > CLOSE).any()):  # what is no number is not waited for
            break
    return found


def student_t_tail(values: Float[Tensor, "*B"], freedom: Float[Tensor, "*B"]) -> Tensor:
    """Returns how likely a larger number than ``values``, which are not below 0, is."""
    squares = values.square()
    inside = freedom / (freedom + squares)
    half = torch.full_like(freedom, 0.5)
    return beta_share(freedom / 2, half, inside, squares / (freedom + squares)) / 2


def student_t_quantiles(
    levels: Float[Tensor, "*B"], freedom: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    """Returns the quantiles of Student's t.

    Args:
        levels: In (0, 1).
        freedom: The degrees of freedom, at least 2.
    """
    upper = torch.minimum(levels, 1 - levels)  # the tail beyond the quantile's size
    log_norm = torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2)
    log_norm = log_norm - 0.5 * (freedom * math.pi).log()
    # The normal's quantile lies below that of any t. From below, Newton's method on the logarithm
    # of the tail goes up to the root and never beyond it.
    size = -torch.special.ndtri(upper)
    for _ in range(MOST_TERMS):
        tail = student_t_tail(size, freedom)
        log_density = log_norm - (freedom + 1) / 2 * torch.log1p(size.square() / freedom)
        step = (tail.log() - upper.log()) * tail / log_density.exp()
        size = (size + step).clamp(min=0)
        if not bool((step.abs() > CLOSE * (1 + size)).any()):
            break
    found: Tensor = size * torch.sign(levels - 0.5)
    return found


def negative_binomial_below(
    counts: Float[Tensor, "*B"], mean: Float[Tensor, "*B"], shape: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    """Returns how likely at most so many counts are; the variance is ``mean + mean² / shape``."""
    total = shape + mean
    return beta_share(shape, counts.clamp(min=0) + 1, shape / total, mean / total) * (counts >= 0)


def negative_binomial_quantiles(
    levels: Float[Tensor, "*B"], mean: Float[Tensor, "*B"], shape: Float[Tensor, "*B"]
) -> Float[Tensor, "*B"]:
    """Returns the smallest counts that are not exceeded with the probabilities ``levels``."""
    spread = (mean + mean.square() / shape).sqrt()
    low = torch.full_like(mean, -1.0)
    high = (mean + 3 * spread).ceil()
    while bool((short := negative_binomial_below(high, mean, shape) < levels).any()):
        low, high = torch.where(short, high, low), torch.where(short, 2 * high + 1, high)
    while bool((high - low > 1).any()):
        middle = ((low + high) / 2).floor()
        enough = negative_binomial_below(middle, mean, shape) >= levels
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high
