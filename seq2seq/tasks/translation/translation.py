"""What a translator returns: texts with their tokens, scores and attention."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.errors import as_path
from seq2seq.evaluation.plots.attention import plot_attention
from seq2seq.text.sentences import Sentences


@dataclass(frozen=True, eq=False)
class Translation:
    """A text that the model found for a source."""

    text: str
    score: float
    """Log-probability in nats, divided by length to the length penalty."""
    source_tokens: tuple[str, ...] = field(repr=False, default=())
    target_tokens: tuple[str, ...] = field(repr=False, default=())
    """The tokens; the end symbol is the last."""
    attention: np.ndarray = field(repr=False, default_factory=lambda: np.zeros((0, 0)))
    """``[T, S]``: where each target token looked; rows sum to 1, less where a model of an ensemble
    has no attention."""
    alternatives: "tuple[Translation, ...]" = field(repr=False, default=())
    """All hypotheses asked for, best first, this one included."""
    source: str = field(repr=False, default="")
    """The text that was translated."""

    def alignment(self) -> list[int]:
        """Returns, for each target token, the source token that it looked at most."""
        return [int(step) for step in self.attention.argmax(axis=1)] if self.attention.any() else []

    def record(self) -> dict[str, Any]:
        """Returns what ``--format jsonl`` prints: source, tokens, and all hypotheses."""
        return {
            "source": self.source,
            "source_tokens": self.source_tokens,
            "hypotheses": [
                {
                    "text": hypothesis.text,
                    "score": hypothesis.score,
                    "tokens": hypothesis.target_tokens,
                    "alignment": hypothesis.alignment(),
                }
                for hypothesis in self.alternatives
            ],
        }

    def plot_attention(self, path: str | Path | None = None) -> Path:
        """Draws where each target token looked; returns the picture's path.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        path = as_path("attention.png" if path is None else path, "path")
        plot_attention(self.attention, self.source_tokens, self.target_tokens, path)
        return path


def joined(
    text: str, whole: Sentences, parts: Sequence[Translation], penalty: float, n_best: int
) -> Translation:
    """Returns the translations of a text's sentences as one, with the likeliest alternatives.

    The score is that of all sentences together: log-probability over length to the ``penalty``.
    Alternatives differ in what their sentences score, and count by the lengths of the best ones.
    """
    if len(parts) == 1 and parts[0].source == text:
        return parts[0]
    lengths = [len(part.target_tokens) for part in parts]
    found: list[tuple[tuple[Translation, ...], float]] = [((), 0.0)]
    for part, length in zip(parts, lengths, strict=True):
        weight = (length / max(1, sum(lengths))) ** penalty
        longer = [
            ((*before, one), score + weight * one.score)
            for before, score in found
            for one in part.alternatives
        ]
        found = sorted(longer, key=lambda entry: -entry[1])[:n_best]
    hypotheses = tuple(_chained(text, whole, chosen, score) for chosen, score in found)
    return replace(hypotheses[0], alternatives=hypotheses)


def _chained(
    text: str, whole: Sentences, parts: Sequence[Translation], score: float
) -> Translation:
    """Returns one translation of each sentence after the other; only the last end symbol stays."""
    targets = [part.target_tokens[:-1] for part in parts[:-1]] + [parts[-1].target_tokens]
    rows = [len(target) for target in targets]
    columns = [len(part.source_tokens) for part in parts]
    attention = np.zeros((sum(rows), sum(columns)), dtype=parts[0].attention.dtype)
    places = zip(accumulate(rows, initial=0), accumulate(columns, initial=0), strict=True)
    for (row, column), target, part in zip(places, targets, parts, strict=False):
        looks = part.attention[: len(target)]
        attention[row : row + len(looks), column : column + looks.shape[1]] = looks
    return Translation(
        whole.join(part.text for part in parts),
        score,
        tuple(chain.from_iterable(part.source_tokens for part in parts)),
        tuple(chain.from_iterable(targets)),
        attention,
        source=text,
    )


def blank(source: str) -> Translation:
    """Returns the translation of a source without text."""
    nothing = Translation("", 0.0, source=source)
    return replace(nothing, alternatives=(nothing,))
