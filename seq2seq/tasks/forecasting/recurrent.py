"""The recurrent network in use: windows of a panel in, forecasts in the units of the data out."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.tasks.forecasting.batches import SeriesBatch, SeriesStore, as_rows
from seq2seq.tasks.forecasting.network import Forecasting
from seq2seq.tasks.forecasting.prediction import (
    LastSteps,
    Prediction,
    State,
    ahead_of,
    generator,
    joined,
    missing_covariate,
)
from seq2seq.tasks.forecasting.scaling import Transform, named
from seq2seq.tensors.tree import each

AT_ONCE = 256
"""Most windows that are forecast at once."""
MOST_NUMBERS = 2**20
"""Most numbers of all courses that are drawn at once."""
EDGE = 1e-6
"""How near to 0 and 1 the level of a draw may be."""


class RecurrentPredictor:
    """A trained network with the transform that it was trained with."""

    def __init__(self, model: Forecasting, transform: Transform, name: str = "recurrent") -> None:
        self.model, self.transform, self.name = model, transform, name

    @property
    def reads(self) -> int:
        """How many steps before an origin decide its forecast."""
        shape = self.model.shape
        return shape.window + shape.reach + self.transform.reach

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        """Forecasts ``horizon`` steps from each window's origin.

        Raises:
            DataError: The horizon is not the one that the mode has learned; or something is not
                known that a forecast needs.
        """
        self._check(panel, windows, horizon)
        shape, mode = self.model.shape, self.model.mode
        drawn = max(samples, mode.draws if self.model.head.spread and horizon > 1 else 0)
        store = SeriesStore(panel, self.transform, shape.window, horizon, shape.reach)
        size = MOST_NUMBERS // (horizon * shape.targets * (1 + drawn))
        size = min(AT_ONCE, max(1, size))
        return joined(
            [
                self._part(store, windows[first : first + size], levels, samples, drawn, seed)
                for first in range(0, len(windows), size)
            ]
        )

    def state(self, panel: Panel, series: Series) -> State:
        """Returns what is kept of the known steps of a series: the last ones."""
        first = max(0, series.known - self.reads)
        return LastSteps(self, panel, self.reads, series.part(first, series.known))

    @torch.inference_mode()
    def _part(
        self,
        store: SeriesStore,
        windows: Sequence[Window],
        levels: Sequence[float],
        samples: int,
        drawn: int,
        seed: int,
    ) -> Prediction:
        """Forecasts some windows."""
        rows, model = as_rows(windows), self.model
        weight = next(model.parameters())
        batch, scale = store.gather(rows, model.mode.arrange, blind=True)
        self._check_future(store, rows, batch)
        draws = torch.from_numpy(_draws(store, windows, drawn, seed))
        model.eval()
        batch = each(batch, lambda tensor: tensor.to(weight))
        found = model.forecast(batch, levels, draws.to(weight.device))
        base = store.going_on(rows)
        point, quantiles, courses = (
            self.transform.restored(part.double().cpu().numpy(), scale, base)
            for part in (found.point[..., None], found.quantiles, found.samples[..., :samples])
        )
        return Prediction(point[..., 0], quantiles, tuple(levels), courses if samples else None)

    def _check(self, panel: Panel, windows: Sequence[Window], horizon: int) -> None:
        """Raises a :class:`DataError` where no such forecast can be made."""
        config = self.model.config
        if self.model.mode.fixed and horizon != config.horizon:
            raise DataError(
                f"horizon: the model was trained for {config.horizon} steps, and in mode "
                f"{config.mode} it forecasts just so many, got {horizon}"
            )
        for window in windows:
            ahead_of(panel.series[window.series], window.origin, horizon)
            if window.origin < config.window:
                raise DataError(
                    f"{named(panel.series[window.series])}: the model reads {config.window} steps "
                    f"before a forecast, and there are {window.origin}"
                )

    def _check_future(
        self, store: SeriesStore, rows: Int[np.ndarray, "B 2"], batch: SeriesBatch
    ) -> None:
        """Raises a :class:`DataError` where a future covariate is missing unforeseen."""
        missing = [] if self.model.shape.masked else batch.future.isnan().nonzero().tolist()
        for row, step, column in missing[:1]:
            number, origin = rows[row].tolist()
            series, place = store.panel.series[number], origin - self.model.shape.window + step
            name = store.panel.columns.future[column]
            raise missing_covariate(series, name, series.times[place])


def _draws(
    store: SeriesStore, windows: Sequence[Window], count: int, seed: int
) -> Float[np.ndarray, "B H C M"]:
    """Returns the levels of all draws: those of a window are the same in whatever company it is."""
    shape = (count, store.horizon, store.columns)
    drawn = [
        generator(seed, ahead_of(store.panel.series[window.series], window.origin, store.horizon))
        .random(shape)
        .transpose(1, 2, 0)
        for window in windows
    ]
    return np.clip(np.stack(drawn), EDGE, 1 - EDGE)
