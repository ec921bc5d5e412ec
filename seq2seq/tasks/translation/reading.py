"""The ids that a search found, read as translations."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from seq2seq.search.config import SearchConfig
from seq2seq.search.stepper import Hypothesis
from seq2seq.tasks.translation.copying import Copying, spelling
from seq2seq.tasks.translation.mbr import most_alike
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.tasks.translation.translation import Places, Translation, WordPlaces
from seq2seq.text.places import word_of_each, word_of_source

Written: TypeAlias = tuple[Sequence[int], Sequence[str]]
"""The ids of a text, and what stands in it for those that are unknown, one after the other."""


def read(
    pipelines: Pipelines,
    text: str,
    row: Sequence[int],
    hypotheses: Sequence[Hypothesis],
    search: SearchConfig,
    copying: Copying | None,
    n_best: int,
) -> Translation:
    """Returns the best hypotheses for a source, given as text and as ids, as texts."""
    looked = [hypothesis.attention[:, : len(row)].float().numpy() for hypothesis in hypotheses]
    found: list[Written] = [(one.ids, ()) for one in hypotheses]
    if copying is not None:
        spelt, tokens = spelling(pipelines, text, row), pipelines.target.tokens
        found = [
            copying.copied(one.ids, tokens(one.ids), attention, spelt)
            for one, attention in zip(hypotheses, looked, strict=True)
        ]
    translations = _translations(pipelines, text, row, hypotheses, looked, found)
    if search.strategy == "sampling":
        translations = [replace(one, seed=search.seed) for one in translations]
    whole = replace(translations[0], alternatives=tuple(translations))
    return whole if search.mbr == "none" else most_alike(whole, search, n_best)


def _translations(
    pipelines: Pipelines,
    text: str,
    row: Sequence[int],
    hypotheses: Sequence[Hypothesis],
    looked: Sequence[Float[np.ndarray, "_ S"]],
    found: Sequence[Written],
) -> list[Translation]:
    """Returns each hypothesis as a text, with what is known of it."""
    target, source_tokens = pipelines.target, tuple(pipelines.source.tokens(row))
    texts = target.decode([ids for ids, _ in found], [instead for _, instead in found])
    return [
        Translation(
            written,
            hypothesis.score,
            source_tokens,
            (*target.tokens(hypothesis.ids), "<eos>"),
            attention,
            source=text,
            places=WordPlaces(partial(_places, pipelines, text, row, *ids)),
        )
        for written, hypothesis, attention, ids in zip(
            texts, hypotheses, looked, found, strict=True
        )
    ]


def _places(
    pipelines: Pipelines,
    text: str,
    row: Sequence[int],
    ids: Sequence[int],
    instead: Sequence[str],
) -> Places:
    """Returns the words that the tokens of a source and of its translation belong to."""
    places = word_of_source(pipelines.source, text, row)
    return places, word_of_each(pipelines.target, ids, instead)
