"""Tokenizers that follow a rule and learn nothing."""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from pathlib import Path
from typing import ClassVar

from seq2seq.errors import as_texts
from seq2seq.text import storage
from seq2seq.text.marks import JOINED, is_mark, parts
from seq2seq.text.tokenizer import FILE, Tokenizer


@dataclass(frozen=True)
class FixedTokenizer(ABC):
    """A tokenizer that follows a rule and learns nothing."""

    kind: ClassVar[str]
    reversible: ClassVar[bool] = True
    spaced: ClassVar[bool] = False

    @property
    def alphabet(self) -> tuple[str, ...] | None:
        """None: there is no end of tokens."""
        return None

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """Returns the tokens of one text."""

    @abstractmethod
    def join(self, tokens: Sequence[str]) -> str:
        """Returns the text of one row of tokens."""

    def encode(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns the tokens of each text."""
        return [self.split(text) for text in as_texts(texts)]

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[str]]:
        """Returns the same as :meth:`encode`: there is only one way to cut."""
        return self.encode(texts)

    def decode(self, tokens: Sequence[Sequence[str]]) -> list[str]:
        """Returns the text of each row of tokens."""
        return [self.join(row) for row in tokens]

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        return {FILE: storage.to_json({"kind": self.kind})}

    def save(self, folder: Path) -> None:
        """Writes ``tokenizer.json`` into ``folder``."""
        storage.write(folder, self.files())

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """Returns the tokenizer: its rule needs no file."""
        return cls()


class CharTokenizer(FixedTokenizer):
    """Cuts between Unicode code points.

    >>> CharTokenizer().encode(["über"])
    [['ü', 'b', 'e', 'r']]
    """

    kind = "char"

    def split(self, text: str) -> list[str]:
        """Returns the code points."""
        return list(text)

    def join(self, tokens: Sequence[str]) -> str:
        """Returns the code points as one text."""
        return "".join(tokens)


class ByteTokenizer(FixedTokenizer):
    """Cuts between the bytes of UTF-8.

    >>> ByteTokenizer().encode(["é"])
    [['<0xC3>', '<0xA9>']]
    """

    kind = "byte"
    _tokens = tuple(f"<0x{byte:02X}>" for byte in range(256))
    _bytes: ClassVar = {token: bytes([byte]) for byte, token in enumerate(_tokens)}

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The 256 bytes."""
        return self._tokens

    def split(self, text: str) -> list[str]:
        """Returns one token per byte."""
        try:
            return [self._tokens[byte] for byte in text.encode()]
        except UnicodeEncodeError:  # there are marks
            rows = ([part] if is_mark(part) else self.split(part) for part in parts(text))
            return list(chain.from_iterable(rows))

    def join(self, tokens: Sequence[str]) -> str:
        """Returns the text; U+FFFD where bytes are no UTF-8, and other tokens as they are."""
        try:
            content = b"".join(self._bytes.get(token) or token.encode() for token in tokens)
        except UnicodeEncodeError:
            runs = groupby(tokens, is_mark)
            return "".join("".join(run) if marks else self.join(list(run)) for marks, run in runs)
        return content.decode(errors="replace")


class SpaceTokenizer(FixedTokenizer):
    """Cuts pre-tokenized text at each single space.

    >>> SpaceTokenizer().encode(["a dog , running"])
    [['a', 'dog', ',', 'running']]
    """

    kind = "space"
    spaced = True

    def split(self, text: str) -> list[str]:
        """Returns what stands between the spaces; two spaces enclose an empty token."""
        return text.split(" ") if text else []

    def join(self, tokens: Sequence[str]) -> str:
        """Returns the tokens with spaces between them."""
        return " ".join(tokens)


JOINER = JOINED
"""Marks a punctuation token on the side where it touches its neighbour."""


def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"


def _inside_word(chunk: str, at: int) -> bool:
    """Tells whether the mark ``chunk[at]`` belongs to a word: don't, well-known, 3.5, 10:30."""
    if not 0 < at < len(chunk) - 1:
        return False
    before, after = chunk[at - 1], chunk[at + 1]
    if chunk[at] in ".,:":
        return before.isdigit() and after.isdigit()
    return chunk[at] in "'’-" and not _is_mark(before) and not _is_mark(after)


# Most words of a corpus were met before; the bound keeps memory small on endless text.
@lru_cache(maxsize=2**17)
def _split_chunk(chunk: str) -> tuple[str, ...]:
    """Cuts a text without white space into words and marks."""
    tokens: list[str] = []
    word_open = False
    for at, char in enumerate(chunk):
        mark = _is_mark(char) and not _inside_word(chunk, at)
        if word_open and not mark:
            tokens[-1] += char
        elif mark:
            touches_next_word = at + 1 < len(chunk) and not _is_mark(chunk[at + 1])
            before, after = JOINER * (at > 0), JOINER * touches_next_word
            tokens.append(f"{before}{char}{after}")
        else:
            tokens.append(char)
        word_open = not mark
    return tuple(tokens)


class WordTokenizer(FixedTokenizer):
    """Cuts raw text into words and punctuation marks, and joins them as they stood.

    A mark that touches its neighbour carries :data:`JOINER` on that side, so that only runs of
    white space are lost.

    >>> WordTokenizer().encode(["A dog (wet), isn't it?"])
    [['A', 'dog', '(￭', 'wet', '￭)', '￭,', "isn't", 'it', '￭?']]
    """

    kind = "word"
    reversible = False
    spaced = True

    def split(self, text: str) -> list[str]:
        """Returns words and marks."""
        return [token for chunk in text.split() for token in _split_chunk(chunk)]

    def join(self, tokens: Sequence[str]) -> str:
        """Returns the text, with one space between tokens that do not touch."""
        return re.sub(f"{JOINER} {JOINER}|{JOINER} | {JOINER}", "", " ".join(tokens)).strip(JOINER)
