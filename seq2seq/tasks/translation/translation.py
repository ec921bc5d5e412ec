"""What a translator returns: texts with their tokens, scores and attention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float

from seq2seq.errors import as_path, require_name
from seq2seq.evaluation.plots.attention import plot_attention
from seq2seq.text.places import NONE
from seq2seq.text.sentences import Sentences

AlignmentUnit = Literal["word", "token"]
"""What is aligned: words, parted by white space, or the tokens that the models see."""
Places: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""The word that each source token belongs to, and the same of target tokens; ``NONE``: to none."""


class WordPlaces:
    """Which words tokens belong to, found out when it is first asked for.

    Copies that go to other processes take along what was found out, and no tokenizers.
    """

    def __init__(self, find: Callable[[], Places]) -> None:
        self._find = find

    @cached_property
    def found(self) -> Places:
        """The words of source and target tokens."""
        return self._find()

    def __getstate__(self) -> dict[str, Any]:
        return {"found": self.found}


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
    utility: float | None = field(repr=False, default=None)
    """How much it is like all candidates, where it was chosen by minimum Bayes risk."""
    seed: int | None = field(repr=False, default=None)
    """What it was drawn with, where it was."""
    places: WordPlaces | None = field(repr=False, default=None)

    def alignment(self, unit: AlignmentUnit = "token") -> list[int]:
        """Returns, for each target token (or word), the source token (word) it looked at most.

        Words are what white space parts in source and text; a word looks with all its tokens. The
        end symbol is the last token, and belongs to no word. Without attention there is none.
        """
        require_name(unit, "unit", get_args(AlignmentUnit))
        if not self.attention.any():
            return []
        looked = self._attention_of_words() if unit == "word" else self.attention
        return [int(step) for step in looked.argmax(axis=1)] if looked.size else []

    def pharaoh(self, unit: AlignmentUnit = "word") -> str:
        """Returns the alignment as aligners write it: source-target, from 0, without the end."""
        links = self.alignment(unit)
        ends = unit == "token" and bool(links)
        return " ".join(f"{source}-{at}" for at, source in enumerate(links[: len(links) - ends]))

    def _attention_of_words(self) -> Float[np.ndarray, "M N"]:
        """Returns the attention of all tokens of a word to those of another, added up."""
        found = ((), ()) if self.places is None else self.places.found
        sources, targets = (np.array(one, int) for one in found)
        looked = np.zeros((targets.max(initial=NONE) + 1, sources.max(initial=NONE) + 1))
        rows, columns = (targets != NONE).nonzero()[0], (sources != NONE).nonzero()[0]
        inside = self.attention[np.ix_(rows, columns)]
        np.add.at(looked, np.ix_(targets[rows], sources[columns]), inside)
        return looked

    def record(self) -> dict[str, Any]:
        """Returns what ``--format jsonl`` prints: source, tokens, and all hypotheses."""
        drawn = {} if self.seed is None else {"seed": self.seed}
        return {
            "source": self.source,
            "source_tokens": self.source_tokens,
            **drawn,
            "hypotheses": [one._hypothesis() for one in self.alternatives],
        }

    def _hypothesis(self) -> dict[str, Any]:
        judged = {} if self.utility is None else {"utility": self.utility}
        return {
            "text": self.text,
            "score": self.score,
            **judged,
            "tokens": self.target_tokens,
            "alignment": self.alignment(),
            "word_alignment": self.alignment("word"),
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

    The score is that of all sentences together: log-probability over length to the ``penalty``; a
    utility is the mean by length. Alternatives differ in what their sentences score (or in their
    utility, if they have one), and count by the lengths of the best ones.
    """
    if len(parts) == 1 and parts[0].source == text:
        return parts[0]
    lengths = [len(part.target_tokens) for part in parts]
    judged = any(part.utility is not None for part in parts)
    found: list[tuple[tuple[Translation, ...], float, float]] = [((), 0.0, 0.0)]
    for part, length in zip(parts, lengths, strict=True):
        share = length / max(1, sum(lengths))
        weight = share**penalty
        longer = [
            ((*before, one), score + weight * one.score, utility + share * (one.utility or 0.0))
            for before, score, utility in found
            for one in part.alternatives
        ]
        found = sorted(longer, key=lambda entry: -(entry[2] if judged else entry[1]))[:n_best]
    hypotheses = tuple(
        _chained(text, whole, chosen, score, utility if judged else None)
        for chosen, score, utility in found
    )
    return replace(hypotheses[0], alternatives=hypotheses)


def _chained(
    text: str, whole: Sentences, parts: Sequence[Translation], score: float, utility: float | None
) -> Translation:
    """Returns one translation of each sentence after the other; only the last end symbol stays."""
    targets = [part.target_tokens[:-1] for part in parts[:-1]] + [parts[-1].target_tokens]
    rows = [len(target) for target in targets]
    columns = [len(part.source_tokens) for part in parts]
    attention = np.zeros((sum(rows), sum(columns)), dtype=parts[0].attention.dtype)
    starts = zip(accumulate(rows, initial=0), accumulate(columns, initial=0), strict=True)
    for (row, column), target, part in zip(starts, targets, parts, strict=False):
        looks = part.attention[: len(target)]
        attention[row : row + len(looks), column : column + looks.shape[1]] = looks
    return Translation(
        whole.join(part.text for part in parts),
        score,
        tuple(chain.from_iterable(part.source_tokens for part in parts)),
        tuple(chain.from_iterable(targets)),
        attention,
        source=text,
        utility=utility,
        seed=parts[0].seed,
        places=WordPlaces(partial(_places_of, whole, parts)),
    )


def _places_of(whole: Sentences, parts: Sequence[Translation]) -> Places:
    """Returns the words of the tokens of all sentences, as numbered in the whole texts."""
    firsts = whole.first_words
    later = whole.filled([part.text for part in parts]).first_words
    found: tuple[list[int], list[int]] = ([], [])
    for part, source, target in zip(parts, firsts, later, strict=True):
        sources, targets = part.places.found if part.places is not None else ((), ())
        # A tag is each sentence's first word, and one word of the text.
        tags = int(whole.tag is not None)
        found[0].extend(word if word < tags else source + word for word in sources)
        found[1].extend(word if word == NONE else target + word for word in targets)
    return found


def blank(source: str) -> Translation:
    """Returns the translation of a source without text."""
    nothing = Translation("", 0.0, source=source)
    return replace(nothing, alternatives=(nothing,))
