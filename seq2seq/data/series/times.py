"""Times as they are written, read without guessing: a date that could be two dates is refused."""

from collections.abc import Sequence
from itertools import product
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pandas as pd
from jaxtyping import Int

from seq2seq.data.series.rows import Rows
from seq2seq.errors import ConfigError, DataError, nearest

ISO = "ISO8601"
DATES = (
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y"),
    *("%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %Y", "%B %Y"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS = (ISO, *(date + clock for date, clock in product(DATES, CLOCKS)))
"""How times may be written; of those that fit a whole column, one must remain."""
OFFSET = r":\d\d.*?(Z|[+-]\d\d(?::?\d\d)?)\s*$"
DAYS_AS_NUMBERS = (18000101, 22001231)
"""Whole numbers within these bounds, if all are dates, are dates such as 20190131."""


def check_zone(name: str, key: str) -> None:
    """Raises a :class:`ConfigError` unless a time zone of that name is known."""
    zones = available_timezones() if name else ()  # which reads many folders
    if name and name not in zones:
        wrong = f"must be a zone such as Europe/Berlin, got {name!r}"
        raise ConfigError(f"{key}: {wrong}{nearest(name, zones)}")


def looks_like_time(value: object) -> bool:
    """Tells whether a single value is a time, or a text that reads as one."""
    if isinstance(value, str):
        return not value.strip().isdecimal() and bool(_fitting(value, FORMATS))
    return hasattr(value, "year")


def shown(time: object) -> str:
    """Returns a time, or the number of a step, for a message: a day without its midnight."""
    return str(time).removesuffix(" 00:00:00")


def read_times(rows: Rows, column: str, written: str = "", zone: str = "") -> tuple[pd.Index, str]:
    """Reads a column of times, or of whole numbers that count steps.

    Args:
        rows: The rows.
        column: The column's name.
        written: The format, such as ``%d/%m/%Y``; empty: found.
        zone: The zone to convert to; empty: times stay in their own.

    Returns:
        One time or number a row; times without a zone stay as they are, for :func:`localized`. And
        the format in which texts were written, or nothing.

    Raises:
        DataError: One is missing or cannot be read; or they can be read in more than one way; or
            their offsets differ and no zone is set.
    """
    values = rows.frame[column]
    missing = values.isna().to_numpy()
    if missing.any():
        where = rows.where(int(missing.argmax()))
        raise DataError(f"{where}: {column} is empty; each row needs its time")
    if isinstance(values.dtype, pd.PeriodDtype):
        return _in_zone(pd.DatetimeIndex(values.dt.to_timestamp()), zone), ""
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        return _in_zone(pd.DatetimeIndex(values), zone), ""
    if pd.api.types.is_numeric_dtype(values):
        return _numbered(rows, column, zone), ""
    codes, distinct = pd.factorize(values)
    try:
        if all(isinstance(value, str) for value in distinct):
            found, written = _read_texts(distinct, written, zone)
        else:
            found = _read_objects(distinct, zone)
    except _WrongTime as error:
        row = int(np.argmax(codes == error.number))
        raise DataError(f"{rows.where(row)}: {column} {error}") from None
    return found.take(codes), written


def localized(rows: Rows, times: pd.Index, codes: Int[np.ndarray, "R"], zone: str) -> pd.Index:
    """Returns local times without a zone as those of a zone, in the order of each series.

    Where clocks go back an hour stands twice, and the first is that of summer.

    Raises:
        DataError: A time is none of the zone's, or cannot be told from that an hour later.
    """
    if not zone or not isinstance(times, pd.DatetimeIndex) or times.tz is not None:
        return times
    certain = times.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    for code in np.unique(codes[certain.isna()]):
        own = np.flatnonzero(codes == code)
        try:
            found = times[own].tz_localize(zone, ambiguous="infer")
        except ValueError as error:
            row = int(own[certain[own].isna().argmax()])
            reason = "does not exist" if "nonexistent" in str(error) else "may be two hours"
            raise DataError(
                f"{rows.where(row)}: {times[row]} {reason} in {zone}, "
                "where clocks change; give times with their offset from UTC, or set data.timezone "
                "to the zone in which they were written"
            ) from None
        certain = certain.where(codes != code, _spread(found, own, certain))
    return certain


def _spread(found: pd.DatetimeIndex, own: np.ndarray, like: pd.DatetimeIndex) -> pd.DatetimeIndex:
    whole = like.to_series(index=range(len(like)))
    whole.iloc[own] = found
    return pd.DatetimeIndex(whole)


class _WrongTime(Exception):  # noqa: N818
    """What is wrong with one of the distinct values of a column."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


def _read_texts(texts: pd.Index, written: str, zone: str) -> tuple[pd.DatetimeIndex, str]:
    if written:
        return _read_as(texts, written, zone), written
    fitting = _fitting(texts[0], FORMATS)
    if not fitting:
        problem = f"must be a date or time such as 2019-01-31 or 2019-01-31 14:00, got {texts[0]!r}"
        raise _WrongTime(0, f"{problem}; set data.series.time_format if it is one")
    readings: dict[str, pd.DatetimeIndex] = {}
    failures: list[_WrongTime] = []
    for format_ in fitting:
        try:
            found = _read_as(texts, format_, zone)
        except _WrongTime as failure:
            failures.append(failure)
        else:
            if not any(found.equals(other) for other in readings.values()):
                readings[format_] = found
    if not readings:  # the format that goes furthest is what was meant
        raise max(failures, key=lambda failure: failure.number)
    if len(readings) > 1:
        ways = " or ".join(readings)
        raise _WrongTime(0, f"{texts[0]!r} may be {ways}; set data.series.time_format")
    return next((found, format_) for format_, found in readings.items())


def _fitting(text: str, formats: Sequence[str]) -> list[str]:
    one = pd.Index([text])
    return [
        format_
        for format_ in formats
        if not pd.to_datetime(one, format=format_, errors="coerce", utc=True).isna()[0]
    ]


def _read_as(texts: pd.Index, written: str, zone: str) -> pd.DatetimeIndex:
    try:
        found = pd.to_datetime(texts, format=written, errors="coerce", utc=True)
    except ValueError as error:  # a format that is none
        reason = str(error).partition("\n")[0]
        raise _WrongTime(0, f"cannot be read as {written!r} ({reason})") from None
    if found.isna().any():
        number = int(found.isna().argmax())
        raise _WrongTime(number, f"must be a date or time as in {written}, got {texts[number]!r}")
    found = found.as_unit("us")
    offsets = _offsets(texts, written)
    if offsets is None:
        return found.tz_localize(None)
    return _in_zone(found if zone else found.tz_convert(_only(offsets)), zone)


def _offsets(texts: pd.Index, written: str) -> list[str] | None:
    """Returns the offset from UTC at the end of each text, or None where no text has one."""
    if written != ISO and "%z" not in written:
        return None
    found = texts.str.extract(OFFSET, expand=False)
    without = found.isna()
    if without.all():
        return None
    if without.any():
        number = int(without.argmax())
        raise _WrongTime(
            number,
            f"{texts[number]!r} has no offset from UTC, though others have one, such as "
            f"{texts[int((~without).argmax())]!r}; write all in one way",
        )
    return list(found)


def _only(offsets: list[str]) -> str:
    """Returns the one offset, as pandas names it."""
    names = [f"{offset[:3]}:{offset[3:].strip(':') or '00'}" for offset in offsets]
    names = ["UTC" if name in ("Z:00", "+00:00", "-00:00") else name for name in names]
    for number, name in enumerate(names):
        if name != names[0]:
            raise _WrongTime(
                number,
                f"has the offset {name} from UTC, others have {names[0]}; set data.timezone to the "
                "zone in which days are counted, such as UTC or Europe/Berlin",
            )
    return names[0]


def _read_objects(values: pd.Index, zone: str) -> pd.DatetimeIndex:
    """Reads dates and times of Python."""
    for number, value in enumerate(values):
        if not hasattr(value, "year"):
            raise _WrongTime(number, f"must be a date or time, got {str(value)!r}")
    aware = [getattr(value, "tzinfo", None) is not None for value in values]
    if not any(aware):
        return pd.DatetimeIndex(pd.to_datetime(values)).as_unit("us")
    return _read_as(pd.Index([value.isoformat() for value in values]), ISO, zone)


def _numbered(rows: Rows, column: str, zone: str) -> pd.Index:
    values = rows.frame[column]
    numbers = values.to_numpy(np.float64)
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if not whole.all():
        row = int((~whole).argmax())
        raise DataError(
            f"{rows.where(row)}: {column} must be a time or the whole number of a step, "
            f"got {values.iloc[row]}"
        )
    steps = numbers.astype(np.int64)
    low, high = DAYS_AS_NUMBERS
    if steps.min() >= low and steps.max() <= high:
        days = pd.to_datetime(pd.Index(steps.astype(str)), format="%Y%m%d", errors="coerce")
        if not days.isna().any():
            return days.as_unit("us")
    if zone:
        raise DataError(f"{rows.name}: data.timezone needs times; {column} holds numbers of steps")
    return pd.Index(steps)


def _in_zone(times: pd.DatetimeIndex, zone: str) -> pd.DatetimeIndex:
    times = times.as_unit("us")
    return times.tz_convert(ZoneInfo(zone)) if zone and times.tz is not None else times
