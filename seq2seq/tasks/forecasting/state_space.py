"""Linear Gaussian models of one series: a state that moves, of which one number is seen.

``state' = transition @ state + noise`` and ``value = design @ state``: the form in which the whole
ARMA family is filtered (Durbin & Koopman 2012, "Time Series Analysis by State Space Methods",
chapter 4). A belief about the state is all that is kept of the past, so that new values cost the
same after ten steps and after ten thousand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SETTLED = 1e-13
"""Relative change of the covariance in one step below which it no longer changes."""


@dataclass(frozen=True)
class Belief:
    """What is known of the state at the next step, before its value is seen."""

    mean: Float[np.ndarray, "K"]
    covariance: Float[np.ndarray, "K K"]


@dataclass(frozen=True)
class StateSpace:
    """A model with ``K`` numbers in its state."""

    transition: Float[np.ndarray, "K K"]
    noise: Float[np.ndarray, "K K"]
    """The covariance of what is added at each step."""
    design: Float[np.ndarray, "K"]
    start: Belief

    def filtered(self, belief: Belief, values: Float[np.ndarray, "T"]) -> Belief:
        """Returns the belief after more values; NaN: not seen.

        Once the covariance has settled, only the mean moves.
        """
        mean, covariance = belief.mean, belief.covariance
        gain, settled = np.zeros_like(mean), False
        for value in values:
            if np.isnan(value):
                mean = self.transition @ mean
                covariance, settled = self._moved(covariance), False
                continue
            if not settled:
                seen = covariance @ self.design
                variance = self.design @ seen
                gain = seen / variance if variance > 0 else np.zeros_like(seen)
                after = self._moved(covariance - np.outer(gain, seen))
                settled = bool(np.abs(after - covariance).max() <= SETTLED * np.abs(after).max())
                covariance = after
            mean = self.transition @ (mean + gain * (value - self.design @ mean))
        return Belief(mean, covariance)

    def ahead(
        self, belief: Belief, steps: int
    ) -> tuple[Float[np.ndarray, "H"], Float[np.ndarray, "H"]]:
        """Returns mean and variance of the next values."""
        mean, covariance = belief.mean, belief.covariance
        means, variances = np.empty(steps), np.empty(steps)
        for step in range(steps):
            means[step] = self.design @ mean
            variances[step] = self.design @ covariance @ self.design
            mean, covariance = self.transition @ mean, self._moved(covariance)
        return means, np.maximum(variances, 0.0)

    def paths(
        self, belief: Belief, steps: int, count: int, random: np.random.Generator
    ) -> Float[np.ndarray, "H M"]:
        """Draws courses that the next values may take."""
        states = belief.mean[:, None] + _root(belief.covariance) @ random.standard_normal(
            (len(belief.mean), count)
        )
        noise, found = _root(self.noise), np.empty((steps, count))
        for step in range(steps):
            found[step] = self.design @ states
            states = self.transition @ states + noise @ random.standard_normal(states.shape)
        return found

    def _moved(self, covariance: Float[np.ndarray, "K K"]) -> Float[np.ndarray, "K K"]:
        moved = self.transition @ covariance @ self.transition.T + self.noise
        even: Float[np.ndarray, "K K"] = (moved + moved.T) / 2
        return even


def _root(covariance: Float[np.ndarray, "K K"]) -> Float[np.ndarray, "K K"]:
    """Returns the symmetric root; of all roots the only one that rounding does not turn around."""
    values, vectors = np.linalg.eigh(covariance)
    root: Float[np.ndarray, "K K"] = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    return root
