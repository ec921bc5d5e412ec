"""Weights of features with which the best hypotheses of n-best lists score best.

Minimum error rate training (Och 2003, "Minimum Error Rate Training in Statistical Machine
Translation", section 5): along a line in the space of weights the best hypothesis of a list
changes at a few places only, so the score is known everywhere on it. Lines are searched one after
the other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

GAIN = 1e-6
"""A smaller gain, in points of the metric, is none."""
RESTARTS = 8
"""Weights drawn to begin with: a climb ends on the nearest hill."""
NARROW = 1e-9
"""Weights that lie so close together are not told apart."""


@dataclass(frozen=True)
class Choices:
    """Features and counts of the hypotheses of n-best lists, padded to the longest list."""

    features: Float[np.ndarray, "N K M"]
    counts: Float[np.ndarray, "N K F"]
    """What a metric adds up over the lists."""
    real: Bool[np.ndarray, "N K"]
    score: Callable[[Float[np.ndarray, "F"]], float]
    """Returns the metric of such sums; more is better."""

    @classmethod
    def of(
        cls,
        features: Sequence[Float[np.ndarray, "_ M"]],
        counts: Sequence[Float[np.ndarray, "_ F"]],
        score: Callable[[Float[np.ndarray, "F"]], float],
    ) -> "Choices":
        """Pads the lists."""
        lengths = np.array([len(rows) for rows in features])
        real = np.arange(lengths.max(initial=1)) < lengths[:, None]
        return cls(_padded(features, real), _padded(counts, real), real, score)

    def best(self, weights: Float[np.ndarray, "M"]) -> Int[np.ndarray, "N"]:
        """Returns the place of the best hypothesis of each list; of equals, the first."""
        totals = np.where(self.real, self.features @ weights, -np.inf)  # [N, K]
        return np.asarray(totals.argmax(axis=1))

    def value(self, weights: Float[np.ndarray, "M"]) -> float:
        """Returns the metric of the best hypotheses."""
        return self.score(self.counts[np.arange(len(self.counts)), self.best(weights)].sum(axis=0))


def _padded(
    rows: Sequence[Float[np.ndarray, "_ F"]], real: Bool[np.ndarray, "N K"]
) -> Float[np.ndarray, "N K F"]:
    padded = np.zeros((*real.shape, rows[0].shape[1]))
    padded[real] = np.concatenate(rows)
    return padded


def beginnings(lists: Choices, usual: Float[np.ndarray, "M"]) -> list[Float[np.ndarray, "M"]]:
    """Returns weights to begin with: each feature alone, the usual ones, and some that are drawn.

    Always the same ones, in the scales of the features.
    """
    drawn = np.random.default_rng(1).standard_normal((RESTARTS, len(usual))) / _spread(lists)
    return [*np.eye(len(usual)), usual, *drawn]


def tune(
    lists: Choices,
    starts: Iterable[Float[np.ndarray, "M"]],
) -> Float[np.ndarray, "M"]:
    """Returns the best weights that are found from some first ones; their sizes add up to 1.

    Of equals, those from the earliest start.
    """
    spread = _spread(lists)
    scaled = Choices(lists.features / spread, lists.counts, lists.real, lists.score)
    found = [_climb(scaled, start * spread) for start in starts]
    best, _ = max(found, key=lambda entry: entry[1])
    weights = best / spread
    return np.asarray(weights / np.abs(weights).sum())


def _spread(lists: Choices) -> Float[np.ndarray, "M"]:
    """Returns how much each feature differs inside a list; 1 where it never does."""
    counts = lists.real.sum(axis=1)[:, None]  # [N, 1]
    means = lists.features.sum(axis=1) / counts  # [N, M]
    apart = (lists.features - means[:, None]) * lists.real[..., None]
    spread = np.sqrt((apart**2).sum(axis=(0, 1)) / counts.sum())
    return np.where(spread > NARROW, spread, 1.0)


def _climb(lists: Choices, weights: Float[np.ndarray, "M"]) -> tuple[Float[np.ndarray, "M"], float]:
    """Searches along one feature after the other, and along where that led (Powell 1964)."""
    value, before = lists.value(weights), -np.inf
    while value > before + GAIN:
        before, begun = value, weights
        for direction in np.eye(len(weights)):
            weights, value = _along(lists, weights, value, direction)
        if np.any(weights != begun):
            weights, value = _along(lists, weights, value, weights - begun)
    return weights, value


def _along(
    lists: Choices,
    weights: Float[np.ndarray, "M"],
    value: float,
    direction: Float[np.ndarray, "M"],
) -> tuple[Float[np.ndarray, "M"], float]:
    """Returns the best weights on a line, and their value; those given where none is better."""
    places, values = scores_on(lists, weights, direction)
    better = [index for index, found in enumerate(values) if found > value + GAIN]
    # The best first; of equals, the nearest.
    for index in sorted(better, key=lambda index: (-values[index], abs(places[index]))):
        moved = weights + places[index] * direction
        found = lists.value(moved)
        if found > value + GAIN:  # rounding may say otherwise where stretches are narrow
            return moved, found
    return weights, value


def scores_on(
    lists: Choices, weights: Float[np.ndarray, "M"], direction: Float[np.ndarray, "M"]
) -> tuple[list[float], list[float]]:
    """Returns a place in each stretch of a line on which no best hypothesis changes, and its value.

    A place is a number of steps of ``direction`` from ``weights``.
    """
    offsets, slopes = lists.features @ weights, lists.features @ direction  # [N, K]
    first, changes = _upper_lines(offsets, slopes, lists.real)
    begun = lists.counts[np.arange(len(first)), first].sum(axis=0)  # [F]
    steps, rows, old, new = (
        np.concatenate([change[part] for change in changes] or [np.zeros(0, np.int64)])
        for part in range(4)
    )
    order = np.argsort(steps, kind="stable")
    deltas = (lists.counts[rows, new] - lists.counts[rows, old])[order]
    sums = np.concatenate([begun[None], begun + np.cumsum(deltas, axis=0)])  # [P+1, F]
    edges = np.concatenate([[-np.inf], steps[order], [np.inf]])
    wide = np.flatnonzero(np.diff(edges) > NARROW)  # where a stretch begins
    places = [_inside(edges[index], edges[index + 1]) for index in wide]
    return places, [lists.score(sums[index]) for index in wide]


def _inside(low: float, high: float) -> float:
    """Returns a number between two others, of which the one or the other may be infinite."""
    if np.isinf(low):
        return 0.0 if np.isinf(high) else high - 1.0
    return low + 1.0 if np.isinf(high) else (low + high) / 2


def _upper_lines(
    offsets: Float[np.ndarray, "N K"],
    slopes: Float[np.ndarray, "N K"],
    real: Bool[np.ndarray, "N K"],
) -> tuple[Int[np.ndarray, "N"], list[tuple[np.ndarray, ...]]]:
    """Finds which line of each row is the highest, from far on the left to far on the right.

    Returns each row's first, and changes: where, in which row, from which line to which.
    """
    rows = np.arange(len(offsets))
    flattest = np.where(real, slopes, np.inf)
    level = flattest == flattest.min(axis=1)[:, None]
    now = first = np.where(level, offsets, -np.inf).argmax(axis=1)
    changes: list[tuple[np.ndarray, ...]] = []
    while True:
        rise = slopes - slopes[rows, now][:, None]
        ahead = real & (rise > 0)
        moved = ahead.any(axis=1)
        if not moved.any():
            return first, changes
        lead = offsets[rows, now][:, None] - offsets
        steps = np.divide(lead, rise, out=np.full_like(lead, np.inf), where=ahead)
        soonest = steps.min(axis=1)
        crossing = ahead & (steps == soonest[:, None])
        after = np.where(crossing, slopes, -np.inf).argmax(axis=1)
        changes.append((soonest[moved], rows[moved], now[moved], after[moved]))
        now = np.where(moved, after, now)
