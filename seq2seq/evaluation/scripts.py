"""The script of a text, where spaces do not part its words as they do in most."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import chain

HAN, KANA, HANGUL = "Han", "kana", "Hangul"

SCRIPTS: dict[str, tuple[str, ...]] = {
    HAN: ("CJK ", "BOPOMOFO"),
    KANA: ("HIRAGANA", "KATAKANA", "HENTAIGANA"),
    HANGUL: ("HANGUL",),
    **{
        name: (f"{name.upper()} ",)
        # Those whose lines Unicode breaks by dictionary or by syllable (UAX #14: SA, AK, AS, ID),
        # and Tibetan, which marks syllables.
        for name in (
            "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Javanese", "Balinese", "Batak", "Cham",
            "Tai Le", "New Tai Lue", "Tai Tham", "Tai Viet", "Ahom", "Makasar", "Yi",
            "Tangut", "Nushu", "Brahmi", "Grantha", "Dives Akuru",
        )
    },
}  # fmt: skip
"""Scripts without spaces, and Korean's; with how the names of their characters begin in Unicode."""
SHARE = 5
"""One letter in so many makes a script that of a text: where spaces part words, a word has about
five letters, elsewhere a letter or two are one."""
KANA_SHARE = 10
"""One kana among so many kana and Han characters makes a text Japanese."""


def script_of(texts: Iterable[str]) -> str | None:
    """Returns the entry of :data:`SCRIPTS` that texts are written in, or None: spaces part words.

    Foreign names and quotations do not matter, nor does the order of the texts.

    >>> script_of(["猫が好きです。"]), script_of(["我喜歡 Python。"]), script_of(["I like 猫."])
    ('kana', 'Han', None)
    """
    letters: Counter[str | None] = Counter()
    for character, times in Counter(chain.from_iterable(texts)).items():
        if character.isalpha():
            letters[script_of_letter(character)] += times
    total = letters.total()
    del letters[None]
    if letters[KANA] * KANA_SHARE >= letters[KANA] + letters[HAN]:
        letters[KANA] += letters.pop(HAN, 0)
    most, script = max((times, script) for script, times in letters.items() if script)
    return script if most and most * SHARE >= total else None


@cache
def script_of_letter(letter: str) -> str | None:
    """Returns the script of a letter; half a letter wide, or squeezed into a square, it is one."""
    name = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "")
    return next((script for script, starts in SCRIPTS.items() if name.startswith(starts)), None)
