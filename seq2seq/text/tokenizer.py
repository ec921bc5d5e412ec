"""What every tokenizer is: texts to tokens and back."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

FILE = "tokenizer.json"
TextSource: TypeAlias = Callable[[], Iterable[str]]
"""A function that returns the texts of a corpus from the beginning at each call."""


@runtime_checkable
class Tokenizer(Protocol):
    """Cuts texts into tokens and joins them again.

    Half a surrogate pair stands for a symbol of the user's (:mod:`seq2seq.text.marks`): it is never
    merged with others, unless spaces part tokens, where a token may have it inside.
    """

    @property
    def kind(self) -> str:
        """Name of the tokenizer in a configuration."""

    @property
    def reversible(self) -> bool:
        """Whether every text comes back exactly."""

    @property
    def spaced(self) -> bool:
        """Whether spaces part the tokens."""

    @property
    def alphabet(self) -> tuple[str, ...] | None:
        """Every token that :meth:`encode` can return; None where there is no end of them."""

    def encode(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns the tokens of each text."""

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[str]]:
        """Returns tokens cut at random, a pure function of both arguments; only for subwords."""

    def decode(self, tokens: Sequence[Sequence[str]]) -> list[str]:
        """Returns the text of each row of tokens."""

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""

    def save(self, folder: Path) -> None:
        """Writes the tokenizer into ``folder``."""

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Reads what :meth:`save` wrote."""
