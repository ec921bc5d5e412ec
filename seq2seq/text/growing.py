"""Tokens to text one at a time: what is whole is given out at once, and memory stays small."""

from collections.abc import Sequence

from seq2seq.symbols import BOS
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.subword import UNFINISHED

MOST_WAITING = 16
"""Tokens that may wait for the rest of their character."""


class GrowingText:
    """Decodes a text as it grows: joined, the pieces are the decoded whole.

    >>> from seq2seq.text.settings import PipelineConfig
    >>> pipeline = Pipeline.train(PipelineConfig(tokenizer="byte"), ["né"])
    >>> growing = GrowingText(pipeline)
    >>> [growing.add(token) for token in pipeline.encode(["né"])[0]] + [growing.finish()]
    ['n', '', 'é', '']
    """

    def __init__(self, pipeline: Pipeline, before: Sequence[int] = ()) -> None:
        """Goes on after the tokens ``before``, whose text is not given out."""
        self.pipeline = pipeline
        self._given = [token for token in before[-MOST_WAITING:] if token != BOS]
        self._waiting: list[int] = []

    def add(self, token: int) -> str:
        """Takes a token; returns the characters that it makes whole, often one or none."""
        if token in self.pipeline.letters:  # the usual case, and twenty times as fast
            return self.pipeline.letters[token]
        self._waiting.append(token)
        before, after = self.pipeline.decode([self._given, self._given + self._waiting])
        if after.endswith(UNFINISHED) and len(self._waiting) < MOST_WAITING:
            return ""
        self._given, self._waiting = (self._given + self._waiting)[-MOST_WAITING:], []
        return after[len(before) :]

    def finish(self) -> str:
        """Returns what still waits, whole or not."""
        before, after = self.pipeline.decode([self._given, self._given + self._waiting])
        self._waiting = []
        return after[len(before) :]
