"""Minimum Bayes risk: the hypothesis that is most like all others, not the likeliest one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from seq2seq.lazy import imported
from seq2seq.search.config import UTILITIES, SearchConfig
from seq2seq.tasks.translation.translation import Translation


def most_alike(found: Translation, search: SearchConfig, n_best: int) -> Translation:
    """Returns the best of all alternatives of a translation, and its alternatives anew.

    A text's utility is what it scores on average if each hypothesis, itself included, is its
    reference. Drawn hypotheses weigh the same (Eikema and Aziz 2022, section 4.2), so that texts
    drawn twice weigh twice; those of a beam weigh as their probabilities do (Kumar and Byrne 2004,
    section 2.2).
    """
    likeliest = sorted(found.alternatives, key=lambda one: -one.score)
    texts = list(dict.fromkeys(one.text for one in likeliest))
    entry = UTILITIES[search.mbr]
    pairs = (imported(entry) if isinstance(entry, str) else entry)(texts)  # [N, N]
    places = {text: place for place, text in enumerate(texts)}
    weights = np.zeros(len(texts))
    owners = [places[one.text] for one in likeliest]
    np.add.at(weights, owners, _shares(likeliest, search))
    utilities = pairs @ weights
    first = {one.text: one for one in reversed(likeliest)}  # the likeliest with each text
    order = sorted(texts, key=lambda text: -utilities[places[text]])[:n_best]
    chosen = [replace(first[text], utility=float(utilities[places[text]])) for text in order]
    return replace(chosen[0], alternatives=tuple(chosen))


def _shares(found: Sequence[Translation], search: SearchConfig) -> Float[np.ndarray, "N"]:
    """Returns what each hypothesis weighs; their sum is 1."""
    if search.strategy == "sampling":
        return np.full(len(found), 1 / len(found))
    lengths = np.array([max(1, len(one.target_tokens)) for one in found], float)
    scores = np.array([one.score for one in found]) * lengths**search.length_penalty
    shares = np.exp(scores - scores.max()) if np.isfinite(scores.max()) else np.ones(len(scores))
    return np.asarray(shares / shares.sum(), np.float64)
