"""Vocabulary: tokens to ids and back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from seq2seq.errors import CheckpointError
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
    later_tags: tuple[tuple[str, int], ...] = ()
    """Tags that came when there were tokens already, with their ids, which grow."""

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
        return {tag: index for index, tag in enumerate(self.tags, len(SPECIALS))} | dict(
            self.later_tags
        )

    @cached_property
    def _ids(self) -> dict[str, int]:
        others = {*range(len(SPECIALS)), *self.tag_ids.values()}
        return {token: index for index, token in enumerate(self._texts) if index not in others}

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        texts = [*SPECIALS, *self.tags, *self.entries]
        for tag, place in self.later_tags:
            texts.insert(place, tag)
        return tuple(texts)

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

    def grown(self, other: "Vocabulary") -> "Vocabulary":
        """Returns the same with the tags and tokens of another one that it lacks, at its end.

        >>> old = Vocabulary(("a", "dog"))
        >>> old.grown(Vocabulary(("cat", "a"), tags=("<2pt>",))).tokens(range(4, 8))
        ['a', 'dog', '<2pt>', 'cat']
        """
        tags = (tag for tag in other.tag_ids if tag not in self.tag_ids)
        return replace(
            self,
            entries=self.entries + tuple(token for token in other.entries if token not in self),
            later_tags=(*self.later_tags, *((tag, at) for at, tag in enumerate(tags, len(self)))),
        )

    def places_in(self, other: "Vocabulary") -> list[int]:
        """Returns, for each id, the id that another one gives the same symbol, tag or token.

        -1 where it has none.
        """
        tags = {index: tag for tag, index in self.tag_ids.items()}
        return [
            index
            if index < len(SPECIALS)
            else other.tag_ids.get(text, -1)
            if index in tags
            else other._ids.get(text, -1)
            for index, text in enumerate(self._texts)
        ]

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        later = {"later_tags": dict(self.later_tags)} if self.later_tags else {}
        return {FILE: storage.to_json({"tags": self.tags, "tokens": self.entries, **later})}

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
        tags = storage.read_strings(path, content, "tags")
        later = content.get("later_tags", {})
        if not isinstance(later, dict) or not all(type(place) is int for place in later.values()):
            raise CheckpointError(f"{path}: later_tags: must be ids by tag, got {later!r}")
        return cls(tokens, tags, tuple(later.items()))
