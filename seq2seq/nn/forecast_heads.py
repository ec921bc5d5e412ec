"""Heads of forecasts: vectors become a distribution of numbers, with its loss.

Each vector stands for ``K`` numbers, such as the columns of a step, or the steps of a segment. What
they are learned from is scaled; where that matters, as for counts, vectors end with the logarithms
of the scales. A target that is NaN is not there, and counts nothing.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn.quantiles import negative_binomial_quantiles, student_t_quantiles
from seq2seq.nn.rows import RowLinear
from seq2seq.tensors import Padded

NARROWEST = 1e-4
"""Least spread of a distribution, in units of the scaled targets: what can be told exactly would
otherwise have an endless likelihood."""
Levels: TypeAlias = Sequence[float] | Tensor
"""Levels of quantiles in (0, 1): the same for all numbers, or ``[*B, K, Q]``."""


class ForecastHead(nn.Module):
    """Gives ``columns`` numbers for each vector; a subclass says which distribution they have."""

    numbers: ClassVar[int] = 1
    """Parameters of a distribution."""
    spread: ClassVar[bool] = True
    """Whether the distribution has a width. A head without one knows the same quantile for all
    levels, its point."""
    counts: ClassVar[bool] = False
    """Whether targets are counts, and vectors end with the logarithms of their scales."""

    def __init__(self, size: int, columns: int, levels: Sequence[float] = ()) -> None:
        """``levels`` are those that the head of quantiles learns."""
        super().__init__()
        self.size, self.columns = size, columns
        self.project = RowLinear(size, columns * self.numbers)

    def raw(self, vectors: Float[Tensor, "*B O"]) -> Float[Tensor, "*B K P"]:
        """Returns the parameters before they are brought into their ranges."""
        made = self.project(vectors[..., : self.size])
        exact: Tensor = made.to(self.project.weight.dtype)
        numbers = self.project.out_features // self.columns
        return exact.view(*exact.shape[:-1], self.columns, numbers)

    def loss(
        self, vectors: Float[Tensor, "B N O"], targets: Padded, smoothing: float = 0.0
    ) -> Float[Tensor, ""]:
        """Returns the loss summed over the targets that are there; numbers are not smoothed."""
        values = targets.values.to(self.project.weight.dtype)  # [B, N, K]
        there = ~values.isnan() & targets.valid[..., None]
        costs = self.costs(vectors, values.masked_fill(~there, 0.0))
        return costs.masked_fill(~there, 0.0).sum()

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns the loss of each number."""
        raise NotImplementedError

    def point(self, vectors: Float[Tensor, "*B O"]) -> Float[Tensor, "*B K"]:
        """Returns one number that stands for the distribution."""
        return self.raw(vectors)[..., 0]

    def quantiles(self, vectors: Float[Tensor, "*B O"], levels: Levels) -> Float[Tensor, "*B K Q"]:
        """Returns the distribution's quantiles, which rise with their levels.

        Those of random levels are a sample of it.
        """
        point = self.point(vectors)[..., None]  # [*B, K, 1]
        wanted = torch.as_tensor(levels, dtype=torch.double, device=point.device)
        wanted = wanted.expand(*point.shape[:-1], wanted.shape[-1])
        return self.inverse(vectors, wanted).to(point.dtype)

    def inverse(
        self, vectors: Float[Tensor, "*B O"], levels: Float[Tensor, "*B K Q"]
    ) -> Float[Tensor, "*B K Q"]:
        """Returns the quantiles of these levels."""
        return self.point(vectors)[..., None].expand_as(levels)


class MaeHead(ForecastHead):
    """The median, learned by its absolute error."""

    spread = False

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns absolute errors."""
        return (self.point(vectors) - targets).abs()


class MseHead(ForecastHead):
    """The mean, learned by its squared error."""

    spread = False

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns squared errors."""
        return (self.point(vectors) - targets).square()


class HuberHead(ForecastHead):
    """A number between mean and median: small errors are squared, large ones are not (Huber 1964).

    An error is small up to one unit of the scaled targets.
    """

    spread = False

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns half the squares of small errors, and of large ones all but a half."""
        return functional.huber_loss(self.point(vectors), targets, reduction="none")


class QuantileHead(ForecastHead):
    """Several quantiles, each learned by its pinball loss (Koenker & Bassett 1978).

    They are sorted where they are used (Chernozhukov et al. 2010). Between the learned levels the
    quantiles are linear in the normal distribution's, and go on so beyond them.
    """

    def __init__(self, size: int, columns: int, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        super().__init__(size, columns)
        self.project = RowLinear(size, columns * len(levels))
        known = torch.tensor(sorted(levels), dtype=torch.double)
        self.register_buffer("levels", known, persistent=False)
        with torch.no_grad():  # as if the scaled targets were normal
            self.project.bias.copy_(torch.special.ndtri(known).repeat(columns))

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns twice the mean pinball loss of the levels: of the median alone, its error."""
        missing = targets[..., None] - self.raw(vectors)  # [*B, K, P]
        levels = self.get_buffer("levels").to(missing.dtype)
        return 2 * torch.maximum(levels * missing, (levels - 1) * missing).mean(dim=-1)

    def point(self, vectors: Float[Tensor, "*B O"]) -> Float[Tensor, "*B K"]:
        """Returns the median."""
        half = vectors.new_full((*vectors.shape[:-1], self.columns, 1), 0.5, dtype=torch.double)
        return self.inverse(vectors, half)[..., 0].to(self.project.weight.dtype)

    def inverse(
        self, vectors: Float[Tensor, "*B O"], levels: Float[Tensor, "*B K Q"]
    ) -> Float[Tensor, "*B K Q"]:
        """Returns the quantiles on the lines through the learned ones."""
        known = self.raw(vectors).sort(dim=-1).values.to(levels.dtype)  # [*B, K, P]
        if known.shape[-1] == 1:
            return known.expand_as(levels)
        places = torch.special.ndtri(self.get_buffer("levels").to(levels.dtype))  # [P]
        wanted = torch.special.ndtri(levels).contiguous()
        after = torch.searchsorted(places, wanted).clamp(1, len(places) - 1)
        share = (wanted - places[after - 1]) / (places[after] - places[after - 1])
        return torch.lerp(known.gather(-1, after - 1), known.gather(-1, after), share)


class GaussianHead(ForecastHead):
    """Mean and standard deviation, learned by their likelihood."""

    numbers = 2

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns negative logarithms of densities."""
        mean, deviation = self.shape(vectors)
        distance = (targets - mean) / deviation
        costs: Tensor = deviation.log() + 0.5 * distance.square() + 0.5 * math.log(2 * math.pi)
        return costs

    def shape(self, vectors: Float[Tensor, "*B O"]) -> tuple[Tensor, Tensor]:
        """Returns means and standard deviations, ``[*B, K]`` each."""
        mean, width = self.raw(vectors).unbind(-1)
        return mean, functional.softplus(width) + NARROWEST

    def inverse(
        self, vectors: Float[Tensor, "*B O"], levels: Float[Tensor, "*B K Q"]
    ) -> Float[Tensor, "*B K Q"]:
        """Returns the normal distribution's quantiles."""
        mean, deviation = self.shape(vectors)
        normal: Tensor = torch.special.ndtri(levels)
        return mean[..., None] + deviation[..., None] * normal


class StudentTHead(ForecastHead):
    """Place, width and degrees of freedom of Student's t, learned by their likelihood.

    There are more than two degrees of freedom, so that there is a variance.
    """

    numbers = 3

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns negative logarithms of densities."""
        place, width, freedom = self.shape(vectors)
        distance = (targets - place) / width
        half = (freedom + 1) / 2
        norm = torch.lgamma(freedom / 2) - torch.lgamma(half) + 0.5 * (freedom * math.pi).log()
        return norm + width.log() + half * torch.log1p(distance.square() / freedom)

    def shape(self, vectors: Float[Tensor, "*B O"]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns places, widths and degrees of freedom, ``[*B, K]`` each."""
        place, width, freedom = self.raw(vectors).unbind(-1)
        return place, functional.softplus(width) + NARROWEST, 2 + functional.softplus(freedom)

    def inverse(
        self, vectors: Float[Tensor, "*B O"], levels: Float[Tensor, "*B K Q"]
    ) -> Float[Tensor, "*B K Q"]:
        """Returns the quantiles of Student's t."""
        place, width, freedom = (part[..., None] for part in self.shape(vectors))
        return place + width * student_t_quantiles(levels, freedom.to(levels).expand_as(levels))


class NegativeBinomialHead(ForecastHead):
    """Counts whose variance is above their mean (Salinas et al. 2020, section 3.2).

    With scaled targets: a target times its scale is a whole number, of at least 0.
    """

    numbers, counts = 2, True

    def costs(
        self, vectors: Float[Tensor, "*B O"], targets: Float[Tensor, "*B K"]
    ) -> Float[Tensor, "*B K"]:
        """Returns negative logarithms of probabilities."""
        mean, shape, scale = self.shape(vectors)
        counts = (targets.double() * scale).round()
        total = shape + mean
        log_ways = torch.lgamma(counts + shape) - torch.lgamma(shape) - torch.lgamma(counts + 1)
        log_chance = shape * (shape / total).log() + counts * (mean / total).log()
        return -(log_ways + log_chance).to(targets.dtype)

    def shape(self, vectors: Float[Tensor, "*B O"]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns means and shapes of the counts, and their scales, in float64, ``[*B, K]`` each.

        The variance is ``mean + mean² / shape``.
        """
        scale = vectors[..., self.size :].double().exp()
        mean, excess = functional.softplus(self.raw(vectors).double()).unbind(-1)
        return scale * mean + NARROWEST, scale.sqrt() / (excess + NARROWEST), scale

    def point(self, vectors: Float[Tensor, "*B O"]) -> Float[Tensor, "*B K"]:
        """Returns the mean."""
        mean, _, scale = self.shape(vectors)
        return (mean / scale).to(self.project.weight.dtype)

    def inverse(
        self, vectors: Float[Tensor, "*B O"], levels: Float[Tensor, "*B K Q"]
    ) -> Float[Tensor, "*B K Q"]:
        """Returns whole numbers, scaled."""
        mean, shape, scale = (part[..., None].expand_as(levels) for part in self.shape(vectors))
        return negative_binomial_quantiles(levels, mean, shape) / scale


HEADS: dict[str, type[ForecastHead]] = {
    "mae": MaeHead,
    "mse": MseHead,
    "huber": HuberHead,
    "quantiles": QuantileHead,
    "gaussian": GaussianHead,
    "student-t": StudentTHead,
    "negative-binomial": NegativeBinomialHead,
}
"""Heads by the name that ``head:`` gives them in a configuration."""
