"""Subwords, learned with SentencePiece (Kudo and Richardson 2018)."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal, cast

import sentencepiece

from seq2seq.errors import CheckpointError, ConfigError, DataError, as_texts
from seq2seq.text import storage
from seq2seq.text.learning import learn
from seq2seq.text.marks import FIRST, is_mark
from seq2seq.text.model_file import user_defined, with_symbols
from seq2seq.text.subword_sampling import META, Pieces, draw_merges, draw_path
from seq2seq.text.tokenizer import FILE, TextSource

SubwordKind = Literal["unigram", "bpe"]
MODEL_FILE = "tokenizer.model"
log = logging.getLogger("seq2seq")

# SentencePiece writes a space as U+2581 and reads every U+2581 as a space, so the character itself
# would come back as a space. It is spelt with a private-use character before SentencePiece sees it;
# that character is spelt with itself, so that no two texts become one.
_ESCAPE = "\U0010fffd"
_ESCAPED = {_ESCAPE + "0": _ESCAPE, _ESCAPE + "1": META}
_FIRST_SYMBOL = 0xF0000

UNFINISHED = ("\N{REPLACEMENT CHARACTER}", _ESCAPE)
"""Endings of a text, decoded in part, whose last character is not whole: more byte tokens, or the
second half of an escape, may follow."""


def _escape(text: str) -> str:
    return text.replace(_ESCAPE, _ESCAPE + "0").replace(META, _ESCAPE + "1")


def _unescape(text: str) -> str:
    if _ESCAPE not in text:
        return text
    return re.sub(f"{_ESCAPE}[01]", lambda match: _ESCAPED[match[0]], text)


def _explain(error: RuntimeError, key: str, vocab_size: int) -> Exception:
    """Returns SentencePiece's ``error`` in the user's terms."""
    text = str(error)
    if "sentences_.empty()" in text:
        return DataError(f"{key}: no training text: every line is blank")
    if small := re.search(r"(\d+) vs (\d+)", text):
        return ConfigError(
            f"{key}.vocab_size: must be at least {int(small[2]) - 1}, room for all characters of "
            f"the training text and 256 bytes, got {vocab_size}; "
            f"or lower {key}.character_coverage"
        )
    return error


@dataclass(frozen=True)
class SubwordTokenizer:
    """Cuts words into frequent pieces with SentencePiece (Kudo and Richardson 2018).

    The pieces come from a unigram language model (Kudo 2018) or from byte-pair encoding (Sennrich
    et al. 2016). Characters without a piece are spelt in bytes, and white space is kept as it is;
    so a model trained here gives back any Unicode text exactly.
    """

    kind: SubwordKind
    model: bytes
    """A SentencePiece model, as its own programs write it."""
    reversible: bool = False
    """True for models trained here; a user's own model is used as it is."""
    sampling: float = 0.0
    """For unigram, the smoothing of sampling; for bpe, the chance of skipping a merge; 0 is off."""
    marks: int = 0
    """How many symbols of the user's it meets, which no model file holds; a pipeline tells."""
    spaced: ClassVar[bool] = False

    @classmethod
    def train(
        cls,
        texts: TextSource,
        *,
        kind: SubwordKind,
        vocab_size: int,
        character_coverage: float = 1.0,
        split_digits: bool = False,
        sample_size: int = 0,
        key: str = "source",
    ) -> "SubwordTokenizer":
        """Learns ``vocab_size`` pieces; ``key`` is the section of the settings named in messages.

        A size larger than the text allows is lowered, and the log says so.

        Raises:
            ConfigError: The size is too small for the characters of the text.
            DataError: There is no text.
        """
        settings: dict[str, Any] = {
            "model_type": kind,
            "character_coverage": character_coverage,
            "split_digits": split_digits,
            "input_sentence_size": sample_size,
        }

        def fit(size: int) -> bytes:
            read = (_escape(text) for text in texts() if text)
            return learn(read, {**settings, "vocab_size": size}, key)

        # One more, for SentencePiece's own unknown symbol.
        try:
            model = fit(vocab_size + 1)
        except RuntimeError as error:
            most = re.search(r"value <= (\d+)", str(error))
            if most is None:
                raise _explain(error, key, vocab_size) from error
            log.warning(
                "%s.vocab_size: lowered from %d to %d, all that the training text allows",
                *(key, vocab_size, int(most[1]) - 1),
            )
            model = fit(int(most[1]))
        return cls(kind, model, reversible=True)

    @classmethod
    def from_file(cls, path: Path, kind: SubwordKind) -> "SubwordTokenizer":
        """Takes a user's own SentencePiece model.

        Raises:
            DataError: The file cannot be read, or is not such a model or one of another kind.
        """
        try:
            tokenizer = cls(kind, path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        if not tokenizer._usable():
            raise DataError(f"{path}: is not a SentencePiece model")
        if tokenizer._detected_kind != kind:
            other = tokenizer._detected_kind or "word or char"
            raise DataError(
                f"{path}: is a {other} model, but tokenizer is {kind}; they must be the same"
            )
        return tokenizer

    def _usable(self) -> bool:
        try:
            return bool(self.model) and len(self.alphabet) > 0
        except (RuntimeError, UnicodeDecodeError):  # no model; or pieces that are no text
            return False

    @cached_property
    def _processor(self) -> sentencepiece.SentencePieceProcessor:
        model = with_symbols(self.model, self._symbols.values())
        return sentencepiece.SentencePieceProcessor(model_proto=model)

    @cached_property
    def _symbols(self) -> dict[str, str]:
        """What SentencePiece sees in place of marks: two private-use characters, in no text."""
        return {chr(FIRST + at): f"{_ESCAPE}{chr(_FIRST_SYMBOL + at)}" for at in range(self.marks)}

    @cached_property
    def _marks(self) -> dict[str, str]:
        return {symbol: mark for mark, symbol in self._symbols.items()}

    @property
    def _detected_kind(self) -> SubwordKind | None:
        """The kind of the model: calls are tried that only unigram, or only bpe, models support."""
        with suppress(RuntimeError):
            self._processor.nbest_encode_as_pieces("a", 1)
            return "unigram"
        with suppress(RuntimeError):
            self._unmerged(["a"])
            return "bpe"
        return None

    @cached_property
    def _ids(self) -> tuple[int, ...]:
        model = self._processor
        never = (model.is_unknown, model.is_control, model.is_unused)
        return tuple(
            index
            for index in range(model.piece_size() - self.marks)
            if not any(told(index) for told in never)
        )

    @cached_property
    def alphabet(self) -> tuple[str, ...]:
        """The pieces of the model, those never used in a text left out."""
        return tuple(self._processor.id_to_piece(index) for index in self._ids)

    @cached_property
    def _pieces(self) -> Pieces:
        model = self._processor
        whole = user_defined(self.model)
        spelt = (index for index in self._ids if not model.is_byte(index))
        scores = {model.id_to_piece(index): model.get_score(index) for index in spelt}
        return Pieces({piece: score for piece, score in scores.items() if piece not in whole})

    def _readable(self, texts: str | Iterable[str]) -> list[str]:
        listed = as_texts(texts)
        readable = [_escape(text) for text in listed] if self.reversible else list(listed)
        if not self.marks:
            return readable
        table = str.maketrans(self._symbols)
        return [text.translate(table) for text in readable]

    def _rows(self, rows: list[list[str]]) -> list[list[str]]:
        """Returns rows of SentencePiece with marks in place of symbols."""
        if not self.marks:
            return rows
        return [[self._marks.get(piece, piece) for piece in row] for row in rows]

    def encode(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns the best pieces of each text."""
        return self._rows(self._processor.encode(self._readable(texts), out_type=str))

    def _unmerged(self, texts: str | Iterable[str]) -> list[list[str]]:
        """Returns characters, bytes, and the symbols which a user's own model never cuts."""
        return self._rows(
            self._processor.encode(
                self._readable(texts), out_type=str, enable_sampling=True, alpha=1.0
            )
        )

    def sample(self, texts: str | Iterable[str], seed: int) -> list[list[str]]:
        """Returns pieces cut at random (Kudo 2018; for bpe, Provilkov et al. 2020).

        A pure function of both arguments and the model, in every process.
        """
        if not self.sampling:
            return self.encode(texts)
        rng = Random(seed)
        rows = self._unmerged(texts) if self.kind == "bpe" else self.encode(texts)
        return [list(self._resample(row, rng)) for row in rows]

    def _resample(self, row: list[str], rng: Random) -> Iterator[str]:
        """Cuts the words in a row of pieces anew; bytes and unknown characters stay."""
        pieces, bpe = self._pieces, self.kind == "bpe"
        draw = draw_merges if bpe else draw_path

        def may_be_resampled(piece: str) -> bool:
            # Rows of bpe are characters here; what is longer is a byte or a symbol never cut.
            return len(piece) == 1 and not is_mark(piece) if bpe else piece in pieces.scores

        for resampled, run in groupby(row, may_be_resampled):
            if not resampled:
                yield from run
                continue
            for word in pieces.words("".join(run)):
                yield from draw(pieces, word, self.sampling, rng)

    def decode(self, tokens: Sequence[Sequence[str]]) -> list[str]:
        """Returns the text of each row of pieces; U+FFFD where bytes are no UTF-8."""
        # Row by row, since older versions mistake a batch that begins with an empty row.
        rows = tokens
        if self.marks:
            rows = [[self._symbols.get(token, token) for token in row] for row in tokens]
        texts = [self._processor.decode(list(row)) if row else "" for row in rows]
        if self.marks:
            return [self._restored(text) for text in texts]
        return [_unescape(text) for text in texts] if self.reversible else texts

    def _restored(self, text: str) -> str:
        """Returns decoded text with marks, and what was escaped."""
        spelt = {**(_ESCAPED if self.reversible else {}), **self._marks}
        return re.sub(f"(?s){_ESCAPE}.", lambda found: spelt.get(found[0], found[0]), text)

    def files(self) -> dict[str, bytes]:
        """Returns the files that :meth:`save` writes."""
        settings = {
            "kind": self.kind,
            "reversible": self.reversible,
            "sampling": float(self.sampling),
        }
        return {FILE: storage.to_json(settings), MODEL_FILE: self.model}

    def save(self, folder: Path) -> None:
        """Writes ``tokenizer.json`` and ``tokenizer.model`` into ``folder``."""
        storage.write(folder, self.files())

    @classmethod
    def load(cls, folder: Path) -> "SubwordTokenizer":
        """Reads what :meth:`save` wrote.

        Raises:
            CheckpointError: A file is missing or damaged.
        """
        fields = {"kind": str, "reversible": bool, "sampling": float}
        settings = storage.read_json(folder / FILE, fields)
        model = storage.read(folder / MODEL_FILE)
        tokenizer = cls(
            cast(SubwordKind, settings["kind"]),
            model,
            reversible=bool(settings["reversible"]),
            sampling=cast(float, settings["sampling"]),
        )
        if not tokenizer._usable():
            raise CheckpointError(f"{folder / MODEL_FILE}: is not a SentencePiece model")
        return tokenizer
