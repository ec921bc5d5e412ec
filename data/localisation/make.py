"""Makes the bundled English to Brazilian Portuguese corpus from Babel's CLDR data.

Usage: ``python data/localisation/make.py [FOLDER]``; the same bytes come out every time.
"""

import gzip
import string
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple
from zlib import crc32

from babel import Locale, dates, numbers, units
from tqdm import tqdm

from seq2seq.errors import DataError, nearest

HERE = Path(__file__).parent
SEED = 2021
SIZES = {"train": 60_000, "valid": 1_000, "test": 1_000}
SOURCE, TARGET = Locale.parse("en"), Locale.parse("pt_BR")

Text = tuple[str, str]
"""The same text in the source and in the target language."""
Maker = Callable[[Random], Text]
"""Draws a value and writes it in both languages."""


def both(write_in: Callable[[Locale], str]) -> Text:
    """Returns what ``write_in`` makes of one value in both languages."""
    return write_in(SOURCE), write_in(TARGET)


def read_codes(path: Path) -> dict[str, list[str]]:
    """Reads CLDR's codes of the names that the corpus speaks of, by kind."""
    codes: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, some = line.split("\t")
        codes.setdefault(kind, []).extend(some.split())
    return codes


CODES = read_codes(HERE / "names.tsv")
# A few currencies make up half of the prices, as they do in shops.
COMMON_CURRENCIES = ["USD", "BRL", "EUR", "GBP", "JPY", "CAD", "AUD", "CHF"]
# Steps in seconds and how many: fewer than would make Babel turn to the next unit.
SOON = ((1, 50), (60, 50), (3600, 20))
LATER = ((86_400, 5), (7 * 86_400, 3), (30 * 86_400, 10), (365 * 86_400, 50))
PAST = tuple((-seconds, most) for seconds, most in SOON + LATER)
SPELLINGS: tuple[Literal["long", "short"], ...] = ("long", "short")


def magnitude(rng: Random, digits: int) -> int:
    """Returns a positive number of up to ``digits`` digits, every length equally likely."""
    length = rng.randint(1, digits)
    return rng.randrange(10 ** (length - 1), 10**length)


def moment(rng: Random, first_hour: int = 0) -> datetime:
    """Returns a time from 1950 to 2049, so that two digits of the year determine it."""
    day = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(36_525))
    return day + timedelta(seconds=rng.randrange(first_hour * 3600, 24 * 3600))


def styled(write: Callable[..., str], *styles: str, first_hour: int = 0) -> Maker:
    """Returns the maker of a date or time in one of CLDR's styles."""

    def make(rng: Random) -> Text:
        value, style = moment(rng, first_hour), rng.choice(styles)
        return both(lambda locale: write(value, style, locale=locale))

    return make


def skeleton(fields: str) -> Maker:
    """Returns the maker of a part of a date, such as month and year."""

    def make(rng: Random) -> Text:
        value = moment(rng)
        return both(lambda locale: dates.format_skeleton(fields, value, locale=locale))

    return make


def day(rng: Random) -> Text:
    """Makes a date after "on": weekdays are feminine in Portuguese, Saturday and Sunday are not."""
    value = moment(rng)
    source, target = both(lambda locale: dates.format_date(value, "full", locale=locale))
    return source, f"{'no' if value.weekday() >= 5 else 'na'} {target}"


def interval(rng: Random) -> Text:
    """Makes a first and a last day."""
    start = moment(rng)
    end = start + timedelta(days=rng.randint(1, 40))
    return both(lambda locale: dates.format_interval(start, end, "yMMMd", locale=locale))


def relative(*steps: tuple[int, int]) -> Maker:
    """Returns the maker of a time from now: up to so many steps of so many seconds."""

    def make(rng: Random) -> Text:
        seconds, most = rng.choice(steps)
        value = timedelta(seconds=seconds * rng.randint(1, most))
        return both(lambda locale: dates.format_timedelta(value, add_direction=True, locale=locale))

    return make


def quantity(names: str, digits: int, decimals: bool = True) -> Maker:
    """Returns the maker of a number with one of the units, spelled out or abbreviated.

    It is 2 at least: Babel does not know every Portuguese abbreviation of a single unit.
    """

    def make(rng: Random) -> Text:
        unit, spelling = rng.choice(names.split()), rng.choice(SPELLINGS)
        tenths = rng.choice([0, rng.randrange(10)]) if decimals else 0
        value = max(magnitude(rng, digits), 2) + Decimal(tenths) / 10
        return both(lambda locale: units.format_unit(value, unit, spelling, locale=locale))

    return make


def price(style: Literal["standard", "name"]) -> Maker:
    """Returns the maker of an amount of money, with the currency's symbol or name.

    It is 2 at least: Babel picks the plural before it rounds to whole yen.
    """

    def make(rng: Random) -> Text:
        currency = rng.choice(rng.choice([CODES["currency"], COMMON_CURRENCIES]))
        cents = rng.choice([0, 50, 99, rng.randrange(100)])
        value = Decimal(100 * max(magnitude(rng, 5), 2) + cents) / 100
        return both(
            lambda locale: numbers.format_currency(
                value, currency, locale=locale, format_type=style
            )
        )

    return make


def compact(rng: Random) -> Text:
    """Makes a number such as 1.2 million or 1.2M, exact to its one decimal."""
    tenths = rng.randrange(10, rng.choice([100, 1_000, 10_000]))
    value, style = tenths * rng.choice([10**2, 10**5, 10**8]), rng.choice(SPELLINGS)
    return both(
        lambda locale: numbers.format_compact_decimal(
            value, format_type=style, locale=locale, fraction_digits=1
        )
    )


def percent(rng: Random) -> Text:
    """Makes a percentage with at most one decimal."""
    value = Decimal(rng.choice([10 * rng.randint(1, 100), rng.randint(1, 999)])) / 1000
    return both(lambda locale: numbers.format_percent(value, "#,##0.#%", locale=locale))


def decimal(digits: int, decimals: int, smallest: int = 1) -> Maker:
    """Returns the maker of a number with up to so many decimals."""

    def make(rng: Random) -> Text:
        value = Decimal(max(magnitude(rng, digits), smallest)).scaleb(-decimals)
        return both(lambda locale: numbers.format_decimal(value, locale=locale))

    return make


def code(rng: Random) -> Text:
    """Makes a number that both languages write alike."""
    return (str(rng.randrange(1000, 100_000)),) * 2


VALUES: dict[str, Maker] = {
    "date": styled(dates.format_date, "short", "long"),
    "date_medium": styled(dates.format_date, "medium"),  # apart: its "May 9" is the long one's
    "date_long": styled(dates.format_date, "long"),
    "date_full": styled(dates.format_date, "full"),
    "day": day,
    "month": skeleton("yMMMM"),
    "month_day": skeleton("MMMMd"),
    "quarter": skeleton("yQQQQ"),
    "interval": interval,
    "clock": styled(dates.format_time, "short", first_hour=2),  # "às" is not said before 2:00
    "time": styled(dates.format_time, "short", "medium"),
    "time_utc": styled(dates.format_time, "long"),
    "datetime": styled(dates.format_datetime, "short", "medium"),
    "datetime_utc": styled(dates.format_datetime, "long"),
    "soon": relative(*SOON),
    "later": relative(*LATER),
    "ago": relative(*PAST),
    "span": quantity("duration-minute duration-hour duration-week", 3, decimals=False),
    "code": code,
    "price": price("standard"),
    "price_name": price("name"),
    "distance": quantity("length-meter length-kilometer length-mile length-foot", 4),
    "weight": quantity("mass-gram mass-kilogram mass-pound mass-ounce", 4),
    "volume": quantity("volume-liter volume-milliliter volume-gallon volume-cup", 4),
    "storage": quantity("digital-megabyte digital-gigabyte digital-terabyte", 4),
    "speed": quantity("speed-kilometer-per-hour speed-mile-per-hour", 3, decimals=False),
    "temperature": quantity("temperature-celsius temperature-fahrenheit", 2),
    "area": quantity("area-square-meter area-square-foot", 4),
    "energy": quantity("energy-kilowatt-hour energy-kilojoule", 4),
    "number": decimal(7, 0),
    "count": decimal(5, 0, smallest=2),  # one file would need the singular
    "decimal": decimal(5, 2),
    "compact": compact,
    "percent": percent,
}
TABLES = {"territory": "territories", "language": "languages", "currency": "currencies"}
NAMES = {
    kind: [(getattr(SOURCE, table)[code], getattr(TARGET, table)[code]) for code in CODES[kind]]
    for kind, table in TABLES.items()
}


class Template(NamedTuple):
    """A sentence in both languages with slots in braces: one line of templates.tsv."""

    line: int
    family: str
    source: str
    target: str


class Pair(NamedTuple):
    """A source and its target, with the texts that fill the source's slots."""

    source: str
    target: str
    template: Template
    values: tuple[str, ...]
    names: tuple[str, ...]


def slots(text: str) -> list[str]:
    """Returns the slots of one side of a template in their order."""
    return [slot for _, slot, _, _ in string.Formatter().parse(text) if slot]


def kind_of(slot: str) -> str:
    """Returns what fills a slot: ``language`` for ``language2``."""
    return slot.rstrip(string.digits)


def read_templates(path: Path) -> list[Template]:
    """Reads the templates.

    Raises:
        DataError: A line has not three columns, or a slot is unknown or on one side only.
    """
    templates = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        columns = line.split("\t")
        if len(columns) != 3:
            raise DataError(
                f"{path.name}, line {number}: found {len(columns)} columns; "
                "a template is family, source and target, separated by tabs"
            )
        templates.append(Template(number, *columns))
        check_slots(templates[-1], f"{path.name}, line {number}")
    return templates


def check_slots(template: Template, where: str) -> None:
    """Raises a :class:`DataError` unless both sides have the same slots and all are known."""
    accepted = [*VALUES, *NAMES]
    source, target = sorted(slots(template.source)), sorted(slots(template.target))
    for slot in source:
        if kind_of(slot) not in accepted:
            raise DataError(
                f"{where}: unknown slot {slot!r}; accepted are {', '.join(accepted)}"
                f"{nearest(kind_of(slot), accepted)}"
            )
    if source != target:
        raise DataError(
            f"{where}: the slots of the target, {target}, are not those of the source, {source}"
        )


def fill(template: Template, rng: Random) -> Pair:
    """Draws a text for each slot, and no name twice."""
    values, names, source, target = [], [], {}, {}
    for slot in slots(template.source):
        kind = kind_of(slot)
        if kind in NAMES:
            text = rng.choice([name for name in NAMES[kind] if name[0] not in names])
            names.append(text[0])
        else:
            text = VALUES[kind](rng)
            values.append(text[0])
        source[slot], target[slot] = text
    sentence = template.source.format_map(source), template.target.format_map(target)
    return Pair(*sentence, template, tuple(values), tuple(names))


def part_of(text: str) -> str:
    """Returns the part of the corpus that may hold a text: a pure function of the text."""
    return {0: "test", 1: "valid"}.get(crc32(text.encode()) % 25, "train")


def held_values(pair: Pair) -> set[str]:
    """Returns the parts, training aside, that alone may hold the pair's values."""
    return {part_of(value) for value in pair.values} - {"train"}


def held_names(pair: Pair) -> set[str]:
    """Returns the parts, training aside, that alone may hold the pair's names in its template."""
    return {part_of(f"{pair.template.source}\t{name}") for name in pair.names} - {"train"}


def build(templates: list[Template]) -> dict[str, list[Pair]]:
    """Draws from each template in turn until there is enough training data.

    Templates with names are drawn from twice as often: names are learned one by one. A pair that
    holds something of validation and something of test is left out.

    Raises:
        DataError: One source has two targets.
    """
    rng, seen = Random(SEED), dict[str, Pair]()
    turns = templates + [
        t for t in templates if any(kind_of(slot) in NAMES for slot in slots(t.source))
    ]
    parts: dict[str, list[Pair]] = {name: [] for name in SIZES}
    with tqdm(total=SIZES["train"], unit="pair") as progress:
        while len(parts["train"]) < SIZES["train"]:
            for template in turns:
                pair = fill(template, rng)
                known = seen.setdefault(pair.source, pair)
                if known.target != pair.target:
                    raise DataError(
                        f"templates.tsv, lines {known.template.line} and {template.line}: source "
                        f"{pair.source!r} has targets {known.target!r} and {pair.target!r}; "
                        "a source determines its target"
                    )
                held = held_values(pair) | held_names(pair)
                if known is pair and len(held) < 2:
                    parts[held.pop() if held else "train"].append(pair)
            progress.update(len(parts["train"]) - progress.n)
    return {name: rng.sample(pairs, SIZES[name]) for name, pairs in parts.items()}


def write(pairs: list[Pair], path: Path) -> None:
    """Writes two columns, compressed to the same bytes every time."""
    text = "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def main(folder: Path) -> None:
    """Writes the corpus and prints what its parts hold."""
    for name, pairs in build(read_templates(HERE / "templates.tsv")).items():
        write(pairs, folder / f"{name}.tsv.gz")
        values = sum(bool(held_values(pair)) for pair in pairs)
        names = sum(bool(held_names(pair)) for pair in pairs)
        print(
            f"{name}: {len(pairs)} pairs, {values} with an unseen value, "
            f"{names} with a name unseen in its template"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
