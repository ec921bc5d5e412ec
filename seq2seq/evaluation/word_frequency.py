"""How well words are translated, by how often they stand in training texts.

As compare-mt counts it (Neubig et al. 2019, "compare-mt: A Tool for Holistic Comparison of Language
Generation Systems"): a word of an output is right at most as often as it stands in the reference.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from seq2seq.evaluation.analysis import Curves, Line, Systems
from seq2seq.evaluation.groups import label
from seq2seq.evaluation.metrics import Several, bleu_of

LONGEST = (0, 1, 5, 10, 100, 1000, 10000)
"""The most frequent words of each group: so many times; another group holds what is still more so.
"""
Cut: TypeAlias = Callable[[str], Sequence[str]]
"""Returns the words of a text."""


def words_of(references: Several, lowercase: bool, tokenize: str) -> Cut:
    """Returns what makes the words of a text that BLEU counts."""
    metric = bleu_of(references, lowercase, tokenize)
    return lambda text: metric._preprocess_segment(text).split()


def by_frequency(systems: Systems, times: Mapping[str, int], cut: Cut, where: str) -> Curves:
    """Returns the F-score of the words of each group, in percent, for each system.

    Groups are those of which the first reference of a line holds a word.

    Args:
        systems: The lines of each system.
        times: How often a word stands in the texts learned from; those not in it: never.
        cut: What makes words of a text.
        where: What these texts are called.
    """
    found = {system: _counts(lines, times, cut) for system, lines in systems.items()}
    firsts = Counter[int]()
    for line in next(iter(systems.values())):
        firsts.update(_groups(Counter(cut(line.references[0])), times))
    groups = sorted(firsts)
    scores = {
        system: [_f_score(right[group], outputs[group], expected[group]) for group in groups]
        for system, (right, outputs, expected) in found.items()
    }
    sizes = {label(group, LONGEST): firsts[group] for group in groups}
    return Curves(f"times in {where}", "words", sizes, {"F1 of words": scores})


def _counts(
    lines: Sequence[Line], times: Mapping[str, int], cut: Cut
) -> tuple[Counter[int], Counter[int], Counter[int]]:
    """Returns for each group its words that are right, that are there, and that should be."""
    counts = Counter[int](), Counter[int](), Counter[int]()
    for line in lines:
        output = Counter(cut(line.text))
        references = [Counter(cut(text)) for text in line.references]
        nearest = max(references, key=lambda words: (output & words).total())
        for count, words in zip(counts, (output & nearest, output, nearest), strict=True):
            count.update(_groups(words, times))
    return counts


def _groups(words: Mapping[str, int], times: Mapping[str, int]) -> Counter[int]:
    """Returns how many of some words are in each group."""
    found = Counter[int]()
    for word, count in words.items():
        found[bisect_left(LONGEST, times.get(word, 0))] += count
    return found


def _f_score(right: int, outputs: int, expected: int) -> float:
    """Returns the harmonic mean of precision and recall in percent; 0 where there is neither."""
    return 200 * right / (outputs + expected) if outputs + expected else 0.0
