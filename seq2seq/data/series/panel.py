"""Series at regular times, side by side: what is read from a file, and what models forecast."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Float


@dataclass(frozen=True)
class Series:
    """One series. Its steps are regular; a number that is missing is NaN.

    After the last known target there may be steps with future covariates alone.
    """

    name: str
    """Its id; empty where there is only one."""
    times: pd.DatetimeIndex | pd.RangeIndex
    """The ``T`` steps."""
    targets: Float[np.ndarray, "T C"]
    """What is forecast."""
    past: Float[np.ndarray, "T P"]
    """Covariates known up to the present."""
    future: Float[np.ndarray, "T F"]
    """Covariates known ahead, those of the calendar included."""
    static: Float[np.ndarray, "S"]
    """What does not change."""

    @property
    def known(self) -> int:
        """How many steps lie before the present: up to the last target that is known."""
        there = np.isfinite(self.targets).any(axis=1)
        return int(len(there) - there[::-1].argmax()) if there.any() else 0

    def part(self, first: int, last: int) -> "Series":
        """Returns the steps from ``first`` on and before ``last``."""
        steps = slice(first, last)
        return replace(
            self,
            times=self.times[steps],
            targets=self.targets[steps],
            past=self.past[steps],
            future=self.future[steps],
        )


@dataclass(frozen=True)
class Columns:
    """The names of a panel's columns; of categories, ``column=value``."""

    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Several series with the same columns and the same time between their steps."""

    series: Sequence[Series]
    columns: Columns
    frequency: str
    """A pandas offset such as ``D`` or ``h``; empty where steps have numbers and no times."""
    season: int
    """Steps after which the series is expected to repeat, such as 7 for days; 1: none."""
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The values of each column of categories, as learned from the training part."""
    written: str = ""
    """The format in which times were written, by which few new rows are read without doubt."""

    def __getitem__(self, name: str) -> Series:
        return next(series for series in self.series if series.name == name)
