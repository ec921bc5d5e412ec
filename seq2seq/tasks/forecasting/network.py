"""The recurrent network for forecasts: a mode reads windows, a head tells what may come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seq2seq.data.series.panel import Columns, Panel
from seq2seq.errors import OneOf, require, require_name
from seq2seq.nn.dropout import dropout
from seq2seq.nn.forecast_heads import HEADS
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tasks.forecasting.batches import SeriesBatch
from seq2seq.tasks.forecasting.mode import Forecast, Known
from seq2seq.tasks.forecasting.modes import MODES
from seq2seq.tasks.forecasting.reading import Shape
from seq2seq.tasks.forecasting.scaling import SCALINGS, Transform, check_counts
from seq2seq.tensors import Features, Padded


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A recurrent network that forecasts from windows of the last steps."""

    window: int = 48
    """Steps that are read before each forecast."""
    horizon: int = 12
    """Steps that are forecast."""
    mode: Annotated[str, OneOf(MODES)] = "direct"
    """From the window to the horizon: `direct` to all steps at once; `sequence` the same, learned
    after each step of the window; `recursive` step by step, each forecast read as if it were true;
    `encoder-decoder` likewise by a second stack of layers; `segments` of several steps, column by
    column."""
    segment: int = 12
    """Steps of a segment, in mode `segments`."""
    scaling: Annotated[str, OneOf(SCALINGS)] = "window"
    """What numbers are scaled by: mean and deviation of the `train` part or of each `window`; the
    `last` number, which is taken from the others; the `mean` size in the window, which keeps counts
    counts; or `none`. Covariates are scaled by the training part."""
    logarithm: bool = False
    """Forecast logarithms."""
    difference: tuple[int, ...] = ()
    """Forecast differences from so many steps before, one after the other."""
    lags: tuple[int, ...] = ()
    """What is forecast is told its values so many steps before; they may lie before the window."""
    layers: RecurrentConfig = field(
        default_factory=lambda: RecurrentConfig(cell="gru", hidden_size=64, dropout=0.0)
    )
    """The recurrent layers."""
    output_dropout: float = 0.0
    """Chance of zeroing a feature that the head sees, while training."""
    head: Annotated[str, OneOf(HEADS)] = "quantiles"
    """What is learned: a number by `mae`, `mse` or `huber`; `quantiles`; or the parameters of a
    distribution."""
    quantiles: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    """The levels that the head `quantiles` learns."""

    def __post_init__(self) -> None:
        for key in ("window", "horizon", "segment"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        for key, table in (("mode", MODES), ("scaling", SCALINGS), ("head", HEADS)):
            require_name(getattr(self, key), key, table)
        for key in ("difference", "lags"):
            steps = getattr(self, key)
            require(all(step >= 1 for step in steps), key, "steps of at least 1", list(steps))
        require(len(set(self.lags)) == len(self.lags), "lags", "each lag once", list(self.lags))
        require(0 <= self.output_dropout < 1, "output_dropout", "in [0, 1)", self.output_dropout)
        inside = bool(self.quantiles) and all(0 < level < 1 for level in self.quantiles)
        once = len(set(self.quantiles)) == len(self.quantiles)
        require(inside and once, "quantiles", "levels in (0, 1), each once", list(self.quantiles))
        whole = self.mode != "segments" or self.window % self.segment == 0
        accepted = f"a multiple of segment ({self.segment}) where mode is segments"
        require(whole, "window", accepted, self.window)
        if HEADS[self.head].counts:
            self._check_counts()

    def _check_counts(self) -> None:
        """Counts must be counts when they reach the head."""
        kept = not SCALINGS[self.scaling].trained
        accepted = ", ".join(name for name, one in SCALINGS.items() if not one.trained)
        where = f"where head is {self.head}"
        require(kept, "scaling", f"one of {accepted} {where}", self.scaling)
        require(not self.logarithm, "logarithm", f"false {where}", self.logarithm)
        require(not self.difference, "difference", f"empty {where}", list(self.difference))


def shape_of(config: NetworkConfig, columns: Columns, *, masked: bool) -> Shape:
    """Returns the sizes of a network for a panel's columns.

    ``masked`` says that numbers may be missing, as those are before the first difference.
    """
    return Shape(
        config.layers,
        config.window,
        config.horizon,
        len(columns.targets),
        len(columns.past),
        len(columns.future),
        len(columns.static),
        config.lags,
        config.difference,
        masked or bool(config.difference),
        config.segment,
    )


def transform_of(
    config: NetworkConfig, panel: Panel, ranges: Sequence[tuple[int, int]]
) -> Transform:
    """Learns the units of a network's numbers from a range of steps of each series.

    Raises:
        DataError: A number has no logarithm, or is no count where counts are forecast.
    """
    if HEADS[config.head].counts:
        check_counts(panel)
    return Transform.learned(
        panel, ranges, config.scaling, logarithm=config.logarithm, difference=config.difference
    )


class Forecasting(nn.Module):
    """Forecasts the scaled steps after windows."""

    def __init__(self, config: NetworkConfig, shape: Shape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.mode = MODES[config.mode](shape)
        self.head = HEADS[config.head](self.mode.size, self.mode.columns, config.quantiles)

    def features(self, batch: SeriesBatch, carried: Tensor | None = None) -> Features:
        """Returns what the head sees while it learns; windows carry nothing from batch to batch."""
        vectors = dropout(self.mode(batch), self.config.output_dropout, self.training)
        rows, steps, _ = vectors.shape
        lengths = torch.full((rows,), steps, device=vectors.device)
        targets = Padded(batch.targets, lengths, count=rows * steps)
        return Features(self._known(batch).seen(vectors), targets)

    def forecast(
        self,
        batch: SeriesBatch,
        levels: Sequence[float],
        draws: Float[Tensor, "B H C M"],
    ) -> Forecast:
        """Forecasts windows of which nothing is known from the origin on but future covariates.

        Args:
            batch: The windows.
            levels: Of the quantiles.
            draws: Levels in (0, 1) of the samples.
        """
        return self.mode.forecast(batch, self._known(batch), levels, draws)

    def _known(self, batch: SeriesBatch) -> Known:
        return Known(self.head, self.mode.scales(batch.scale.log()))
