"""Numbers in the units that a network sees: logarithm, differences, scale; and back again.

Each is a pure function of the numbers in or before a window, and can be undone: of quantiles, too,
since all of them rise with the number that they are made of.

Differences are added up step by step. From an origin on, ``y = base + A z``: ``base`` is how the
series goes on if all differences are zero, and ``A`` adds up those that come. What a network learns
at once for all steps is ``A z``, the distance from the base; so its quantiles are those of ``y``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from seq2seq.data.series.panel import Panel, Series
from seq2seq.errors import DataError

LEAST = 1e-2
"""Least scale of a window, in units of the training part: a quiet stretch is not blown up."""
Scale: TypeAlias = tuple[Float[np.ndarray, "B C"], Float[np.ndarray, "B C"]]
"""What is taken from the numbers of each window, and what they are then divided by."""


def unscaled(window: Float[np.ndarray, "B W C"]) -> Scale:
    """Leaves numbers as they are."""
    shape = (len(window), window.shape[2])
    return np.zeros(shape), np.ones(shape)


def by_window(window: Float[np.ndarray, "B W C"]) -> Scale:
    """Takes the window's mean and divides by its standard deviation."""
    count = np.maximum(np.isfinite(window).sum(axis=1), 1)  # [B, C]
    mean = np.nansum(window, axis=1) / count
    squares = np.nansum((window - mean[:, None]) ** 2, axis=1) / count
    return mean, np.maximum(np.sqrt(squares), LEAST)


def by_last(window: Float[np.ndarray, "B W C"]) -> Scale:
    """Takes the window's last number that is there."""
    last = filled(window)[:, -1]
    return last, np.ones_like(last)


def by_mean(window: Float[np.ndarray, "B W C"]) -> Scale:
    """Divides by the window's mean size, and takes nothing: counts stay counts."""
    count = np.maximum(np.isfinite(window).sum(axis=1), 1)
    mean = np.nansum(np.abs(window), axis=1) / count
    return np.zeros_like(mean), np.where(mean > 0, mean, 1.0)


@dataclass(frozen=True)
class Scaling:
    """A way of scaling."""

    of_window: Callable[[Float[np.ndarray, "B W C"]], Scale]
    """What each window is scaled with."""
    trained: bool = True
    """Whether windows come in units of the training part: its mean is 0, its deviation 1."""


SCALINGS: dict[str, Scaling] = {
    "none": Scaling(unscaled, trained=False),
    "train": Scaling(unscaled),
    "window": Scaling(by_window),
    "last": Scaling(by_last),
    "mean": Scaling(by_mean, trained=False),
}
"""Scalings by the name that ``scaling:`` gives them in a configuration."""


def filled(values: Float[np.ndarray, "B T C"]) -> Float[np.ndarray, "B T C"]:
    """Puts the number before it in the place of one that is missing; at the beginning, the next.

    Where there is none at all, zero.
    """
    there = np.isfinite(values)
    steps = np.arange(values.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(there, steps, -1), axis=1)
    first = there.argmax(axis=1)[:, None]
    found = np.take_along_axis(values, np.where(before < 0, first, before), axis=1)
    return np.where(np.isfinite(found), found, 0.0)


def differenced(
    values: Float[np.ndarray, "T C"], orders: Sequence[int]
) -> Float[np.ndarray, "T C"]:
    """Takes from each number that of so many steps before, once for each order; else NaN."""
    for order in orders:
        before = np.full_like(values, np.nan)
        before[order:] = values[:-order]
        values = values - before
    return values


def going_on(
    values: Float[np.ndarray, "B T C"], orders: Sequence[int], horizon: int
) -> Float[np.ndarray, "B H C"]:
    """Returns how series go on if all their differences are zero; without differences, at zero.

    ``T`` is at least the sum of the orders.
    """
    weights = -_polynomial(orders)[1:]  # y_t = sum over k of weights[k] * y_(t - 1 - k)
    known = filled(values)[:, values.shape[1] - len(weights) :]
    course = np.concatenate([known, np.zeros((len(values), horizon, values.shape[2]))], axis=1)
    for step in range(len(weights), course.shape[1]):
        seen = course[:, step - len(weights) : step]
        course[:, step] = np.tensordot(seen, weights[::-1], axes=(1, 0))
    return course[:, len(weights) :]


def adding_up(orders: Sequence[int], horizon: int) -> Float[np.ndarray, "H H"]:
    """Returns what adds differences up: row ``h`` has the weights of those up to step ``h``."""
    weights, response = -_polynomial(orders)[1:], np.zeros(horizon)
    for step in range(horizon):
        seen = response[max(0, step - len(weights)) : step][::-1]
        response[step] = (step == 0) + seen @ weights[: len(seen)]
    steps = np.arange(horizon)
    behind = steps[:, None] - steps
    return np.where(behind >= 0, response[behind], 0.0)


def _polynomial(orders: Sequence[int]) -> Float[np.ndarray, "K"]:
    """Returns the weights of a number and of those before it in its difference."""
    weights = np.ones(1)
    for order in orders:
        one = np.zeros(order + 1)
        one[0], one[-1] = 1.0, -1.0
        weights = np.convolve(weights, one)
    return weights


@dataclass(frozen=True)
class Units:
    """What is taken from the numbers of each column, and what they are then divided by."""

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def of(cls, rows: Float[np.ndarray, "T C"]) -> "Units":
        """Returns mean and standard deviation; of columns that are 0 or 1, and of none, 0 and 1."""
        found = [_unit(column[np.isfinite(column)]) for column in rows.T]
        return cls(tuple(shift for shift, _ in found), tuple(scale for _, scale in found))

    @classmethod
    def plain(cls, columns: int) -> "Units":
        """Returns those that leave numbers as they are."""
        return cls((0.0,) * columns, (1.0,) * columns)

    def __call__(self, rows: Float[np.ndarray, "*B C"]) -> Float[np.ndarray, "*B C"]:
        """Returns numbers in these units."""
        made: np.ndarray = (rows - np.array(self.shift)) / np.array(self.scale)
        return made


def _unit(column: Float[np.ndarray, "T"]) -> tuple[float, float]:
    if len(column) == 0 or np.isin(column, (0.0, 1.0)).all():
        return 0.0, 1.0
    mean, deviation = float(column.mean()), float(column.std())
    # A column that never moves has a deviation of rounding alone.
    return mean, deviation if deviation > 1e-9 * abs(mean) else 1.0


@dataclass(frozen=True)
class Transform:
    """How the numbers of a panel become those that a network sees, as learned from a part of it."""

    logarithm: bool
    difference: tuple[int, ...]
    scaling: str
    targets: Units
    """Of the differences of the logarithms, where there are such."""
    past: Units
    future: Units
    static: Units

    @classmethod
    def learned(
        cls,
        panel: Panel,
        ranges: Sequence[tuple[int, int]],
        scaling: str,
        *,
        logarithm: bool = False,
        difference: Sequence[int] = (),
    ) -> "Transform":
        """Learns the units from a range of steps of each series.

        Raises:
            DataError: A number has no logarithm.
        """
        parts = sorted(zip(panel.series, ranges, strict=True), key=lambda one: one[0].name)

        def joined(columns: Callable[[Series], np.ndarray]) -> np.ndarray:
            return np.concatenate([columns(series)[slice(*steps)] for series, steps in parts])

        def targets(series: Series) -> np.ndarray:
            return differenced(levels(series, panel, logarithm=logarithm), difference)

        rows = joined(targets)
        trained = SCALINGS[scaling].trained
        return cls(
            logarithm,
            tuple(difference),
            scaling,
            Units.of(rows) if trained else Units.plain(rows.shape[1]),
            Units.of(joined(lambda series: series.past)),
            Units.of(joined(lambda series: series.future)),
            Units.of(np.stack([series.static for series, _ in parts])),
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Transform":
        """Returns what :func:`dataclasses.asdict` was made of, read from JSON."""
        units = {
            key: Units(*(tuple(values[key][part]) for part in ("shift", "scale")))
            for key in ("targets", "past", "future", "static")
        }
        return cls(values["logarithm"], tuple(values["difference"]), values["scaling"], **units)

    @property
    def reach(self) -> int:
        """Steps before a number that its difference is made of."""
        return sum(self.difference)

    def scale(self, window: Float[np.ndarray, "B W C"]) -> Scale:
        """Returns what windows, in the units of the targets, are scaled with."""
        return SCALINGS[self.scaling].of_window(window)

    def restored(
        self,
        values: Float[np.ndarray, "B H C M"],
        scale: Scale,
        base: Float[np.ndarray, "B H C"],
    ) -> Float[np.ndarray, "B H C M"]:
        """Returns numbers, or their quantiles, in the units of the data.

        Args:
            values: Scaled differences, added up.
            scale: What the windows were scaled with.
            base: How they go on without differences, as from :func:`going_on`.
        """
        shift, width = (part[:, None, :, None] for part in scale)
        own_shift, own_width = (
            np.array(part)[:, None] for part in (self.targets.shift, self.targets.scale)
        )
        steps = adding_up(self.difference, values.shape[1]).sum(axis=1)[:, None, None]
        distance = own_width * (width * values + shift * steps) + own_shift * steps
        made = base[..., None] + distance
        restored: np.ndarray = np.asarray(np.exp(made) if self.logarithm else made)
        return restored


def levels(series: Series, panel: Panel, *, logarithm: bool) -> Float[np.ndarray, "T C"]:
    """Returns a series' targets, or their logarithms.

    Raises:
        DataError: A number has no logarithm.
    """
    if not logarithm:
        return series.targets
    wrong = np.argwhere(series.targets <= 0)
    if len(wrong):
        step, column = wrong[0]
        raise DataError(
            f"{named(series)}: {panel.columns.targets[column]} is {series.targets[step, column]:g} "
            f"at {series.times[step]}; model.logarithm: true needs numbers above 0"
        )
    logarithms: np.ndarray = np.log(series.targets)
    return logarithms


def named(series: Series) -> str:
    """Returns how messages call a series."""
    return f"series {series.name}" if series.name else "the series"


def check_counts(panel: Panel) -> None:
    """Raises a :class:`DataError` unless all targets are whole numbers from 0 on."""
    for series in panel.series:
        there = np.isfinite(series.targets)
        wrong = np.argwhere(there & ((series.targets < 0) | (series.targets % 1 != 0)))
        for step, column in wrong[:1]:
            raise DataError(
                f"{named(series)}: {panel.columns.targets[column]} is "
                f"{series.targets[step, column]:g} at {series.times[step]}; "
                "model.head: negative-binomial needs counts"
            )
