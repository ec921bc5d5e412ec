"""The ``data`` section of a configuration of series: where they come from, and their parts."""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import pandas as pd

from seq2seq.data.series.calendar import CALENDAR
from seq2seq.data.series.frequency import check_frequency
from seq2seq.data.series.layouts import SeriesConfig
from seq2seq.data.series.steps import Duplicates, Missing, Order
from seq2seq.data.series.times import check_zone
from seq2seq.errors import ConfigError, OneOf, PathText, require, require_name

Role: TypeAlias = Literal["train", "valid", "test"]
ROLES: tuple[Role, ...] = ("train", "valid", "test")
DATE = re.compile(r"(\d{4})(-\d\d)?(-\d\d)?([T ]\d\d)?(:\d\d)?(:\d\d)?")
LENGTHS = ("Y", "M", "D", "h", "min", "s")
"""How long what a date names is, by how much of it is written."""


def as_period(bound: str) -> pd.Period | None:
    """Returns the time that a date names, such as a whole month; None where it is no date.

    >>> as_period("2019-02").end_time
    Timestamp('2019-02-28 23:59:59.999999')
    """
    match = DATE.fullmatch(bound)
    if match is None:
        return None
    written = [group for group in match.groups() if group]
    try:
        return pd.Period(bound, freq=LENGTHS[len(written) - 1])
    except ValueError:
        return None


def is_step(bound: str) -> bool:
    """Tells whether a bound is the number of a step (a year of four digits may be, too)."""
    return re.fullmatch(r"-?\d+", bound) is not None


@dataclass(frozen=True, kw_only=True)
class PartConfig:
    """A part of the time of all series."""

    from_: str | int = ""
    """Its first step: a date such as 2019-01-31, 2019-01 or 2019-01-31 14:00, or a step's number.
    Empty: after the part before it, or the beginning."""
    until: str | int = ""
    """Its last step, a date as in from, which counts to its end: 2019-01 is all of January. Empty:
    before the part after it, or the end."""
    last: int = 0
    """Instead: so many steps at the end of each series, before those of later parts."""
    inputs: Literal["inside", "before"] = "inside"
    """Where inputs of windows may lie: inside the part, as their targets do, or before it, too."""

    def __post_init__(self) -> None:
        for key in ("from", "until"):
            bound = _text(getattr(self, key if key == "until" else "from_"))
            fits = not bound or is_step(bound) or as_period(bound) is not None
            require(fits, key, "a date such as 2019-01-31, or the number of a step", bound)
        require(self.last >= 0, "last", "at least 0", self.last)
        bounded = bool(_text(self.from_) or _text(self.until))
        require(not (self.last and bounded), "last", "0 where from or until is given", self.last)
        first, last = _text(self.from_), _text(self.until)
        ordered = not (first and last) or first == last or _in_order(first, last, to_end=True)
        require(ordered, "until", f"not before {first}, where the part begins", last)


@dataclass(frozen=True)
class Part:
    """A part of the time of all series, its bounds as written; empty ones are open."""

    name: str
    since: str = ""
    """Its first step is this, or within it."""
    until: str = ""
    """Its last step is this, or within it."""
    after: str = ""
    """Its first step comes after this."""
    before: str = ""
    """Its last step comes before this."""
    last: int = 0
    """Of these steps only so many, the last ones; 0: all."""
    later: int = 0
    """Steps at the end of each series that belong to later parts."""
    reach: bool = False
    """Whether inputs may lie before the part."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The series, what to do where they are not regular, and their parts."""

    folder: PathText = "."
    """Where relative paths of the series begin."""
    series: SeriesConfig = field(default_factory=SeriesConfig)
    """The table, and what its columns are."""
    duplicates: Duplicates = "refuse"
    """What to do where a series has a time twice: drop rows that are alike, take the first or the
    last, their mean or their sum."""
    missing: Missing = "refuse"
    """What to do where steps or values are missing: with mask they count neither as input nor as
    target."""
    order: Order = "sort"
    """What to do where rows are not in the order of time: sort them, which is told, or refuse."""
    frequency: str = "auto"
    """How far steps lie apart, as pandas writes it (D, h, 15min, B, W-MON, MS); auto: found."""
    timezone: str = ""
    """Zone in which times without offset were written, and in which days are counted; empty: as the
    times stand, without clock changes."""
    calendar: tuple[Annotated[str, OneOf(CALENDAR)], ...] = ()
    """Covariates that are known for any future time."""
    season: int = 0
    """Steps after which series are expected to repeat; 0: from the frequency; 1: none."""
    train: PartConfig | None = None
    """The time to learn from."""
    valid: PartConfig | None = None
    """The time to validate with."""
    test: PartConfig | None = None
    """The time that `evaluate` uses unless told; training never sees its targets."""
    cache: PathText = ""
    """Unused: series are read anew each time."""

    def __post_init__(self) -> None:
        check_frequency(self.frequency, "frequency")
        check_zone(self.timezone, "timezone")
        for entry in self.calendar:
            require_name(entry, "calendar", CALENDAR)
        twice = len(set(self.calendar)) < len(self.calendar)
        require(not twice, "calendar", "each entry once", list(self.calendar))
        require(self.season >= 0, "season", "at least 0", self.season)
        given = [role for role in ROLES if getattr(self, role) is not None]
        for at, role in enumerate(given):
            for earlier in given[:at]:
                self._check_order(earlier, role)
        for role, following in pairwise(given):
            self._check_between(role, following)

    def part(self, role: Role, to: Role | None = None) -> Part:
        """Returns a part, or several as one: from ``role`` to ``to``.

        Raises:
            ConfigError: The configuration does not have it.
        """
        first, last = self._given(role), self._given(to or role)
        roles = [one for one in ROLES if getattr(self, one) is not None]
        before, after = roles[: roles.index(role)], roles[roles.index(to or role) + 1 :]
        earlier = getattr(self, before[-1]).until if before else ""
        following = getattr(self, after[0]).from_ if after else ""
        joined = roles[roles.index(role) : roles.index(to or role) + 1]
        return Part(
            " + ".join(joined),
            since=_text(first.from_),
            until=_text(last.until),
            after="" if _text(first.from_) else _text(earlier),
            before="" if _text(last.until) else _text(following),
            last=sum(getattr(self, one).last for one in joined) if first.last else 0,
            later=sum(getattr(self, one).last for one in after),
            reach=first.inputs == "before",
        )

    def _given(self, role: Role) -> PartConfig:
        part: PartConfig | None = getattr(self, role)
        if part is None:
            raise ConfigError(
                f"data.{role}: is required; give data.{role}.from and data.{role}.until, or "
                f"data.{role}.last"
            )
        return part

    def _check_order(self, earlier: Role, later: Role) -> None:
        """Refuses a part that begins, or ends, before one has ended that comes before it."""
        one, other = self._given(earlier), self._given(later)
        verb, end = ("ends", one.until) if one.until != "" else ("begins", one.from_)
        for key, bound in (("from", other.from_), ("until", other.until)):
            if end != "" and bound != "":
                fits = _in_order(_text(end), _text(bound), to_end=key == "until")
                require(fits, f"{later}.{key}", f"after {end}, where {earlier} {verb}", bound)

    def _check_between(self, earlier: Role, later: Role) -> None:
        """Refuses two parts of which nothing says where one ends and the next begins."""
        one, other = self._given(earlier), self._given(later)
        parted = one.until != "" or other.from_ != "" or other.last > 0
        accepted = f"given, or {later}.from or {later}.last"
        require(parted, f"{earlier}.until", accepted, "")


def _text(bound: str | int) -> str:
    return str(bound).strip()


def _in_order(first: str, second: str, to_end: bool = False) -> bool:
    """Tells whether what one bound names is over before another begins, or ends."""
    if is_step(first) and is_step(second):
        return int(first) < int(second)
    one, other = as_period(first), as_period(second)
    if one is None or other is None:
        return True  # a date and a step: refused when the series are read, which have one of both
    return bool(one.end_time < (other.end_time if to_end else other.start_time))
