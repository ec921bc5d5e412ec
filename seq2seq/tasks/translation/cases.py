"""What translations are compared with: sources, each with one or several references."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeGuard

from seq2seq.data.pairs.corpus import given_pairs
from seq2seq.data.references import Accepted, accepted, read_references
from seq2seq.data.wmt import read_one
from seq2seq.errors import as_list, as_texts
from seq2seq.text.pipeline import Pipeline

log = logging.getLogger("seq2seq")
Case: TypeAlias = tuple[str, Accepted]
"""A source, and what is right for it."""


def given_cases(rows: Iterable[object], name: str) -> list[Case]:
    """Returns rows from Python, called ``name`` in messages: a source, and a target or several.

    Raises:
        DataError: There is none, or a row is something else.
    """
    several: dict[int, Accepted] = {}
    single: list[object] = []
    for number, row in enumerate(as_list(rows, name, "pairs")):
        match row:
            case [str(source), [str(first), *_] as texts] if _are_texts(texts):
                several[number] = accepted(texts)
                single.append((source, first))
            case _:
                single.append(row)
    pairs = enumerate(given_pairs(single, name).pairs())
    return [(source, several.get(number, target)) for number, (source, target) in pairs]


def _are_texts(items: Sequence[object]) -> TypeGuard[Sequence[str]]:
    return all(isinstance(item, str) for item in items)


def read_cases(
    source: str, references: Sequence[str], translators: Sequence[str] = ()
) -> list[Case]:
    """Reads sources, and from each of several files a reference of each; all of them once.

    Raises:
        DataError: The files cannot be read, are empty, or differ in their number of lines.
    """
    sources = read_one(source, "source").texts
    accepted_ones = read_references(references, source, len(sources), translators)
    return list(zip(sources, accepted_ones, strict=True))


def grouped(cases: Iterable[Case]) -> list[Case]:
    """Makes one case of all that have the same source, with the references of all, each once.

    >>> grouped([("lead", "l i d"), ("tin", "t I n"), ("lead", "l E d"), ("tin", "t I n")])
    [('lead', ('l i d', 'l E d')), ('tin', 't I n')]
    """
    found: dict[str, dict[str, None]] = {}  # a dictionary keeps the order
    for source, texts in cases:
        found.setdefault(source, {}).update(dict.fromkeys(as_texts(texts)))
    return [(source, accepted(texts)) for source, texts in found.items()]


def tell_of_ambiguous(cases: Iterable[Case]) -> None:
    """Says how many sources stand in several cases with different references, if any do."""
    times = Counter(source for source, _ in set(cases)).values()
    if several := sum(count > 1 for count in times):
        log.info(
            "%s sources stand in several lines with other references, and each line accepts only "
            "its own; to accept any of a source's: --group-sources, or validation.group_sources in "
            "a configuration",
            f"{several:,}",
        )


def restored(cases: Iterable[Case], target: Pipeline) -> list[Accepted]:
    """Returns the references as :meth:`Pipeline.restored` makes them comparable."""
    return [accepted(target.restored(texts)) for _, texts in cases]
