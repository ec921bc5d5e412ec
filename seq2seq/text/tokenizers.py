"""Tokenizers: texts to tokens and back.

==================  ==========================================================  ==============
kind                a token is                                                  reversible
==================  ==========================================================  ==============
``unigram, bpe``    a piece of a word, learned (SentencePiece), or a byte       yes
``char``            a Unicode code point                                        yes
``byte``            a byte of UTF-8                                             yes
``space``           what stands between single spaces of pre-tokenized text     yes
``word``            a word or a punctuation mark of raw text                    no
``subword-nmt``     a piece of a word of pre-tokenized text, by a file of codes  no
==================  ==========================================================  ==============

Reversible: ``decode(encode(texts)) == texts`` for any Unicode text.
"""

from pathlib import Path

from seq2seq.errors import CheckpointError, nearest
from seq2seq.text import storage
from seq2seq.text.fixed import ByteTokenizer, CharTokenizer, SpaceTokenizer, WordTokenizer
from seq2seq.text.subword import SubwordTokenizer
from seq2seq.text.subword_nmt import NAME, SubwordNmtTokenizer
from seq2seq.text.tokenizer import FILE, Tokenizer

SUBWORDS = ("unigram", "bpe")
"""Those that learn."""
SAMPLED = (*SUBWORDS, NAME)
"""Those that can cut at random, and may read a file of the user's; all others are made without an
argument."""
TOKENIZERS: dict[str, type[Tokenizer]] = {
    "unigram": SubwordTokenizer,
    "bpe": SubwordTokenizer,
    "char": CharTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
    "space": SpaceTokenizer,
    NAME: SubwordNmtTokenizer,
}
"""Tokenizers by the name that ``tokenizer:`` gives them in a configuration."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """Reads a tokenizer of any kind.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    path = folder / FILE
    kind = str(storage.read_json(path, {"kind": str})["kind"])
    if kind not in TOKENIZERS:
        raise CheckpointError(
            f"{path}: kind: must be one of {', '.join(TOKENIZERS)}, got {kind!r}"
            f"{nearest(kind, TOKENIZERS)}"
        )
    return TOKENIZERS[kind].load(folder)
