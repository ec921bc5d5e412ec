"""Models side by side over rolling origins: one table, always with what needs no training in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.errors import DataError
from seq2seq.evaluation.forecast_metrics import (
    MSIS_PERCENT,
    Compared,
    Tally,
    coverage,
    quantile_levels,
    seasonal_scale,
)
from seq2seq.lists import evenly
from seq2seq.measures import FORECAST_METRICS
from seq2seq.tasks.forecasting.classical import BASELINES
from seq2seq.tasks.forecasting.prediction import Prediction, Predictor, in_pieces, truths
from seq2seq.tasks.forecasting.report import Measured, Report
from seq2seq.tasks.forecasting.scaling import Units

USUAL = ("mae", "rmse", "mape", "smape", "mase", "wql", "msis")
TRAJECTORIES = ("ade", "fde")
"""Where the columns are the axes of a space."""
TOGETHER = 20_000_000
"""Most numbers of a prediction's quantiles that are in memory at once."""


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    panel: Panel
    windows: Sequence[Window]
    horizon: int
    percents: tuple[float | int, ...] = (80, 95)
    """The intervals."""
    metrics: tuple[str, ...] = USUAL
    training: Sequence[tuple[int, int]] = ()
    """The steps of each series that MASE and MSIS are scaled by; none: all before an origin."""
    refit: int = 0
    """Origins after which models are fitted again, to all before; 0: never."""
    targets: tuple[str, ...] = ()
    """The columns that are scored; none: all."""
    units: Units | None = None
    """What numbers are scaled by before they are compared; None: they are those of the data."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are scored."""
        return self.targets or self.panel.columns.targets

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantile levels that intervals and scores need."""
        scored = (MSIS_PERCENT,) if "msis" in self.metrics else ()
        return quantile_levels((*self.percents, *scored))

    def scales(self, windows: Sequence[Window]) -> Float[np.ndarray, "N C"]:
        """Returns what errors of each window are scaled by."""
        panel = self.panel
        ranges = [
            self.training[one.series] if self.training else (0, one.origin) for one in windows
        ]
        known = {
            key: seasonal_scale(panel.series[key[0]].targets[slice(*key[1])], panel.season)
            for key in {(one.series, steps) for one, steps in zip(windows, ranges, strict=True)}
        }
        pairs = zip(windows, ranges, strict=True)
        return np.stack([known[one.series, steps] for one, steps in pairs])

    def compared(self, windows: Sequence[Window], prediction: Prediction) -> Compared:
        """Returns a prediction beside what came."""
        units = self.units or Units.plain(len(self.panel.columns.targets))
        places = [self.panel.columns.targets.index(name) for name in self.columns]
        return Compared(
            units(truths(self.panel, windows, self.horizon))[..., places],
            units(prediction.point)[..., places],
            np.moveaxis(units(np.moveaxis(prediction.quantiles, -1, 0))[..., places], 0, -1),
            prediction.levels,
            (self.scales(windows) / np.array(units.scale))[..., places],
            self.panel.season,
            "train" if self.training else "before",
            "train" if self.units else "",
        )


def compare(setting: Setting, models: Mapping[str, Predictor]) -> Report:
    """Measures models, and the baselines, on the same origins.

    Args:
        setting: What is measured.
        models: By the name that the table gives them.

    Raises:
        DataError: There is no origin, or a model cannot forecast from one.
    """
    if not setting.windows:
        raise DataError("there is no origin to forecast from")
    given = {f"{name} (run)" if name in BASELINES else name: one for name, one in models.items()}
    rows = [measured(name, one, setting) for name, one in (given | BASELINES).items()]
    return Report(rows, setting.columns, setting.panel.season)


def measured(name: str, model: Predictor, setting: Setting) -> Measured:
    """Measures a model piece by piece, so that memory does not grow with the origins."""
    scores: dict[str, Tally] = {}
    covered: dict[float | int, Tally] = {}
    size = setting.horizon * len(setting.panel.columns.targets) * len(setting.levels)
    for block in _blocks(setting):
        used = _refitted(model, setting, block) if setting.refit else model
        most = max(1, TOGETHER // size)
        asked = setting.panel, block, setting.horizon, setting.levels, most
        for piece, prediction in in_pieces(used, *asked):
            compared = setting.compared(piece, prediction)
            for metric in setting.metrics:
                _add(scores, metric, FORECAST_METRICS[metric](compared))
            for percent in setting.percents:
                _add(covered, percent, coverage(compared, percent))
    return Measured(name, scores, covered)


def _add(tallies: dict[Any, Tally], key: object, tally: Tally) -> None:
    tallies[key] = tallies[key] + tally if key in tallies else tally


def _blocks(setting: Setting) -> list[list[Window]]:
    """Returns the windows that one fit serves: so many origins of each series, in order."""
    ordered = sorted(setting.windows)
    if not setting.refit:
        return [ordered]
    blocks: dict[int, list[Window]] = {}
    for number in {one.series for one in ordered}:
        own = [one for one in ordered if one.series == number]
        for rank, one in enumerate(own):
            blocks.setdefault(rank // setting.refit, []).append(one)
    return [blocks[key] for key in sorted(blocks)]


def _refitted(model: Predictor, setting: Setting, block: Sequence[Window]) -> Predictor:
    """Returns a model fitted again to all before the block's first origins, where it can be."""
    refitted = getattr(model, "refitted", None)
    if refitted is None:
        return model
    firsts: dict[int, int] = {}
    for one in block:
        firsts[one.series] = min(one.origin, firsts.get(one.series, one.origin))
    whole = [(0, series.known) for series in setting.panel.series]
    ranges = [
        (first, firsts.get(number, last))
        for number, (first, last) in enumerate(setting.training or whole)
    ]
    again: Predictor = refitted(setting.panel, ranges)
    return again


def chosen_origins(windows: Sequence[Window], count: int) -> list[Window]:
    """Returns ``count`` origins of each series, evenly spaced from the first to the last; 0: all.

    >>> [one.origin for one in chosen_origins([Window(0, step) for step in range(9)], 3)]
    [0, 4, 8]
    """
    by_series = groupby(sorted(windows), key=lambda one: one.series)
    series = [list(own) for _, own in by_series]
    return [one for own in series for one in evenly(own, count or len(own))]
