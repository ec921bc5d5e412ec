"""Weights of n-best lists: what is found is the best of all, and what is told of a line is true."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from seq2seq.errors import ConfigError
from seq2seq.evaluation.counted import COUNTED, counted
from seq2seq.measures import METRICS
from seq2seq.tasks.translation.tuning import Choices, beginnings, scores_on, tune

WORDS = ["ein", "Hund", "rennt", "über", "die", "Wiese", "da"]
REFERENCES = [
    ("ein Hund rennt über die Wiese",),
    ("die Wiese da", "da die Wiese"),
    ("ein Hund da",),
]


def drawn(seed: int, lists: int = 12, features: int = 2) -> tuple[list[list[str]], list[Any], Any]:
    """Draws hypotheses, their features, and references."""
    rng = np.random.default_rng(seed)
    references = [REFERENCES[n % 3] for n in range(lists)]
    texts = [
        [" ".join(rng.permutation(WORDS)[: rng.integers(3, 7)]) for _ in range(rng.integers(1, 6))]
        for _ in range(lists)
    ]
    values = [rng.standard_normal((len(some), features)) * [1, 30] for some in texts]
    return texts, values, references


def lists_of(seed: int, metric: str = "bleu") -> tuple[Choices, Any, Any, Any]:
    texts, values, references = drawn(seed)
    counts = counted(metric, texts, references)
    return Choices.of(values, counts.of_texts, counts.score), texts, values, references


@pytest.mark.parametrize("metric", COUNTED)
def test_counts_give_the_score_of_the_corpus(metric: str) -> None:
    texts, _, references = drawn(1)
    counts = counted(metric, texts, references)
    for place in (0, -1):
        chosen = [some[place] for some in texts]
        sums = np.sum([rows[place] for rows in counts.of_texts], axis=0)
        expected = METRICS[metric](chosen, references).value
        assert counts.score(sums) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_scores_on_a_line_are_those_of_the_weights_there(seed: int) -> None:
    lists, *_ = lists_of(seed)
    weights, direction = np.array([1.0, 0.02]), np.array([0.3, -0.1])
    places, values = scores_on(lists, weights, direction)
    assert len(places) > 5
    for place, value in zip(places, values, strict=True):
        assert lists.value(weights + place * direction) == pytest.approx(value, abs=1e-9)
    grid = [lists.value(weights + place * direction) for place in np.linspace(-50, 50, 4001)]
    assert max(values) >= max(grid) - 1e-9
    assert scores_on(lists, weights, np.zeros(2)) == ([0.0], [lists.value(weights)])


@pytest.mark.parametrize("metric", COUNTED)
@pytest.mark.parametrize("seed", range(3))
def test_no_weights_of_a_grid_are_better(metric: str, seed: int) -> None:
    lists, texts, values, references = lists_of(seed, metric)
    found = tune(lists, [np.array([1.0, 0.0]), np.array([0.0, 1.0])])
    angles = np.linspace(-np.pi / 2, np.pi, 721)
    grid = [lists.value(np.array([np.cos(angle), np.sin(angle) / 30])) for angle in angles]
    assert lists.value(found) >= max(grid) - 1e-9
    assert np.abs(found).sum() == pytest.approx(1)
    assert (tune(lists, [np.array([1.0, 0.0]), np.array([0.0, 1.0])]) == found).all()
    # As whoever uses the weights would choose.
    chosen = [some[int((rows @ found).argmax())] for some, rows in zip(texts, values, strict=True)]
    assert METRICS[metric](chosen, references).value == pytest.approx(lists.value(found), abs=1e-9)


def test_a_feature_that_never_differs_is_none() -> None:
    texts, values, references = drawn(2)
    counts = counted("chrf", texts, references)
    flat = [np.concatenate([rows[:, :1], np.full((len(rows), 1), 7.0)], axis=1) for rows in values]
    lists = Choices.of(flat, counts.of_texts, counts.score)
    found = tune(lists, [np.array([0.5, 0.0])])
    assert abs(found[0]) == 1
    assert found[1] == 0
    assert lists.value(found) == max(lists.value(np.array([sign, 0.0])) for sign in (1, -1))


def test_more_features_are_searched_together() -> None:
    rng = np.random.default_rng(5)
    texts, _, references = drawn(3, lists=20)
    counts = counted("chrf", texts, references)
    good = [
        np.array([counts.score(row) for row in rows]) / 50 + 0.1 * rng.standard_normal(len(rows))
        for rows in counts.of_texts
    ]
    noise = [rng.standard_normal((len(rows), 2)) for rows in good]
    # The sum of all three is what is good; each by itself is noise.
    values = [
        np.stack([rows[:, 0], rows[:, 1], quality - rows.sum(axis=1)], axis=1)
        for rows, quality in zip(noise, good, strict=True)
    ]
    lists = Choices.of(values, counts.of_texts, counts.score)
    found = lists.value(tune(lists, beginnings(lists, np.array([1.0, 0.0, 0.0]))))
    weights = [np.array(one) for one in product([0.0, 0.5, 1.0], repeat=3)]
    assert found >= max(map(lists.value, weights)) > lists.value(np.eye(3)[0]) + 5


def test_a_metric_that_is_no_sum_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^metric: must be one of bleu, chrf, got 'ter'$"):
        counted("ter", [["a"]], [["a"]])
