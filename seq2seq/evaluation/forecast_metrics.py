"""Scores of forecasts against what came, each with the signature that makes it comparable.

Every score here is one sum over another (or the root of that), so that a :class:`Tally` tells the
score of all, of each step and of each column, and tallies of parts add up to that of the whole. A
number that is missing (NaN) counts nowhere. Sums run over all windows and series: in M4's layout,
one window for each series, that is the mean over the series.

MAPE and sMAPE are per cent; sMAPE goes from 0 to 200, as in M4 (Makridakis et al. 2020).
MASE and MSIS are divided by the mean absolute difference of steps one season apart (Hyndman &
Koehler 2006). The weighted quantile loss is twice the quantile loss over the sum of what came.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from seq2seq.errors import DataError
from seq2seq.evaluation.metrics import Score

DIGITS = 9
"""Of quantile levels, so that 1 - 0.9 and 0.1 are the same one."""
MSIS_PERCENT = 95.0
"""The interval whose width MSIS weighs, as M4 does."""


@dataclass(frozen=True)
class Compared:
    """Forecasts beside what came: ``N`` windows, ``H`` steps, ``C`` columns."""

    truth: Float[np.ndarray, "N H C"]
    """NaN: unknown."""
    point: Float[np.ndarray, "N H C"]
    quantiles: Float[np.ndarray, "N H C Q"]
    levels: tuple[float, ...]
    """The ``Q`` quantile levels, ascending."""
    scale: Float[np.ndarray, "N C"]
    """What MASE and MSIS divide by: see :func:`seasonal_scale`."""
    season: int
    scaled_by: str = "train"
    """Where the scale was measured; part of the signature."""
    scaled_in: str = ""
    """Which part's mean and deviation all numbers were scaled by, told in the signature; empty:
    they are those of the data."""

    @property
    def known(self) -> Bool[np.ndarray, "N H C"]:
        """Where there is a truth."""
        known: Bool[np.ndarray, "N H C"] = np.isfinite(self.truth)
        return known

    @property
    def error(self) -> Float[np.ndarray, "N H C"]:
        """What the forecast is above the truth."""
        error: Float[np.ndarray, "N H C"] = self.point - self.truth
        return error


@dataclass(frozen=True)
class Tally:
    """What a score adds up, for each step and column, and how it is told."""

    name: str
    over: Float[np.ndarray, "H C"]
    under: Float[np.ndarray, "H C"]
    details: tuple[str, ...]
    """What its signature says besides the counts."""
    windows: int
    root: bool = False
    """Whether the score is the root of the quotient."""

    def __add__(self, other: "Tally") -> "Tally":
        return replace(
            self,
            over=self.over + other.over,
            under=self.under + other.under,
            windows=self.windows + other.windows,
        )

    @property
    def value(self) -> float:
        """The score of all; NaN where nothing could be counted."""
        return float(
            self._quotient(self.over.sum(keepdims=True), self.under.sum(keepdims=True))[0, 0]
        )

    @property
    def per_step(self) -> Float[np.ndarray, "H"]:
        """The score of each step; NaN where nothing could be counted."""
        return self._quotient(self.over.sum(axis=1), self.under.sum(axis=1))

    @property
    def per_column(self) -> Float[np.ndarray, "C"]:
        """The score of each column, or of all together where columns are not parted."""
        return self._quotient(self.over.sum(axis=0), self.under.sum(axis=0))

    @property
    def per_cell(self) -> Float[np.ndarray, "H C"]:
        """The score of each step of each column."""
        return self._quotient(self.over, self.under)

    @property
    def score(self) -> Score:
        """The score with its signature."""
        counts = (f"origins:{self.windows}", f"steps:{len(self.over)}")
        return Score(self.name, self.value, "|".join((*counts, *self.details)), digits(self.value))

    def _quotient(self, over: np.ndarray, under: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = over / under
        root: np.ndarray = np.sqrt(value) if self.root else value
        return root


def mae(compared: Compared) -> Tally:
    """Adds up absolute errors."""
    return _mean("MAE", compared, np.abs(compared.error))


def mse(compared: Compared) -> Tally:
    """Adds up squared errors."""
    return _mean("MSE", compared, compared.error**2)


def rmse(compared: Compared) -> Tally:
    """Adds up squared errors; the score is the root of their mean."""
    return replace(mse(compared), name="RMSE", root=True)


def mape(compared: Compared) -> Tally:
    """Adds up absolute errors in per cent of the truth; where that is nothing, nothing counts."""
    terms = 100 * np.abs(compared.error)
    return _mean("MAPE", compared, terms, "unit:%", size=np.abs(compared.truth))


def smape(compared: Compared) -> Tally:
    """Adds up absolute errors in per cent of the mean of truth and forecast: 0 to 200."""
    size = (np.abs(compared.truth) + np.abs(compared.point)) / 2
    terms = 100 * np.abs(compared.error) / np.where(size == 0, 1.0, size)
    return _mean("sMAPE", compared, terms, "range:0-200")


def mase(compared: Compared) -> Tally:
    """Adds up absolute errors over the scale; series whose scale is nothing do not count."""
    scale = f"scale:{compared.scaled_by}"
    return _mean("MASE", compared, np.abs(compared.error), scale, size=compared.scale[:, None])


def wql(compared: Compared) -> Tally:
    """Adds up twice the quantile loss, its mean over the levels, and absolute truths."""
    above = compared.quantiles - compared.truth[..., None]
    levels = np.asarray(compared.levels)
    loss = 2 * np.maximum((1 - levels) * above, -levels * above).mean(axis=-1)
    known = compared.known
    return Tally(
        "WQL",
        np.where(known, loss, 0.0).sum(axis=0),
        np.where(known, np.abs(compared.truth), 0.0).sum(axis=0),
        (_setting(compared), f"levels:{','.join(f'{level:g}' for level in compared.levels)}"),
        len(compared.truth),
    )


def msis(compared: Compared, percent: float | int = MSIS_PERCENT) -> Tally:
    """Adds up interval scores over the scale: the width, and far more for what lies outside.

    Raises:
        DataError: The forecast has no such interval.
    """
    low, high = interval(compared.quantiles, compared.levels, percent)
    outside = np.maximum(low - compared.truth, 0) + np.maximum(compared.truth - high, 0)
    width = high - low + 2 / (1 - percent / 100) * outside
    details = (f"level:{percent:g}", f"scale:{compared.scaled_by}")
    return _mean("MSIS", compared, width, *details, size=compared.scale[:, None])


def coverage(compared: Compared, percent: float | int) -> Tally:
    """Adds up how many of 100 truths lie in an interval; as near to ``percent`` as can be is good.

    Raises:
        DataError: The forecast has no such interval.
    """
    low, high = interval(compared.quantiles, compared.levels, percent)
    inside = (compared.truth >= low) & (compared.truth <= high)
    terms = np.where(np.isnan(low) | np.isnan(high), np.nan, 100.0 * inside)
    return _mean(f"coverage {percent:g}", compared, terms, f"level:{percent:g}")


def ade(compared: Compared) -> Tally:
    """Adds up distances between forecast and truth, the columns being the axes of a space."""
    return _distance("ADE", compared, slice(None))


def fde(compared: Compared) -> Tally:
    """Adds up the same distances at the last step alone."""
    return _distance("FDE", compared, slice(-1, None))


def seasonal_scale(history: Float[np.ndarray, "T C"], season: int) -> Float[np.ndarray, "C"]:
    """Returns the mean absolute difference of steps one season apart; NaN where none is known."""
    differences = np.abs(history[season:] - history[:-season])
    known = np.isfinite(differences)
    total = np.where(known, differences, 0.0).sum(axis=0)
    scale: Float[np.ndarray, C] = total / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return scale


def quantile_levels(percents: Iterable[float | int]) -> tuple[float, ...]:
    """Returns the quantile levels that central intervals need, and the median's.

    >>> quantile_levels([80, 95])
    (0.025, 0.1, 0.5, 0.9, 0.975)
    """
    tails = [(1 - percent / 100) / 2 for percent in percents]
    return tuple(sorted({round(at, DIGITS) for tail in tails for at in (tail, 1 - tail)} | {0.5}))


def interval(
    quantiles: Float[np.ndarray, "*shape Q"], levels: Sequence[float], percent: float | int
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Returns the two quantiles between which ``percent`` of what may come lies.

    Raises:
        DataError: They are not among the levels.
    """
    rounded = [round(level, DIGITS) for level in levels]
    low, *_, high = quantile_levels([percent])
    if low not in rounded or high not in rounded:
        there = ", ".join(f"{level:g}" for level in levels)
        raise DataError(f"no {percent:g} % interval: it needs quantiles {low:g} and {high:g}, "
                        f"there are {there}")  # fmt: skip
    return quantiles[..., rounded.index(low)], quantiles[..., rounded.index(high)]


def digits(value: float) -> int:
    """Returns how many digits after the point show about four that mean something.

    >>> digits(30659.2), digits(13.912), digits(0.053)
    (0, 2, 5)
    """
    size = math.floor(math.log10(abs(value))) if math.isfinite(value) and value else 0
    return min(6, max(0, 3 - size))


def _mean(
    name: str,
    compared: Compared,
    terms: Float[np.ndarray, "N H C"],
    *details: str,
    size: float | np.ndarray = 1.0,
) -> Tally:
    """Counts the terms over their size where there is a truth, and a size above nothing.

    A forecast that is no number makes the score none.
    """
    counted = compared.known & (size > np.zeros(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = terms / size
    return Tally(
        name,
        np.where(counted, terms, 0.0).sum(axis=0),
        counted.sum(axis=0).astype(float),
        (_setting(compared), *details),
        len(compared.truth),
    )


def _distance(name: str, compared: Compared, steps: slice) -> Tally:
    squares = compared.error[:, steps] ** 2
    known = compared.known[:, steps].all(axis=2, keepdims=True)
    lengths = np.sqrt(squares.sum(axis=2, keepdims=True))
    over = np.zeros((compared.truth.shape[1], 1))
    under = np.zeros_like(over)
    over[steps] = np.where(known, lengths, 0.0).sum(axis=0)
    under[steps] = known.sum(axis=0)
    axes = f"axes:{compared.truth.shape[2]}"
    return Tally(name, over, under, (_setting(compared), axes), len(compared.truth))


def _setting(compared: Compared) -> str:
    unit = f"|scaled:{compared.scaled_in}" if compared.scaled_in else ""
    return f"season:{compared.season}{unit}"
