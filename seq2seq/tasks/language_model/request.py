"""What is asked of a generator, checked and with the defaults filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seq2seq.errors import require
from seq2seq.search.config import SamplingConfig

Unknown = Literal["refuse", "replace"]
Ending = Literal["length", "stop", "document"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A text, or several, that are to be generated."""

    sampling: SamplingConfig
    seed: int
    """The same seed gives the same text."""
    prompt: str | None = None
    length: int = 500
    """Most characters after the prompt."""
    stop: str | Sequence[str] = ()
    """Text, or several, before which generation ends."""
    end: bool = True
    """Whether a text ends where the model ends a document."""
    unknown: Unknown = "refuse"
    """``replace`` lets a prompt hold characters that the model does not know."""

    def __post_init__(self) -> None:
        require(self.length >= 1, "length", "at least 1", self.length)
        require("" not in self.stops, "stop", "not empty", "")
        require(self.seed >= 0, "seed", "at least 0", self.seed)

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts before which generation ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


@dataclass(frozen=True)
class Sample:
    """A generated text."""

    prompt: str
    text: str
    """What follows the prompt."""
    seed: int
    number: int
    """Which of the samples with this seed it is; the first is 0."""
    ending: Ending
    """Why it ends: the length asked for, a stop text, or the end of a document."""
