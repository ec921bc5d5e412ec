"""The settings of a pipeline: how the texts of one side become ids."""

from dataclasses import dataclass, replace
from typing import Annotated, cast

from seq2seq.errors import OneOf, PathText, require, require_name
from seq2seq.text.marks import JOINED, MOST, is_mark
from seq2seq.text.normalizers import NORMALIZERS
from seq2seq.text.subword import SubwordKind
from seq2seq.text.subword_nmt import NAME
from seq2seq.text.tokenizers import SAMPLED, SUBWORDS, TOKENIZERS


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """How the texts of one side become ids."""

    tokenizer: Annotated[str, OneOf(TOKENIZERS)] = "unigram"
    """Subwords (unigram, bpe), char, byte, word (raw text), or of pre-tokenized text space, and
    subword-nmt, which reads a model_file."""
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
    symbols: tuple[str, ...] = ()
    """Strings such as <url> that are one token wherever they stand, never split, merged or changed
    by normalizers."""
    model_file: PathText | None = None
    """Your own SentencePiece model, used as it is instead of training one; or for subword-nmt the
    file of codes, its own or fastBPE's."""
    vocabulary_file: PathText | None = None
    """Tokens that subword-nmt may make, each with its count: a file of its own, of fairseq or of
    OpenNMT-py. They are the vocabulary, on the target side those that training texts contain."""
    vocabulary_threshold: int = 0
    """How often vocabulary_file must count a token."""
    vectors: PathText | None = None
    """Embeddings to begin with, of tokens in a file: GloVe's, fastText's or word2vec's text, or
    word2vec's binary form; the others are drawn. Read only when training begins."""
    split_digits: bool = False
    """Whether subwords never join digits."""
    sampling: float = 0.0
    """Subwords drawn at random while training: smoothing for unigram, dropout for the others; 0 is
    off. What subword-nmt may draw is in its vocabulary, however rare it is."""
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
        self._require_symbols()
        self._require_files()

    def _require_files(self) -> None:
        for key, kinds in (
            ("split_digits", SUBWORDS),
            ("sampling", SAMPLED),
            ("model_file", SAMPLED),
            ("vocabulary_file", (NAME,)),
        ):
            value, (*others, last) = getattr(self, key), kinds
            named = f"{', '.join(others)} or {last}" if others else last
            fits = self.tokenizer in kinds or not value
            require(fits, key, f"left out unless tokenizer is {named}", value)
        given = self.tokenizer != NAME or self.model_file
        require(bool(given), "model_file", f"a file of codes where tokenizer is {NAME}", None)
        least = self.vocabulary_threshold
        require(least >= 0, "vocabulary_threshold", "at least 0", least)
        fits = self.vocabulary_file is not None or least == 0
        require(fits, "vocabulary_threshold", "0 unless vocabulary_file is given", least)

    def _require_symbols(self) -> None:
        for symbol in self.symbols:
            fits = symbol.split() == [symbol] and not any(map(is_mark, symbol))
            require(fits, "symbols", "texts without white space", symbol)
            require(symbol != JOINED, "symbols", f"others than {JOINED}", symbol)
        different = len({*self.symbols, *self.tags}) == len(self.symbols) + len(self.tags)
        accepted = "all different, and no tags"
        require(different, "symbols", accepted, list(self.symbols))
        count = len(self.symbols)
        require(count <= MOST, "symbols", f"at most {MOST}", f"{count} of them")
