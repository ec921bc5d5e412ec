"""The text of one sample as it grows."""

from collections.abc import Sequence

from seq2seq.symbols import EOS
from seq2seq.tasks.language_model.request import Ending, Request
from seq2seq.text.growing import GrowingText
from seq2seq.text.pipeline import Pipeline


class Writer:
    """The text of one sample as it grows: cut at its length, and before a stop text."""

    def __init__(
        self, pipeline: Pipeline, context: Sequence[int], request: Request, spaced: bool
    ) -> None:
        """``spaced`` says that the prompt ends in a space which its ids lack: the first word does
        not bring another.
        """  # noqa: D205
        self.growing = GrowingText(pipeline, context)
        self.spaced = spaced
        self.stops = request.stops
        self.left = request.length
        self.ending: Ending | None = None
        self.held = ""

    def write(self, token: int) -> str:
        """Takes a token; returns the text that is now certain."""
        piece = self.growing.finish() if token == EOS else self.growing.add(token)
        if piece and self.spaced:
            piece, self.spaced = piece.removeprefix(" "), False
        text, self.held = self.held + piece, ""
        if token == EOS:
            return self._cut(text, "document")
        # The stop text that is complete first decides, also where one token completes several.
        ends = [(at + len(stop), at) for stop in self.stops if (at := text.find(stop)) >= 0]
        if ends:
            return self._cut(text[: min(ends)[1]], "stop")
        keep = max((_overlap(text, stop) for stop in self.stops), default=0)
        self.held = text[len(text) - keep :]
        return self._cut(text[: len(text) - keep], None)

    def _cut(self, text: str, ending: Ending | None) -> str:
        """Returns as much of a text as fits into the length."""
        cut = len(text) > self.left or (len(text) == self.left and ending is None)
        self.ending = "length" if cut else ending
        text = text[: self.left]
        self.left -= len(text)
        return text


def _overlap(text: str, stop: str) -> int:
    """Returns how much of the beginning of ``stop`` the end of ``text`` is."""
    most = min(len(text), len(stop) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)
