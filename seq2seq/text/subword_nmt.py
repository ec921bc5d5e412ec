"""Byte-pair encoding as subword-nmt does it, by its files or fastBPE's (Sennrich et al. 2016).

Texts are pre-tokenised: words are what spaces part. All pieces of a word but the last end in
``@@``. With a vocabulary, pieces that it lacks are taken apart again.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import ClassVar, cast

from seq2seq.errors import CheckpointError, DataError, as_texts
from seq2seq.text import storage
from seq2seq.text.codes import MORE, Codes, cut, read_codes, read_vocabulary
from seq2seq.text.marks import GLUE, apart, is_mark
from seq2seq.text.tokenizer import FILE

NAME = "subword-nmt"
CODES_FILE, VOCABULARY_FILE = "tokenizer.codes", "tokenizer.vocabulary"
RUN_ON = re.compile(f"{MORE} |{MORE} ?\\Z")


@dataclass(frozen=True)
class SubwordNmtTokenizer:
    r"""Cuts words into pieces by the codes of subword-nmt or fastBPE, just as subword-nmt does.

    >>> SubwordNmtTokenizer(b"#version: 0.2\nl o\nlo w</w>\n").encode(["low lows"])
    [['low', 'lo@@', 'w@@', 's']]
    """

    codes: bytes
    """A file of codes, as it was given: a merge a line, the first ones first."""
    vocabulary: bytes | None = None
    """A file of tokens and their counts: of subword-nmt, fairseq or OpenNMT."""
    threshold: int = 0
    """How often that file must count a token; rarer ones are as if they were not there."""
    sampling: float = 0.0
    """The chance of skipping a merge (Provilkov et al. 2020); 0 is off."""
    kind: ClassVar[str] = NAME
    reversible: ClassVar[bool] = False
    spaced: ClassVar[bool] = True

    @classmethod
    def from_files(
        cls, codes: Path, vocabulary: Path | None = None, threshold: int = 0
    ) -> "SubwordNmtTokenizer":
        """Takes a user's own files.

        Raises:
            DataError: One cannot be read, or a line is none of such a file; says which.
        """
        own = None if vocabulary is None else _content(vocabulary)
        tokenizer = cls(_content(codes), own, threshold)
        tokenizer._read(str(codes), str(vocabulary))
        return tokenizer

    def _read(self, codes: str = CODES_FILE, vocabulary: str = VOCABULARY_FILE) -> Codes:
        """Reads the files; messages call them as the arguments do."""
        found = read_codes(self.codes, codes)
        if self.vocabulary is None:
            return found
        return found.limited(read_vocabulary(self.vocabulary, self.threshold, vocabulary))

    @cached_property
    def _codes(self) -> Codes:
        return self._read()

    @cached_property
    def alphabet(self) -> tuple[str, ...] | None:
        """The tokens of the vocabulary; a character that it lacks is one, too, but unknown.

        None where there is no vocabulary.
        """
        tokens = self._codes.vocabulary
        return None if tokens is None else tuple(tokens)

    @property
    def drawable(self) -> tuple[str, ...]:
        """What may be drawn where there is no vocabulary, besides characters that no code has."""
        drawn = self.sampling and self.alphabet is None
        return tuple(dict.fromkeys(self._codes.drawable())) if drawn else ()

    def characters(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns the pieces of each text with no merge at all."""
        return replace(self, sampling=1.0).sample(texts, 0)

    def encode(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns the pieces of each text."""
        codes = self._codes
        return [_row(text, lambda word: cut(codes, word)) for text in as_texts(texts)]

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[str]]:
        """Returns pieces made with some merges left out, as subword-nmt draws them by that seed.

        A pure function of both arguments and the files, in every process.
        """
        if not self.sampling:
            return self.encode(texts)
        codes, rng = self._codes, Random(seed)
        return [
            _row(text, lambda word: codes.draw(word, self.sampling, rng))
            for text in as_texts(texts)
        ]

    def decode(self, tokens: Sequence[Sequence[str]]) -> list[str]:
        """Returns the text of each row of pieces."""
        return [RUN_ON.sub("", " ".join(row)) for row in tokens]

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        settings = {
            "kind": NAME,
            "threshold": self.threshold,
            "sampling": float(self.sampling),
            "vocabulary": self.vocabulary is not None,
        }
        own = {} if self.vocabulary is None else {VOCABULARY_FILE: self.vocabulary}
        return {FILE: storage.to_json(settings), CODES_FILE: self.codes, **own}

    def save(self, folder: Path) -> None:
        """Writes the settings and the user's files into ``folder``."""
        storage.write(folder, self.files())

    @classmethod
    def load(cls, folder: Path) -> "SubwordNmtTokenizer":
        """Reads what :meth:`save` wrote.

        Raises:
            CheckpointError: A file is missing or damaged.
        """
        fields = {"threshold": int, "sampling": float, "vocabulary": bool}
        settings = storage.read_json(folder / FILE, fields)
        tokenizer = cls(
            storage.read(folder / CODES_FILE),
            storage.read(folder / VOCABULARY_FILE) if settings["vocabulary"] else None,
            cast(int, settings["threshold"]),
            cast(float, settings["sampling"]),
        )
        try:
            tokenizer._read(str(folder / CODES_FILE), str(folder / VOCABULARY_FILE))
        except DataError as error:
            raise CheckpointError(str(error)) from None
        return tokenizer


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _row(text: str, pieces: Callable[[str], Sequence[str]]) -> list[str]:
    """Returns the tokens of a text; marks, and what they part, are words by themselves."""
    words = list(filter(None, text.strip("\r\n ").split(" ")))
    if not text.isascii():
        words = apart(words)
    return [
        token
        for word in words
        for token in ((word,) if word == GLUE or is_mark(word) else pieces(word))
    ]
