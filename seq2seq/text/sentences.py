"""Sentences: whether a text holds several, and where it is cut between them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice

from seq2seq.errors import ConfigError
from seq2seq.lists import width

SPLITS = ("sentences",)
"""What a text may be split into."""
MOST_MEASURED = 100_000
"""Texts of which it is counted how many hold several sentences."""
LINE_BREAK = re.compile(r"(\r\n|[\n\r\v\f\x85\u2028\u2029])")
END = re.compile(
    r"""(?<![.!?…؟।۔])([.!?…؟।۔]++)["'”’»)\]]*+\s++["'“‘«(\[¿¡„–—-]*+(\w)"""
    r"""|[。！？｡]\s*+[「『“‘（《]*+\w"""
)
"""The end of a sentence, or an abbreviation's, with the next one's first letter."""


def holds_several(text: str) -> bool:
    """Tells, as far as line breaks and punctuation tell, whether a text holds several sentences.

    >>> [holds_several(text) for text in ("Come in. Sit down.", "Mr. Smith, e.g.", "来吧。坐下。")]
    [True, False, True]
    """
    if LINE_BREAK.search(text.strip()):
        return True
    return any(_begins_another(text, found) for found in END.finditer(text))


def _begins_another(text: str, found: re.Match[str]) -> bool:
    """Tells whether a sentence ends where signs look like it."""
    signs, after = found.groups()
    if signs is None:  # as in Chinese, where nothing else looks so
        return True
    before = text[max(0, found.start() - 5) : found.start()]
    if before[-1:].isspace():  # pre-tokenized text, in lower case perhaps
        return True
    if after.islower():
        return False
    word = re.findall(r"\w*$", before)[0]
    if signs != "." or not word:
        return True
    # Mr., No., e.g., 3. and the like go on.
    least = 5 if word[0].isupper() else 3 if word[0].isdigit() else 2
    return len(word) >= least


def share_of_several(texts: Iterable[str]) -> float:
    """Returns which share of texts, at most the first hundred thousand, hold several sentences."""
    found = [holds_several(text) for text in islice(texts, MOST_MEASURED)]
    return sum(found) / max(1, len(found))


@dataclass(frozen=True)
class Sentences:
    """A text in its sentences: ``gaps[0] + pieces[0] + gaps[1] + … + gaps[-1]`` is the text."""

    pieces: tuple[str, ...]
    gaps: tuple[str, ...]
    """White space and line breaks before, between and after the pieces."""
    tag: str | None = None
    """The language tag that stands before the text, and counts for each sentence."""

    @property
    def tagged(self) -> list[str]:
        """The sentences, each with the tag."""
        if self.tag is None:
            return list(self.pieces)
        return [f"{self.tag} {piece}" if piece else self.tag for piece in self.pieces]

    @property
    def first_words(self) -> list[int]:
        """The number of each sentence's first word in the text; words are parted by white space."""
        parts = map(str.__add__, self.pieces, self.gaps[1:])
        before = accumulate(parts, initial=self.gaps[0])
        return [len(f"{text}x".split()) - 1 for text in islice(before, len(self.pieces))]

    def filled(self, pieces: Sequence[str]) -> "Sentences":
        """Returns other sentences, such as translations, between the same gaps.

        Where the text has no gap, as in Chinese, there is a space unless it is not needed.
        """
        gaps = [self.gaps[0]]
        for number, (piece, gap) in enumerate(zip(pieces, self.gaps[1:], strict=True), 1):
            last = number == len(self.pieces)
            needed = not (gap or last) and piece != "" and width(piece[-1]) < 2
            gaps.append(" " if needed else gap)
        return Sentences(tuple(pieces), tuple(gaps))

    def join(self, pieces: Iterable[str]) -> str:
        """Returns the text that other sentences make, :meth:`filled` in between the gaps."""
        whole = self.filled(tuple(pieces))
        return whole.gaps[0] + "".join(map(str.__add__, whole.pieces, whole.gaps[1:]))


Splitter = Callable[[str], list[str]]
"""Cuts a text without line breaks into stretches; joined, they are the text."""


def splitter(language: str) -> Splitter:
    """Returns what cuts texts of a language, such as ``de``, into sentences.

    Raises:
        ConfigError: The library for it is not installed.
    """
    try:
        import sentencex
    except ImportError as error:
        raise ConfigError(
            "split: sentences need sentencex: pip install 'seq2seq-toolkit[sentences]'"
        ) from error
    return lambda text: list(sentencex.segment(language, text))


def in_sentences(text: str, split: Splitter) -> Sentences:
    """Cuts a text at line breaks, and between sentences.

    A text that is one sentence, or blank, stays as it is.
    """
    lines = LINE_BREAK.split(text)  # every other one is a line break
    stretches = chain.from_iterable(
        [part] if number % 2 else split(part) for number, part in enumerate(lines)
    )
    pieces, gaps = list[str](), [""]
    for stretch in stretches:
        piece = stretch.strip()
        before, _, after = stretch.partition(piece) if piece else (stretch, "", "")
        gaps[-1] += before
        if piece:
            pieces.append(piece)
            gaps.append(after)
    if not pieces or (len(pieces) == 1 and len(lines) == 1):
        return Sentences((text,), ("", ""))
    return Sentences(tuple(pieces), tuple(gaps))
