"""Terms of every kind, drawn, and whether they stand in what is found; for tests and drills."""

import random
from collections.abc import Iterator
from typing import Any

from seq2seq.search.asked import Asked, Term, Words
from seq2seq.search.config import SearchConfig
from seq2seq.search.strategies import search
from seq2seq.symbols import BOS, EOS
from tests.search.test_search import TABLE, WORDS, Ids, sentences

SPACED = Words(opens=(True,) * 4 + (False, False, True), closes=(True,) * 4 + (False, False, True))
"""6 parts words, as a space does."""


def endings(ids: Ids, phrase: Ids, words: Words | None) -> set[int]:
    """Returns where a phrase ends, as whole words if told which tokens those are."""
    whole, size = (BOS, *ids, EOS), len(phrase)
    return {
        at + size
        for at in range(1, len(whole) - size)
        if whole[at : at + size] == phrase
        and (words is None or words.part(whole[at - 1], phrase[0]))
        and (words is None or words.part(phrase[-1], whole[at + size]))
    }


def times(ids: Ids, term: Term, words: Words | None) -> int:
    """Returns how often a term stands in a text."""
    return len(set[int]().union(*(endings(ids, one, words) for one in term.spellings)))


def fits(ids: Ids, asked: Asked) -> bool:
    """Tells whether a text is as it was asked for."""
    met = all(times(ids, term, asked.words) >= term.times for term in asked.terms)
    return ids[: len(asked.prefix)] == asked.prefix and met


def cases(numbers: random.Random, first: int, count: int) -> list[Asked]:
    """Draws terms: short and long, overlapping, repeated, of several spellings, after a prefix.

    The number of each text is that of its model, too.
    """

    def phrase() -> Ids:
        return tuple(numbers.choices(WORDS, k=numbers.randint(1, 3)))

    def term() -> Term:
        spellings = tuple(phrase() for _ in range(numbers.randint(1, 2)))
        return Term(spellings, numbers.randint(1, 2))

    return [
        Asked(
            number,
            tuple(numbers.choices(WORDS, k=numbers.randint(0, 2))),
            tuple(term() for _ in range(numbers.randint(1, 3))),
            numbers.choice((None, SPACED)),
        )
        for number in range(first, first + count)
    ]


def settings(numbers: random.Random) -> dict[str, Any]:
    """Draws settings of a search that make it harder to write terms."""
    repeated = numbers.choice((0, 0, 1, 2))
    return {
        "beam_size": numbers.randint(1, 5),
        "max_length": numbers.randint(2, 6),
        # Where nothing may be repeated, so small a vocabulary makes no long text.
        "min_length": 0 if repeated else numbers.randint(0, 2),
        "no_repeat_ngram": repeated,
        "length_penalty": numbers.choice((0.0, 1.0)),
        "coverage_penalty": numbers.choice((0.0, 0.3)),
    }


def unmet(seed: int, count: int, **changes: Any) -> Iterator[str]:
    """Searches as many texts, each of a random model; tells of those that lack what was asked."""
    numbers = random.Random(seed)
    asked = cases(numbers, seed * 1000, count)
    config = SearchConfig(**settings(numbers) | changes)
    found = search(TABLE, sentences([one.number for one in asked]), config, 1, asked)
    for one, (best,) in zip(asked, found, strict=True):
        if not fits(best.ids, one) or best.score == float("-inf"):
            yield f"{best}: not as asked for, {one}, with {config}"
