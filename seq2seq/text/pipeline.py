"""The way from text to ids and back: normalise, cut, look up; look up, join, restore."""

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile
from operator import index
from pathlib import Path
from typing import Annotated, SupportsIndex, cast

from seq2seq.errors import (
    CheckpointError,
    DataError,
    OneOf,
    PathText,
    as_list,
    as_texts,
    brief,
    nearest,
    require,
    require_kind,
    require_name,
    require_text,
)
from seq2seq.lists import chunks
from seq2seq.symbols import BOS, EOS, PAD, UNK
from seq2seq.text import storage
from seq2seq.text.normalizers import NORMALIZERS, Normalizers
from seq2seq.text.subword import SubwordKind, SubwordTokenizer
from seq2seq.text.tokenizer import TextSource, Tokenizer
from seq2seq.text.tokenizers import SUBWORDS, TOKENIZERS, load_tokenizer
from seq2seq.text.vocab import Vocabulary

FILE = "pipeline.json"

UNKNOWN = "\u2047"
"""Stands in decoded text for a token that the vocabulary lacks."""

CHARACTERS_AT_ONCE = 2**18
"""Texts are tokenized in chunks of about this many characters, which bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """How the texts of one side become ids."""

    tokenizer: Annotated[str, OneOf(TOKENIZERS)] = "unigram"
    """Subwords (unigram, bpe), char, byte, word (raw text), or space (pre-tokenized text)."""
    vocab_size: int | None = None
    """Number of tokens, special symbols left out. 0 keeps all, which unigram and bpe do not allow.
    none: 8000 for subwords and words, all for the other tokenizers."""
    min_count: int = 1
    """How often a token must be seen in training; rarer ones are unknown."""
    normalizers: tuple[Annotated[str, OneOf(NORMALIZERS)], ...] = ()
    """Applied in this order before tokens are cut; with any, texts do not come back exactly. What
    nfd and nfkd take apart is written composed, and references are composed before scoring."""
    tags: tuple[str, ...] = ()
    """Symbols such as <2pt> which, at the beginning of a text, say what to make of it."""
    model_file: PathText | None = None
    """Your own SentencePiece model, used as it is instead of training one."""
    vectors: PathText | None = None
    """Embeddings to begin with, of tokens in a file: GloVe's, fastText's or word2vec's text, or
    word2vec's binary form; the others are drawn. Read only when training begins."""
    split_digits: bool = False
    """Whether subwords never join digits."""
    sampling: float = 0.0
    """Subwords drawn at random while training: smoothing for unigram, dropout for bpe; 0 is off."""
    character_coverage: float = 1.0
    """Share of the training text's characters that get a subword; the rest is spelt in bytes."""
    sample_size: int = 500_000
    """Texts from which subwords are learned, drawn at random from larger corpora; 0 takes all.
    Half a million sentences of many different words take about a gigabyte of memory."""
    reversed: bool = False
    """Whether texts are read or written from their end to their beginning; in and out they are as
    usual, only tokens stand the other way round. A language tag stays first."""

    @property
    def subword_kind(self) -> SubwordKind | None:
        """The kind of subwords, or None."""
        return cast(SubwordKind, self.tokenizer) if self.tokenizer in SUBWORDS else None

    @property
    def size(self) -> int:
        """The number of tokens that is meant; 0 takes all."""
        usual = 8000 if self.tokenizer in (*SUBWORDS, "word") else 0
        return usual if self.vocab_size is None else self.vocab_size

    def settled(self) -> "PipelineConfig":
        """Returns the same with what depends on other keys written out."""
        return replace(self, vocab_size=self.size)

    def __post_init__(self) -> None:
        require_name(self.tokenizer, "tokenizer", TOKENIZERS)
        for name in self.normalizers:
            require_name(name, "normalizers", NORMALIZERS)
        subwords = self.subword_kind is not None
        least = 1 if subwords else 0
        require(self.size >= least, "vocab_size", f"at least {least}", self.vocab_size)
        require(self.min_count >= 1, "min_count", "at least 1", self.min_count)
        require(0 <= self.sampling <= 1, "sampling", "in [0, 1]", self.sampling)
        enough = self.sample_size == 0 or self.sample_size > 100  # SentencePiece's own limit
        require(enough, "sample_size", "0 or more than 100", self.sample_size)
        coverage = self.character_coverage
        require(0 < coverage <= 1, "character_coverage", "in (0, 1]", coverage)
        for tag in self.tags:
            require(tag.split() == [tag], "tags", "texts without white space", tag)
        require(len(set(self.tags)) == len(self.tags), "tags", "all different", list(self.tags))
        for key in ("model_file", "split_digits", "sampling"):
            value = getattr(self, key)
            require(
                subwords or not value, key, "left out unless tokenizer is unigram or bpe", value
            )


def _as_source(texts: str | Iterable[str] | TextSource) -> TextSource:
    """Returns a function which gives the texts from the beginning at each call."""
    if callable(texts):
        return texts
    if isinstance(texts, str):
        return lambda: [texts]
    listed = as_list(texts, "texts")  # they are read more than once
    return lambda: listed


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """Gives back ``texts``, which must be text, and Unicode: half a surrogate pair has no UTF-8."""
    for number, text in enumerate(texts, 1):
        require_text(text, f"text {number}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            place = f"U+{ord(text[error.start]):04X} at character {error.start + 1}"
            raise DataError(
                f"text {number}: {place} is half a surrogate pair; only Unicode text is accepted"
            ) from error
        yield text


def _weight(text: str) -> int:
    """Returns what a text adds to a chunk: its characters, and 1 for itself."""
    return len(text) + 1


def _cut_tag(text: str, tags: Container[str]) -> tuple[str | None, str]:
    """Returns the language tag that ``text`` begins with, if any, and the rest.

    A tag counts only if it is the whole text, or if a space and more text follow: no two texts
    then have the same tag and rest.
    """
    head, _, rest = text.partition(" ")
    return (head, rest) if head in tags and (rest or head == text) else (None, text)


def _join_tag(tag: str | None, text: str, has_tokens: bool) -> str:
    """Undoes :func:`_cut_tag`."""
    if tag is None:
        return text
    return f"{tag} {text}" if has_tokens else tag


def _train_tokenizer(config: PipelineConfig, texts: TextSource, key: str) -> Tokenizer:
    kind = config.subword_kind
    if kind is None:
        return TOKENIZERS[config.tokenizer]()
    if config.model_file is not None:
        return SubwordTokenizer.from_file(Path(config.model_file), kind)
    normalizers = Normalizers(config.normalizers)
    tags = frozenset(config.tags)
    return SubwordTokenizer.train(
        lambda: (normalizers.normalize(_cut_tag(text, tags)[1]) for text in _checked(texts())),
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
    return _train_tokenizer(config, _as_source(texts), key)


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
        source = _as_source(texts)
        tokenizer = tokenizer or _train_tokenizer(config, source, key)
        if isinstance(tokenizer, SubwordTokenizer):
            tokenizer = replace(tokenizer, sampling=config.sampling)
        untrained = cls(
            Normalizers(config.normalizers),
            tokenizer,
            Vocabulary((), config.tags),
            config.reversed,
        )
        if tokenizer.alphabet is not None and (config.sampling or not trim):
            return replace(untrained, vocabulary=Vocabulary(tokenizer.alphabet, config.tags))
        counts = untrained._count(source())
        if not counts:
            raise DataError(f"{key}: no training text: every line is blank")
        # A finite alphabet is only trimmed to what the texts use.
        unlimited = tokenizer.alphabet is not None or config.size == 0
        vocabulary = Vocabulary.build(
            counts, None if unlimited else config.size, config.min_count, config.tags
        )
        return replace(untrained, vocabulary=vocabulary)

    def _count(self, texts: Iterable[str]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for chunk in chunks(texts, size=CHARACTERS_AT_ONCE, measure=_weight):
            for _, row in self._cut(chunk, self.tokenizer.encode):
                counts.update(row)
        return counts

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
        """Gives the language tag and the tokens of each text."""
        pairs = [_cut_tag(text, self.vocabulary.tag_ids) for text in _checked(texts)]
        rows = cutter([self.normalizers.normalize(rest) for _, rest in pairs])
        return zip((tag for tag, _ in pairs), rows, strict=True)

    def cut_tag(self, text: str) -> tuple[str | None, str]:
        """Returns the language tag that a text begins with, if any, and the rest of the text."""
        return _cut_tag(text, self.vocabulary.tag_ids)

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
        return [self._look_up(*cut) for cut in self._cut(as_texts(texts), self.tokenizer.encode)]

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[int]]:
        """Returns ids of randomly drawn subwords, a pure function of both arguments.

        Raises:
            DataError: A text is not Unicode.
        """
        require_kind(seed, int, "seed")
        cutter = partial(self.tokenizer.sample, seed=seed)
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
        texts = [self.normalizers.restore(text) for text in self.tokenizer.decode(rest)]
        return [
            _join_tag(tag, text, bool(tokens))
            for tag, tokens, text in zip(first, rest, texts, strict=True)
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
        return [next(instead, UNKNOWN) if index == UNK else token for index, token in tokens]

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Returns the token of each id, special symbols included, for people to read."""
        return self.vocabulary.tokens(ids)

    def unknown(self, text: str) -> list[str]:
        """Returns the tokens of a text that the vocabulary lacks, each once, in their order."""
        ((_, row),) = self._cut([text], self.tokenizer.encode)
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
