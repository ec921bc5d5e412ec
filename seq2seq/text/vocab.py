"""Vocabulary: tokens to ids and back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from seq2seq.errors import CheckpointError
from seq2seq.symbols import UNK
from seq2seq.text import storage
from seq2seq.text.marks import mark_of

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
"""Texts of the special symbols, for people to read; the place is the id."""

FILE = "vocab.json"


@dataclass(frozen=True)
class Vocabulary:
    """The ids: special symbols first, then language tags, the user's own symbols, then tokens.

    None but tokens are looked up by their text, so that a word which happens to be spelt ``<pad>``
    is a word like any other; the user's symbols are by their marks (:mod:`seq2seq.text.marks`).

    >>> vocabulary = Vocabulary(("a", "dog"), tags=("<2pt>",))
    >>> vocabulary.ids(["a", "cat"]), vocabulary.tokens([4, 6, 3])
    ([5, 1], ['<2pt>', 'dog', '<eos>'])
    """

    entries: tuple[str, ...]
    tags: tuple[str, ...] = ()
    later_tags: tuple[tuple[str, int], ...] = ()
    """Tags that came when there were tokens already, with their ids, which grow."""
    symbols: tuple[str, ...] = ()
    """The user's own symbols."""
    later_symbols: tuple[tuple[str, int], ...] = ()
    """Those that came when there were tokens already, with their ids, which grow."""

    @classmethod
    def build(
        cls,
        counts: Counter[str],
        size: int | None,
        min_count: int,
        tags: Sequence[str] = (),
        symbols: Sequence[str] = (),
    ) -> "Vocabulary":
        """Keeps the ``size`` most frequent tokens, ties by spelling, seen ``min_count`` times."""
        frequent = [token for token, count in counts.items() if count >= min_count]
        frequent.sort(key=lambda token: (-counts[token], token))
        return cls(tuple(frequent[:size]), tuple(tags), symbols=tuple(symbols))

    @cached_property
    def tag_ids(self) -> dict[str, int]:
        """Ids of the language tags."""
        return {tag: index for index, tag in enumerate(self.tags, len(SPECIALS))} | dict(
            self.later_tags
        )

    @cached_property
    def symbol_ids(self) -> dict[str, int]:
        """Ids of the user's own symbols, in the order of their marks."""
        first = len(SPECIALS) + len(self.tags)
        return {symbol: index for index, symbol in enumerate(self.symbols, first)} | dict(
            self.later_symbols
        )

    @property
    def given_ids(self) -> frozenset[int]:
        """Ids of what was not learned from texts: tags and the user's own symbols."""
        return frozenset((*self.tag_ids.values(), *self.symbol_ids.values()))

    @cached_property
    def _ids(self) -> dict[str, int]:
        others = {*range(len(SPECIALS)), *self.given_ids}
        found = {token: index for index, token in enumerate(self._texts) if index not in others}
        return found | {mark: index for index, mark in self.marks.items()}

    @cached_property
    def marks(self) -> dict[int, str]:
        """The mark of each symbol, by its id."""
        return {
            index: mark_of(symbol, at) for at, (symbol, index) in enumerate(self.symbol_ids.items())
        }

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        texts = [*SPECIALS, *self.tags, *self.symbols, *self.entries]
        later = (*self.later_tags, *self.later_symbols)
        for text, place in sorted(later, key=lambda one: one[1]):
            texts.insert(place, text)
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
        """Returns the same with what another one has and it lacks, at its end.

        Tags come first, then symbols, then tokens.

        >>> old = Vocabulary(("a", "dog"))
        >>> old.grown(Vocabulary(("cat", "a"), tags=("<2pt>",))).tokens(range(4, 8))
        ['a', 'dog', '<2pt>', 'cat']
        """
        tags = [tag for tag in other.tag_ids if tag not in self.tag_ids]
        symbols = [symbol for symbol in other.symbol_ids if symbol not in self.symbol_ids]
        tags_at, symbols_at = enumerate(tags, len(self)), enumerate(symbols, len(self) + len(tags))
        return replace(
            self,
            entries=self.entries + tuple(token for token in other.entries if token not in self),
            later_tags=(*self.later_tags, *((tag, at) for at, tag in tags_at)),
            later_symbols=(*self.later_symbols, *((symbol, at) for at, symbol in symbols_at)),
        )

    def places_in(self, other: "Vocabulary") -> list[int]:
        """Returns, for each id, the id that another one gives the same symbol, tag or token.

        -1 where it has none.
        """
        places = [other._ids.get(text, -1) for text in self._texts]
        places[: len(SPECIALS)] = range(len(SPECIALS))
        for own, others in ((self.tag_ids, other.tag_ids), (self.symbol_ids, other.symbol_ids)):
            for text, index in own.items():
                places[index] = others.get(text, -1)
        return places

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        more = {
            "later_tags": dict(self.later_tags),
            "symbols": self.symbols,
            "later_symbols": dict(self.later_symbols),
        }
        known = {key: value for key, value in more.items() if value}  # none in earlier versions
        return {FILE: storage.to_json({"tags": self.tags, "tokens": self.entries, **known})}

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
        symbols = storage.read_strings(path, {"symbols": [], **content}, "symbols")
        later_tags, later_symbols = (
            _read_later(path, content, key) for key in ("later_tags", "later_symbols")
        )
        return cls(tokens, tags, later_tags, symbols, later_symbols)


def _read_later(path: Path, content: Mapping[str, object], key: str) -> tuple[tuple[str, int], ...]:
    """Returns texts and their ids; earlier versions knew none."""
    later = content.get(key, {})
    if not isinstance(later, dict) or not all(type(place) is int for place in later.values()):
        what = key.removeprefix("later_")
        raise CheckpointError(f"{path}: {key}: must be ids by {what[:-1]}, got {later!r}")
    return tuple(later.items())
