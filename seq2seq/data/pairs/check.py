"""What is odd about the corpora of an experiment, told before hours are spent on training."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seq2seq.data.pairs.cleaning import (
    AT_ONCE,
    changed,
    finders,
    look_over,
    usual_settings,
)
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.rules import RULES, Finder, Survey, is_invisible
from seq2seq.data.report import Report
from seq2seq.lists import chunks

# One row for each pair: hashes instead of texts, so that large corpora fit into memory.
LENGTHS = ("source characters", "target characters", "source words", "target words")
MEASURES = np.dtype(
    [("source", np.int64), ("pair", np.int64)] + [(name, np.int32) for name in LENGTHS]
)
Rows: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

TRAINING = "train"
COPIED_SHARE = 0.5
PLACES_SHOWN = 5
ODD_CHARACTERS = {
    "\r": "CR",
    "\f": "FF",
    "\0": "NUL",
    "\x85": "NEL",
    "\u2028": "U+2028",
    "\ufeff": "U+FEFF",
    "\ufffd": "U+FFFD",
}
ODD = re.compile(f"[{''.join(ODD_CHARACTERS)}]")


@dataclass
class Met:
    """Which pairs the rules of cleaning meet, each rule by itself."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)
    """Where the first ones are, from 0."""

    def note(self, name: str, places: list[int]) -> None:
        """Takes down pairs that a rule meets."""
        self.counts[name] += len(places)
        known = self.places.setdefault(name, [])
        known += places[: PLACES_SHOWN - len(known)]


def check(corpora: Mapping[str, Corpus]) -> Report:
    """Reads each corpus twice; counts, too, what the one named ``train`` shares with the others.

    What cleaning would change or leave out is told rule by rule (:data:`RULES`): each for itself,
    among the pairs with text on both sides, by its usual setting.

    >>> report = check({"train": Corpus.of([("ein Hund", "a dog"), ("eine Katze", "")])})
    >>> print(*report.problems)
    train: target is blank at pair 2 (1 in all); such pairs are dropped

    Raises:
        DataError: A corpus cannot be read.
    """
    odd: dict[str, Counter[str]] = {name: Counter() for name in corpora}
    met = {name: Met() for name in corpora}
    rows = {}
    for name, corpus in corpora.items():
        others = [other for role, other in corpora.items() if name == TRAINING != role]
        survey = look_over(corpus, usual_settings(), others)
        rows[name] = np.fromiter(_measure(corpus, survey, met[name], odd[name]), dtype=MEASURES)
    columns: list[dict[str, str]] = []
    problems: list[str] = []
    for name in corpora:
        column = _figures(rows[name], met[name], odd[name])
        told = _problems(rows[name], met[name], odd[name])
        if TRAINING in rows and name != TRAINING:
            shared, leaks = _overlap(rows[name], rows[TRAINING])
            column, told = column | shared, told + leaks
        columns.append(column)
        problems += [f"{name}: {problem}" for problem in told]
    labels = dict.fromkeys(label for column in columns for label in column)
    table = tuple((label, *(column.get(label, "") for column in columns)) for label in labels)
    return Report(tuple(corpora), table, tuple(problems))


def _measure(
    corpus: Corpus, survey: Survey, met: Met, odd: Counter[str]
) -> Iterator[tuple[int, ...]]:
    own = finders({name: rule.usual for name, rule in RULES.items()}, survey)
    for number, chunk in enumerate(chunks(corpus.pairs(), AT_ONCE)):
        _apply(chunk, number * AT_ONCE, own, met)
        for source, target in chunk:
            odd.update(ODD.findall(source))
            odd.update(ODD.findall(target))
            words = (0 if is_invisible(text) else len(text.split()) for text in (source, target))
            lengths = len(source), len(target), *words
            yield hash(source), hash((source, target)), *lengths


def _apply(chunk: list[Pair], first: int, own: Mapping[str, Finder], met: Met) -> None:
    """Applies each rule to pairs as cleaning would change them."""
    usual, texts = usual_settings(), []
    for pair in chunk:
        text, told = changed(pair, usual)
        texts.append(text)
        met.counts.update(told)
    for name, rule in RULES.items():
        if rule.change is not None and not rule.usually:
            met.counts[name] += sum(bool(changed(pair, {name: True})[1]) for pair in chunk)
    blank = own["blank"](texts)
    met.note("blank", list(compress(range(first, first + len(texts)), blank)))
    filled = [place for place, without in enumerate(blank) if not without]
    for name, finder in own.items():
        if name != "blank":
            found = finder([texts[place] for place in filled])
            met.note(name, [first + place for place in compress(filled, found)])


def _figures(rows: Rows, met: Met, odd: Counter[str]) -> dict[str, str]:
    """Returns the cells of one column by the label of their row."""
    kept = rows[_filled(rows)]
    distinct = kept[np.unique(kept["pair"], return_index=True)[1]]
    targets_of_source = np.unique(distinct["source"], return_counts=True)[1]
    counts = {
        "pairs": len(rows),
        "blank sources": np.sum(rows["source words"] == 0),
        "blank targets": np.sum(rows["target words"] == 0),
        **{rule.label: met.counts[name] for name, rule in RULES.items()},
        "sources with several targets": np.sum(targets_of_source > 1),
        "odd characters": odd.total(),
    }
    cells = {label: f"{count:,}" for label, count in counts.items()}
    for name in LENGTHS if len(kept) else ():
        cells |= {f"{name}, {label}": cell for label, cell in _spread(kept[name]).items()}
    return cells


def _spread(lengths: npt.NDArray[np.int32]) -> dict[str, str]:
    middle, high = np.percentile(lengths, [50, 99])
    spread = {"mean": lengths.mean(), "median": middle, "99 %": high, "longest": lengths.max()}
    return {label: f"{length:,.0f}" for label, length in spread.items()}


def _problems(rows: Rows, met: Met, odd: Counter[str]) -> list[str]:
    problems = []
    for side in ("source", "target"):
        blank = np.flatnonzero(rows[f"{side} words"] == 0)
        if len(blank):
            shown = _places(blank[:PLACES_SHOWN].tolist(), len(blank))
            problems.append(f"{side} is blank {shown}; such pairs are dropped")
    if met.counts["ratio"]:
        shown = _places(met.places["ratio"], met.counts["ratio"])
        problems.append(f"one side is far too long {shown}; perhaps misaligned")
    copied = met.counts["copied"]
    if copied > COPIED_SHARE * len(rows):
        problems.append(
            f"source and target are the same in {_share(copied, len(rows))} of the pairs"
        )
    if odd:
        counted = ", ".join(f"{count:,} {ODD_CHARACTERS[name]}" for name, count in odd.items())
        problems.append(f"odd characters, kept as they are: {counted}")
    return problems


def _overlap(rows: Rows, training: Rows) -> tuple[dict[str, str], list[str]]:
    """Returns what ``rows`` shares with the training corpus: cells of the table and problems."""
    kept, training = rows[_filled(rows)], training[_filled(training)]
    sources = int(np.isin(kept["source"], training["source"]).sum())
    pairs = int(np.isin(kept["pair"], training["pair"]).sum())
    cells = {"sources also in train": f"{sources:,}", "pairs also in train": f"{pairs:,}"}
    share = _share(sources, len(rows))
    leak = f"sources also in train: {sources:,} ({share}), of these with the same target: {pairs:,}"
    return cells, [leak] if sources else []


def _filled(rows: Rows) -> Mask:
    filled: Mask = (rows["source words"] > 0) & (rows["target words"] > 0)
    return filled


def _places(first: list[int], count: int) -> str:
    word = "pair" if len(first) == 1 else "pairs"
    numbers = ", ".join(f"{place + 1:,}" for place in first)
    return f"at {word} {numbers} ({count:,} in all)"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"
