"""A linear model of the window: least squares in closed form, for all steps of the horizon at once.

Each target column is told by its own numbers in the window, by the past covariates there, by what
is static, and by the future covariates of the very step that is forecast: ``y[h] = w[h] @ x``. All
series share the weights. What of one target may help another belongs among the past covariates.
A number missing in a window is stood in for by the one before it, as no weight can leave it out;
one missing among the targets does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq.data.series.panel import Panel, Series
from seq2seq.data.series.windows import Window
from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.forecasting.prediction import (
    LastSteps,
    Prediction,
    generator,
    missing_covariate,
)
from seq2seq.tasks.forecasting.scaling import (
    Scale,
    Transform,
    adding_up,
    differenced,
    filled,
    going_on,
    levels,
    named,
)

KEPT = 2_000_000
"""Most numbers of residuals that are kept."""
COURSES = (100, 1000)
"""Least and most training windows whose residuals are kept."""
RANK = 1e-10
"""Share of the largest singular value below which others are rounding; no ridge is needed."""
NOTHING = 1e-9
"""Share of a covariate below which it is rounding."""


@dataclass(frozen=True)
class Inputs:
    """What the model sees of ``N`` windows, in its own units."""

    window: Float[np.ndarray, "N W C"]
    past: Float[np.ndarray, "N W P"]
    static: Float[np.ndarray, "N S"]
    future: Float[np.ndarray, "N H F"]
    shift: Float[np.ndarray, "N C"]
    width: Float[np.ndarray, "N C"]
    """With what each window was scaled."""
    base: Float[np.ndarray, "N H C"]
    """How each window goes on if nothing changes, in levels."""

    @property
    def scale(self) -> Scale:
        """With what each window was scaled."""
        return self.shift, self.width

    def design(self, column: int) -> Float[np.ndarray, "N D"]:
        """Returns all that one column is told by, future covariates aside."""
        rows = len(self.window)
        parts = (
            np.ones((rows, 1)),
            self.window[..., column],
            self.past.reshape(rows, -1),
            self.static,
        )
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Linear:
    """A fitted model."""

    transform: Transform
    window: int
    weights: Float[np.ndarray, "C H D"]
    """Those of the design, then those of the future covariates of the step."""
    residuals: Float[np.ndarray, "R H C"]
    """What was left of training windows, in the model's units; tells the spread."""
    name: str = "linear"

    @property
    def horizon(self) -> int:
        """For how many steps it was fitted."""
        return int(self.weights.shape[1])

    @property
    def reads(self) -> int:
        """How many steps before an origin are read."""
        return self.window + self.transform.reach

    def state(self, panel: Panel, series: Series) -> LastSteps:
        """Returns what is kept of the known steps of a series."""
        last = series.part(max(0, series.known - self.reads), series.known)
        return LastSteps(self, panel, self.reads, last)

    def predict(
        self,
        panel: Panel,
        windows: Sequence[Window],
        horizon: int,
        levels: Sequence[float],
        samples: int = 0,
        seed: int = 1,
    ) -> Prediction:
        """Forecasts from each origin; the spread is that of the residuals of training.

        Raises:
            ConfigError: The horizon is longer than that of the fit.
            DataError: A window begins before its series does, or a future covariate is missing.
        """
        if horizon > self.horizon:
            raise ConfigError(
                f"horizon: linear was fitted for {self.horizon} steps at once, got {horizon}; "
                "give a shorter one, or train with model.horizon as long"
            )
        inputs = inputs_of(self.transform, panel, windows, self.window, horizon)
        _require_future(inputs, panel, windows)
        made = self._made(inputs)[..., None]
        spread = np.moveaxis(np.quantile(self.residuals[:, :horizon], levels, axis=0), 0, -1)
        parts = [made, made + spread]
        if samples:
            parts.append(made + np.stack([
                self._drawn(panel.series[window.series], window.origin, horizon, samples, seed)
                for window in windows
            ]))  # fmt: skip
        found = self.transform.restored(np.concatenate(parts, axis=-1), inputs.scale, inputs.base)
        count = 1 + len(levels)
        return Prediction(
            found[..., 0],
            found[..., 1:count],
            tuple(levels),
            found[..., count:] if samples else None,
        )

    def _made(self, inputs: Inputs) -> Float[np.ndarray, "N H C"]:
        """Returns the forecasts in the model's units."""
        horizon, width = inputs.future.shape[1:]
        columns = []
        for column, weights in enumerate(self.weights[:, :horizon]):
            fixed, changing = np.split(weights, [weights.shape[1] - width], axis=1)
            told = np.einsum("nhf,hf->nh", inputs.future, changing)
            columns.append(inputs.design(column) @ fixed.T + told)
        return np.stack(columns, axis=-1)

    def _drawn(
        self, series: Series, origin: int, horizon: int, samples: int, seed: int
    ) -> Float[np.ndarray, "H C M"]:
        """Draws residuals of whole training windows, so that steps hang together as they do."""
        random = generator(seed, series.part(origin, origin + 1))
        chosen = self.residuals[random.integers(len(self.residuals), size=samples), :horizon]
        return np.moveaxis(chosen, 0, -1)

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Linear":
        """Returns the same model fitted to a range of steps of each series."""
        transform = Transform.learned(
            panel,
            ranges,
            self.transform.scaling,
            logarithm=self.transform.logarithm,
            difference=self.transform.difference,
        )
        windows = [
            Window(number, origin)
            for number, (first, last) in enumerate(ranges)
            for origin in range(first + self.reads, last - self.horizon + 1)
        ]
        return fit_linear(panel, windows, self.window, self.horizon, transform)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all numbers of the model, as a run keeps them."""
        return {"weights": self.weights, "residuals": self.residuals}

    def facts(self) -> dict[str, Any]:
        """Returns all else of the model, as JSON has it."""
        return {"transform": asdict(self.transform), "window": self.window}

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> "Linear":
        """Returns the model that :meth:`arrays` and :meth:`facts` tell of."""
        transform = Transform.from_json(facts["transform"])
        return cls(transform, facts["window"], arrays["weights"], arrays["residuals"])


def fit_linear(
    panel: Panel, windows: Sequence[Window], window: int, horizon: int, transform: Transform
) -> Linear:
    """Fits the weights.

    Args:
        panel: The series.
        windows: Those to learn from.
        window: Steps of the inputs.
        horizon: Steps of the targets.
        transform: The units of the model.

    Raises:
        DataError: There is no window, or one begins before its series does.
    """
    if not windows:
        raise DataError(f"no training window of {window} + {horizon} steps; widen data.train")
    names = [series.name for series in panel.series]
    windows = sorted(windows, key=lambda one: (names[one.series], one.origin))
    inputs = inputs_of(transform, panel, windows, window, horizon)
    wanted = wanted_of(transform, panel, windows, inputs)
    weights, left = [], []
    for column in range(wanted.shape[2]):
        found, residuals = _solved(inputs.design(column), inputs.future, wanted[..., column])
        weights.append(found)
        left.append(residuals)
    residuals = np.stack(left, axis=-1)
    least, most = COURSES
    whole = residuals[np.isfinite(residuals).all(axis=(1, 2))]
    count = min(len(whole), most, max(least, KEPT // residuals[0].size))
    chosen = np.linspace(0, len(whole) - 1, count).round().astype(int)
    return Linear(transform, window, np.stack(weights), whole[chosen])


def inputs_of(
    transform: Transform, panel: Panel, windows: Sequence[Window], window: int, horizon: int
) -> Inputs:
    """Returns what the model sees of some windows.

    Raises:
        DataError: A window begins before its series does.
    """
    parts, places = [], []
    for number in sorted({one.series for one in windows}):
        own = [place for place, one in enumerate(windows) if one.series == number]
        origins = np.array([windows[place].origin for place in own])
        series = panel.series[number]
        if origins.min() < window + transform.reach:
            raise DataError(
                f"{named(series)}: linear reads {window + transform.reach} steps before a "
                f"forecast, and only {origins.min()} are there"
            )
        parts.append(_of_series(transform, panel, series, origins, (window, horizon)))
        places += own
    order = np.argsort(places)
    every = (np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Inputs))
    return Inputs(*(values[order] for values in every))


def _of_series(
    transform: Transform,
    panel: Panel,
    series: Series,
    origins: np.ndarray,
    lengths: tuple[int, int],
) -> Inputs:
    window, horizon = lengths
    known = levels(series, panel, logarithm=transform.logarithm)
    before = origins[:, None] + np.arange(-window, 0)
    numbers = transform.targets(differenced(known, transform.difference))[before]
    shift, width = transform.scale(numbers)
    reach = origins[:, None] + np.arange(-max(1, transform.reach), 0)
    return Inputs(
        (filled(numbers) - shift[:, None]) / width[:, None],
        filled(transform.past(series.past)[before]),
        np.broadcast_to(transform.static(series.static), (len(origins), len(series.static))),
        transform.future(series.future)[origins[:, None] + np.arange(horizon)],
        shift,
        width,
        going_on(known[reach], transform.difference, horizon),
    )


def wanted_of(
    transform: Transform, panel: Panel, windows: Sequence[Window], inputs: Inputs
) -> Float[np.ndarray, "N H C"]:
    """Returns what was to be forecast, in the model's units: what ``restored`` undoes."""
    horizon = inputs.base.shape[1]
    known = [levels(series, panel, logarithm=transform.logarithm) for series in panel.series]
    truth = np.stack([known[one.series][one.origin : one.origin + horizon] for one in windows])
    steps = adding_up(transform.difference, horizon).sum(axis=1)[:, None]
    own_shift, own_width = np.array(transform.targets.shift), np.array(transform.targets.scale)
    distance = (truth - inputs.base - own_shift * steps) / own_width
    distance = distance - inputs.shift[:, None] * steps
    wanted: Float[np.ndarray, "N H C"] = distance / inputs.width[:, None]
    return wanted


def _solved(
    base: Float[np.ndarray, "N D"],
    future: Float[np.ndarray, "N H F"],
    wanted: Float[np.ndarray, "N H"],
) -> tuple[Float[np.ndarray, "H E"], Float[np.ndarray, "N H"]]:
    """Returns the weights of each step, and what they leave, as wide as in windows not learned."""
    size = np.sqrt((base**2).mean(axis=0))
    base = base / np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(base, RANK)
    weights, left = [], []
    for step in range(wanted.shape[1]):
        changing, values = future[:, step], wanted[:, step]
        there = np.isfinite(values) & np.isfinite(changing).all(axis=1)
        if there.all():
            found = _stepwise(base, inverse, changing, values)
        else:
            every = np.concatenate([base, changing], axis=1)
            found = np.linalg.lstsq(every[there], values[there], rcond=RANK)[0]
        told = base @ found[: base.shape[1]] + changing @ found[base.shape[1] :]
        weights.append(found)
        free = max(1, there.sum() - len(found))
        left.append((values - told) * np.sqrt(there.sum() / free))
    found = np.stack(weights)
    found[:, : len(size)] /= np.where(size > 0, size, 1.0)
    return found, np.stack(left, axis=1)


def _stepwise(
    base: Float[np.ndarray, "N D"],
    inverse: Float[np.ndarray, "D N"],
    changing: Float[np.ndarray, "N F"],
    values: Float[np.ndarray, "N"],
) -> Float[np.ndarray, "E"]:
    """Returns least squares on a base that is common to all steps, and on what each has beside it.

    What the base tells is taken from both sides first (Frisch & Waugh 1933), so that the base is
    inverted only once.
    """
    both = np.concatenate([changing, values[:, None]], axis=1)
    of_base = inverse @ both
    left = both - base @ of_base
    rounding = np.linalg.norm(left, axis=0) <= NOTHING * np.linalg.norm(both, axis=0)
    left[:, rounding] = 0.0
    own = np.linalg.lstsq(left[:, :-1], left[:, -1], rcond=RANK)[0]
    return np.concatenate([of_base[:, -1] - of_base[:, :-1] @ own, own])


def _require_future(inputs: Inputs, panel: Panel, windows: Sequence[Window]) -> None:
    unknown = np.argwhere(~np.isfinite(inputs.future))
    if len(unknown):
        place, step, column = unknown[0]
        series, origin = panel.series[windows[place].series], windows[place].origin
        raise missing_covariate(series, panel.columns.future[column], series.times[origin + step])
