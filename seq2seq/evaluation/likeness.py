"""How much each of several texts is like each other, for all pairs at once.

The scores are those of sacreBLEU's sentence-level chrF (Popović 2015) and BLEU (Papineni et al.
2002), with its usual settings. Tests hold them to sacreBLEU's own functions.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from sacrebleu.metrics.bleu import BLEU

from seq2seq.evaluation.bleu_tokenizer import suited_to
from seq2seq.evaluation.scripts import script_of

CHARACTERS, WORDS, BETA = 6, 4, 2
"""The longest n-grams of chrF and of BLEU; what recall weighs in chrF, precision being 1."""


def chrf_of_pairs(texts: Sequence[str]) -> Float[np.ndarray, "N N"]:
    """Returns what each text (row) scores in chrF if another (column) is its reference."""
    rows = [np.array([ord(char) for char in "".join(text.split())], np.int64) for text in texts]
    precision = np.zeros((len(rows), len(rows)))
    recall = np.zeros_like(precision)
    for common, totals in _in_common(rows, CHARACTERS):
        share = common / np.maximum(totals, 1)[:, None]
        precision += share
        recall += share.T  # what two texts have in common is the same both ways
    lengths = np.array([len(row) for row in rows])
    orders = np.clip(np.minimum.outer(lengths, lengths), 1, CHARACTERS)
    precision, recall = precision / orders, recall / orders
    weighed = BETA**2 * precision + recall
    scores = 100 * (1 + BETA**2) * precision * recall / np.where(weighed > 0, weighed, 1)
    return np.asarray(scores, np.float64)


def bleu_of_pairs(texts: Sequence[str]) -> Float[np.ndarray, "N N"]:
    """Returns what each text (row) scores in BLEU if another (column) is its reference.

    Words are cut as suits the script of the texts. As sacreBLEU does with sentences: n-grams that
    a text is too short for do not count, and those of which none is right count a little.
    """
    rows = _words(texts)
    lengths = np.array([len(row) for row in rows])
    logarithms = np.zeros((len(rows), len(rows)))
    halved, any_right = np.ones_like(logarithms), np.zeros(logarithms.shape, bool)
    for common, totals in _in_common(rows, WORDS):
        possible = np.maximum(totals, 1)[:, None]
        any_right |= common > 0
        halved = np.where((common == 0) & (totals > 0)[:, None], 2 * halved, halved)
        precision = np.where(common > 0, common, 1 / halved) / possible
        logarithms += np.where((totals > 0)[:, None], np.log(precision), 0)
    orders = np.clip(lengths, 1, WORDS)[:, None]
    short = np.minimum(0, 1 - lengths[None] / np.maximum(lengths, 1)[:, None])
    return np.where(any_right, 100 * np.exp(short + logarithms / orders), 0)


def _words(texts: Sequence[str]) -> list[Int[np.ndarray, "_"]]:
    """Returns a number for each word of each text, the same for the same word."""
    bleu, known = _bleu(script_of(texts)), dict[str, int]()
    rows = [bleu._preprocess_segment(text).split() for text in texts]
    return [np.array([known.setdefault(word, len(known)) for word in row], int) for row in rows]


@cache  # what suits a script is told once
def _bleu(script: str | None) -> BLEU:
    return BLEU(tokenize=suited_to(script))


def _in_common(
    rows: Sequence[Int[np.ndarray, "_"]], longest: int
) -> Iterator[tuple[Float[np.ndarray, "N N"], Int[np.ndarray, "N"]]]:
    """Yields for each length of n-grams how many each two rows have in common, and each has."""
    lengths = np.array([len(row) for row in rows])
    items = np.unique(np.concatenate(rows), return_inverse=True)[1].astype(np.int64)
    owners = np.repeat(np.arange(len(rows)), lengths)
    places, grams = np.arange(len(items)), items  # where n-grams begin, and which they are
    for size in range(1, longest + 1):
        if size > 1:
            whole = places + size - 1 < len(items)
            whole[whole] = owners[places[whole] + size - 1] == owners[places[whole]]
            places = places[whole]
            longer = grams[whole] * (len(items) + 1) + items[places + size - 1]
            grams = np.unique(longer, return_inverse=True)[1]
        totals = np.maximum(lengths - size + 1, 0)
        yield _overlap(grams, owners[places], totals), totals


def _overlap(
    grams: Int[np.ndarray, "G"], owners: Int[np.ndarray, "G"], totals: Int[np.ndarray, "N"]
) -> Float[np.ndarray, "N N"]:
    """Returns how many n-grams two rows have in common; each has all of its ``totals`` itself.

    The smaller of two counts is how many thresholds both reach: a product of matrices for each.
    """
    rows = len(totals)
    found, counts = np.unique(grams * rows + owners, return_counts=True)
    kinds, owners = found // rows, found % rows
    shared = np.bincount(kinds)[kinds] > 1  # what one row alone has, is common to no two
    kinds = np.unique(kinds[shared], return_inverse=True)[1]
    table = np.zeros((rows, int(kinds.max(initial=-1)) + 1), np.int64)
    table[owners[shared], kinds] = counts[shared]
    common = np.zeros((rows, rows))
    for least in range(1, int(table.max(initial=0)) + 1):
        table = table[:, table.max(axis=0) >= least]
        reached = (table >= least).astype(np.float32)
        common += reached @ reached.T
    np.fill_diagonal(common, totals)
    return common
