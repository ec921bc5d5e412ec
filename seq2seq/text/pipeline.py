"""The way from text to ids and back: normalise, cut, look up; look up, join, restore."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile
from operator import index
from pathlib import Path
from typing import SupportsIndex

from seq2seq.errors import (
    CheckpointError,
    DataError,
    as_list,
    as_texts,
    brief,
    nearest,
    require_kind,
)
from seq2seq.lists import chunks
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.text import storage
from seq2seq.text.given import as_source, checked, cut_tag, join_tag, weight
from seq2seq.text.marks import GLUE, JOINED, Marks, apart, is_mark, parts, together
from seq2seq.text.normalizers import NORMALIZERS, Normalizers
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword import SubwordTokenizer
from seq2seq.text.subword_nmt import NAME, SubwordNmtTokenizer
from seq2seq.text.tokenizer import TextSource, Tokenizer
from seq2seq.text.tokenizers import TOKENIZERS, load_tokenizer
from seq2seq.text.vocab import Vocabulary

FILE = "pipeline.json"

UNKNOWN = "\u2047"
"""Stands in decoded text for a token that the vocabulary lacks."""

CHARACTERS_AT_ONCE = 2**18
"""Texts are tokenized in chunks of about this many characters, which bounds the memory."""


def _train_tokenizer(config: PipelineConfig, texts: TextSource, key: str) -> Tokenizer:
    kind = config.subword_kind
    if config.tokenizer == NAME:
        own = config.vocabulary_file
        return SubwordNmtTokenizer.from_files(
            Path(config.model_file or ""), Path(own) if own else None, config.vocabulary_threshold
        )
    if kind is None:
        return TOKENIZERS[config.tokenizer]()
    if config.model_file is not None:
        return SubwordTokenizer.from_file(Path(config.model_file), kind)
    normalizers, marks = Normalizers(config.normalizers), Marks(config.symbols)
    tags = frozenset(config.tags)

    def read() -> Iterator[str]:
        for text in checked(texts()):
            rest = cut_tag(text, tags)[1]
            if not config.symbols:
                yield normalizers.normalize(rest)
                continue
            between = parts(normalizers.normalize(marks.marked(rest)))
            yield from (part.strip() for part in between if not is_mark(part))

    return SubwordTokenizer.train(
        read,
        kind=kind,
        vocab_size=config.size,
        character_coverage=config.character_coverage,
        split_digits=config.split_digits,
        sample_size=config.sample_size,
        key=key,
    )


def train_tokenizer(
    config: PipelineConfig, texts: str | Iterable[str] | TextSource, *, key: str = "source"
) -> Tokenizer:
    """Makes the tokenizer of ``config``; for a joint one, chain the texts of both sides.

    Raises:
        ConfigError: The size of the vocabulary is too small for the characters of the text.
        DataError: There is no text, or the user's own model cannot be used.
    """
    return _train_tokenizer(config, as_source(texts), key)


@dataclass(frozen=True)
class Pipeline:
    """Turns texts into ids and ids into texts.

    >>> pipeline = Pipeline.train(PipelineConfig(tokenizer="char"), ["a dog", "a cat"])
    >>> pipeline.decode(pipeline.encode(["good cat", "zoo"]))
    ['good cat', '⁇oo']
    """

    normalizers: Normalizers
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    reversed: bool = False
    """Whether ids stand from the text's end to its beginning."""

    @classmethod
    def train(
        cls,
        config: PipelineConfig,
        texts: str | Iterable[str] | TextSource,
        *,
        key: str = "source",
        trim: bool = False,
        tokenizer: Tokenizer | None = None,
    ) -> "Pipeline":
        """Learns from ``texts``, a collection or a function that gives them anew at each call.

        Args:
            config: The settings.
            texts: Training texts.
            key: The section of the settings, for messages.
            trim: Whether to leave out bytes and subwords which the texts do not need. (With
                sampling all of them stay, since any may be drawn.)
            tokenizer: A joint tokenizer to use instead of training one.

        Raises:
            ConfigError: The size of the vocabulary is too small for the characters of the text.
            DataError: There is no text, or the user's own model cannot be used.
        """
        source = as_source(texts)
        tokenizer = tokenizer or _train_tokenizer(config, source, key)
        if isinstance(tokenizer, SubwordTokenizer | SubwordNmtTokenizer):
            tokenizer = replace(tokenizer, sampling=config.sampling)
        symbols = (
            (*config.symbols, JOINED) if config.symbols and tokenizer.spaced else config.symbols
        )
        alone = Vocabulary((), config.tags, symbols=symbols)
        untrained = cls(Normalizers(config.normalizers), tokenizer, alone, config.reversed)
        if tokenizer.alphabet is not None and (config.sampling or not trim):
            return replace(untrained, vocabulary=replace(alone, entries=tokenizer.alphabet))
        counts = untrained._count(source())
        if not counts:
            raise DataError(f"{key}: no training text: every line is blank")
        # A finite alphabet is only trimmed to what the texts use.
        unlimited = tokenizer.alphabet is not None or config.size == 0
        size = None if unlimited else config.size
        for mark in alone.marks.values():  # in the vocabulary, however often they are seen
            del counts[mark]
        vocabulary = Vocabulary.build(counts, size, config.min_count, config.tags, symbols)
        return replace(untrained, vocabulary=vocabulary)

    def _count(self, texts: Iterable[str]) -> Counter[str]:
        counts: Counter[str] = Counter()
        cutters, drawable = [self._cutter.encode], tuple[str, ...]()
        if isinstance(self.tokenizer, SubwordNmtTokenizer) and self.tokenizer.drawable:
            cutters, drawable = [*cutters, self.tokenizer.characters], self.tokenizer.drawable
        for chunk in chunks(texts, size=CHARACTERS_AT_ONCE, measure=weight):
            for cutter in cutters:
                for _, row in self._cut(chunk, cutter):
                    counts.update(row)
        counts.update(drawable if counts else ())
        return counts

    @cached_property
    def symbol_ids(self) -> dict[str, int]:
        """The id of each of the user's own symbols: one token, wherever it stands in a text."""
        ids = self.vocabulary.symbol_ids
        return {symbol: index for symbol, index in ids.items() if symbol != JOINED}

    @property
    def symbols(self) -> tuple[str, ...]:
        """The user's own symbols."""
        return tuple(self.symbol_ids)

    @cached_property
    def _marks(self) -> Marks | None:
        ids = self.vocabulary.symbol_ids
        return Marks(tuple(ids)) if ids else None

    @cached_property
    def _cutter(self) -> Tokenizer:
        """The tokenizer, told how many marks it may meet."""
        if self._marks is None or not isinstance(self.tokenizer, SubwordTokenizer):
            return self.tokenizer
        return replace(self.tokenizer, marks=len(self._marks.symbols))

    def __len__(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def reversible(self) -> bool:
        """Whether any Unicode text comes back exactly.

        That needs no normaliser, a reversible tokenizer, and a vocabulary with every token which
        that can return: so it holds for bytes and for subwords trained here, unless trimmed. It is
        False for chars and pre-tokenized text, which come back exactly only if all their tokens
        are in the vocabulary.
        """
        alphabet = self.tokenizer.alphabet
        complete = alphabet is not None and all(token in self.vocabulary for token in alphabet)
        return complete and self.lossless

    @property
    def lossless(self) -> bool:
        """Whether any text without unknown tokens comes back exactly."""
        return self.normalizers.reversible and self.tokenizer.reversible

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides about the ids of a text."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files().items()):
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def _cut(
        self, texts: Sequence[str], cutter: Callable[[list[str]], list[list[str]]]
    ) -> Iterator[tuple[str | None, list[str]]]:
        """Gives the language tag and the tokens of each text, marks among them."""
        pairs = [cut_tag(text, self.vocabulary.tag_ids) for text in checked(texts)]
        tags, bare = [tag for tag, _ in pairs], [rest for _, rest in pairs]
        if self._marks is None:
            return zip(
                tags, cutter([self.normalizers.normalize(text) for text in bare]), strict=True
            )
        marked = map(self._marks.marked, bare)
        rows = cutter([self.normalizers.normalize(text) for text in marked])
        return zip(tags, map(apart, rows), strict=True)

    def _join(self, rows: Sequence[list[str]]) -> list[str]:
        """Returns the text of each row of tokens, marks among them."""
        if self._marks is None:
            return [self.normalizers.restore(text) for text in self._cutter.decode(rows)]
        texts = self._cutter.decode([together(row) for row in rows])
        return [self._marks.restored(self.normalizers.restore(text)) for text in texts]

    def cut_tag(self, text: str) -> tuple[str | None, str]:
        """Returns the language tag that a text begins with, if any, and the rest of the text."""
        return cut_tag(text, self.vocabulary.tag_ids)

    def _look_up(self, tag: str | None, row: list[str]) -> list[int]:
        ids = self.vocabulary.ids(self._turned(row))
        return ids if tag is None else [self.vocabulary.tag_ids[tag], *ids]

    def _turned(self, tokens: list[str]) -> list[str]:
        """Returns tokens of a text in the order of its ids, and the other way round."""
        return tokens[::-1] if self.reversed else tokens

    def encode(self, texts: str | Iterable[str]) -> list[list[int]]:
        """Returns the ids of each text, without start and end symbols; a plain string is one text.

        Raises:
            DataError: A text is not Unicode.
        """
        return [self._look_up(*cut) for cut in self._cut(as_texts(texts), self._cutter.encode)]

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[int]]:
        """Returns ids of randomly drawn subwords, a pure function of both arguments.

        Raises:
            DataError: A text is not Unicode.
        """
        require_kind(seed, int, "seed")
        cutter = partial(self._cutter.sample, seed=seed)
        return [self._look_up(*cut) for cut in self._cut(as_texts(texts), cutter)]

    def decode(
        self,
        rows: Iterable[Iterable[SupportsIndex]],
        unknown: Sequence[Sequence[str]] | None = None,
    ) -> list[str]:
        """Returns the text of each row up to its end symbol.

        ``unknown`` are the tokens that stand for those of each row which the vocabulary lacks, one
        after the other; by default each becomes ⁇.

        Raises:
            DataError: Something else than rows of ids, or an id that the vocabulary lacks.
        """
        tags = self.vocabulary.tag_ids.values()
        first, rest = [], []
        for number, given in enumerate(as_list(rows, "rows", "rows of ids")):
            row = self._ids(given, number)
            ids = [id_ for id_ in takewhile(EOS.__ne__, row) if id_ not in (PAD, BOS)]
            tagged = bool(ids) and ids[0] in tags
            first.append(self.tokens(ids[:1])[0] if tagged else None)
            instead = unknown[number] if unknown is not None else ()
            tokens = self._tokens_to_join(ids[1:] if tagged else ids, instead)
            rest.append(self._turned(tokens))
        return [
            join_tag(tag, text, bool(tokens))
            for tag, tokens, text in zip(first, rest, self._join(rest), strict=True)
        ]

    def _ids(self, row: Iterable[SupportsIndex], number: int) -> list[int]:
        """Returns a row of ids, of whatever integers, numpy's or torch's say, as plain ones."""
        try:
            ids = list(map(index, row))
        except TypeError:
            ids = [-1]
        if ids and not 0 <= min(ids) <= max(ids) < len(self):
            raise DataError(
                f"rows: row {number:,}: must be ids from 0 to {len(self) - 1}, got {brief(row)}"
            )
        return ids

    def restored(self, texts: str | Iterable[str]) -> list[str]:
        """Applies only the restoring step of decoding to texts.

        References are so compared with decoded texts: their letters are composed where decoding
        composes them, but what other normalisers take away (case, say) stays a difference.
        """
        return [self.normalizers.restore(text) for text in as_texts(texts)]

    @cached_property
    def letters(self) -> dict[int, str]:
        """The text of each token where every one stands by itself, as characters do; else empty."""
        if self.tokenizer.kind != "char" or self.normalizers.names or self.vocabulary.tag_ids:
            return {}
        ids = [index for index in range(len(self)) if index not in (PAD, BOS, EOS)]
        return dict(zip(ids, self.decode([[index] for index in ids]), strict=True))

    def _tokens_to_join(self, ids: Sequence[int], unknown: Sequence[str]) -> list[str]:
        """Returns the tokens of ``ids`` for the tokenizer to join: ⁇ for those not known."""
        tokens, instead = zip(ids, self.tokens(ids), strict=True), iter(unknown)
        found = [next(instead, UNKNOWN) if index == UNK else token for index, token in tokens]
        if self._marks is None:
            return found
        marks = self.vocabulary.marks
        return [marks.get(index, token) for index, token in zip(ids, found, strict=True)]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Returns the token of each id, special symbols included, for people to read."""
        return self.vocabulary.tokens(ids)

    def spelt(self, text: str) -> list[str]:
        """Returns the tokens of a text without tag, in the order of its ids, known or not.

        They are spelt as they were given, unless normalisers change their number.
        """
        marks = self.vocabulary.marks
        marked = text if self._marks is None else self._marks.marked(text)
        rows = self._cutter.encode([marked, self.normalizers.normalize(marked)])
        given, seen = map(apart, rows) if marks else rows
        texts = {mark: self.tokens([index])[0] for index, mark in marks.items()} | {GLUE: ""}
        row = self._turned(given if len(given) == len(seen) else seen)
        return [texts.get(token, token) for token in row]

    def unknown(self, text: str) -> list[str]:
        """Returns the tokens of a text that the vocabulary lacks, each once, in their order."""
        ((_, row),) = self._cut([text], self._cutter.encode)
        return [token for token in dict.fromkeys(row) if token not in self.vocabulary]

    @property
    def _facts(self) -> dict[str, object]:
        """What the pipeline's own file tells; earlier versions knew no order but the usual one."""
        turned = {"reversed": True} if self.reversed else {}
        return {"normalizers": self.normalizers.names, **turned}

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        files = {FILE: storage.to_json(self._facts)}
        return {**files, **self.tokenizer.files(), **self.vocabulary.files()}

    def save(self, folder: Path) -> None:
        """Writes the pipeline into ``folder``.

        Raises:
            StorageError: The disk refused.
        """
        files = self.files()
        del files[FILE]
        seal = storage.sealed(self._facts, files)
        storage.write(folder, {**files, FILE: storage.to_json(seal)})

    @classmethod
    def load(cls, folder: Path) -> "Pipeline":
        """Reads what :meth:`save` wrote.

        Raises:
            CheckpointError: A file is missing or damaged, or not the one that was written with
                the others.
        """
        path = folder / FILE
        content = storage.read_json(path, {"normalizers": list})
        storage.require_sealed(path, content)
        names = storage.read_strings(path, content, "normalizers")
        for name in names:
            if name not in NORMALIZERS:
                raise CheckpointError(
                    f"{path}: normalizers: must be of {', '.join(NORMALIZERS)}, got {name!r}"
                    f"{nearest(name, NORMALIZERS)}"
                )
        normalizers = Normalizers(names)
        turned = content.get("reversed") is True
        return cls(normalizers, load_tokenizer(folder), Vocabulary.load(folder), turned)
