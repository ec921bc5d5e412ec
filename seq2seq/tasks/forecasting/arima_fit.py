"""One model of the ARMA family, fitted to one column of one series by statsmodels."""

import logging
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq.errors import ConfigError, DataError
from seq2seq.tasks.forecasting.arima_orders import (
    LONG,
    NONE,
    Choice,
    Orders,
    corrected,
    differenced,
    differences_of,
    fourier_pairs,
    fourier_terms,
    search,
)
from seq2seq.tasks.forecasting.state_space import Belief, StateSpace

SEARCHED = 1000
"""Of a long series, the steps at its end on which orders are compared."""
STEPS, FEW_STEPS = 200, 50
"""Most steps towards the maximum of the likelihood, and while orders are compared."""
STARTS = {"diffuse": 1e6, "zero": 1e-4}
"""Variance of the state before the first step, in variances of the series."""
DEPENDENT = 1e-6
"""Share of a regressor that others must leave unsaid, or it is left out."""
NEAR_UNIT_ROOT = 1.01
"""Autoregressions with a root nearer to the unit circle are not chosen."""
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Fitted:
    """The model of one column of one series: regressors, and what an ARIMA process makes."""

    orders: Orders
    space: StateSpace
    weights: Float[np.ndarray, "R"]
    """Of the regressors; 0: of one that says nothing that the others, or differences, do not."""
    aicc: float | None
    """None: the series has only ever had one value."""

    def told(
        self, steps: np.ndarray, covariates: Float[np.ndarray, "T F"]
    ) -> Float[np.ndarray, "T"]:
        """Returns what regressors tell of some steps."""
        told: Float[np.ndarray, T] = regressors(self.orders, steps, covariates) @ self.weights
        return told

    def __str__(self) -> str:
        """Returns the model as statisticians write it."""
        return f"{self.orders}, AICc {self.aicc:,.1f}" if self.aicc is not None else "one value"


def statsmodels() -> Any:  # noqa: ANN401
    """Returns the library.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import statsmodels.tsa.statespace.sarimax as found
    except ImportError as error:
        raise ConfigError(
            "model.kind: arima needs statsmodels: pip install 'seq2seq-toolkit[forecast]'"
        ) from error
    return found


def regressors(
    orders: Orders, steps: np.ndarray, covariates: Float[np.ndarray, "T F"]
) -> Float[np.ndarray, "T R"]:
    """Returns constant, Fourier terms and covariates; after differences, the constant is a slope.

    Args:
        orders: What is among them.
        steps: The numbers of the steps.
        covariates: Those known ahead.
    """
    level = [steps[:, None].astype(float) ** orders.differences] if orders.constant else []
    waves = fourier_terms(steps, orders.season, orders.fourier)
    return np.concatenate([*level, waves, covariates], axis=1)


def fit_column(
    called: str,
    values: Float[np.ndarray, "T"],
    covariates: Float[np.ndarray, "T F"],
    season: int,
    choice: Choice,
    orders: Orders | None = None,
) -> Fitted:
    """Fits a model, its orders searched for unless they are given.

    Args:
        called: What messages call the column.
        values: NaN: unknown.
        covariates: Those known ahead.
        season: Steps of one season.
        choice: What is given, and how to search for the rest.
        orders: Those found before.

    Raises:
        DataError: The series is too short, or the model cannot be fitted.
    """
    values = np.where(np.isfinite(covariates).all(axis=1), values, np.nan)
    covariates = np.nan_to_num(covariates)
    with warnings.catch_warnings():
        # Of starting values and of how far the optimum was reached; what matters of it is told.
        warnings.simplefilter("ignore")
        chosen = orders or choice.given(season)
        if np.nanmin(values, initial=np.inf) == np.nanmax(values, initial=-np.inf):
            return _unchanging(float(np.nanmin(values)), covariates.shape[1])
        if chosen is None:
            chosen = _search(values, covariates, season, choice)
        _require_length(called, values, covariates, chosen)
        try:
            return _fit(values, covariates, chosen, STARTS[choice.start])
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise DataError(
                f"{called}: {chosen} cannot be fitted ({error}); give other model.arima orders"
            ) from error


def _require_length(
    called: str, values: np.ndarray, covariates: np.ndarray, orders: Orders
) -> None:
    known = int(np.isfinite(values).sum())
    weights = sum(orders.order) + sum(orders.seasonal) + orders.constant + 2 * orders.fourier
    lost = orders.order[1] + orders.season * orders.seasonal[1]
    needed = lost + weights + covariates.shape[1] + 2
    if known < needed:
        raise DataError(
            f"{called}: {known:,} known values, and {orders} with {covariates.shape[1]} covariates "
            f"needs {needed:,}; widen data.train, or give smaller model.arima orders"
        )


def _fit(values: np.ndarray, covariates: np.ndarray, orders: Orders, start: float) -> Fitted:
    """Maximises the likelihood, in units in which the values have a spread of one."""
    every = regressors(orders, np.arange(len(values)), covariates)
    kept = _independent(differenced(every, orders))
    size = np.abs(every[:, kept]).max(axis=0, initial=0.0)
    unit = float(np.nanstd(differenced(values, orders))) or float(np.nanstd(values)) or 1.0
    model, found = _maximised(values / unit, every[:, kept] / size, orders, start, STEPS)
    if not found.mle_retvals["converged"]:
        log.warning("%s: the optimum was not reached in %d steps", orders, STEPS)
    weights = np.zeros(every.shape[1])
    weights[kept] = found.params[: len(kept)] * unit / size
    matrices, filtered = model.ssm, found.filter_results
    selection = np.array(matrices["selection"])
    noise = selection @ matrices["state_cov"] @ selection.T * (found.scale * unit**2)
    # What statsmodels tells of the start is already multiplied by the scale.
    start_mean, start_covariance = filtered.initial_state, filtered.initial_state_cov
    belief = Belief(np.array(start_mean) * unit, np.array(start_covariance) * unit**2)
    transition, design = np.array(matrices["transition"]), np.array(matrices["design"][0])
    space = StateSpace(transition, noise, design, belief)
    return Fitted(orders, space, weights, _aicc(found))


def _unchanging(value: float, covariates: int) -> Fitted:
    """Returns the model of a series that has only ever had one value."""
    nothing, one = np.zeros((1, 1)), np.ones(1)
    space = StateSpace(np.ones((1, 1)), nothing, one, Belief(one * value, nothing))
    return Fitted(Orders((0, 1, 0)), space, np.zeros(covariates), None)


def _maximised(
    values: np.ndarray, chosen: np.ndarray, orders: Orders, start: float, steps: int
) -> tuple[Any, Any]:
    """Returns statsmodels' model and what it found."""
    seasonal = (*orders.seasonal, orders.season) if orders.seasonal != NONE else (*NONE, 0)
    told = orders.order[0] + orders.order[2] + orders.seasonal[0] + orders.seasonal[2]
    model = statsmodels().SARIMAX(
        values,
        chosen if chosen.shape[1] else None,
        order=orders.order,
        seasonal_order=seasonal,
        concentrate_scale=bool(told + chosen.shape[1]),
        initial_variance=start,
    )
    return model, model.fit(disp=0, cov_type="none", maxiter=steps)


def _aicc(found: Any) -> float:  # noqa: ANN401
    """Returns AICc of a result, in units in which the values have a spread of one."""
    parameters = len(found.params) + found.filter_results.filter_concentrated
    return corrected(-2 * float(found.llf), parameters, int(found.nobs_effective))


def _independent(columns: Float[np.ndarray, "T R"]) -> list[int]:
    """Returns the columns, from the first on, of which those before do not tell all."""
    kept: list[int] = []
    base = np.zeros((len(columns), 0))
    for place, column in enumerate(columns.T):
        left = column - base @ (base.T @ column)
        left = left - base @ (base.T @ left)  # once more, as rounding leaves a little
        length = float(np.linalg.norm(left))
        if length > DEPENDENT * max(1e-300, float(np.linalg.norm(column))):
            kept.append(place)
            base = np.concatenate([base, left[:, None] / length], axis=1)
    return kept


def _search(values: np.ndarray, covariates: np.ndarray, season: int, choice: Choice) -> Orders:
    """Searches for orders on the end of a series, less what regression makes of covariates."""
    values, covariates = values[-SEARCHED:], covariates[-SEARCHED:]
    told = _filled(values)
    left = told - _regression(told, covariates, Orders(NONE))
    pairs = choice.fourier
    if pairs is None:
        pairs = fourier_pairs(left, season) if season >= LONG else 0
    waves = fourier_terms(np.arange(len(left)), season, pairs)
    every = np.concatenate([waves, covariates], axis=1)
    cycle = 1 if pairs or season >= LONG else season
    left = told - _regression(told, every, Orders(NONE))
    order, seasonal = differences_of(left, cycle)
    base = Orders((0, order, 0), (0, seasonal, 0), cycle)
    left = values - _regression(told, every, base)
    nothing = np.zeros((len(left), 0))

    def score(orders: Orders) -> float:
        try:
            return _fit_score(left, nothing, orders)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError):
            return np.inf

    found = search(score, (order, seasonal), cycle, choice.trend)
    return replace(found, season=season, fourier=pairs)


def _fit_score(values: np.ndarray, covariates: np.ndarray, orders: Orders) -> float:
    """Returns AICc; infinite where the model is nearly one with more differences."""
    every = regressors(orders, np.arange(len(values)), covariates)
    unit = float(np.nanstd(values)) or 1.0
    size = np.abs(every).max(axis=0, initial=0.0)
    _, found = _maximised(values / unit, every / size, orders, STARTS["diffuse"], FEW_STEPS)
    unstable = any(map(_near_unit_root, (found.arparams, found.seasonalarparams)))
    return np.inf if unstable else _aicc(found)


def _near_unit_root(weights: np.ndarray) -> bool:
    """Tells whether ``1 - weights[0] z - weights[1] z**2 ...`` has a root near the unit circle.

    That of seasons is one of ``z**season``, whose roots all lie near it. Moving averages with such
    roots stay: they say that a season, or a level, does not change.
    """
    roots = np.roots([*-weights[::-1], 1.0]) if len(weights) else np.array([])
    return bool((np.abs(roots) < NEAR_UNIT_ROOT).any())


def _regression(values: np.ndarray, chosen: np.ndarray, orders: Orders) -> Float[np.ndarray, "T"]:
    """Returns what a regression in differences tells of the values."""
    given, wanted = differenced(chosen, orders), differenced(values, orders)
    if not orders.differences:
        given, wanted = given - given.mean(axis=0), wanted - wanted.mean()
    weights: np.ndarray = np.linalg.lstsq(given, wanted, rcond=None)[0]
    told: Float[np.ndarray, T] = chosen @ weights
    return told


def _filled(values: np.ndarray) -> Float[np.ndarray, "T"]:
    """Returns values with lines through gaps: for tests that choose, and for nothing else."""
    known = np.flatnonzero(np.isfinite(values))
    filled: Float[np.ndarray, T] = np.interp(np.arange(len(values)), known, values[known])
    return filled
