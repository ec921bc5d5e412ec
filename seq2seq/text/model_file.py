"""SentencePiece's model files, as far as pieces are told apart and added.

A file is a message of protocol buffers: its field 1, repeated, is a piece, whose own fields are its
text (1), its score (2) and its type (3); see sentencepiece_model.proto.
"""

import struct
from collections.abc import Iterable, Iterator

TEXT, SCORE, TYPE = 1, 2, 3
USER_DEFINED = 4
"""The type of pieces that are never cut and never merged."""


def with_symbols(model: bytes, symbols: Iterable[str]) -> bytes:
    """Returns a model that never cuts ``symbols`` either; their ids follow the others'.

    Of two messages written one after the other the repeated fields add up.
    """
    return model + b"".join(_field(1, _piece(symbol)) for symbol in symbols)


def user_defined(model: bytes) -> frozenset[str]:
    """Returns the pieces that a model never cuts."""
    found = set()
    for number, piece in _fields(model):
        if number == 1 and isinstance(piece, bytes):
            fields = dict(_fields(piece))
            text = fields.get(TEXT)
            if fields.get(TYPE) == USER_DEFINED and isinstance(text, bytes):
                found.add(text.decode())
    return frozenset(found)


def _piece(symbol: str) -> bytes:
    score = bytes([SCORE << 3 | 5]) + struct.pack("<f", 0.0)
    return _field(TEXT, symbol.encode()) + score + bytes([TYPE << 3, USER_DEFINED])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields the number and the content of each field: numbers, or bytes as they are."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        size, at = _read_varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
        yield tag >> 3, message[at : at + size]
        at += size


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
