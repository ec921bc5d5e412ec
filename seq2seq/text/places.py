"""Which word of a text each of its tokens belongs to; words are what white space parts."""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

import numpy as np
from jaxtyping import Int

from seq2seq.symbols import UNK
from seq2seq.text.pipeline import Pipeline

NONE = -1
"""In place of a word's number: the token is white space alone."""


def word_of_each(pipeline: Pipeline, ids: Sequence[int], unknown: Sequence[str] = ()) -> list[int]:
    """Returns the word of each token of a decoded text; :data:`NONE` for white space.

    Found from the texts of all beginnings, since what a token adds depends on what stands before
    it. A token that is part of a character belongs where that is; one that has parts of two words,
    to the first. ``unknown`` are the tokens that stand for unknown ones, as for decoding.
    """
    beginnings = list(_beginnings(pipeline, ids, unknown))
    texts = pipeline.decode([row for row, _ in beginnings], [instead for _, instead in beginnings])
    words = _word_of_characters(texts[-1] if texts else "")
    found = []
    for start, end in pairwise([0, *map(len, texts)]):
        inside = words[start:end] if end > start else words[max(0, end - 1) : end]
        found.append(int(next((word for word in inside if word != NONE), NONE)))
    tags = len(_tags(pipeline, ids))
    return [*found[:tags], *found[tags:][::-1]] if pipeline.reversed else found


def _tags(pipeline: Pipeline, ids: Sequence[int]) -> Sequence[int]:
    """Returns the language tag that ids begin with, if any; it stays first in reversed ones."""
    return ids[:1] if ids and ids[0] in pipeline.vocabulary.tag_ids.values() else ids[:0]


def _beginnings(
    pipeline: Pipeline, ids: Sequence[int], unknown: Sequence[str]
) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
    """Yields the ids of each beginning of a text, by a token longer each, and its ``unknown``."""
    if not pipeline.reversed:
        yield from ((ids[:last], unknown) for last in range(1, len(ids) + 1))
        return
    tags = _tags(pipeline, ids)
    if tags:
        yield tags, ()
    for first in range(len(ids) - 1, len(tags) - 1, -1):
        rest = ids[first:]
        yield [*tags, *rest], unknown[max(0, len(unknown) - rest.count(UNK)) :]


def word_of_source(pipeline: Pipeline, text: str, ids: Sequence[int]) -> list[int]:
    """Returns the word of each token of an encoded text, by the words of the text as it was given.

    Normalisers may have made several words of one, or none.
    """
    normalize = pipeline.normalizers.normalize
    owners = list(
        chain.from_iterable(
            [number] * len(normalize(word).split()) for number, word in enumerate(text.split())
        )
    )
    last = len(owners) - 1
    return [
        NONE if word == NONE or last < 0 else owners[min(word, last)]
        for word in word_of_each(pipeline, ids)
    ]


def _word_of_characters(text: str) -> Int[np.ndarray, "_"]:
    """Returns the word of each character; :data:`NONE` for white space."""
    space = np.array([char.isspace() for char in text], bool)
    begins = ~space & np.concatenate([[True], space[:-1]])[: len(space)]
    return np.where(space, NONE, np.cumsum(begins) - 1)
