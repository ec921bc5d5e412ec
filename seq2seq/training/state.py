"""What a run must remember to go on: where it stands, its weights, its optimiser's tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.errors import CheckpointError
from seq2seq.training.checkpoint import Checkpoint

STORED_AS = {"key_projection": "memory", "output_projection": "join"}
"""Parts whose name in checkpoints is older than their name in the code."""
STEADY = 2000
"""Updates in a row without an overflow after which the scale of float16 gradients is doubled."""


@dataclass
class Progress:
    """Where a run stands; all that resuming needs besides weights and optimiser."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    """Batches of this epoch already used."""
    seconds: float = 0.0
    threads: int = 0
    """CPU threads with which the run began; 0: not told."""
    parts: int = 1
    """Into how many parts each batch is cut, since memory was full with fewer."""
    validated: int = 0
    """The step of the last validation."""
    best: float | None = None
    best_loss: float | None = None
    """The validation loss at the best score, which decides between equal scores."""
    best_step: int | None = None
    best_row: dict[str, int | float] = field(default_factory=dict)
    """What the metrics tell of the best validation; empty: an earlier version did not keep it."""
    without_gain: int = 0
    plateaus: int = 0
    skipped: int = 0
    """Updates left out since a gradient was not a number."""
    skipped_in_a_row: int = 0
    scale: float = 2.0**16
    """What float16 gradients are multiplied with while they are made."""
    since_overflow: int = 0
    """Updates since that was too much."""
    window_loss: float = 0.0
    """Loss, tokens and seconds since the last row of the metrics."""
    window_tokens: int = 0
    window_seconds: float = 0.0
    first_loss: float | None = None
    """Mean loss of a prediction in the first update, and in the last."""
    last_loss: float | None = None
    diverged: str = ""
    """How the run that is over has diverged; empty: it has not."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Progress":
        """Returns what a checkpoint tells; earlier versions kept what is no number."""
        kept = {
            key: value
            for key, value in state.items()
            if not isinstance(value, float) or math.isfinite(value)
        }
        return cls(**kept)


def rescale(progress: Progress, *, overflowed: bool) -> None:
    """Halves the scale of float16 gradients after an overflow; doubles it after a long while.

    So that few of them vanish (Micikevicius et al. 2018, section 3.2).
    """
    progress.since_overflow = 0 if overflowed else progress.since_overflow + 1
    if overflowed:
        progress.scale /= 2
    elif progress.since_overflow == STEADY:
        progress.scale, progress.since_overflow = 2 * progress.scale, 0


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights by the names that checkpoints give them; shared ones once."""
    return {stored_name(name): parameter.detach() for name, parameter in model.named_parameters()}


def stored_name(name: str) -> str:
    """Returns the name in checkpoints of a parameter."""
    return ".".join(STORED_AS.get(part, part) for part in name.split("."))


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copies a checkpoint's weights into a model.

    Raises:
        CheckpointError: Names or shapes differ; says which.
    """
    parameters = weights(model)
    for name in sorted(parameters.keys() | checkpoint.model.keys()):
        parameter, saved = parameters.get(name), checkpoint.model.get(name)
        if parameter is None or saved is None or parameter.shape != saved.shape:
            found = "nothing" if saved is None else list(saved.shape)
            wanted = "nothing" if parameter is None else list(parameter.shape)
            raise CheckpointError(
                f"checkpoint {checkpoint.name}: {name} is {found}, the model's is {wanted}"
            )
        parameter.copy_(saved)


def sections(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Parts what training needs besides the model: the optimiser's tensors (``parameter.name``),
    weights of which the model's are the average, and the state that a text has reached.
    """  # noqa: D205
    parts: dict[str, dict[str, Tensor]] = {"optimizer": {}, "weights": {}, "text": {}}
    for key, tensor in tensors.items():
        head, _, name = key.partition(".")
        if head in parts:
            parts[head][name] = tensor
        else:
            parts["optimizer"][key] = tensor
    return parts


def flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimiser's tensors as ``parameter.name``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, slots in state.items()
        for name, value in slots.items()
        if isinstance(value, Tensor)
    }


def unflatten(tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, object]:
    """Undoes :func:`flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
