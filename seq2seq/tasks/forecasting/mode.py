"""What every mode is: how a network comes from a window to all steps of a horizon.

A mode reads windows with a stack of recurrent layers, and makes vectors that a head turns into
distributions, each of ``K`` numbers. Shape letters: those of
:mod:`seq2seq.tasks.forecasting.batches`, and N vectors of a window, O their width, M courses that
things may take, Q levels. The modes themselves are in :mod:`seq2seq.tasks.forecasting.modes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.nn.forecast_heads import ForecastHead, Levels
from seq2seq.tasks.forecasting.batches import SeriesBatch
from seq2seq.tasks.forecasting.reading import Shape
from seq2seq.tasks.forecasting.scaling import adding_up

NAN = float("nan")


@cache
def _sums(orders: tuple[int, ...], horizon: int) -> Tensor:
    return torch.from_numpy(adding_up(orders, horizon))


def summed(values: Float[Tensor, "B H C M"], orders: tuple[int, ...]) -> Float[Tensor, "B H C M"]:
    """Adds the differences of the steps up; where one of them is missing, the sum is."""
    if not orders:
        return values
    sums = _sums(orders, values.shape[1]).to(values)
    missing = torch.tensordot(sums.ne(0).to(values), values.isnan().to(values), ([1], [1])) > 0
    added: Tensor = torch.tensordot(sums, values.nan_to_num(0.0), ([1], [1]))  # [H, B, C, M]
    return added.masked_fill(missing, NAN).transpose(0, 1)


class Forecast(NamedTuple):
    """Scaled distances of the steps ahead."""

    point: Float[Tensor, "B H C"]
    quantiles: Float[Tensor, "B H C Q"]
    samples: Float[Tensor, "B H C M"]


@dataclass(frozen=True)
class Known:
    """A head, and the scales of the windows that it is used for."""

    head: ForecastHead
    scales: Float[Tensor, "B Y K"]
    """Logarithms, of each vector or the same for all, ``Y`` being 1."""

    def seen(self, vectors: Float[Tensor, "B N O"]) -> Float[Tensor, "B N _"]:
        """Returns what the head sees."""
        if not self.head.counts:
            return vectors
        scales = self.scales.to(vectors.dtype).expand(-1, vectors.shape[1], -1)
        return torch.cat([vectors, scales], dim=2)

    def point(self, vectors: Float[Tensor, "B N O"]) -> Float[Tensor, "B N K"]:
        """Returns the points."""
        return self.head.point(self.seen(vectors))

    def quantiles(
        self, vectors: Float[Tensor, "B N O"], levels: Levels
    ) -> Float[Tensor, "B N K Q"]:
        """Returns the quantiles."""
        return self.head.quantiles(self.seen(vectors), levels)


class Mode(nn.Module):
    """Reads windows and makes vectors of them; a subclass says how."""

    fixed: ClassVar[bool] = True
    """Whether the horizon can only be the one that was learned."""
    draws: ClassVar[int] = 0
    """Courses that are drawn where quantiles are asked for."""

    def __init__(self, shape: Shape, columns: int) -> None:
        """Each vector, as wide as the layers, stands for so many ``columns``."""
        super().__init__()
        self.shape, self.columns = shape, columns
        self.size = shape.layers.hidden_size

    def arrange(self, values: Float[Tensor, "B X C"]) -> Float[Tensor, "B N K"]:
        """Returns what the vectors predict, of the values of window and horizon."""
        raise NotImplementedError

    def scales(self, scale: Float[Tensor, "B C"]) -> Float[Tensor, "B Y K"]:
        """Returns what the values behind each vector were divided by; ``Y`` may be 1."""
        return scale[:, None]

    def forward(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors for training: the true values of the horizon may be looked at."""
        raise NotImplementedError

    def forecast(
        self,
        batch: SeriesBatch,
        head: Known,
        levels: Sequence[float],
        draws: Float[Tensor, "B H C M"],
    ) -> Forecast:
        """Forecasts windows of which nothing is known from the origin on but future covariates.

        ``draws`` are the levels, in (0, 1), of the numbers that are drawn.
        """
        raise NotImplementedError


class AtOnce(Mode):
    """A mode that makes the vectors of all steps ahead together.

    What it predicts are distances. Samples of different steps know nothing of each other.
    """

    def ahead(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the steps ahead."""
        raise NotImplementedError

    def folded(self, values: Float[Tensor, "B H C M"]) -> Float[Tensor, "B N K M"]:
        """Returns the numbers of the steps ahead as the vectors stand for them."""
        return values

    def unfolded(self, made: Float[Tensor, "B N K M"]) -> Float[Tensor, "B H C M"]:
        """Returns what was made of the vectors of the steps ahead as those steps."""
        return made

    def forecast(
        self,
        batch: SeriesBatch,
        head: Known,
        levels: Sequence[float],
        draws: Float[Tensor, "B H C M"],
    ) -> Forecast:
        """Forecasts windows."""
        vectors = self.ahead(batch)
        return Forecast(
            self.unfolded(head.point(vectors)[..., None])[..., 0],
            self.unfolded(head.quantiles(vectors, levels)),
            self.unfolded(head.quantiles(vectors, self.folded(draws).nan_to_num(0.5))),
        )
