"""Normalisers: they make texts more alike before tokens are cut, and mend what can be mended after.

All of them lose something, so a pipeline that gives back every text exactly uses none.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True)
class Normalizer:
    """One rule, and what undoes it as far as possible."""

    normalize: Callable[[str], str]
    """Applied before tokens are cut."""
    restore: Callable[[str], str] = _unchanged
    """Applied after tokens are joined."""


_nfc, _nfkc = partial(unicodedata.normalize, "NFC"), partial(unicodedata.normalize, "NFKC")
_nfd, _nfkd = partial(unicodedata.normalize, "NFD"), partial(unicodedata.normalize, "NFKD")

NORMALIZERS: dict[str, Normalizer] = {
    "nfc": Normalizer(_nfc),
    "nfkc": Normalizer(_nfkc),
    # Decomposed text is for the model; people and their programs expect the composed form.
    "nfd": Normalizer(_nfd, restore=_nfc),
    "nfkd": Normalizer(_nfkd, restore=_nfc),
    "lower": Normalizer(str.lower),
    "whitespace": Normalizer(lambda text: " ".join(text.split())),
}


@dataclass(frozen=True)
class Normalizers:
    """Several normalisers, applied in the order given and restored in the opposite one.

    >>> Normalizers(("nfkc", "lower")).normalize("Ｄｏｇ")
    'dog'
    """

    names: tuple[str, ...] = ()

    @property
    def reversible(self) -> bool:
        """Whether every text comes back exactly: only without any normaliser."""
        return not self.names

    def normalize(self, text: str) -> str:
        """Returns ``text`` as the tokenizer shall see it."""
        for name in self.names:
            text = NORMALIZERS[name].normalize(text)
        return text

    def restore(self, text: str) -> str:
        """Returns decoded ``text`` as people expect it."""
        for name in reversed(self.names):
            text = NORMALIZERS[name].restore(text)
        return text
