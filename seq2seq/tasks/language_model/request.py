"""What is asked of a generator, checked and with the defaults filled in."""

from dataclasses import dataclass
from typing import Literal

from seq2seq.errors import require, require_kind, require_whole
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
    stops: tuple[str, ...] = ()
    """Texts before which generation ends."""
    end: bool = True
    """Whether a text ends where the model ends a document."""

    def __post_init__(self) -> None:
        require_whole(self.length, "length", 1)
        require_whole(self.seed, "seed", 0)
        require_kind(self.end, bool, "end")
        require("" not in self.stops, "stop", "not empty", "")


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
