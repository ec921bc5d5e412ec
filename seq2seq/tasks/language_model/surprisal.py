"""How unlikely a text was to a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from seq2seq.text.growing import GrowingText
from seq2seq.text.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Surprisal:
    """How unlikely a text was to the model, character by character (or piece by piece)."""

    tokens: tuple[str, ...]
    """The text, cut as the model reads it; a character that takes several bytes is whole."""
    bits: Float[np.ndarray, "T"]
    """``-log2 p(token | all before it)``."""
    characters: int

    @property
    def bits_per_character(self) -> float:
        """Bits of the whole text over its number of characters."""
        return float(self.bits.sum()) / self.characters


def by_character(
    pipeline: Pipeline, ids: Sequence[int], bits: Float[np.ndarray, "T"], characters: int
) -> Surprisal:
    """Returns the surprisal of a text from that of its tokens.

    Tokens that are less than a character are joined to whole ones, and their bits added up.
    """
    growing, tokens, sums, waiting = GrowingText(pipeline), list[str](), list[float](), 0.0
    for index, token_bits in zip(ids, bits.tolist(), strict=True):
        waiting += token_bits
        if text := growing.add(index):
            tokens.append(text)
            sums.append(waiting)
            waiting = 0.0
    rest = growing.finish()
    if rest or waiting:  # the last tokens may be less than a character, or have no text
        tokens.append(rest)
        sums.append(waiting)
    return Surprisal(tuple(tokens), np.array(sums), characters)
