"""What a forecast is, and what every kind of model that makes one can do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.evaluation.forecast_metrics import interval
from seq2seq.lists import chunks
from seq2seq.tasks.forecasting.scaling import named

MEDIAN = 0.5


@dataclass(frozen=True)
class Prediction:
    """Forecasts of ``N`` windows, ``H`` steps and ``C`` columns, in the units of the data."""

    point: Float[np.ndarray, "N H C"]
    quantiles: Float[np.ndarray, "N H C Q"]
    """NaN where a model has no spread to tell."""
    levels: tuple[float, ...]
    """The ``Q`` quantile levels: ascending, as many below 0.5 as above, 0.5 among them."""
    samples: Float[np.ndarray, "N H C M"] | None = None
    """``M`` courses that things may take, where any were asked for."""

    @classmethod
    def of_one(
        cls,
        point: Float[np.ndarray, "H C"],
        quantiles: Float[np.ndarray, "H C Q"],
        levels: Sequence[float],
        samples: Float[np.ndarray, "H C M"] | None = None,
    ) -> "Prediction":
        """Returns the prediction of one window."""
        drawn = None if samples is None else samples[None]
        return cls(point[None], quantiles[None], tuple(levels), drawn)

    def interval(
        self, percent: float | int
    ) -> tuple[Float[np.ndarray, "N H C"], Float[np.ndarray, "N H C"]]:
        """Returns the ends of the central interval that holds ``percent`` of what may come.

        Raises:
            DataError: The prediction has no such quantiles.
        """
        return interval(self.quantiles, self.levels, percent)

    def rows(self, chosen: Int[np.ndarray, "K"]) -> "Prediction":
        """Returns the prediction of some of the windows."""
        samples = None if self.samples is None else self.samples[chosen]
        return replace(
            self, point=self.point[chosen], quantiles=self.quantiles[chosen], samples=samples
        )


@runtime_checkable
class State(Protocol):
    """All that a model keeps of one series up to now."""

    def extended(self, rows: Series) -> "State":
        """Returns the state after more steps; what that costs depends on these alone."""
        ...

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``, one window of them, from their future covariates."""
        ...


@runtime_checkable
class Predictor(Protocol):
    """A model in use."""

    if TYPE_CHECKING:  # since isinstance looks for methods alone

        @property
        def name(self) -> str:
            """What a table of models calls it."""
            ...

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        """Forecasts ``horizon`` steps from each window's origin, at the given quantile levels.

        At or after an origin nothing is seen but future covariates.
        """
        ...

    def state(self, panel: Panel, series: Series) -> State:
        """Returns what is kept of the known steps of ``series``, which has the panel's columns."""
        ...


@runtime_checkable
class Refittable(Predictor, Protocol):
    """A model that can be fitted again in the course of an evaluation."""

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Refittable":
        """Returns the same model fitted to a range of steps of each series."""
        ...


@dataclass(frozen=True)
class LastSteps:
    """The state of a model that reads so many steps before an origin, and none before them."""

    model: Predictor
    panel: Panel
    """Tells columns and frequency; its own series are not used."""
    steps: int
    """How many steps the model reads."""
    series: Series
    """The last of them."""

    def extended(self, rows: Series) -> "LastSteps":
        """Returns the state after more steps."""
        series = followed(self.series, rows)
        length = len(series.times)
        return replace(self, series=series.part(max(0, length - self.steps), length))

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``."""
        series = followed(self.series, ahead)
        windows = [Window(0, len(self.series.times))]
        panel = replace(self.panel, series=[series])
        return self.model.predict(panel, windows, len(ahead.times), levels, samples, seed)


def followed(series: Series, rows: Series) -> Series:
    """Returns a series with more steps after it."""
    return replace(
        series,
        times=series.times.append(rows.times),
        targets=np.concatenate([series.targets, rows.targets]),
        past=np.concatenate([series.past, rows.past]),
        future=np.concatenate([series.future, rows.future]),
    )


def ahead_of(series: Series, origin: int, horizon: int) -> Series:
    """Returns the steps to forecast with what is known of them at the origin.

    Raises:
        DataError: The series ends before the horizon does.
    """
    rows = series.part(origin, origin + horizon)
    if len(rows.times) < horizon:
        raise DataError(
            f"{named(series)}: {horizon} steps are to be forecast from step {origin + 1}, "
            f"and future covariates are there for {len(rows.times)}"
        )
    unknown = np.full_like(rows.targets, np.nan), np.full_like(rows.past, np.nan)
    return replace(rows, targets=unknown[0], past=unknown[1])


class Rolling:
    """A model whose state reads every step of a series once, and forecasts from any of them."""

    name: str

    def start(self, panel: Panel, series: Series) -> State:
        """Returns the state before the first step of a series."""
        raise NotImplementedError

    def state(self, panel: Panel, series: Series) -> State:
        """Returns what is kept of the known steps of a series."""
        return self.start(panel, series).extended(series.part(0, series.known))

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        """Forecasts from each origin, in the order of time, with one state for each series."""
        found: dict[int, Prediction] = {}
        for index in sorted({window.series for window in windows}):
            series = panel.series[index]
            state, done = self.start(panel, series), 0
            places = [place for place, window in enumerate(windows) if window.series == index]
            for place in sorted(places, key=lambda place: windows[place].origin):
                origin = windows[place].origin
                state, done = state.extended(series.part(done, origin)), origin
                ahead = ahead_of(series, origin, horizon)
                found[place] = state.forecast(ahead, levels, samples, seed)
        return joined([found[place] for place in range(len(windows))])


def in_pieces(
    model: Predictor,
    panel: Panel,
    windows: Sequence[Window],
    horizon: int,
    levels: Sequence[float],
    size: int,
) -> Iterator[tuple[Sequence[Window], Prediction]]:
    """Yields forecasts of up to ``size`` windows at once; windows must stand in order.

    A model with ``pieces`` of its own remembers from one to the next what it knows of a series.
    """
    own = getattr(model, "pieces", None)
    if own is not None:
        yield from own(panel, windows, horizon, levels, size)
        return
    for piece in chunks(windows, size):
        yield piece, model.predict(panel, piece, horizon, levels)


def truths(panel: Panel, windows: Sequence[Window], horizon: int) -> Float[np.ndarray, "N H C"]:
    """Returns what came after each origin; NaN: unknown."""
    return np.stack(
        [panel.series[one.series].targets[one.origin : one.origin + horizon] for one in windows]
    )


def joined(parts: Sequence[Prediction]) -> Prediction:
    """Returns the predictions of several windows as one."""
    samples = [part.samples for part in parts if part.samples is not None]
    return Prediction(
        np.concatenate([part.point for part in parts]),
        np.concatenate([part.quantiles for part in parts]),
        parts[0].levels,
        np.concatenate(samples) if samples else None,
    )


def missing_covariate(series: Series, column: str, time: object) -> DataError:
    """Returns the error that a future covariate is not known for a step to forecast."""
    return DataError(
        f"{named(series)}: {column} is not known at {time}; a forecast needs all future "
        "covariates up to its horizon"
    )


def normal(
    point: Float[np.ndarray, "*shape"],
    deviation: Float[np.ndarray, "*shape"],
    levels: Sequence[float],
) -> Float[np.ndarray, "*shape Q"]:
    """Returns the quantiles of normal distributions."""
    bell = NormalDist()
    at = np.array([bell.inv_cdf(level) if level != MEDIAN else 0.0 for level in levels])
    quantiles: Float[np.ndarray, "*shape Q"] = point[..., None] + deviation[..., None] * at
    return quantiles


def generator(seed: int, ahead: Series) -> np.random.Generator:
    """Returns where the randomness of one window begins: the same in whatever company it is."""
    place = f"{ahead.name} {ahead.times[0]}".encode()
    return np.random.default_rng([seed, crc32(place)])
