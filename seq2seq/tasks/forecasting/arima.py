"""The ARMA family: AR, MA, ARMA, ARIMA, SARIMA, with covariates and Fourier terms.

Parameters are found by statsmodels' maximum likelihood, one model for each series and column:
``value = regressors @ weights + what an ARIMA process makes``. What is kept of them is plain
numbers, and needs statsmodels no longer: see :mod:`seq2seq.tasks.forecasting.state_space`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from seq2seq.data.series.panel import Panel, Series
from seq2seq.errors import DataError, nearest
from seq2seq.tasks.forecasting.arima_fit import Fitted, fit_column, statsmodels
from seq2seq.tasks.forecasting.arima_orders import Choice, Orders
from seq2seq.tasks.forecasting.prediction import (
    Prediction,
    Rolling,
    generator,
    missing_covariate,
    normal,
)
from seq2seq.tasks.forecasting.scaling import levels
from seq2seq.tasks.forecasting.state_space import Belief, StateSpace

log = logging.getLogger("seq2seq")
PARTS = ("transition", "noise", "design", "mean", "covariance", "weights")


@dataclass(frozen=True)
class Process:
    """The models of one series."""

    name: str
    reference: str
    """The time from which steps are counted."""
    targets: tuple[str, ...]
    columns: tuple[Fitted, ...]

    @property
    def called(self) -> list[str]:
        """What messages call the columns."""
        return [called_of(self.name, target) for target in self.targets]


@dataclass(frozen=True)
class Beliefs:
    """What the models of one series keep of it."""

    process: Process
    panel: Panel
    """Tells the names of the columns."""
    logarithm: bool
    at: int
    """The number of the next step."""
    beliefs: tuple[Belief, ...]

    def extended(self, rows: Series) -> "Beliefs":
        """Returns the state after more steps.

        Raises:
            DataError: Of a number there is no logarithm.
        """
        steps = self.at + np.arange(len(rows.times))
        values = levels(rows, self.panel, logarithm=self.logarithm)
        beliefs = []
        for place, (fitted, belief) in enumerate(
            zip(self.process.columns, self.beliefs, strict=True)
        ):
            told = fitted.told(steps, rows.future)
            beliefs.append(fitted.space.filtered(belief, values[:, place] - told))
        return replace(self, at=self.at + len(steps), beliefs=tuple(beliefs))

    def forecast(
        self, ahead: Series, levels: Sequence[float], samples: int = 0, seed: int = 1
    ) -> Prediction:
        """Forecasts the steps of ``ahead``; of a logarithm, the point is the median.

        Raises:
            DataError: A covariate is missing.
        """
        self._require_covariates(ahead)
        horizon = len(ahead.times)
        steps = self.at + np.arange(horizon)
        random = generator(seed, ahead)
        points, widths, paths = [], [], []
        for fitted, belief in zip(self.process.columns, self.beliefs, strict=True):
            told = fitted.told(steps, ahead.future)
            mean, variance = fitted.space.ahead(belief, horizon)
            points.append(told + mean)
            widths.append(np.sqrt(variance))
            if samples:
                courses = fitted.space.paths(belief, horizon, samples, random)
                paths.append(told[:, None] + courses)
        point = np.stack(points, axis=1)
        quantiles = normal(point, np.stack(widths, axis=1), levels)
        drawn = np.stack(paths, axis=1) if samples else None
        if self.logarithm:
            point, quantiles = np.exp(point), np.exp(quantiles)
            drawn = None if drawn is None else np.exp(drawn)
        return Prediction.of_one(point, quantiles, levels, drawn)

    def _require_covariates(self, ahead: Series) -> None:
        unknown = np.argwhere(~np.isfinite(ahead.future))
        if len(unknown):
            step, column = unknown[0]
            raise missing_covariate(ahead, self.panel.columns.future[column], ahead.times[step])


@dataclass(frozen=True)
class Arima(Rolling):
    """The models of all series of a panel."""

    processes: tuple[Process, ...]
    choice: Choice
    name: str = "arima"

    def start(self, panel: Panel, series: Series) -> Beliefs:
        """Returns the state before the first step of a series.

        Raises:
            DataError: The series has no model.
        """
        process = self._process(series.name)
        return Beliefs(
            process,
            panel,
            self.choice.logarithm,
            steps_between(process.reference, series.times, panel.frequency),
            tuple(fitted.space.start for fitted in process.columns),
        )

    def refitted(self, panel: Panel, ranges: Sequence[tuple[int, int]]) -> "Arima":
        """Returns models of the same orders, fitted to a range of steps of each series."""
        known = {process.name: [fitted.orders for fitted in process.columns]
                 for process in self.processes}  # fmt: skip
        return fit_arima(panel, ranges, self.choice, known)

    def described(self) -> list[str]:
        """Returns a line for each model: series, column, orders."""
        return [
            f"{called}: {fitted}"
            for process in self.processes
            for called, fitted in zip(process.called, process.columns, strict=True)
        ]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all numbers of the models, as a run keeps them."""
        return {
            f"{number}.{place}.{part}": value
            for number, process in enumerate(self.processes)
            for place, fitted in enumerate(process.columns)
            for part, value in zip(PARTS, _parts(fitted), strict=True)
        }

    def facts(self) -> dict[str, Any]:
        """Returns all else of the models, as JSON has it."""
        return {
            "processes": [
                {
                    "name": process.name,
                    "reference": process.reference,
                    "targets": process.targets,
                    "orders": [asdict(fitted.orders) for fitted in process.columns],
                    "aicc": [fitted.aicc for fitted in process.columns],
                }
                for process in self.processes
            ],
        }

    @classmethod
    def restored(
        cls, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], choice: Choice
    ) -> "Arima":
        """Returns the models that :meth:`arrays` and :meth:`facts` tell of."""
        processes = []
        for number, told in enumerate(facts["processes"]):
            columns = []
            for place, (orders, aicc) in enumerate(zip(told["orders"], told["aicc"], strict=True)):
                parts = [arrays[f"{number}.{place}.{part}"] for part in PARTS]
                columns.append(_of_parts(parts, _orders_of(orders), aicc))
            processes.append(
                Process(told["name"], told["reference"], tuple(told["targets"]), tuple(columns))
            )
        return cls(tuple(processes), choice)

    def _process(self, name: str) -> Process:
        """Returns the models of a series; one that was fitted alone serves any name.

        Raises:
            DataError: The series was not there when the models were fitted.
        """
        by_name = {process.name: process for process in self.processes}
        if name not in by_name and len(self.processes) > 1:
            raise DataError(
                f"series {name}: was not in training, and arima has a model for each series"
                f"{nearest(name, by_name)}"
            )
        return by_name.get(name, self.processes[0])


def fit_arima(
    panel: Panel,
    ranges: Sequence[tuple[int, int]],
    choice: Choice,
    known: Mapping[str, Sequence[Orders]] | None = None,
) -> Arima:
    """Finds the parameters of all series and columns.

    Args:
        panel: The series; their future covariates become regressors, past ones are not used.
        ranges: Of each series the first step to learn from, and that after the last.
        choice: The orders, or how they are searched for.
        known: Orders found before, by series and column.

    Raises:
        ConfigError: statsmodels is not installed.
        DataError: A series is too short, or the model cannot be fitted.
    """
    statsmodels()
    if panel.columns.past:
        log.warning("arima does not read past covariates: %s", ", ".join(panel.columns.past))
    processes = []
    quiet = True if len(panel.series) == 1 else None
    bar = tqdm(panel.series, "fit arima", unit=" series", disable=quiet)
    for series, (first, last) in zip(bar, ranges, strict=True):
        rows = series.part(first, last)
        values = levels(rows, panel, logarithm=choice.logarithm)
        columns = []
        for place, target in enumerate(panel.columns.targets):
            orders = known[series.name][place] if known else None
            called = called_of(series.name, target)
            season = choice.season or panel.season
            columns.append(
                fit_column(called, values[:, place], rows.future, season, choice, orders)
            )
        reference = str(rows.times[0]) if len(rows.times) else ""
        processes.append(Process(series.name, reference, panel.columns.targets, tuple(columns)))
    return Arima(tuple(processes), choice)


def called_of(series: str, target: str) -> str:
    """Returns what messages call a column of a series."""
    return f"series {series}, {target}" if series else target


def steps_between(reference: str, times: pd.DatetimeIndex | pd.RangeIndex, frequency: str) -> int:
    """Returns how many steps the first of some times lies after another, or minus those before."""
    if not isinstance(times, pd.DatetimeIndex):
        return int((times.start - int(reference)) // times.step)
    first, then = pd.Timestamp(reference), times[0]
    if then < first:
        return 1 - len(pd.date_range(then, first, freq=frequency))
    return len(pd.date_range(first, then, freq=frequency)) - 1


def _parts(fitted: Fitted) -> tuple[np.ndarray, ...]:
    space = fitted.space
    start = space.start
    return space.transition, space.noise, space.design, start.mean, start.covariance, fitted.weights


def _of_parts(parts: Sequence[np.ndarray], orders: Orders, aicc: float | None) -> Fitted:
    transition, noise, design, mean, covariance, weights = parts
    space = StateSpace(transition, noise, design, Belief(mean, covariance))
    return Fitted(orders, space, weights, aicc)


def _orders_of(told: Mapping[str, Any]) -> Orders:
    (p, d, q), (sp, sd, sq) = told["order"], told["seasonal"]
    return Orders((p, d, q), (sp, sd, sq), told["season"], told["constant"], told["fourier"])
