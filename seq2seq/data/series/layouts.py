"""How series lie in a table: side by side, one below another, one a row, or as trajectories."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd

from seq2seq.data.series.rows import TRAJECTORY, Rows, is_numeric, join, text_of
from seq2seq.data.series.times import looks_like_time
from seq2seq.errors import DataError, OneOf, PathText, require, require_name

LAYOUTS: dict[str, "Layout"] = {}
"""Layouts by the name that ``layout:`` gives them in a configuration; filled below."""
LONG_ID, LONG_TIME, LONG_TARGET = "unique_id", "ds", "y"
TIME_NAMES = (LONG_TIME, "time", "date", "datetime", "timestamp", "step", "frame", "t", "year")
M4_ID, M4_TIME = "V1", "step"
UNNAMED = "Unnamed: "
"""What pandas calls a column without a name, such as the running numbers that it writes."""
log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class SeriesConfig:
    """Where series come from, and what their columns are."""

    path: PathText | None = None
    """A table: .csv, .tsv, .txt (.gz too) or .parquet."""
    more: tuple[PathText, ...] = ()
    """Tables that go on where path ends: rows with the same columns; of M4's layout, the further
    steps of each series; of trajectories, further scenes."""
    layout: Annotated[str, OneOf(LAYOUTS, "auto")] = "auto"
    """How the series lie in the table: wide (a row is a step), long (a row is a step of the series
    that its id names), m4 (a row is a series), trajectories (frame, id, x, y); auto tells from the
    columns."""
    time: str = ""
    """Column of the times, or of the numbers of the steps; empty: found."""
    time_format: str = ""
    """How times are written, such as %d/%m/%Y; empty: found."""
    id: str = ""
    """Column that names the series of a row; empty: unique_id in a long table."""
    target: tuple[str, ...] = ()
    """Columns to forecast; empty: y where there are ds and y, else all numbers not named here."""
    past: tuple[str, ...] = ()
    """Columns that help and are known up to the present."""
    future: tuple[str, ...] = ()
    """Columns that help and are known ahead, for the steps to be forecast too."""
    static: tuple[str, ...] = ()
    """Columns that help and do not change within a series."""
    categorical: tuple[str, ...] = ()
    """Columns of numbers that name categories; those of text are categories by themselves."""

    def __post_init__(self) -> None:
        require_name(self.layout, "layout", ("auto", *LAYOUTS))
        require(self.path != "", "path", "the name of a file", "")
        roles = {"time": (self.time,), "id": (self.id,), "target": self.target}
        roles |= {"past": self.past, "future": self.future, "static": self.static}
        seen: dict[str, str] = {}
        for role, columns in roles.items():
            for column in filter(None, columns):
                accepted = f"of other columns than {seen.get(column, '')}"
                require(column not in seen, role, accepted, column)
                seen[column] = role
        covariates = (*self.past, *self.future, *self.static)
        for column in self.categorical:
            accepted = "columns named in past, future or static"
            require(column in covariates, "categorical", accepted, column)

    @property
    def named(self) -> tuple[str, ...]:
        """The columns with a name here."""
        lists = (*self.target, *self.past, *self.future, *self.static)
        return tuple(filter(None, (self.time, self.id, *lists)))


@dataclass(frozen=True)
class Laid:
    """Rows that are a step of a series each, and the columns that say which, and what it holds."""

    rows: Rows
    time: str
    id: str | None
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """A way in which series lie in tables."""

    read: Callable[[Sequence[Rows], SeriesConfig], Laid]
    fits: Callable[[Rows, SeriesConfig], bool]
    """Whether a table looks like it."""


def lay_out(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
    """Returns the steps in tables, in the layout that is configured, or that the first looks like.

    Raises:
        DataError: A column is missing or cannot be found, or there are no values.
    """
    name = config.layout
    if name == "auto":
        name = next(name for name, layout in LAYOUTS.items() if layout.fits(tables[0], config))
    laid = LAYOUTS[name].read(tables, config)
    if laid.rows.frame.empty:
        raise DataError(f"{laid.rows.name}: holds no values")
    ids = () if laid.id is None else (laid.id,)
    covariates = (*config.past, *config.future, *config.static)
    laid.rows.require((laid.time, *ids, *laid.targets, *covariates))
    return laid


def tell_unused(laid: Laid, config: SeriesConfig) -> None:
    """Tells which columns are not used."""
    used = {laid.time, laid.id, *laid.targets, *config.named}
    unused = [column for column in laid.rows.columns if column not in used]
    if unused:
        log.info("%s: columns not used: %s", laid.rows.name, ", ".join(unused))


def _read_wide(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
    rows = join(tables)
    time = config.time or _find_time(rows, config)
    return Laid(rows, time, None, config.target or _find_targets(rows, config, {time}))


def _read_long(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
    rows = join(tables)
    name = config.id or LONG_ID
    rows.require([name])
    time = config.time or _find_time(rows, replace(config, id=name))
    return Laid(rows, time, name, config.target or _find_targets(rows, config, {time, name}))


def _read_m4(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
    """Turns rows of values into a row for each; what is empty after the last value is left out."""
    name = config.id or M4_ID
    lengths: dict[str, int] = {}
    melted = []
    for rows in tables:
        rows.require([name])
        values = rows.frame.drop(columns=name).to_numpy(object)
        there = ~pd.isna(values)
        known = there.shape[1] - there[:, ::-1].argmax(axis=1)
        known[~there.any(axis=1)] = 0
        ids = [text_of(value) for value in rows.frame[name]]
        before = np.array([lengths.get(one, 0) for one in ids], np.int64)
        lengths |= {one: int(n + m) for one, n, m in zip(ids, before, known, strict=True)}
        row, column = np.nonzero(np.arange(values.shape[1]) < known[:, None])
        content = {
            name: pd.Series(ids, dtype=object).to_numpy()[row],
            M4_TIME: before[row] + column + 1,
            LONG_TARGET: pd.Series(values[row, column]).infer_objects().to_numpy(),
        }
        frame = pd.DataFrame(content, index=rows.frame.index[row])
        melted.append(Rows(rows.name, frame, rows.place))
    return Laid(join(melted), M4_TIME, name, (LONG_TARGET,))


def _read_trajectories(tables: Sequence[Rows], config: SeriesConfig) -> Laid:
    """Reads positions; where there are several scenes, ids begin with the names of their files."""
    time, name, *positions = TRAJECTORY
    time, name = config.time or time, config.id or name
    targets = config.target or tuple(positions)
    for rows in tables:
        rows.require([time, name, *targets])
    if len(tables) > 1:
        tables = [_prefixed(rows, name) for rows in tables]
    return Laid(join(tables), time, name, targets)


def _prefixed(rows: Rows, name: str) -> Rows:
    scene = Path(rows.name).stem
    ids = [f"{scene}/{text_of(value)}" for value in rows.frame[name]]
    return replace(rows, frame=rows.frame.assign(**{name: ids}))


def _find_time(rows: Rows, config: SeriesConfig) -> str:
    """Returns the one column of times, else that of whole numbers which is called so."""
    free = [column for column in rows.columns if column not in config.named]
    dated = [column for column in free if looks_like_time(_first(rows, column))]
    called = [column for column in free if column.lower() in TIME_NAMES]
    for found in (dated, [column for column in dated if column in called], [] if dated else called):
        if len(found) == 1 or LONG_TIME in found:
            return LONG_TIME if LONG_TIME in found else found[0]
    several = f"columns {', '.join(dated)} all hold times" if dated else "no column holds times"
    raise DataError(
        f"{rows.name}: {several}; name one with data.series.time (found {', '.join(free)})"
    )


def _first(rows: Rows, column: str) -> object:
    values = rows.frame[column].dropna()
    return values.iloc[0] if len(values) else None


def _find_targets(rows: Rows, config: SeriesConfig, others: set[str]) -> tuple[str, ...]:
    if {LONG_TIME, LONG_TARGET} <= set(rows.columns) - set(config.named) | others:
        return (LONG_TARGET,)
    named = {*config.named, *others}
    found = tuple(
        column
        for column in rows.columns
        if column not in named and not column.startswith(UNNAMED) and is_numeric(rows, column)
    )
    if not found:
        raise DataError(
            f"{rows.name}: no column of numbers is left to forecast; name some with "
            f"data.series.target (found {', '.join(rows.columns)})"
        )
    return found


def _is_m4(rows: Rows, config: SeriesConfig) -> bool:
    return rows.columns == [f"V{number}" for number in range(1, len(rows.columns) + 1)]


LAYOUTS |= {
    "m4": Layout(_read_m4, _is_m4),
    "trajectories": Layout(
        _read_trajectories,
        lambda rows, config: not config.named and set(TRAJECTORY) <= set(rows.columns),
    ),
    "long": Layout(_read_long, lambda rows, config: bool(config.id) or LONG_ID in rows.columns),
    "wide": Layout(_read_wide, lambda rows, config: True),
}
