"""What users ask of translations besides their sources: beginnings, phrases, what is copied."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from seq2seq.errors import DataError, as_list, as_texts, require, require_kind
from seq2seq.search.asked import Asked, Term, Words
from seq2seq.search.config import SearchConfig
from seq2seq.symbols import UNK
from seq2seq.tasks.translation.borders import borders, is_border
from seq2seq.tasks.translation.copying import Copying
from seq2seq.tasks.translation.glossary import Glossary
from seq2seq.text.marks import JOINED
from seq2seq.text.pipeline import Pipeline

log = logging.getLogger("seq2seq")
GivenT = TypeVar("GivenT")
CARRIER = "a"
"""Stands before a phrase to see how it is spelt after another word, or right after a letter."""
SIGNS = "-("
"""Stand between the two to see how it is spelt right after a sign."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What is asked of the translations of several texts."""

    prefixes: Sequence[str] | None = None
    """What each must begin with; an empty text leaves it free. Its last word may be gone on with.
    """
    terms: Sequence[Sequence[str | Sequence[str]]] | None = None
    """The phrases that must stand in each, as whole words; in place of a phrase there may be
    several, of which any will do."""
    glossary: Glossary | None = None
    """Terms that must stand for those of the sources."""
    dictionary: Mapping[str, str] | None = None
    """What is written for words of the sources where `replace_unknown` copies them."""
    placeholders: Sequence[str] | None = None
    """Symbols, such as ``<url>``, that stand for the same in a source and its translation. Of
    several that one is written which was looked at; how many texts lack one is told. None: the
    symbols that both pipelines have."""

    def __post_init__(self) -> None:
        require_kind(self.glossary or Glossary({"": ("",)}), Glossary, "glossary")
        require_kind({} if self.dictionary is None else self.dictionary, Mapping, "dictionary")
        as_texts(self.placeholders or (), "placeholders")

    def copying(self, search: SearchConfig, symbols: Sequence[str] = ()) -> Copying | None:
        """Returns what is copied from the sources, if anything is; of ``symbols`` unless told.

        Raises:
            ConfigError: There is a dictionary, but no word is replaced.
        """
        copies = search.replace_unknown
        accepted = "left out where replace_unknown is false"
        require(copies or not self.dictionary, "dictionary", accepted, self.dictionary)
        marks = tuple(symbols if self.placeholders is None else self.placeholders)
        if not (copies or marks):
            return None
        return Copying(dictionary=self.dictionary or {}, placeholders=marks)

    def asked(self, texts: Sequence[str], numbers: Sequence[int], target: Pipeline) -> list[Asked]:
        """Returns what is asked of each text, which has a number in the request.

        Raises:
            DataError: There are more or fewer prefixes or terms than texts, or something else.
            ConfigError: There are prefixes, but the model writes from the end.
        """
        if not any(one is not None for one in (self.prefixes, self.terms, self.glossary)):
            return [Asked(number) for number in numbers]
        fits = self.prefixes is None or not target.reversed
        require(fits, "prefixes", "left out where target.reversed is true", self.prefixes)
        prefixes = self._given("prefixes", self.prefixes, "", texts)
        begun = target.encode(as_texts(prefixes, "prefixes"))
        phrases = self._given("terms", self.terms, (), texts)
        rows = zip(numbers, texts, begun, phrases, strict=True)
        return [
            Asked(number, tuple(prefix), self._terms(number, text, some, target), words_of(target))
            for number, text, prefix, some in rows
        ]

    def _given(
        self, key: str, given: Iterable[GivenT] | None, nothing: GivenT, texts: Sequence[str]
    ) -> Sequence[GivenT]:
        """Returns what is given for each text."""
        if given is None:
            return [nothing] * len(texts)
        listed = as_list(given, key, "one entry a text")
        if len(listed) != len(texts):
            raise DataError(
                f"{key}: must be as many as texts ({len(texts):,}), got {len(listed):,}"
            )
        return listed

    def _terms(
        self, number: int, text: str, given: Sequence[str | Sequence[str]], target: Pipeline
    ) -> tuple[Term, ...]:
        """Returns what must stand in one translation."""
        where = f"terms: row {number:,}"
        phrases = [tuple(as_texts(one, where)) for one in as_list(given, where, "phrases")]
        if () in phrases:
            raise DataError(
                f"{where}: must be phrases, or lists of at least one, got an empty list"
            )
        if self.glossary is not None:
            phrases += self.glossary.found(text)
        return terms_of(target, phrases)


@lru_cache(maxsize=8)
def words_of(target: Pipeline) -> Words:
    """Returns where words begin and end among the tokens of a pipeline."""
    found = borders(replace(target, reversed=False))
    glue = target.vocabulary.symbol_ids.get(JOINED)
    opens, closes = (
        tuple(free and token != glue for token, free in enumerate(side))
        for side in (found.opens, found.closes)
    )
    if target.reversed:
        opens, closes = closes, opens
    return Words(opens, closes, target.vocabulary.given_ids)


@lru_cache(maxsize=2**16)
def spellings(target: Pipeline, phrase: str) -> tuple[tuple[int, ...], ...]:
    """Returns the tokens that a phrase may be: where a text begins, and after another word.

    Also those right after a sign, and after a letter where no word goes on from that to the phrase.
    None where the vocabulary lacks what it needs.
    """
    plain = replace(target, reversed=False)
    before = [CARRIER] * bool(phrase and is_border(CARRIER, phrase[0]))
    before += [f"{CARRIER}{sign}" for sign in SIGNS] * bool(words_of(target).separators)
    texts = [f"{CARRIER} {phrase}", *(f"{one}{phrase}" for one in before)]
    starts = plain.encode([CARRIER, *before])
    first, *others = plain.encode([phrase, *texts])
    pairs = zip(starts, others, strict=True)
    ways = [first, *(way[len(start) :] for start, way in pairs if way[: len(start)] == start)]
    said = [text.strip() for text in plain.decode(ways)]
    ways = [way for way, text in zip(ways, said, strict=True) if text == said[0]]
    if target.reversed:
        ways = [way[::-1] for way in ways]
    return tuple(dict.fromkeys(tuple(way) for way in ways if way and UNK not in way))


def terms_of(target: Pipeline, phrases: Iterable[Sequence[str]]) -> tuple[Term, ...]:
    """Returns what must stand in a text: of each entry one of its phrases.

    An entry none of whose phrases can be written with the vocabulary is left out, and told of.
    """
    counts: dict[tuple[tuple[int, ...], ...], int] = {}
    for several in phrases:
        ways = tuple(dict.fromkeys(way for one in several for way in spellings(target, one)))
        if ways:
            counts[ways] = counts.get(ways, 0) + 1
        else:
            _tell_of_unwritable(several[0])
    return tuple(Term(ways, times) for ways, times in counts.items())


@lru_cache
def _tell_of_unwritable(phrase: str) -> None:
    log.warning(
        "the term %r cannot be written with the model's vocabulary, and is left out", phrase
    )
