"""What is copied from the source: words that the vocabulary lacks, and placeholders.

In place of an unknown token stands what the model looked at most while it wrote it (Luong et al.
2015, "Addressing the Rare Word Problem in Neural Machine Translation", section 3.3).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from seq2seq.data.files import read_lines
from seq2seq.errors import DataError
from seq2seq.symbols import UNK
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.text.fixed import WordTokenizer
from seq2seq.text.places import word_of_source

WORDS = ("word", "space")
"""Tokenizers whose tokens are words."""
log = logging.getLogger("seq2seq")


def read_dictionary(path: str | Path) -> dict[str, str]:
    """Reads a dictionary: in each line a source word, a tab and what is written for it.

    Of several lines with the same source word the first counts.

    Raises:
        DataError: The file cannot be read, or a line has no tab.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        source, tab, target = line.partition("\t")
        if line.strip() and not tab:
            raise DataError(f"{path}: line {number:,}: has no tab; one parts source and target")
        if tab:
            found.setdefault(source.strip(), target.strip())
    return found


class Spelling(NamedTuple):
    """The tokens of a source."""

    tokens: Sequence[str]
    """As they stand in a target."""
    texts: Sequence[str]
    """As texts by themselves."""


def spelling(pipelines: Pipelines, text: str, ids: Sequence[int]) -> Spelling:
    """Returns the tokens of a source as they are spelt there, also those that are unknown.

    Where only the target's tokens are words, each is the whole word that it belongs to.
    """
    source, kind = pipelines.source, pipelines.target.tokenizer.kind
    if kind in WORDS and source.tokenizer.kind not in WORDS:
        words = [_bare(word) if kind == "word" else word for word in text.split()]
        places = word_of_source(source, text, ids)
        whole = [words[place] if place >= 0 else "" for place in places]
        return Spelling(whole, whole)
    tag, rest = source.cut_tag(text)
    row = source.spelt(rest)
    tokens = row if tag is None else [tag, *row]
    texts = [one.strip() for one in source.tokenizer.decode([[token] for token in tokens])]
    return Spelling(tokens if kind == source.tokenizer.kind else texts, texts)


def _bare(word: str) -> str:
    """Returns a word without the marks around it."""
    return max(WordTokenizer().split(word), key=len)


@dataclass(frozen=True, kw_only=True)
class Copying:
    """How tokens of a target are replaced by those of its source."""

    dictionary: Mapping[str, str] = field(default_factory=dict)
    """What is written for words of the source; all others are copied as they are."""
    placeholders: Sequence[str] = ()
    """Symbols that stand for something: one that a target has is that of the source which it
    looked at most, if that is one, too."""

    def copied(
        self,
        ids: Sequence[int],
        tokens: Sequence[str],
        attention: Float[np.ndarray, "T S"],
        source: Spelling,
    ) -> tuple[list[int], list[str]]:
        """Returns a target's ids, unknown where something is copied, and what is, in their order.

        Without attention nothing is.
        """
        aligned = attention.argmax(axis=1) if attention.any() else []
        row, found = list(ids), list[str]()
        for place, (index, token, at) in enumerate(zip(ids, tokens, aligned, strict=False)):
            if index == UNK:
                found.append(self.dictionary.get(source.texts[at], source.tokens[at]))
            elif token in self.placeholders and source.texts[at] in self.placeholders:
                row[place] = UNK
                found.append(source.tokens[at])
        return row, found

    def tell_of_lost(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Says how many texts lack placeholders that their sources have."""
        lost = [(source, mark) for source, text in pairs for mark in self._lost(source, text)]
        if not lost:
            return
        several = len({source for source, _ in lost})
        source, mark = lost[0]
        log.warning(
            "%d of %d translations lack placeholders of their sources; the first lacks %s: %.60r",
            *(several, len(pairs), mark, source),
        )

    def _lost(self, source: str, text: str) -> list[str]:
        return [mark for mark in self.placeholders if text.count(mark) < source.count(mark)]
