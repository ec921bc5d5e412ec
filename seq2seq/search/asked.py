"""What is asked of a text besides its source: how it begins, and what must stand in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors.tree import each


@dataclass(frozen=True)
class Term:
    """A phrase that must stand in a text, in any of its spellings."""

    spellings: tuple[tuple[int, ...], ...]
    """Each the tokens of the phrase; none is empty."""
    times: int = 1
    """How often it must stand there: at so many places one of its spellings ends."""


@dataclass(frozen=True)
class Words:
    """Where words begin and end, by the tokens on either side."""

    opens: tuple[bool, ...]
    """For each token, whether a word ends before it, whatever stands there."""
    closes: tuple[bool, ...]
    """For each token, whether a word may begin after it, whatever stands there."""
    given: frozenset[int] = frozenset()
    """Tokens that stand for something, such as tags and placeholders: they part no words."""

    @cached_property
    def separators(self) -> tuple[int, ...]:
        """The tokens that belong to no word."""
        both = zip(self.opens, self.closes, strict=True)
        return tuple(
            token
            for token, free in enumerate(map(all, both))
            if free and token > EOS and token not in self.given
        )

    def part(self, before: int, after: int) -> bool:
        """Tells whether no word goes on from one token to the next."""
        return before == BOS or after == EOS or self.closes[before] or self.opens[after]


@dataclass(frozen=True)
class Asked:
    """What is asked of one text."""

    number: int
    """Which text of the request it is: what is drawn for it depends on nothing else."""
    prefix: tuple[int, ...] = ()
    """The tokens that it must begin with."""
    terms: tuple[Term, ...] = ()
    """The phrases that must stand in it."""
    words: Words | None = None
    """What makes phrases stand as whole words; None: they may stand inside of words."""

    @property
    def least(self) -> int:
        """How many tokens there must be room for, one between two terms included."""
        return len(self.prefix) + sum(term.times * self.cost(term) for term in self.terms)

    def cost(self, term: Term) -> int:
        """Returns how many tokens are enough for a term, wherever the text has come to.

        Those of its shortest spelling that may begin anywhere; without such, those of its shortest,
        and one before it that ends a word.
        """
        anywhere = [way for way in term.spellings if self.words is None or self.words.opens[way[0]]]
        return min(map(len, anywhere)) if anywhere else 1 + min(map(len, term.spellings))


@dataclass(frozen=True)
class Bounds:
    """What is asked of the texts of a batch, as far as it bounds what may follow."""

    limits: Int[Tensor, "B"]
    """The most tokens of each text, its end symbol included."""
    prefix: Int[Tensor, "B P"]
    """The tokens that each text must begin with, filled up with padding: there all may follow."""
    sources: Int[Tensor, "B"]
    """The steps of each source; 0 where there is none."""

    @classmethod
    def of(
        cls, limits: Int[Tensor, "B"], asked: Sequence[Asked], sources: Int[Tensor, "B"]
    ) -> "Bounds":
        """Makes room for what is asked where the limits leave none."""
        longest = max((len(one.prefix) for one in asked), default=0)
        rows = [[*one.prefix, *[PAD] * (longest - len(one.prefix))] for one in asked]
        prefix = torch.tensor(rows, dtype=torch.long, device=limits.device)
        least = limits.new_tensor([one.least + 1 for one in asked])
        return cls(torch.maximum(limits, least), prefix.view(len(rows), longest), sources)

    @classmethod
    def none(cls, limits: Int[Tensor, "B"]) -> "Bounds":
        """Returns bounds that are limits alone."""
        return cls(limits, limits.new_zeros(len(limits), 0), torch.zeros_like(limits))

    def select(self, rows: Int[Tensor, "R"]) -> "Bounds":
        """Returns the bounds of the given texts."""
        return each(self, lambda tensor: tensor[rows])
