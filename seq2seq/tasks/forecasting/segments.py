"""The mode of segments: few steps of the layers for many of a series."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seq2seq.nn.inputs import FeatureInput
from seq2seq.nn.recurrent import Recurrent
from seq2seq.nn.rows import RowLinear
from seq2seq.tasks.forecasting.batches import SeriesBatch
from seq2seq.tasks.forecasting.mode import NAN, AtOnce, summed
from seq2seq.tasks.forecasting.reading import AheadInput, Shape


class Segments(AtOnce):
    """Reads and forecasts segments of several steps, column by column (SegRNN, Lin et al. 2023).

    The same weights serve all columns. From the state after the window, each segment of the horizon
    is one step of the same layers, which read its place and its column; none waits for another.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape.segment)
        segment = shape.segment
        self.count = -(-shape.horizon // segment)
        covariates = shape.static + shape.future + shape.past
        maybe = 1 + shape.future + shape.past if shape.masked else 0
        self.input = FeatureInput(covariates + 1, maybe)
        self.embed = RowLinear(segment * self.input.size, self.size)
        self.layers = Recurrent(shape.layers, self.size)
        self.place = nn.Parameter(torch.randn(self.count, self.size // 2))
        self.column = nn.Parameter(torch.randn(shape.targets, self.size - self.size // 2))
        self.known = AheadInput(replace(shape, targets=1))
        size = segment * self.known.size
        self.join = RowLinear(size, self.size) if size else None

    def arrange(self, values: Float[Tensor, "B X C"]) -> Float[Tensor, "B N K"]:
        """Returns the distances of the horizon's steps, segment by segment."""
        ahead = values[:, self.shape.window :, :, None]
        return self.folded(summed(ahead, self.shape.difference))[..., 0]

    def folded(self, values: Float[Tensor, "B H C M"]) -> Float[Tensor, "B N K M"]:
        """Returns the segments of all columns; in the last, steps beyond the horizon are NaN."""
        room = self.count * self.shape.segment - self.shape.horizon
        filled = functional.pad(values, (0, 0, 0, 0, 0, room), value=NAN)
        shape = len(values), self.count, self.columns, *values.shape[2:]
        segments = filled.view(shape)  # [B, m, K, C, M]
        return segments.permute(0, 3, 1, 2, 4).flatten(1, 2)

    def unfolded(self, made: Float[Tensor, "B N K M"]) -> Float[Tensor, "B H C M"]:
        """Returns the steps of the horizon."""
        shape = len(made), self.shape.targets, self.count * self.columns, made.shape[3]
        columns = made.reshape(shape)  # [B, C, mK, M]
        return columns[:, :, : self.shape.horizon].transpose(1, 2)

    def scales(self, scale: Float[Tensor, "B C"]) -> Float[Tensor, "B N K"]:
        """Returns what the values of each segment were divided by."""
        each = scale.repeat_interleave(self.count, dim=1)[..., None]
        return each.expand(-1, -1, self.columns)

    def forward(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the horizon's segments."""
        return self.ahead(batch)

    def ahead(self, batch: SeriesBatch) -> Float[Tensor, "B N O"]:
        """Returns the vectors of the horizon's segments, one column after the other."""
        steps = self.read(batch)  # [BC, n, O]
        _, state = self.layers(steps, self.layers.zero_state(steps))
        asked = self.asked(batch)  # [BC, m, O]
        outputs, _ = self.layers.step(
            asked.flatten(0, 1), state.repeat_interleave(self.count, dim=0)
        )
        return outputs.view(batch.rows, -1, self.size)

    def read(self, batch: SeriesBatch) -> Float[Tensor, "R Y O"]:
        """Returns the vectors of the window's segments, of each column."""
        window, columns = self.shape.window, self.shape.targets
        fixed = batch.static[:, None].expand(-1, window, -1)
        shared = torch.cat([fixed, batch.future[:, :window], batch.past], dim=2)
        values = batch.history[:, -window:].transpose(1, 2)[..., None]  # [B, C, W, 1]
        joined = torch.cat([shared[:, None].expand(-1, columns, -1, -1), values], dim=3)
        features = self.input(joined.flatten(0, 1))  # [BC, W, E]
        found: Tensor = self.embed(features.view(len(features), -1, self.embed.in_features))
        return found.relu()

    def asked(self, batch: SeriesBatch) -> Float[Tensor, "R Y O"]:
        """Returns what the layers read to forecast the horizon's segments, of each column."""
        shape, steps = self.shape, self.count * self.shape.segment
        places = self.place.expand(shape.targets, -1, -1)
        names = self.column[:, None].expand(-1, self.count, -1)
        asked = torch.cat([places, names], dim=2).repeat(batch.rows, 1, 1)
        if self.join is None:
            return asked
        history = batch.history.transpose(1, 2).flatten(0, 1)[..., None]  # [BC, RW, 1]
        length = history.shape[1]
        origin = torch.arange(length, length + 1, device=history.device)
        room = (0, 0, 0, steps - shape.horizon)
        future = functional.pad(batch.future[:, shape.window :], room, value=NAN)
        future = future.repeat_interleave(shape.targets, dim=0)
        known = self.known(history, future, origin, steps)[:, 0]  # [BC, mK, E]
        joined: Tensor = asked + self.join(known.reshape(len(known), self.count, -1))
        return joined
