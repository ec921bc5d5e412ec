"""The orders of the ARMA family: how they are written, and how they are searched for.

The search is that of Hyndman & Khandakar 2008, "Automatic Time Series Forecasting": differences by
tests, the rest stepwise by AICc.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from seq2seq.errors import ConfigError, require

Triple: TypeAlias = tuple[int, int, int]
NONE: Triple = (0, 0, 0)
MOST, MOST_SEASONAL, MOST_FOURIER = 5, 2, 10
LONG = 24
"""Seasons of so many steps and more are told by Fourier terms; else their state were slow."""
STRENGTH = 0.64
"""Of a season, above which it is differenced (Wang, Smith & Hyndman 2006)."""
UNIT_ROOT = 0.463
"""The 5 % point of the KPSS statistic about a level."""
LAGS = 10
"""Values before that stand beside Fourier terms while these are counted."""
TRIES = 60


@dataclass(frozen=True)
class Orders:
    """Which model of the family."""

    order: Triple
    """Autoregression, differences, moving average: p, d, q."""
    seasonal: Triple = NONE
    """The same at steps one season apart: P, D, Q."""
    season: int = 1
    constant: bool = False
    """A mean; where there is one difference, a slope."""
    fourier: int = 0
    """Pairs of sine and cosine."""

    @property
    def differences(self) -> int:
        """All differences, seasonal ones among them."""
        return self.order[1] + self.seasonal[1]

    def __str__(self) -> str:
        """Returns the model as statisticians write it.

        >>> str(Orders((1, 0, 0), (0, 1, 1), 7, fourier=2))
        'ARIMA(1,0,0)(0,1,1)[7] + 2 Fourier pairs'
        """
        text = "ARIMA({},{},{})".format(*self.order)
        if self.seasonal != NONE:
            text += "({},{},{})[{}]".format(*self.seasonal, self.season)
        if self.constant:
            text += " + constant"
        return f"{text} + {self.fourier} Fourier pairs" if self.fourier else text


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What of the orders is given, and what is to be searched for."""

    order: Triple | None = None
    """None: search."""
    seasonal: Triple | None = None
    """None: search, or where ``order`` is given none."""
    season: int = 0
    """Steps; 0: the panel's own."""
    fourier: int | None = None
    """None: search, where the season is long and ``order`` is to be searched for."""
    trend: Literal["auto", "none", "constant"] = "auto"
    """auto: by AICc, or with given orders a mean where nothing is differenced."""
    start: Literal["diffuse", "zero"] = "diffuse"
    """What is believed of the time before the first step: nothing; or that all was zero, which is
    what statsmodels takes for granted where numbers are far above 1,000."""
    logarithm: bool = False
    """Whether the model is one of logarithms."""

    def __post_init__(self) -> None:
        if self.seasonal is not None and self.order is None:
            raise ConfigError("seasonal_order: needs an order beside it; give both, or none")
        for key in ("order", "seasonal"):
            require(min(getattr(self, key) or NONE) >= 0, key, "at least 0", getattr(self, key))

    def given(self, season: int) -> Orders | None:
        """Returns the orders where they are given."""
        if self.order is None:
            return None
        orders = Orders(self.order, self.seasonal or NONE, season, fourier=self.fourier or 0)
        level = orders.differences == 0 if self.trend == "auto" else self.trend == "constant"
        return replace(orders, constant=level)


def differenced(values: np.ndarray, orders: Orders) -> np.ndarray:
    """Returns the differences of rows that a model takes."""
    for _ in range(orders.seasonal[1]):
        values = values[orders.season :] - values[: -orders.season]
    return np.diff(values, n=orders.order[1], axis=0)


def differences_of(values: Float[np.ndarray, "T"], season: int) -> tuple[int, int]:
    """Returns how many differences, and seasonal ones, make a series stationary."""
    seasonal = int(season > 1 and seasonal_strength(values, season) > STRENGTH)
    if seasonal:
        values = values[season:] - values[:-season]
    for count in range(2):
        if len(values) < 2 or level_statistic(values) <= UNIT_ROOT:
            return count, seasonal
        values = np.diff(values)
    return 2, seasonal


def level_statistic(values: Float[np.ndarray, "T"]) -> float:
    """Returns how much a series strays from a level (Kwiatkowski et al. 1992); 0 of a constant."""
    left, count = values - values.mean(), len(values)
    lags = int(3 * np.sqrt(count) / 13)
    variance = float(left @ left)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(left[lag:] @ left[:-lag])
    strayed = float((left.cumsum() ** 2).sum()) / count
    return strayed / variance if variance > 0 else 0.0


def seasonal_strength(values: Float[np.ndarray, "T"], season: int) -> float:
    """Returns the share of a season in what is not trend: 0 to 1; 0 where it is seen only once."""
    from statsmodels.tsa.seasonal import STL

    if len(values) <= 2 * season:
        return 0.0
    parts = STL(values, period=season).fit()
    whole = np.var(parts.seasonal + parts.resid)
    return float(max(0.0, 1 - np.var(parts.resid) / whole)) if whole > 0 else 0.0


def fourier_terms(steps: np.ndarray, season: int, pairs: int) -> Float[np.ndarray, "T K"]:
    """Returns sine and cosine of the first ``pairs`` multiples of a season's frequency."""
    angles = 2 * np.pi * (steps[:, None] % season) / season * np.arange(1, pairs + 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def fourier_pairs(values: Float[np.ndarray, "T"], season: int) -> int:
    """Returns how many Fourier pairs a season needs, by AICc of an autoregression with them.

    Without the values before, any pair would look needed where values hang together.
    """
    count = len(values) - LAGS
    most = min(season // 2, MOST_FOURIER, (count - LAGS - 3) // 2)
    if len(values) <= 2 * season or most < 1:
        return 0
    before = [values[LAGS - lag : -lag] for lag in range(1, LAGS + 1)]
    steps = np.arange(LAGS, len(values))
    found = {}
    for pairs in range(most + 1):
        waves = fourier_terms(steps, season, pairs)
        told = np.concatenate([np.ones((count, 1)), np.stack(before, axis=1), waves], axis=1)
        error = values[LAGS:] - told @ np.linalg.lstsq(told, values[LAGS:], rcond=None)[0]
        spread = np.log(max(float(np.mean(error**2)), np.finfo(float).tiny))
        found[pairs] = corrected(count * spread, told.shape[1] + 1, count)
    return min(found, key=lambda pairs: found[pairs])


def corrected(twice: float, parameters: int, values: int) -> float:
    """Returns AICc, where ``twice`` is minus two times the logarithm of the likelihood."""
    free = values - parameters - 1
    return twice + 2 * parameters * values / free if free > 0 else np.inf


def search(score: Callable[[Orders], float], differences: tuple[int, int], season: int,
           trend: Literal["auto", "none", "constant"] = "auto") -> Orders:  # fmt: skip
    """Returns the orders with the lowest score that steps of one lead to.

    Args:
        score: AICc of a model; infinite where it cannot be fitted.
        differences: Those of steps, and those of seasons.
        season: Steps; 1: none.
        trend: Whether there is a constant; auto: whichever is better.
    """
    known: dict[Orders, float] = {}
    level = sum(differences) <= 1 if trend == "auto" else trend == "constant"

    def scored(orders: Orders) -> float:
        if orders not in known:
            known[orders] = score(orders) if len(known) < TRIES else np.inf
        return known[orders]

    best = min(_first(differences, season, level), key=scored)
    better = True
    while better:
        steps = (step for step in _steps(best, trend == "auto") if scored(step) < scored(best))
        better_one = next(steps, None)
        better = better_one is not None
        best = better_one or best
    return best


def _first(differences: tuple[int, int], season: int, level: bool) -> list[Orders]:
    """Returns the four models that a search begins with."""
    d, seasonal = differences
    ends = ((2, 2, 1, 1), (0, 0, 0, 0), (1, 0, 1, 0), (0, 1, 0, 1))
    return [
        Orders((p, d, q), (sp, seasonal, sq) if season > 1 else NONE, season, constant=level)
        for p, q, sp, sq in ends
    ]


def _steps(orders: Orders, toggle: bool) -> Iterator[Orders]:
    """Yields the models one step away."""
    (p, d, q), (sp, sd, sq) = orders.order, orders.seasonal
    ways = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))
    if orders.season > 1:
        for one, other in ways:
            if 0 <= sp + one <= MOST_SEASONAL and 0 <= sq + other <= MOST_SEASONAL:
                yield replace(orders, seasonal=(sp + one, sd, sq + other))
    for one, other in ways:
        if 0 <= p + one <= MOST and 0 <= q + other <= MOST:
            yield replace(orders, order=(p + one, d, q + other))
    if toggle and orders.differences <= 1:
        yield replace(orders, constant=not orders.constant)
