"""Objectives: what training makes small."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from seq2seq.tensors import Features, Outcome


@runtime_checkable
class Featured(Protocol):
    """A model that can be trained: features, and a head that makes a loss of them."""

    if TYPE_CHECKING:  # since isinstance does not find the parts of a module from Python 3.12 on
        head: Any
        """Has ``loss(vectors, targets, smoothing)``, the loss summed over the real steps."""

    def features(self, batch: Any, carried: Tensor | None = None) -> Features:  # noqa: ANN401
        """Returns what the head sees, and what is to be predicted."""
        ...


Objective: TypeAlias = Callable[[Any, Any, Tensor | None], Outcome]
"""Takes a model, a batch and the state that the batch before it left; returns the loss."""


@dataclass(frozen=True)
class CrossEntropy:
    """The head's own loss; of tokens, label-smoothed cross-entropy (Szegedy et al. 2016)."""

    smoothing: float = 0.0
    """Share of the target's mass that all tokens have in common."""

    def __call__(self, model: Featured, batch: Any, carried: Tensor | None) -> Outcome:  # noqa: ANN401
        """Returns the summed loss of a batch."""
        features = model.features(batch, carried)
        nats = model.head.loss(features.vectors, features.targets, self.smoothing)
        return Outcome(nats, features.penalty, features.carried)


OBJECTIVES: dict[str, Callable[[Any], Objective]] = {
    "cross_entropy": lambda config: CrossEntropy(config.label_smoothing),
}
"""Makes each objective from a :class:`seq2seq.training.config.TrainConfig`, by name."""
