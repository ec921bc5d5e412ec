"""Where systems differ: by the length of texts, by kinds of faults, line by line."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import DataError
from seq2seq.evaluation.metrics import Several, bleu, chrf
from seq2seq.lists import aligned

LONGEST = (5, 10, 15, 20, 30, 50)
"""The words of the longest reference of each group; another group holds what is longer still."""
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
PLACEHOLDER = re.compile(r"<[^<>\s]+>|\{[^{}\s]+\}|https?://\S+")


class Line(NamedTuple):
    """A line of a test set, as one system has translated it."""

    source: str
    """Empty where sources are not known."""
    text: str
    references: tuple[str, ...]

    @property
    def length(self) -> int:
        """Words of the first reference."""
        return len(self.references[0].split())


def _repeats(line: Line) -> bool:
    """Tells whether a word stands three times in a row, or four words twice, as in no reference."""

    def twice(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        rows = [tuple(words[at : at + 4]) for at in range(len(words) - 3)]
        again = {row for row, times in Counter(rows).items() if times > 1}
        thrice = zip(words, words[1:], words[2:], strict=False)
        return again | {row[:1] for row in thrice if len(set(row)) == 1}

    return bool(twice(line.text) - set().union(*map(twice, line.references)))


def _same(pattern: re.Pattern[str], line: Line) -> bool:
    """Tells whether source and text hold the same of something, as often."""
    found = (Counter(pattern.findall(text)) for text in (line.source, line.text))
    return next(found) == next(found)


CHECKS: dict[str, Callable[[Line], bool]] = {
    "empty": lambda line: not line.text.strip() and bool(line.references[0].strip()),
    "repeated words": _repeats,
    "too long": lambda line: len(line.text.split()) > 2 * line.length + 5,
    "too short": lambda line: 2 * len(line.text.split()) + 5 < line.length,
    "untranslated": lambda line: (
        bool(line.source) and line.text == line.source and line.text not in line.references
    ),
    "other numbers": lambda line: bool(line.source) and not _same(NUMBER, line),
    "other placeholders": lambda line: bool(line.source) and not _same(PLACEHOLDER, line),
}
"""Kinds of faults by name: what tells whether a line has one."""


def lines_of(
    texts: Sequence[str], references: Several, sources: Sequence[str] | None = None
) -> list[Line]:
    """Returns the lines of a system; without sources, faults that need them are not found.

    Raises:
        DataError: The sides differ in number.
    """
    known = [""] * len(references) if sources is None else sources
    if not len(texts) == len(references) == len(known):
        raise DataError(
            f"cannot analyse: {len(known):,} sources, {len(texts):,} texts, {len(references):,} "
            "references; each line needs all of them"
        )
    return [Line(*line) for line in zip(known, texts, references, strict=True)]


def faults_table(systems: Mapping[str, Sequence[Line]]) -> str:
    """Returns how many lines of each system have each kind of fault."""
    rows = [
        (name, *(f"{sum(map(check, lines)):,}" for lines in systems.values()))
        for name, check in CHECKS.items()
    ]
    return aligned("<" + ">" * len(systems), [("lines with", *systems), *rows])


def lengths_table(systems: Mapping[str, Sequence[Line]]) -> str:
    """Returns BLEU and chrF of each system, by the words of the reference."""
    groups: dict[int, list[int]] = {}
    for number, line in enumerate(next(iter(systems.values()))):
        groups.setdefault(bisect_left(LONGEST, line.length), []).append(number)
    rows = [
        (_label(group), f"{len(numbers):,}", *_scores(systems, numbers))
        for group, numbers in sorted(groups.items())
    ]
    titles = [f"{name} {system}" for system in systems for name in ("BLEU", "chrF")]
    return aligned("<>" + ">" * len(titles), [("words", "lines", *titles), *rows])


def _scores(systems: Mapping[str, Sequence[Line]], numbers: Sequence[int]) -> list[str]:
    shown = []
    for lines in systems.values():
        chosen = [lines[number] for number in numbers]
        texts, references = [line.text for line in chosen], [line.references for line in chosen]
        shown += [metric(texts, references).shown for metric in (bleu, chrf)]
    return shown


def _label(group: int) -> str:
    if group == len(LONGEST):
        return f"{LONGEST[-1] + 1}+"
    return f"{LONGEST[group - 1] + 1 if group else 0}-{LONGEST[group]}"


def differences(systems: Mapping[str, Sequence[Line]], most: int) -> str:
    """Returns the lines in which the second system is best and worst beside the first, by chrF."""
    (one, lines), (other, others) = list(systems.items())[:2]
    score = CHRF()
    gains = [
        score.sentence_score(theirs.text, theirs.references).score
        - score.sentence_score(ours.text, ours.references).score
        for ours, theirs in zip(lines, others, strict=True)
    ]
    order = sorted(range(len(gains)), key=lambda number: (-abs(gains[number]), number))
    blocks = []
    for number in (place for place in order[:most] if gains[place]):
        parts = [
            ("source", lines[number].source),
            *(("reference", text) for text in lines[number].references),
            (one, lines[number].text),
            (other, others[number].text),
        ]
        told = aligned("<<", [(name, text) for name, text in parts if text or name != "source"])
        blocks.append(f"line {number + 1:,}: chrF {gains[number]:+.1f}\n{told}")
    return "\n\n".join(blocks)
