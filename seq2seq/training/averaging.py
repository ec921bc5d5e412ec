"""A running average of the weights, which is often better than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class RunningAverage:
    """An exponential average of weights (Polyak & Juditsky 1992), with a short memory at first."""

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        """Averages ``weights``, which change in place; ``decay`` is the share that stays."""
        self.weights = weights
        self.decay = decay
        self.values = {name: tensor.clone() for name, tensor in weights.items()}

    def follow(self, step: int) -> None:
        """Moves towards the weights after update ``step`` (the first is 0).

        The share that stays grows with the steps, so that the first weights are soon forgotten.
        """
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self.weights.values()), share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Gives the model the average for a while."""
        kept = {name: tensor.clone() for name, tensor in self.weights.items()}
        copy(self.values, self.weights)
        try:
            yield
        finally:
            copy(kept, self.weights)


def copy(values: Mapping[str, Tensor], to: Mapping[str, Tensor]) -> None:
    """Copies tensors of the same names."""
    for name, tensor in to.items():
        tensor.copy_(values[name])
