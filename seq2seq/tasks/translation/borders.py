"""Where words begin and end: in texts, and among tokens, whatever the tokenizer."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from seq2seq.evaluation.scripts import HANGUL, script_of_letter
from seq2seq.symbols import EOS
from seq2seq.text.pipeline import Pipeline

TRIED = 200
"""Tokens among which two are looked for that make one word together."""
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What decoding makes of a part of a letter."""


JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def in_word(sign: str) -> bool:
    """Tells whether a character belongs to words: letters, digits, and marks upon them."""
    return sign.isalnum() or sign in ("_", BROKEN, *JOINERS) or _mark(sign)


def is_border(before: str, after: str) -> bool:
    """Tells whether no word goes on from one character to the next.

    Letters of a script without spaces are words by themselves: what is a word there, readers know.
    """
    if not (in_word(before) and in_word(after)):
        return True
    return not _mark(after) and (_unspaced(before) or _unspaced(after))


def _mark(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "M"


def _unspaced(sign: str) -> bool:
    return script_of_letter(sign) not in (None, HANGUL)


@dataclass(frozen=True)
class Borders:
    """For each token of a vocabulary, whether words end before it and begin after it."""

    opens: tuple[bool, ...]
    """Whether no word goes on from the token before to this one, whatever that is."""
    closes: tuple[bool, ...]
    """Whether no word goes on from this token to the next one, whatever that is."""


@lru_cache(maxsize=8)
def borders(pipeline: Pipeline) -> Borders:
    """Finds out where words begin and end, from the texts that pairs of tokens make.

    Of two tokens that make one word the first does not close and the second does not open; where
    no two do, as where tokens are words, every token does both.
    """
    ids = range(EOS + 1, len(pipeline))
    alone = pipeline.decode([[token] for token in ids])
    letters = [
        token for token, text in zip(ids, alone, strict=True) if text.strip() and _spaced(text)
    ]
    left, right = _one_word(pipeline, letters)
    specials = (True,) * (EOS + 1)
    if left is None or right is None:
        return Borders((True,) * len(pipeline), (True,) * len(pipeline))
    opens = [_border(*texts) for texts in _joined(pipeline, [(left, token) for token in ids])]
    closes = [_border(*texts) for texts in _joined(pipeline, [(token, right) for token in ids])]
    return Borders((*specials, *opens), (*specials, *closes))


def _spaced(text: str) -> bool:
    return all(in_word(sign) and not _unspaced(sign) for sign in text.strip())


def _one_word(pipeline: Pipeline, letters: Sequence[int]) -> tuple[int | None, int | None]:
    """Returns two tokens that make one word together, if there are such."""
    some = letters[:TRIED]
    pairs = [(left, right) for right in some for left in islice(some, 8)]
    for pair, texts in zip(pairs, _joined(pipeline, pairs), strict=True):
        if not _border(*texts):
            return pair
    return None, None


def _joined(pipeline: Pipeline, pairs: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    """Returns the text of the first token of each pair, and that of both."""
    firsts = pipeline.decode([[left] for left, _ in pairs])
    return list(zip(firsts, pipeline.decode(list(pairs)), strict=True))


def _border(first: str, both: str) -> bool:
    """Tells whether no word goes on where the text of the first token ends."""
    rest = both[len(first) :]
    if not first or not rest or not both.startswith(first):
        return not (first and rest) or BROKEN not in both
    return is_border(first[-1], rest[0])
