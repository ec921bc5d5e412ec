"""What is odd about series, told before hours are spent on training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from seq2seq.data.report import Report
from seq2seq.data.series.autocorrelation import (
    autocorrelation,
    find_season,
    partial_autocorrelation,
    white_noise_bound,
)
from seq2seq.data.series.config import ROLES, DataConfig
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.read import open_panel
from seq2seq.data.series.steps import Unsettled
from seq2seq.data.series.times import shown
from seq2seq.data.series.windows import inside

NEIGHBOURS = 3
"""Seasons before and after, by whose median a value is judged."""
FAR = 8.0
"""Robust standard deviations beyond which a value is an outlier."""
SHORT_STRETCH = 10
LAGS = (30, 400)
MOST_CURVES = 8
PLACES_SHOWN = 3
DEVIATION = 1.4826
"""Standard deviations of a normal distribution in one median absolute deviation."""


@dataclass(frozen=True)
class Curve:
    """One column of one series, up to its last known value."""

    name: str
    times: pd.DatetimeIndex | pd.RangeIndex
    values: Float[np.ndarray, "T"]
    season: int

    @property
    def missing(self) -> Bool[np.ndarray, "T"]:
        """Marks what is not known."""
        missing: np.ndarray = np.isnan(self.values)
        return missing

    @cached_property
    def outliers(self) -> Bool[np.ndarray, "T"]:
        """Marks values far from the median of those one, two and three seasons around them."""
        count, season = len(self.values), self.season
        wide = np.full(count + 2 * NEIGHBOURS * season, np.nan)
        wide[NEIGHBOURS * season : NEIGHBOURS * season + count] = self.values
        shifts = [season * number for number in range(2 * NEIGHBOURS + 1) if number != NEIGHBOURS]
        around = np.stack([wide[shift : shift + count] for shift in shifts])
        away = np.abs(self.values - _median(around))
        deviation = DEVIATION * float(_median(away[:, None])[0]) if count else 0.0
        far: np.ndarray = np.nan_to_num(away) > (FAR * deviation if deviation else np.inf)
        return far

    @cached_property
    def stretch(self) -> tuple[int, int]:
        """The first step and the length of the longest stretch of one value."""
        changes = np.flatnonzero(np.diff(self.values) != 0) + 1  # NaN equals nothing
        starts = np.concatenate([[0], changes])
        lengths = np.diff(np.concatenate([starts, [len(self.values)]]))
        longest = int(lengths.argmax())
        return int(starts[longest]), int(lengths[longest])

    @property
    def lags(self) -> int:
        """As many as three seasons have, but a fair number and no more than half of the steps."""
        least, most = LAGS
        return max(min(max(3 * self.season, least), most, len(self.values) // 2), 1)

    @cached_property
    def acf(self) -> Float[np.ndarray, "L"]:
        """The autocorrelation."""
        return autocorrelation(self.values, self.lags)

    @cached_property
    def pacf(self) -> Float[np.ndarray, "L"]:
        """The partial autocorrelation."""
        return partial_autocorrelation(self.values, self.lags)

    @property
    def bound(self) -> float:
        """Within which autocorrelations may be chance."""
        return white_noise_bound(self.values)

    @cached_property
    def repeats(self) -> int:
        """After how many steps the values seem to repeat; 1: they do not."""
        return find_season(self.values, min(len(self.values) // 3, LAGS[1]))


def open_to_check(
    config: DataConfig, frame: pd.DataFrame | None = None, folder: Path = Path()
) -> tuple[Panel, list[str]]:
    """Reads series that would be refused, too.

    Returns:
        The panel, and the lines that would have been errors.

    Raises:
        ConfigError: As :func:`open_panel`.
        DataError: The series cannot be read with any setting.
    """
    told: list[str] = []
    while True:
        try:
            return open_panel(config, frame, folder=folder), told
        except Unsettled as refused:
            told.append(str(refused))
            setting: dict[str, Any] = {refused.setting: refused.value}
            config = replace(config, **setting)


def curves(panel: Panel) -> list[Curve]:
    """Returns each target of each series."""
    single = len(panel.series) == 1
    return [
        Curve(
            column if single else f"{series.name} {column}".strip(),
            series.times[: series.known],
            series.targets[: series.known, number],
            panel.season,
        )
        for series in panel.series
        if series.known
        for number, column in enumerate(panel.columns.targets)
    ]


def check(panel: Panel, config: DataConfig, told: Sequence[str] = ()) -> Report:
    """Returns the figures of each target of the first series, and the problems of all.

    Args:
        panel: The series.
        config: How they were read, and their parts.
        told: Problems that were found when they were read.
    """
    found = curves(panel)
    shown = found[:MOST_CURVES]
    columns = [_figures(curve) for curve in shown]
    rows = tuple((label, *(column[label] for column in columns)) for label in columns[0])
    problems = [*told, *_empty_parts(panel, config)]
    if len(found) > len(shown):
        problems.append(f"the table shows {len(shown)} of {len(found):,} series and columns")
    kinds: tuple[Callable[[Curve], str], ...] = (_gaps, _outliers, _constant, _season)
    for kind in kinds:
        problems += _listed([(curve.name, line) for curve in found if (line := kind(curve))])
    return Report(tuple(curve.name for curve in shown), rows, tuple(problems))


def _figures(curve: Curve) -> dict[str, str]:
    known = curve.values[~curve.missing]
    cells = {
        "steps": f"{len(curve.values):,}",
        "first": shown(curve.times[0]),
        "last": shown(curve.times[-1]),
        "missing": f"{curve.missing.sum():,}",
        "mean": _number(known.mean()) if len(known) else "",
        "standard deviation": _number(known.std()) if len(known) else "",
        "lowest": _number(known.min()) if len(known) else "",
        "highest": _number(known.max()) if len(known) else "",
        "outliers": f"{curve.outliers.sum():,}",
        "longest constant stretch": f"{curve.stretch[1]:,}",
        "season": f"{curve.season:,}",
        "seems to repeat after": f"{curve.repeats:,}" if curve.repeats > 1 else "",
        "autocorrelation, 1 step": f"{curve.acf[1]:.2f}",
        "autocorrelation, 1 season": "",
    }
    if 1 < curve.season <= curve.lags:
        cells["autocorrelation, 1 season"] = f"{curve.acf[curve.season]:.2f}"
    return cells


def _gaps(curve: Curve) -> str:
    missing = curve.missing
    if not missing.any():
        return ""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    longest = int(lengths.argmax())
    return (
        f"{missing.sum():,} of {len(missing):,} values are missing ({missing.mean():.1%}), at most "
        f"{lengths[longest]:,} in a row, from {shown(curve.times[starts[longest]])}"
    )


def _outliers(curve: Curve) -> str:
    at = np.flatnonzero(curve.outliers)
    if not len(at):
        return ""
    places = ", ".join(
        f"{shown(curve.times[step])} ({_number(curve.values[step])})" for step in at[:PLACES_SHOWN]
    )
    return f"far from the seasons around: {places} ({len(at):,} in all); perhaps holidays or faults"


def _constant(curve: Curve) -> str:
    start, length = curve.stretch
    if length <= max(2 * curve.season, SHORT_STRETCH):
        return ""
    value, first = _number(curve.values[start]), shown(curve.times[start])
    return f"the same value, {value}, for {length:,} steps from {first}"


def _season(curve: Curve) -> str:
    if curve.repeats == 1 or curve.repeats % curve.season == 0 < curve.season - 1:
        return ""
    return f"seems to repeat after {curve.repeats:,} steps; data.season is {curve.season:,}"


def _listed(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Returns problems of one kind: those of the first series, and how many others have it."""
    shown = lines if len(lines) <= MOST_CURVES else lines[:PLACES_SHOWN]
    found = [f"{name}: {line}" for name, line in shown]
    if len(lines) > len(shown):
        found[-1] += f"; the like in {len(lines) - len(shown):,} more"
    return found


def _empty_parts(panel: Panel, config: DataConfig) -> list[str]:
    return [
        f"data.{role}: holds no step of the data"
        for role in ROLES
        if getattr(config, role) is not None
        and all(first == last for first, last in inside(panel, config.part(role)))
    ]


def _median(values: np.ndarray) -> np.ndarray:
    """Returns the median of each column, NaN left out; NaN where there is nothing else."""
    found = np.full(values.shape[1], np.nan)
    some = np.isfinite(values).any(axis=0)
    found[some] = np.nanmedian(values[:, some], axis=0)
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:,.6g}"
