"""The rules by which pairs are cleaned: one table for the work, its options and its messages."""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.entities import html5
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from seq2seq.data.pairs.scripts import Foreign
from seq2seq.errors import ConfigError, nearest, require

if TYPE_CHECKING:
    from seq2seq.data.pairs.hashes import Hashes

Pair: TypeAlias = tuple[str, str]
Setting: TypeAlias = bool | int | float | str | None
"""What a rule goes by: True where there is nothing to choose, None where it is off."""
Change: TypeAlias = Callable[[str], str]
Finder: TypeAlias = Callable[[Sequence[Pair]], Sequence[bool]]
"""Tells which pairs to leave out, of many at a time; may remember what it has seen."""

OFF, ON = "off", "on"
SHORTEST = 10
"""Characters of the longer side from which on lengths are compared."""
KEYS = ("pair", "source", "target", "either")
"""What must be the same."""


@dataclass(frozen=True)
class Survey:
    """What is known of a corpus, and of others, before its pairs are looked at."""

    pairs: int = 0
    ratio: float = 1.0
    """The median of the target's characters for one of the source."""
    scripts: tuple[str, str] = ("", "")
    """The script of each side; empty: any."""
    held_out: Mapping[str, "Hashes"] = field(default_factory=dict)
    """Hashes of pairs that are for validation and test, by what is the same."""


@dataclass(frozen=True)
class Rule:
    """One thing that is changed, or by which pairs are left out."""

    label: str
    """What tables call the pairs that it meets."""
    does: str
    """What it does, for the help; N stands for the setting."""
    usual: Setting = True
    usually: bool = True
    """Whether it is on unless told otherwise."""
    change: Change | None = None
    finder: Callable[[Any, Survey], Finder] | None = None
    """Makes what finds pairs to leave out, from the setting."""
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = float("inf")

    @property
    def default(self) -> Setting:
        """What it goes by unless told otherwise."""
        return self.usual if self.usually else None

    def parse(self, text: str, key: str) -> Setting:
        """Returns the setting that a text means; ``key`` is what messages call it.

        Raises:
            ConfigError: It means none.
        """
        if text in (OFF, ON):
            return self.usual if text == ON else None
        if self.choices:
            close = nearest(text, self.choices)
            if text not in self.choices:
                raise ConfigError(f"{key}: must be {self.accepted}, got {text!r}{close}")
            return text
        try:
            value = int(text) if isinstance(self.usual, int) else float(text)
        except ValueError:
            value = None
        value = None if isinstance(self.usual, bool) else value
        fits = isinstance(value, int | float) and self.least <= value <= self.most
        require(fits, key, self.accepted, text)
        return value

    @property
    def accepted(self) -> str:
        """What it accepts, for messages."""
        if self.choices:
            return f"{', '.join(self.choices)}, {ON} or {OFF}"
        if isinstance(self.usual, bool):
            return f"{ON} or {OFF}"
        kind = "a whole number" if isinstance(self.usual, int) else "a number"
        above = f" up to {self.most:g}" if self.most < float("inf") else ""
        return f"{kind} from {self.least:g}{above}, {ON} or {OFF}"


# What is changed.

ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]*);")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufeff]")
GAP = re.compile(r"\s{2,}|[\t-\r\x1c-\x1f\x85\u2028\u2029]")
"""White space that is more than a sign, or would end a line; a single no-break space stays."""


def _entities(text: str) -> str:
    return ENTITY.sub(_character, text) if "&" in text else text


def _character(entity: re.Match[str]) -> str:
    """Returns what an entity stands for; itself if no entity has that name."""
    known = entity[0][1] == "#" or entity[0][1:] in html5
    return html.unescape(entity[0]) if known else entity[0]


def _controls(text: str) -> str:
    if text.isprintable():
        return text
    return CONTROL.sub(lambda found: found[0] if found[0].isspace() else "", text)


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _whitespace(text: str) -> str:
    return GAP.sub(" ", text.strip())


# What is left out, pair by pair.

WEB = re.compile(r"\b(?:https?://|www\.)\S+|(?<!\S)[^\s@]+@[^\s@]+\.\S+")
NUMBER = re.compile(r"\d+(?:[.,:'\u2019]\d+)*")


def is_invisible(text: str) -> bool:
    """Tells whether a text has nothing but white space, and characters that only control."""
    return all(unicodedata.category(sign)[0] in "CZ" for sign in text)


def _each(tells: Callable[[str, str], bool]) -> Finder:
    return lambda pairs: [tells(source, target) for source, target in pairs]


def _either(tells: Callable[[str], bool]) -> Finder:
    return lambda pairs: [tells(source) or tells(target) for source, target in pairs]


def _unequal(factor: float, survey: Survey) -> Finder:
    """Finds lengths whose ratio is far from the corpus's usual one (Gale and Church 1993)."""
    low, high = survey.ratio / factor, survey.ratio * factor

    def tells(source: str, target: str) -> bool:
        one, other = len(source), len(target)
        return not low <= other / max(one, 1) <= high and max(one, other) >= SHORTEST

    return _each(tells)


def _foreign(most: float, survey: Survey) -> Finder:
    source, target = map(Foreign, survey.scripts)
    return _each(lambda one, other: source.share(one) > most or target.share(other) > most)


def _repeated(times: int, survey: Survey) -> Finder:
    signs = re.compile(rf"([^\s\d])\1{{{times - 1}}}")

    def tells(text: str) -> bool:
        if signs.search(text):
            return True
        words = text.split()
        runs = groupby(words) if len(words) >= times else ()
        return any(sum(1 for _ in run) >= times for _, run in runs)

    return _either(tells)


def _wordless(text: str) -> bool:
    return not any(map(str.isalpha, WEB.sub("", text)))


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(sign)) for sign in text if sign.isdecimal())


def _numbers_missing(source: str, target: str) -> bool:
    """Tells whether a number of the source is not in the target, however its digits are parted."""
    numbers = NUMBER.findall(source)
    if not numbers:
        return False
    there = _digits(target)
    return any(_digits(number) not in there for number in numbers)


# What is left out because it is there already: numpy is imported only now, and not for `--help`.


def _repeats(choice: str, fold: Change | None = None) -> Finder:
    from seq2seq.data.pairs.repeats import Repeats

    return Repeats(choice, fold)


def _held_out(choice: str, survey: Survey) -> Finder:
    from seq2seq.data.pairs.repeats import held_out

    return held_out(choice, survey.held_out)


class _Folding(dict[int, str]):
    """Keeps letters and their marks; everything else becomes a space."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        self[code] = sign if unicodedata.category(sign)[0] in "LM" else " "
        return self[code]


FOLDING = _Folding()


def _folded(text: str) -> str:
    """Returns a text without case, digits and punctuation; as it is if nothing is left."""
    return " ".join(text.lower().translate(FOLDING).split()) or text


RULES: dict[str, Rule] = {
    "entities": Rule(
        "HTML entities", "write HTML entities, such as &amp;, as characters", usually=False,
        change=_entities,
    ),
    "controls": Rule(
        "control characters",
        "take out control characters, white space aside, and byte order marks", change=_controls,
    ),
    "nfc": Rule("not composed (NFC)", "compose letters and their marks (NFC)", change=_nfc),
    "whitespace": Rule(
        "odd white space",
        "a space for runs of white space and for what ends lines, and none around a text",
        change=_whitespace,
    ),
    "blank": Rule(
        "blank", "a side without text that can be seen",
        finder=lambda on, survey: _either(is_invisible),
    ),
    "broken": Rule(
        "lost characters", "U+FFFD, which stands for lost characters",
        finder=lambda on, survey: _either(lambda text: "\ufffd" in text),
    ),
    "characters": Rule(
        "too many characters", "more than N characters on a side", 2000, least=1.0,
        finder=lambda most, survey: _either(lambda text: len(text) > most),
    ),
    "words": Rule(
        "too many words", "more than N words on a side, parted by white space", 200, least=1.0,
        finder=lambda most, survey: _either(lambda text: len(text) > most < len(text.split())),
    ),
    "ratio": Rule(
        "outlying length ratios",
        f"the ratio of lengths N times the corpus's median or a share of it, from {SHORTEST} "
        "characters on",
        4.0, least=1.0, finder=_unequal,
    ),
    "script": Rule(
        "another script",
        "more than this share of a side's letters in another script than most of the corpus's",
        0.5, most=1.0, finder=_foreign,
    ),
    "repeated": Rule(
        "repetitions", "N times the same character, but digits, or word in a row", 10, least=2.0,
        most=1000.0,
        finder=_repeated,
    ),
    "copied": Rule(
        "target copies source", "a target that equals its source", usually=False,
        finder=lambda on, survey: _each(lambda source, target: source == target),
    ),
    "wordless": Rule(
        "no words", "a side without letters, web and mail addresses aside", usually=False,
        finder=lambda on, survey: _either(_wordless),
    ),
    "numbers": Rule(
        "numbers missing", "a number of the source whose digits the target lacks", usually=False,
        finder=lambda on, survey: _each(_numbers_missing),
    ),
    "overlap": Rule(
        "in validation or test", "the same pair, source, target or either held out for a test",
        "source", choices=KEYS, finder=_held_out,
    ),
    "duplicates": Rule(
        "duplicate pairs", "the same pair, source, target or either as a pair before", "pair",
        choices=KEYS, finder=lambda choice, survey: _repeats(choice),
    ),
    "near-duplicates": Rule(
        "nearly duplicate pairs", "the same but for case, digits, punctuation and white space",
        "pair", usually=False, choices=KEYS,
        finder=lambda choice, survey: _repeats(choice, _folded),
    ),
}  # fmt: skip
"""Rules by name, in the order in which they are applied: what changes texts comes first."""
