"""Gradients of an update: the mean over all its predictions, added up batch by batch."""

from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.tensors import Outcome
from seq2seq.tensors.graphs import Graphs
from seq2seq.training.objective import Objective


class Gradients:
    """Makes the gradients of a model's weights, in ``parameter.grad``."""

    def __init__(self, model: nn.Module, objective: Objective, dtype: torch.dtype) -> None:
        """``dtype`` are the numbers that matrix products use."""
        self.model = model
        self.objective = objective
        self.dtype = dtype

    def clear(self) -> None:
        """Forgets the gradients, after an update."""
        self.model.zero_grad(set_to_none=True)

    def add(
        self,
        batch: Any,  # noqa: ANN401
        carried: Tensor | None,
        count: int,
        total: int,
        scale: float = 1.0,
    ) -> Outcome:
        """Adds the gradients of a batch.

        Args:
            batch: The batch, on the device of the model.
            carried: The state that the batch before it left.
            count: Its predictions.
            total: The predictions of all batches of the update.
            scale: What the gradients are multiplied with.

        Returns:
            What the objective made of the batch.
        """
        outcome = self._outcome(batch, carried)
        loss = _share(outcome, count, total)
        (loss if scale == 1 else loss * scale).backward()  # type: ignore[no-untyped-call]
        return outcome

    def divide(self, scale: float) -> None:
        """Divides the gradients by what they were multiplied with; powers of two are exact."""
        if scale != 1:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad /= scale

    def _outcome(self, batch: Any, carried: Tensor | None) -> Outcome:  # noqa: ANN401
        """Runs the model and the objective."""
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, self.dtype, self.dtype != torch.float32):
            return self.objective(self.model, batch, carried)


def _share(outcome: Outcome, count: int | Tensor, total: int | Tensor) -> Tensor:
    """Returns what a batch contributes to the mean loss of all predictions."""
    loss = outcome.nats / total
    if outcome.penalty is not None:
        loss = loss + outcome.penalty * (count / total)
    return loss


class ReplayedGradients(Gradients):
    """The same, as CUDA graphs: one for each of the few shapes that batches are filled up to."""

    def __init__(self, model: nn.Module, objective: Objective, dtype: torch.dtype) -> None:
        super().__init__(model, objective, dtype)
        self.parameters = [one for one in model.parameters() if one.requires_grad]
        sizes = [one.numel() for one in self.parameters]
        self._of_batch = torch.cat([torch.zeros_like(one).flatten() for one in self.parameters])
        """What a recording writes into, whichever it is."""
        self._sum = torch.zeros_like(self._of_batch)
        self._views = [
            part.view_as(one)
            for part, one in zip(torch.split(self._sum, sizes), self.parameters, strict=True)
        ]
        self._graphs = Graphs(self._differentiate)
        self.clear()

    @property
    def recorded(self) -> int:
        """How many shapes were recorded; 0: none could be."""
        return len(self._graphs.recordings)

    def clear(self) -> None:
        """Sets the gradients to zero."""
        self._sum.zero_()
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view

    def add(
        self,
        batch: Any,  # noqa: ANN401
        carried: Tensor | None,
        count: int,
        total: int,
        scale: float = 1.0,
    ) -> Outcome:
        """Adds the gradients of a batch, as :meth:`Gradients.add`."""
        numbers = (self._sum.new_full((), number) for number in (count, total, scale))
        usual = batch.filled() if hasattr(batch, "filled") else batch
        found = self._graphs(usual, carried, *numbers)
        self._sum += self._of_batch
        # A copy, since the next batch of this shape writes over it.
        return Outcome(found.nats.clone(), found.penalty, found.carried)

    def _differentiate(
        self,
        batch: Any,  # noqa: ANN401
        carried: Tensor | None,
        count: Tensor,
        total: Tensor,
        scale: Tensor,
    ) -> Outcome:
        """Writes the gradients of a batch to their place."""
        outcome = self._outcome(batch, carried)
        loss = _share(outcome, count, total) * scale
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        parts = [
            (torch.zeros_like(one) if gradient is None else gradient).flatten()
            for gradient, one in zip(found, self.parameters, strict=True)
        ]
        torch.cat(parts, out=self._of_batch)
        return Outcome(outcome.nats.detach(), carried=outcome.carried)
