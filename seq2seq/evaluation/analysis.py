"""Where systems differ: by the length of texts, by kinds of faults, line by line."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import DataError
from seq2seq.evaluation.groups import grouped
from seq2seq.evaluation.metrics import Score, Several
from seq2seq.lists import Table
from seq2seq.measures import AUTO, METRICS

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
    document: str = ""
    """Empty where documents are not known."""

    @property
    def length(self) -> int:
        """Words of the first reference."""
        return len(self.references[0].split())


Systems: TypeAlias = Mapping[str, Sequence[Line]]
"""The lines of each system, by its name."""


class Scoring(NamedTuple):
    """Which scores of texts are taken, and how."""

    metrics: Sequence[str]
    lowercase: bool = False
    tokenize: str = AUTO

    def score(self, metric: str, lines: Sequence[Line]) -> Score:
        """Returns a score of some lines."""
        found: Score = METRICS[metric](
            [line.text for line in lines],
            [line.references for line in lines],
            lowercase=self.lowercase,
            tokenize=self.tokenize,
        )
        return found


@dataclass(frozen=True)
class Curves:
    """Scores of systems in groups of what a test set holds."""

    over: str
    """What the groups are made by."""
    counted: str
    """What is counted in a group."""
    groups: Mapping[str, int]
    """How much each group holds."""
    scores: Mapping[str, Mapping[str, Sequence[float]]]
    """By the name of the score, for each system its score of each group."""

    def table(self) -> Table:
        """Returns a line a group."""
        columns = {
            f"{metric} {system}": [f"{value:.2f}" for value in values]
            for metric, systems in self.scores.items()
            for system, values in systems.items()
        }
        rows = zip(
            self.groups, map("{:,}".format, self.groups.values()), *columns.values(), strict=True
        )
        return Table(
            f"{', '.join(self.scores)} by {self.over}",
            "<>" + ">" * len(columns),
            [(self.over, self.counted, *columns), *rows],
        )


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
    texts: Sequence[str],
    references: Several,
    sources: Sequence[str] | None = None,
    documents: Sequence[str] = (),
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
    rows = zip(known, texts, references, documents or [""] * len(references), strict=True)
    return [Line(*row) for row in rows]


def faults(systems: Systems) -> Table:
    """Returns how many lines of each system have each kind of fault."""
    rows = [
        (name, *(f"{sum(map(check, lines)):,}" for lines in systems.values()))
        for name, check in CHECKS.items()
    ]
    return Table("faults", "<" + ">" * len(systems), [("lines with", *systems), *rows])


def by_length(systems: Systems, scoring: Scoring) -> Curves:
    """Returns the scores of each system, by the words of the first reference."""
    lengths = [line.length for line in next(iter(systems.values()))]
    return _scores("words of the reference", systems, grouped(lengths, LONGEST), scoring)


def by_document(systems: Systems, scoring: Scoring) -> Curves:
    """Returns the scores of each system, document by document."""
    groups: dict[str, list[int]] = {}
    for number, line in enumerate(next(iter(systems.values()))):
        groups.setdefault(line.document, []).append(number)
    return _scores("document", systems, groups, scoring)


def _scores(
    over: str, systems: Systems, groups: Mapping[str, Sequence[int]], scoring: Scoring
) -> Curves:
    scores: dict[str, dict[str, list[float]]] = {}
    for metric in scoring.metrics:
        for system, lines in systems.items():
            for numbers in groups.values():
                score = scoring.score(metric, [lines[number] for number in numbers])
                scores.setdefault(score.name, {}).setdefault(system, []).append(score.value)
    return Curves(over, "lines", {name: len(numbers) for name, numbers in groups.items()}, scores)


def differences(systems: Systems, most: int) -> list[Table]:
    """Returns the lines in which the second system is best and worst beside the first, by chrF."""
    if len(systems) < 2:
        return []
    (one, lines), (other, others) = list(systems.items())[:2]
    score = CHRF()
    gains = [
        score.sentence_score(theirs.text, theirs.references).score
        - score.sentence_score(ours.text, ours.references).score
        for ours, theirs in zip(lines, others, strict=True)
    ]
    order = sorted(range(len(gains)), key=lambda number: (-abs(gains[number]), number))
    tables = []
    for number in (place for place in order[:most] if gains[place]):
        parts = [
            ("source", lines[number].source),
            *(("reference", text) for text in lines[number].references),
            (one, lines[number].text),
            (other, others[number].text),
        ]
        rows = [part for part in parts if part[1] or part[0] != "source"]
        tables.append(Table(f"line {number + 1:,}: chrF {gains[number]:+.1f}", "<<", rows))
    return tables
