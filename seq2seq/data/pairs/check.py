"""What is odd about the corpora of an experiment, told before hours are spent on training."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.report import Report

# One row for each pair: hashes instead of texts, so that large corpora fit into memory.
LENGTHS = ("source characters", "target characters", "source words", "target words")
MEASURES = np.dtype(
    [("source", np.int64), ("pair", np.int64), ("copied", np.bool_)]
    + [(name, np.int32) for name in LENGTHS]
)
Rows: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

TRAINING = "train"
OUTLIER_FACTOR = 4
OUTLIER_CHARACTERS = 10
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


def check(corpora: Mapping[str, Corpus]) -> Report:
    """Reads each corpus once; counts, too, what the one named ``train`` shares with the others.

    >>> report = check({"train": Corpus.of([("ein Hund", "a dog"), ("eine Katze", "")])})
    >>> print(*report.problems)
    train: target is blank at pair 2 (1 in all); such pairs are dropped

    Raises:
        DataError: A corpus cannot be read.
    """
    odd: dict[str, Counter[str]] = {name: Counter() for name in corpora}
    rows = {
        name: np.fromiter(_measure(corpus.pairs(), odd[name]), dtype=MEASURES)
        for name, corpus in corpora.items()
    }
    columns: list[dict[str, str]] = []
    problems: list[str] = []
    for name in corpora:
        column, told = _figures(rows[name], odd[name]), _problems(rows[name], odd[name])
        if TRAINING in rows and name != TRAINING:
            shared, leaks = _overlap(rows[name], rows[TRAINING])
            column, told = column | shared, told + leaks
        columns.append(column)
        problems += [f"{name}: {problem}" for problem in told]
    labels = dict.fromkeys(label for column in columns for label in column)
    table = tuple((label, *(column.get(label, "") for column in columns)) for label in labels)
    return Report(tuple(corpora), table, tuple(problems))


def _measure(pairs: Iterable[Pair], odd: Counter[str]) -> Iterator[tuple[int | bool, ...]]:
    for source, target in pairs:
        odd.update(ODD.findall(source))
        odd.update(ODD.findall(target))
        yield (
            hash(source),
            hash((source, target)),
            source == target,
            len(source),
            len(target),
            len(source.split()),
            len(target.split()),
        )


def _figures(rows: Rows, odd: Counter[str]) -> dict[str, str]:
    """Returns the cells of one column by the label of their row."""
    kept = rows[_filled(rows)]
    distinct = kept[np.unique(kept["pair"], return_index=True)[1]]
    targets_of_source = np.unique(distinct["source"], return_counts=True)[1]
    counts = {
        "pairs": len(rows),
        "blank sources": np.sum(rows["source words"] == 0),
        "blank targets": np.sum(rows["target words"] == 0),
        "duplicate pairs": len(kept) - len(distinct),
        "sources with several targets": np.sum(targets_of_source > 1),
        "target copies source": np.sum(kept["copied"]),
        "outlying length ratios": np.sum(_outliers(rows)),
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


def _problems(rows: Rows, odd: Counter[str]) -> list[str]:
    problems = []
    for side in ("source", "target"):
        blank = rows[f"{side} words"] == 0
        if blank.any():
            problems.append(f"{side} is blank {_places(blank)}; such pairs are dropped")
    outliers = _outliers(rows)
    if outliers.any():
        problems.append(f"one side is far too long {_places(outliers)}; perhaps misaligned")
    copied = int(np.sum(rows["copied"] & _filled(rows)))
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


def _outliers(rows: Rows) -> Mask:
    """Marks pairs whose ratio of lengths is far from the median of the corpus."""
    filled = _filled(rows)
    source, target = rows["source characters"], rows["target characters"]
    ratios = target / np.maximum(source, 1)
    median = np.median(ratios[filled]) if filled.any() else 1.0
    far = (ratios > median * OUTLIER_FACTOR) | (ratios < median / OUTLIER_FACTOR)
    outliers: Mask = filled & far & (np.maximum(source, target) >= OUTLIER_CHARACTERS)
    return outliers


def _places(mask: Mask) -> str:
    numbers = [f"{place + 1:,}" for place in np.flatnonzero(mask)[:PLACES_SHOWN]]
    word = "pair" if len(numbers) == 1 else "pairs"
    return f"at {word} {', '.join(numbers)} ({mask.sum():,} in all)"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"
