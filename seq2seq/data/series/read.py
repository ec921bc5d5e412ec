"""From tables to panels: columns chosen, steps made regular, a calendar added."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from seq2seq.data.series.calendar import calendar_columns, calendar_of
from seq2seq.data.series.categories import encode, learn, names
from seq2seq.data.series.config import DataConfig
from seq2seq.data.series.frequency import season_of
from seq2seq.data.series.layouts import Laid, SeriesConfig, lay_out, tell_unused
from seq2seq.data.series.panel import Columns, Panel, Series
from seq2seq.data.series.rows import (
    Rows,
    is_numeric,
    numbers,
    of_frame,
    read_file,
    text_of,
    texts,
)
from seq2seq.data.series.steps import (
    Steps,
    Table,
    Unsettled,
    in_order,
    panel_frequency,
    regular,
    without_duplicates,
)
from seq2seq.data.series.times import localized, read_times
from seq2seq.data.series.windows import inside
from seq2seq.errors import ConfigError, DataError

log = logging.getLogger("seq2seq")


def open_panel(
    config: DataConfig,
    frame: pd.DataFrame | None = None,
    like: Panel | None = None,
    folder: Path = Path(),
) -> Panel:
    """Reads series from the files that are configured, or from a frame.

    Args:
        config: Where they are, and what to do where they are not regular.
        frame: A frame of pandas instead of files.
        like: A panel of the same run: new series have its columns, frequency, season and
            categories, whatever else is in the table. Its own series are not asked for.
        folder: Where a relative ``config.folder`` begins.

    Returns:
        The series in the order of their names, whatever the order of the rows.

    Raises:
        ConfigError: No file is named, or a part does not fit the series.
        DataError: A file cannot be read, or the series in it cannot be used.
        Unsettled: The same, where a setting decides.
    """
    columns = config.series
    if like is not None and not columns.target:
        columns = replace(columns, target=like.columns.targets)
    laid = lay_out(_tables(config, frame, folder), columns)
    table, written = _tabulated(laid, columns, config, like)
    table = in_order(without_duplicates(table, config.duplicates), config.order)
    frequency = _frequency(table, config, like)
    steps = regular(table, frequency, config.missing)
    panel = _assembled(table, steps, laid.targets, columns, config, like)
    panel = replace(panel, frequency=frequency, written=written)
    if like is not None:
        return replace(panel, season=like.season)
    tell_unused(laid, columns)
    return replace(panel, season=_season(panel, config, table.name))


def fingerprint(panel: Panel) -> str:
    """Returns a SHA-256 that changes when anything in the panel does."""
    content = hashlib.sha256()
    facts = [asdict(panel.columns), panel.frequency, panel.season, panel.categories]
    content.update(json.dumps(facts).encode())
    for series in panel.series:
        zone = str(getattr(series.times, "tz", None))
        content.update(json.dumps([series.name, zone, len(series.times)]).encode())
        timed = isinstance(series.times, pd.DatetimeIndex)
        ticks = series.times.asi8 if timed else series.times.to_numpy()
        for values in (ticks, series.targets, series.past, series.future, series.static):
            content.update(np.ascontiguousarray(values).tobytes())
    return content.hexdigest()


def _tables(config: DataConfig, frame: pd.DataFrame | None, folder: Path) -> Sequence[Rows]:
    if frame is not None:
        if len(frame) == 0:
            raise DataError("the frame holds no rows")
        return [of_frame(frame)]
    if config.series.path is None:
        raise ConfigError("data.series.path: is required; name a table such as series.csv")
    files = (config.series.path, *config.series.more)
    return [read_file(folder / config.folder, file) for file in files]


def _tabulated(
    laid: Laid, columns: SeriesConfig, config: DataConfig, like: Panel | None
) -> tuple[Table, str]:
    """Reads ids, times and values; returns also the format in which times were written."""
    rows = laid.rows
    codes, series = _ids(rows, laid.id)
    times, written = _times(rows, laid.time, config, like)
    times = localized(rows, times, codes, config.timezone)
    values = {column: numbers(rows, column) for column in laid.targets}
    for column in (*columns.past, *columns.future, *columns.static):
        if like is None:
            number = column not in columns.categorical and is_numeric(rows, column)
        else:
            number = column not in like.categories
        values[column] = numbers(rows, column) if number else texts(rows, column)
    frame = pd.DataFrame(values, index=rows.frame.index)
    return Table(rows.name, rows.place, series, codes, times, frame), written


def _ids(rows: Rows, column: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the number of each row's series, and the names in order."""
    if column is None:
        return np.zeros(len(rows.frame), np.int64), ("",)
    values = rows.frame[column]
    missing = values.isna().to_numpy()
    if missing.any():
        where = rows.where(int(missing.argmax()))
        raise DataError(f"{where}: {column} is empty; each row needs the id of its series")
    ordered = values if pd.api.types.is_numeric_dtype(values) else values.map(text_of)
    codes, found = pd.factorize(ordered, sort=True)
    return codes.astype(np.int64), tuple(text_of(value) for value in found.tolist())


def _times(rows: Rows, column: str, config: DataConfig, like: Panel | None) -> tuple[pd.Index, str]:
    written = config.series.time_format
    if like is not None and like.written and not written:
        try:
            return read_times(rows, column, like.written, config.timezone)
        except DataError:
            pass  # written in another way, which may be found
    return read_times(rows, column, written, config.timezone)


def _frequency(table: Table, config: DataConfig, like: Panel | None) -> str:
    if like is not None:
        return like.frequency
    if config.frequency == "auto":
        return panel_frequency(table)
    return config.frequency if isinstance(table.times, pd.DatetimeIndex) else ""


def _assembled(
    table: Table,
    steps: Sequence[Steps],
    targets: tuple[str, ...],
    columns: SeriesConfig,
    config: DataConfig,
    like: Panel | None,
) -> Panel:
    """Fills the steps of each series with the numbers of its rows."""
    truth = encode(table, targets, {})
    empty = np.zeros((len(table.codes), 0))
    bare = [_series(table, one, truth, empty, empty, empty) for one in steps]
    described = Panel(bare, Columns(targets), "", 1)
    covariates = (*columns.past, *columns.future, *columns.static)
    if like is not None:
        categories = like.categories
    else:
        categories = learn(table, covariates, _training(described, steps, config))
    _refuse_changing(table, columns.static)
    lists = (columns.past, columns.future, columns.static)
    past, future, static = (encode(table, one, categories) for one in lists)
    if config.missing == "refuse":
        present = _mask(steps, [(0, series.known) for series in bare])
        _refuse_missing(table, (*targets, *columns.past, *columns.future), present)
        _refuse_missing(table, columns.static, np.ones_like(present))
    series = [_series(table, one, truth, past, future, static) for one in steps]
    dated = calendar_columns(config.calendar)
    past_names, future_names, static_names = (names(one, categories) for one in lists)
    return Panel(
        [
            replace(one, future=np.hstack([one.future, calendar_of(one.times, config.calendar)]))
            for one in series
        ],
        Columns(targets, past_names, (*future_names, *dated), static_names),
        frequency="",
        season=1,
        categories=dict(categories),
    )


def _series(
    table: Table,
    steps: Steps,
    targets: np.ndarray,
    past: np.ndarray,
    future: np.ndarray,
    static: np.ndarray,
) -> Series:
    def spread(values: np.ndarray) -> Float[np.ndarray, "T C"]:
        found = np.full((len(steps.times), values.shape[1]), np.nan)
        found[steps.at] = values[steps.rows]
        return found

    name = table.names[steps.code]
    return Series(
        name, steps.times, spread(targets), spread(past), spread(future), static[steps.rows[0]]
    )


def _mask(steps: Sequence[Steps], ranges: Sequence[tuple[int, int]]) -> Bool[np.ndarray, "R"]:
    """Marks the rows whose steps lie in the range of their series."""
    mask = np.zeros(sum(len(one.rows) for one in steps), bool)
    for one, (first, last) in zip(steps, ranges, strict=True):
        mask[one.rows] = (first <= one.at) & (one.at < last)
    return mask


def _training(bare: Panel, steps: Sequence[Steps], config: DataConfig) -> Bool[np.ndarray, "R"]:
    """Marks the rows of the training part; all, where there is none."""
    if config.train is None:
        return _mask(steps, [(0, len(one.times)) for one in steps])
    return _mask(steps, inside(bare, config.part("train")))


def _refuse_missing(table: Table, columns: Sequence[str], counted: Bool[np.ndarray, "R"]) -> None:
    missing = table.values[list(columns)].isna().to_numpy(bool) & counted[:, None]
    if missing.any():
        row, column = (int(place) for place in np.argwhere(missing)[0])
        raise Unsettled(
            f"{table.where(row)}: {columns[column]} is empty "
            f"({missing.sum():,} values are); set data.missing: mask, with which they count "
            "neither as input nor as target",
            "missing",
            "mask",
        )


def _refuse_changing(table: Table, columns: Sequence[str]) -> None:
    first = np.searchsorted(table.codes, table.codes)  # rows stand series by series
    for column in columns:
        values = pd.Series(table.values[column].to_numpy(object))
        before = values.iloc[first].set_axis(values.index)
        changed = ((values != before) & ~(values.isna() & before.isna())).to_numpy(bool)
        if changed.any():
            row = int(changed.argmax())
            here, earlier = (
                "empty" if pd.isna(value) else text_of(value)
                for value in (values.iloc[row], before.iloc[row])
            )
            raise DataError(
                f"{table.where(row)}: {column} is static, but {here} here and {earlier} before; "
                "name it in data.series.past or data.series.future instead"
            )


def _season(panel: Panel, config: DataConfig, name: str) -> int:
    longest = max(series.known for series in panel.series)
    season = config.season or season_of(panel.frequency)
    if season <= longest:
        return season
    if config.season:
        raise DataError(
            f"{name}: data.season: {season:,} steps are more than the longest series has "
            f"({longest:,}); make it smaller, or 1 for none"
        )
    log.info("%s: data.season: 1, as %d steps are fewer than %d", name, longest, season)
    return 1
