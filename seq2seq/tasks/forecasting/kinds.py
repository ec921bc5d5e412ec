"""The kinds of models that need no gradients: how each is fitted, kept and taken up again.

A kind is one entry of one table. The recurrent network is trained instead, as networks are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.tasks.forecasting.arima import Arima, fit_arima
from seq2seq.tasks.forecasting.arima_orders import Choice
from seq2seq.tasks.forecasting.classical import BASELINES
from seq2seq.tasks.forecasting.linear import Linear, fit_linear
from seq2seq.tasks.forecasting.prediction import Predictor
from seq2seq.tasks.forecasting.scaling import Transform


@dataclass(frozen=True)
class Kept:
    """What a run keeps of a model."""

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """All else, as JSON has it."""
    told: Sequence[str] = ()
    """What people are told of it, in lines."""


@dataclass(frozen=True)
class Learning:
    """What a model is fitted to."""

    panel: Panel
    ranges: Sequence[tuple[int, int]]
    """Of each series the first step to learn from, and that after the last."""
    windows: Sequence[Window]
    transform: Transform
    window: int
    """Steps that are read before each forecast."""
    horizon: int
    """Steps that are forecast."""
    choice: Choice
    """Orders of the ARMA family."""


@dataclass(frozen=True)
class Kind:
    """How a model is fitted, and taken up again from what a run keeps of it."""

    fit: Callable[[Learning], Kept]
    restored: Callable[[Choice, Mapping[str, np.ndarray], Mapping[str, Any]], Predictor]


def _fit_linear(learning: Learning) -> Kept:
    reads = learning.window + learning.transform.reach
    windows = [one for one in learning.windows if one.origin >= reads]
    lengths = learning.window, learning.horizon
    model = fit_linear(learning.panel, windows, *lengths, learning.transform)
    return Kept(model.arrays(), model.facts())


def _fit_arima(learning: Learning) -> Kept:
    model = fit_arima(learning.panel, learning.ranges, learning.choice)
    return Kept(model.arrays(), model.facts(), model.described())


def _restored_arima(
    choice: Choice, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> Arima:
    return Arima.restored(arrays, facts, choice)


def _baseline(name: str) -> Kind:
    """Returns a kind of which there is nothing to keep."""
    return Kind(lambda _learning: Kept(), lambda _choice, _arrays, _facts: BASELINES[name])


FITTED: dict[str, Kind] = {
    "linear": Kind(_fit_linear, lambda _choice, arrays, facts: Linear.restored(arrays, facts)),
    "arima": Kind(_fit_arima, _restored_arima),
    **{name: _baseline(name) for name in BASELINES},
}
"""Kinds by the name that ``model.kind:`` gives them."""
RECURRENT = "recurrent"
"""The kind that is trained."""
