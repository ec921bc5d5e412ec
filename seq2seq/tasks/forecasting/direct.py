"""Modes that make all steps ahead at once: sequence to vector, and that at every step."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.nn.rows import RowLinear
from seq2seq.tasks.forecasting.batches import SeriesBatch
from seq2seq.tasks.forecasting.mode import AtOnce, summed
from seq2seq.tasks.forecasting.reading import AheadInput, Shape, StepReader


class Direct(AtOnce):
    """From the state after the window to all steps of the horizon at once: sequence to vector.

    Each step of the horizon has a context of its own, made of that state, to which what is known of
    the step beforehand is joined (Wen et al. 2017, section 3.2).
    """

    every: ClassVar[bool] = False
    """Whether, while training, the horizon after each step of the window is predicted."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape.targets)
        self.reader = StepReader(shape)
        self.context = RowLinear(self.size, shape.horizon * self.size)
        self.known = AheadInput(shape)
        self.join = RowLinear(self.known.size, self.size) if self.known.size else None

    def arrange(self, values: Float[Tensor, "B X C"]) -> Float[Tensor, "B N C"]:
        """Returns the distances of the horizon's steps; of that after each step, if asked for."""
        first = 1 if self.every else self.shape.window
        ahead = values[:, first:].unfold(1, self.shape.horizon, 1)  # [B, Y, C, H]
        distances = summed(ahead.flatten(0, 1).transpose(1, 2)[..., None], self.shape.difference)
        return distances.reshape(len(values), -1, self.shape.targets)

    def forward(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the horizon, or of that after each step of the window."""
        return self.vectors(batch, 1 if self.every else self.shape.window)

    def ahead(self, batch: SeriesBatch) -> Float[Tensor, "B H O"]:
        """Returns the vectors of the horizon after the window."""
        return self.vectors(batch, self.shape.window)

    def vectors(self, batch: SeriesBatch, first: int) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the horizons after ``first`` steps of the window, and on."""
        shape = self.shape
        outputs, _ = self.reader(self.reader.window(batch))
        made: Tensor = self.context(outputs[:, first - 1 :])  # [B, Y, H*O]
        made = made.view(*made.shape[:2], shape.horizon, self.size)
        if self.join is not None:
            reach = batch.history.shape[1] - shape.window
            origins = torch.arange(reach + first, reach + shape.window + 1, device=made.device)
            future = batch.future[:, first:]
            made = made + self.join(self.known(batch.history, future, origins, shape.horizon))
            made = made.relu()
        return made.flatten(1, 2)


class Sequences(Direct):
    """The same after each step of the window while training: sequence to sequence.

    So the layers learn from many horizons of a window at once (Géron 2022, chapter 15).
    """

    every = True
