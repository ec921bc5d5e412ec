"""What a network reads: the steps of a window, and what is known of those ahead.

Shape letters: those of :mod:`seq2seq.tasks.forecasting.batches`; E features of a step, L lags.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seq2seq.nn.inputs import FeatureInput
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.tasks.forecasting.batches import SeriesBatch


@dataclass(frozen=True)
class Shape:
    """What decides the sizes of a network: columns, steps, layers."""

    layers: RecurrentConfig
    window: int
    horizon: int
    targets: int
    past: int = 0
    future: int = 0
    static: int = 0
    lags: tuple[int, ...] = ()
    """How many steps before a step its covariates have the targets, too."""
    difference: tuple[int, ...] = ()
    masked: bool = False
    """Whether any number may be missing."""
    segment: int = 1
    """Steps that are read and forecast as one, in segments."""

    @property
    def reach(self) -> int:
        """Steps before the window that lags look at."""
        return max(self.lags, default=0)

    @property
    def lagged(self) -> int:
        """Columns of the lags."""
        return len(self.lags) * self.targets


class StepReader(nn.Module):
    """Reads a series step by step.

    A step's features are its values and past covariates, and what is known beforehand of the step
    after it: future covariates, and the values some lags before that one.
    """

    def __init__(self, shape: Shape, *, hides: bool = False) -> None:
        """``hides`` says that past covariates are not known at some steps."""
        super().__init__()
        self.shape = shape
        maybe = shape.lagged + (shape.past if shape.masked or hides else 0)
        maybe += shape.targets + shape.future if shape.masked else 0
        size = shape.static + shape.future + shape.targets + shape.past + shape.lagged
        self.input = FeatureInput(size, maybe)
        self.layers = Recurrent(shape.layers, self.input.size)

    def features(
        self,
        values: Float[Tensor, "B RT C"],
        past: Float[Tensor, "B T P"],
        future: Float[Tensor, "B T F"],
        static: Float[Tensor, "B S"],
    ) -> Float[Tensor, "B T E"]:
        """Returns what is read at each step; ``future`` is that of the step after it."""
        steps = past.shape[1]
        reach = values.shape[1] - steps
        lagged = [
            values[:, reach + 1 - lag : reach + 1 - lag + steps] for lag in self.shape.lags
        ]  # each [B, T, C]
        fixed = static[:, None].expand(-1, steps, -1)
        found: Tensor = self.input(
            torch.cat([fixed, future, values[:, reach:], past, *lagged], dim=2)
        )
        return found

    def forward(
        self, features: Float[Tensor, "B T E"]
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B L ND"]]:
        """Returns the top layer's outputs, and each layer's state after the last step."""
        outputs, state = self.layers(features, self.layers.zero_state(features))
        return outputs, state

    def window(self, batch: SeriesBatch) -> Float[Tensor, "B W E"]:
        """Returns what is read of the windows of a batch."""
        future = batch.future[:, 1 : self.shape.window + 1]
        return self.features(batch.history, batch.past, future, batch.static)


class AheadInput(nn.Module):
    """What is known of each step of a horizon at its origin: future covariates, and lags.

    Where a lag is shorter than the way to the step, the value is taken that is known and as many
    times the lag before it.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        size = shape.future + shape.lagged
        self.input = FeatureInput(size, size if shape.masked else shape.lagged)
        self.size = self.input.size

    def forward(
        self,
        values: Float[Tensor, "B X C"],
        future: Float[Tensor, "B A F"],
        origins: Int[Tensor, "Y"],
        horizon: int,
    ) -> Float[Tensor, "B Y H E"]:
        """Returns the features of all steps after each of some origins.

        Args:
            values: The values before the last origin.
            future: The covariates from the first origin on.
            origins: The places of the origins among the values, one after the other.
            horizon: How many steps there are after each.
        """
        steps = torch.arange(horizon, device=values.device)
        ahead = origins[:, None] + steps  # [Y, H]: places on the same line
        lagged = [values[:, ahead - lag * (steps // lag + 1)] for lag in self.shape.lags]
        known = future[:, ahead - origins[0]]
        joined = torch.cat([known, *lagged], dim=3)  # [B, Y, H, F+LC]
        found: Tensor = self.input(joined.flatten(0, 1)).view(*joined.shape[:3], -1)
        return found
