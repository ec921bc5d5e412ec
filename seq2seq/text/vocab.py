"""Vocabulary: tokens to ids and back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seq2seq.symbols import UNK
from seq2seq.text import storage

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
"""Texts of the special symbols, for people to read; the place is the id."""

FILE = "vocab.json"


@dataclass(frozen=True)
class Vocabulary:
    """The ids: special symbols first, then language tags, then tokens.

    Special symbols and tags are never looked up by their text, so that a word which happens to be
    spelt ``<pad>`` is a word like any other.

    >>> vocabulary = Vocabulary(("a", "dog"), tags=("<2pt>",))
    >>> vocabulary.ids(["a", "cat"]), vocabulary.tokens([4, 6, 3])
    ([5, 1], ['<2pt>', 'dog', '<eos>'])
    """

    entries: tuple[str, ...]
    tags: tuple[str, ...] = ()

    @classmethod
    def build(
        cls, counts: Counter[str], size: int | None, min_count: int, tags: Sequence[str] = ()
    ) -> "Vocabulary":
        """Keeps the ``size`` most frequent tokens, ties by spelling, seen ``min_count`` times."""
        frequent = [token for token, count in counts.items() if count >= min_count]
        frequent.sort(key=lambda token: (-counts[token], token))
        return cls(tuple(frequent[:size]), tuple(tags))

    @cached_property
    def tag_ids(self) -> dict[str, int]:
        """Ids of the language tags."""
        return {tag: index for index, tag in enumerate(self.tags, len(SPECIALS))}

    @cached_property
    def _ids(self) -> dict[str, int]:
        first = len(SPECIALS) + len(self.tags)
        return {token: index for index, token in enumerate(self.entries, first)}

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        return SPECIALS + self.tags + self.entries

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Returns the ids of ``tokens``; that of ``<unk>`` for unknown ones."""
        known = self._ids
        return [known.get(token, UNK) for token in tokens]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Returns the text of each id, special symbols and tags included."""
        return [self._texts[index] for index in ids]

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        return {FILE: storage.to_json({"tags": self.tags, "tokens": self.entries})}

    def save(self, folder: Path) -> None:
        """Writes ``vocab.json`` into ``folder``."""
        storage.write(folder, self.files())

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """Reads what :meth:`save` wrote.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        path = folder / FILE
        content = storage.read_json(path, {"tags": list, "tokens": list})
        tokens = storage.read_strings(path, content, "tokens")
        return cls(tokens, storage.read_strings(path, content, "tags"))
