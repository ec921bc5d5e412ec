"""What tokenizers need besides their names, so that tests can run over the table of them."""

from pathlib import Path
from typing import Any

from seq2seq.text.subword_nmt import NAME
from seq2seq.text.tokenizers import SUBWORDS

CODES = Path(__file__).parent / "text" / "codes.bpe"
"""Made with `subword-nmt learn-bpe -s 40` of the English texts in ``LINES``."""
LINES = [
    "a dog runs over the meadow .",
    "two dogs run , jumping and playing over there",
    "the year 2016 , the year 1999",
    "running dogs and the other runner",
]


def settings_of(kind: str, size: int = 320) -> dict[str, Any]:
    """Returns the settings of a tokenizer, of a size if it is one that learns."""
    more: dict[str, Any] = {"model_file": str(CODES)} if kind == NAME else {}
    return {"tokenizer": kind, **({"vocab_size": size} if kind in SUBWORDS else more)}
