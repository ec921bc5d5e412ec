"""Modes that forecast step by step: recursive roll-out, and encoder-decoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.nn.inputs import FeatureInput
from seq2seq.nn.recurrent import Recurrent
from seq2seq.tasks.forecasting.batches import SeriesBatch, repeated
from seq2seq.tasks.forecasting.mode import NAN, Forecast, Known, Mode, summed
from seq2seq.tasks.forecasting.reading import AheadInput, Shape, StepReader


class Feeding(Mode):
    """A mode that forecasts one step after the other, each from the value of the one before.

    While training that value is the true one; later, the network's own, or one drawn from its
    distribution: then each draw is a course of its own.
    """

    fixed, draws = False, 200

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape.targets)

    def begin(self, batch: SeriesBatch) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the window; returns the vector of the first step ahead, and the state."""
        raise NotImplementedError

    def step(
        self,
        batch: SeriesBatch,
        values: Float[Tensor, "B X C"],
        ahead: int,
        state: Float[Tensor, "B L ND"],
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the value before step ``ahead`` (the first is 0); returns that step's vector.

        ``values`` are the history, and what was fed since.
        """
        raise NotImplementedError

    def forecast(
        self,
        batch: SeriesBatch,
        head: Known,
        levels: Sequence[float],
        draws: Float[Tensor, "B H C M"],
    ) -> Forecast:
        """Forecasts windows. Beyond the first step, quantiles are those of the courses drawn."""
        courses, first = self.courses(batch, head, draws)
        courses = summed(courses, self.shape.difference)
        drawn = courses[..., 1:]
        seen = drawn if drawn.shape[3] else courses  # that of the points, if there is no other
        wanted = torch.tensor(levels, dtype=seen.dtype, device=seen.device)
        quantiles = seen.quantile(wanted, dim=3).permute(1, 2, 3, 0)
        exact = head.quantiles(first[:, None], levels)  # [B, 1, C, Q]
        return Forecast(courses[..., 0], torch.cat([exact, quantiles[:, 1:]], dim=1), drawn)

    def courses(
        self,
        batch: SeriesBatch,
        head: Known,
        draws: Float[Tensor, "B A C M"],
    ) -> tuple[Float[Tensor, "B A C Q"], Float[Tensor, "B O"]]:
        """Rolls the forecast out: once with the points fed back, and once for each draw.

        Args:
            batch: The windows.
            head: Makes values of the vectors.
            draws: Levels in (0, 1) of the values that are drawn.

        Returns:
            The courses, that of the points first, and the vector of the first step.
        """
        rows, steps, columns, count = draws.shape
        first, state = self.begin(batch)
        many = repeated(batch, 1 + count)
        vector, state = first, state.repeat_interleave(1 + count, dim=0)
        vector = vector.repeat_interleave(1 + count, dim=0)
        values = many.history
        for ahead in range(steps):
            if ahead:
                vector, state = self.step(many, values, ahead, state)
            own = vector.view(rows, 1 + count, -1)
            value = head.point(own[:, :1])  # [B, 1, C]
            if count:
                levels = draws[:, ahead].transpose(1, 2)[..., None]  # [B, M, C, 1]
                drawn = head.quantiles(own[:, 1:], levels)[..., 0]
                value = torch.cat([value, drawn], dim=1)
            values = torch.cat([values, value.reshape(-1, 1, columns)], dim=1)
        fed = values[:, batch.history.shape[1] :].view(rows, 1 + count, steps, columns)
        return fed.permute(0, 2, 3, 1), first


class Recursive(Feeding):
    """One step ahead at every step, and rolled out.

    The horizon is learned as part of the sequence, with the past covariates hidden as they will be.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.reader = StepReader(shape, hides=shape.horizon > 1)

    def arrange(self, values: Float[Tensor, "B X C"]) -> Float[Tensor, "B N C"]:
        """Returns the values of all steps but the first."""
        return values[:, 1:]

    def forward(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of all steps of window and horizon but the first."""
        values = torch.cat([batch.history, batch.ahead[:, :-1]], dim=1)
        hidden = batch.past.new_full((batch.rows, self.shape.horizon - 1, self.shape.past), NAN)
        past = torch.cat([batch.past, hidden], dim=1)
        features = self.reader.features(values, past, batch.future[:, 1:], batch.static)
        outputs: Tensor = self.reader(features)[0]
        return outputs

    def begin(self, batch: SeriesBatch) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the window; returns the vector of the first step ahead, and the state."""
        outputs, state = self.reader(self.reader.window(batch))
        return outputs[:, -1], state

    def step(
        self,
        batch: SeriesBatch,
        values: Float[Tensor, "B X C"],
        ahead: int,
        state: Float[Tensor, "B L ND"],
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the value before step ``ahead``; returns that step's vector."""
        place = self.shape.window + ahead
        past = batch.past.new_full((batch.rows, 1, self.shape.past), NAN)
        future = batch.future[:, place : place + 1]
        features = self.reader.features(values, past, future, batch.static)
        return self.reader.layers.step(features[:, 0], state)


class EncoderDecoder(Feeding):
    """A decoder goes on from the state after the window (Sutskever et al. 2014).

    It reads the value before each step, and what is known of the step beforehand.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.reader = StepReader(shape)
        self.known = AheadInput(shape)
        self.before = FeatureInput(shape.targets, shape.targets if shape.masked else 0)
        self.decoder = Recurrent(shape.layers, self.before.size + self.known.size)

    def arrange(self, values: Float[Tensor, "B X C"]) -> Float[Tensor, "B N C"]:
        """Returns the values of the horizon."""
        return values[:, self.shape.window :]

    def inputs(
        self, batch: SeriesBatch, before: Float[Tensor, "B A C"], first: int = 0
    ) -> Float[Tensor, "B A E"]:
        """Returns what the decoder reads from step ``first`` of the horizon on.

        ``before`` are the values of the steps before.
        """
        length = batch.history.shape[1]
        origin = torch.arange(length, length + 1, device=before.device)
        future = batch.future[:, self.shape.window :]
        known = self.known(batch.history, future, origin, first + before.shape[1])
        return torch.cat([self.before(before), known[:, 0, first:]], dim=2)

    def forward(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the horizon, the true value before each step being read."""
        _, state = self.reader(self.reader.window(batch))
        before = torch.cat([batch.history[:, -1:], batch.ahead[:, :-1]], dim=1)
        outputs: Tensor = self.decoder(self.inputs(batch, before), state)[0]
        return outputs

    def begin(self, batch: SeriesBatch) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the window; returns the vector of the first step ahead, and the state."""
        _, state = self.reader(self.reader.window(batch))
        return self.step(batch, batch.history, 0, state)

    def step(
        self,
        batch: SeriesBatch,
        values: Float[Tensor, "B X C"],
        ahead: int,
        state: Float[Tensor, "B L ND"],
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L ND"]]:
        """Reads the value before step ``ahead``; returns that step's vector."""
        features = self.inputs(batch, values[:, -1:], ahead)
        return self.decoder.step(features[:, 0], state)
