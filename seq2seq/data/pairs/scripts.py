"""Which script letters are of, as far as their names in Unicode tell."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

from seq2seq.errors import require

BESIDE_HAN = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "BOPOMOFO", "IDEOGRAPHIC")
TOGETHER = dict.fromkeys(BESIDE_HAN, "CJK") | {"MODIFIER": "", "COMBINING": ""}
"""Scripts that are written together, as in Japanese, and marks that go with letters of any."""
ASCII = "LATIN"
"""That of the letters of ASCII."""


@cache
def script_of(letter: str) -> str:
    """Returns the first word of a letter's name, such as LATIN, CYRILLIC or CJK; "" for no letter.

    >>> [script_of(letter) for letter in "aжカ漢,"]
    ['LATIN', 'CYRILLIC', 'CJK', 'CJK', '']
    """
    if not letter.isalpha():
        return ""
    name = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "").partition(" ")[0]
    return TOGETHER.get(name, name)


def main_script(texts: Iterable[str]) -> str:
    """Returns the script of most letters; "" where there are none."""
    letters = Counter[str]()
    for text in texts:
        letters.update(text)
    scripts = Counter[str]()
    for letter, times in letters.items():
        scripts[script_of(letter)] += times
    del scripts[""]
    return max(scripts, key=lambda name: (scripts[name], name), default="")


def require_script(name: str, key: str) -> None:
    """Raises a :class:`ConfigError` unless some letter is of a script of that name."""
    every = (chr(code) for code in range(0x110000))
    known = any(script_of(letter) == name for letter in every if letter.isalpha())
    accepted = "the first word of its letters' names in Unicode, such as LATIN, CYRILLIC or CJK"
    require(known, key, accepted, name)


class Foreign:
    """Tells how many of a text's letters are of other scripts than its side's."""

    def __init__(self, script: str) -> None:
        self.script = script
        self._own = set[str]()
        """What was met before, and is no foreign letter."""

    def share(self, text: str) -> float:
        """Returns the share of letters of other scripts."""
        if not self.script or (self.script == ASCII and text.isascii()):
            return 0.0
        strange = {
            sign for sign in set(text) - self._own if script_of(sign) not in ("", self.script)
        }
        self._own |= set(text) - strange
        if not strange:
            return 0.0
        return sum(sign in strange for sign in text) / sum(map(str.isalpha, text))
