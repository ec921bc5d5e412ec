"""What a transducer gets wrong: which symbols, in which lines, at which lengths."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from seq2seq.errors import DataError, as_texts, require_name
from seq2seq.evaluation.groups import grouped
from seq2seq.evaluation.metrics import (
    References,
    Score,
    Texts,
    Unit,
    cer,
    nearest,
    per,
    require_pairs,
    split_line,
    wer,
)
from seq2seq.evaluation.plots.style import INVISIBLE
from seq2seq.lists import aligned, width

RATES: dict[Unit, tuple[str, Callable[..., Score]]] = {
    "symbol": ("PER", per),
    "character": ("CER", cer),
}
LONGEST = (0, 4, 8, 12, 16, 24, 32, 64)
"""The longest source of each group by length; another group holds what is longer still."""
NOTHING = "∅"
CARRIER = "\N{DOTTED CIRCLE}"
"""Carries a combining character that would else combine with the column before it."""


class Confusion(NamedTuple):
    """A symbol of references and what stands in its place; an empty text is nothing."""

    reference: str
    hypothesis: str
    times: int


class Miss(NamedTuple):
    """A line that is not its reference; of several references, the nearest."""

    source: str
    reference: str
    hypothesis: str
    edits: int


class LengthGroup(NamedTuple):
    """The lines with sources of some length in characters, and their error rates in percent."""

    length: str
    lines: int
    wer: float
    rate: float


@dataclass(frozen=True)
class Mistakes:
    """The error report of a corpus."""

    confusions: list[Confusion]
    """Substitutions, deletions and insertions, most frequent first."""
    worst: list[Miss]
    """All wrong lines, those with most edits first, ties in the corpus' order."""
    by_length: list[LengthGroup]
    """Error rates from short sources to long ones."""
    unit: Unit
    """What edits are counted in."""

    def table(self, most: int = 10) -> str:
        """Returns three aligned tables, the first two with at most ``most`` rows."""
        rate = RATES[self.unit][0]
        confusions = [
            (_symbol(pair.reference), _symbol(pair.hypothesis), f"{pair.times:,}")
            for pair in self.confusions[:most]
        ]
        worst = [(f"{miss.edits:,}", *map(_cell, miss[:3])) for miss in self.worst[:most]]
        groups = [
            (group.length, f"{group.lines:,}", f"{group.wer:.2f}", f"{group.rate:.2f}")
            for group in self.by_length
        ]
        edits = sum(pair.times for pair in self.confusions)
        titles = (
            f"confusions: {len(confusions):,} of {len(self.confusions):,}, {edits:,} edits in all",
            f"wrong lines: {len(worst):,} of {len(self.worst):,}",
            "error rates by characters of the source",
        )
        tables = (
            aligned("<<>", [("reference", "hypothesis", "times"), *confusions]),
            aligned("><<<", [("edits", "source", "reference", "hypothesis"), *worst]),
            aligned("<>>>", [("length", "lines", "WER", rate), *groups]),
        )
        return "\n\n".join(map("\n".join, zip(titles, tables, strict=True)))


def find_mistakes(
    sources: Texts,
    hypotheses: Texts,
    references: References,
    unit: Unit,
) -> Mistakes:
    """Aligns each hypothesis with its nearest reference, with as few edits as possible.

    Where several alignments have as few, rapidfuzz's is taken: counts of single confusions depend
    on that, their sum does not, and is the one that :func:`per` or :func:`cer` divides.

    Raises:
        DataError: The sides differ in number, or are empty.
    """
    require_name(unit, "unit", RATES)
    sources = as_texts(sources, "sources")
    hypotheses, several = require_pairs(hypotheses, references)
    if len(sources) != len(several):
        raise DataError(
            f"cannot find mistakes: {len(sources):,} sources, {len(several):,} references; "
            "each reference needs the source of the same line"
        )
    pairs = zip(hypotheses, several, strict=True)
    expected = [nearest(hypothesis, accepted, unit) for hypothesis, accepted in pairs]
    confusions: Counter[tuple[str, str]] = Counter()
    worst = []
    for source, hypothesis, reference in zip(sources, hypotheses, expected, strict=True):
        edits = list(_edits(split_line(reference, unit), split_line(hypothesis, unit)))
        confusions.update(edits)
        if hypothesis != reference:
            worst.append(Miss(source, reference, hypothesis, len(edits)))
    return Mistakes(
        confusions=[Confusion(*pair, times) for pair, times in confusions.most_common()],
        worst=sorted(worst, key=lambda miss: -miss.edits),
        by_length=_by_length(sources, hypotheses, expected, unit),
        unit=unit,
    )


def _edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields what is replaced and what replaces it; an empty text is nothing."""
    for edit in Levenshtein.editops(reference, hypothesis):
        old = "" if edit.tag == "insert" else reference[edit.src_pos]
        yield old, "" if edit.tag == "delete" else hypothesis[edit.dest_pos]


def _by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], unit: Unit
) -> list[LengthGroup]:
    rows = []
    for length, lines in grouped(map(len, sources), LONGEST).items():
        found, expected = ([side[line] for line in lines] for side in (hypotheses, references))
        rates = (metric(found, expected).value for metric in (wer, RATES[unit][1]))
        rows.append(LengthGroup(length, len(lines), *rates))
    return rows


def _symbol(symbol: str) -> str:
    """Returns a symbol as a cell: a space has a sign, too."""
    return _cell(symbol.translate(INVISIBLE))


def _cell(text: str) -> str:
    """Returns a text with signs for what cannot be seen, spaces aside, or for nothing at all."""
    if not text:
        return NOTHING
    signs = (INVISIBLE.get(ord(sign), sign) if sign != " " else sign for sign in text)
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in signs)
    return shown if width(shown[0]) else CARRIER + shown
