"""Texts against each other: equal, pair by pair, to sacreBLEU's own sentence scores."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import sacrebleu

from seq2seq.lazy import imported
from seq2seq.search.config import UTILITIES

OWN: dict[str, Callable[[str, list[str]], float]] = {
    "chrf": lambda text, others: sacrebleu.sentence_chrf(text, others).score,
    "bleu": lambda text, others: sacrebleu.sentence_bleu(text, others).score,
}
WORDS = "a the dog cat runs over green field man in on , with 2.5 'tis don't größer é".split()  # noqa: SIM905
ODD = [
    "",
    " ",
    "a",
    "a a a a a a a a a",
    "  a\tb ",
    "a\n",
    "The dog.",
    "the dog .",
    "aaaaaaaa",
    "...",
]


def drawn(seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randrange(12))) for _ in range(10)]


@pytest.mark.parametrize("name", UTILITIES)
@pytest.mark.parametrize("texts", [ODD, *map(drawn, range(3)), ["x"], [""]], ids=len)
def test_all_pairs_score_as_sacrebleu_says(name: str, texts: list[str]) -> None:
    expected = [[OWN[name](text, [other]) for other in texts] for text in texts]
    np.testing.assert_allclose(imported(str(UTILITIES[name]))(texts), expected, atol=1e-6)


@pytest.mark.parametrize("texts", [["我看到一只狗。", "我看一只大狗。", "狗"]])
def test_words_are_cut_as_suits_the_script(texts: list[str]) -> None:
    metric = sacrebleu.metrics.bleu.BLEU(tokenize="zh", effective_order=True)
    expected = [[metric.sentence_score(one, [other]).score for other in texts] for one in texts]
    np.testing.assert_allclose(imported(str(UTILITIES["bleu"]))(texts), expected, atol=1e-6)
