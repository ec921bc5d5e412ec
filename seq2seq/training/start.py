"""What a model takes of an earlier one: weights and moments of the optimiser, by name and row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from seq2seq.training.freezing import trained
from seq2seq.training.state import unflatten, weights

Moments: TypeAlias = Mapping[str, Mapping[str, Tensor]]
"""The optimiser's tensors by the name of the weights, then by their own."""
Places: TypeAlias = Mapping[str, Sequence[int]]
"""For parts of a model with a row for each token: of each row, where it stood earlier; -1: nowhere.
No rows at all: the earlier vocabulary is unknown."""


@dataclass(frozen=True)
class Match:
    """Weights that an earlier model has as well."""

    earlier: str
    """Their name there."""
    places: Tensor | None = None
    """Of each row, its place there, or -1; None: all is as it was."""

    def put(self, found: Tensor, into: Tensor) -> None:
        """Copies what is taken of an earlier tensor."""
        if self.places is None:
            into.copy_(found)
            return
        taken = self.places >= 0
        into[taken] = found.to(into)[self.places[taken]]

    @property
    def new(self) -> Tensor:
        """The rows that were nowhere."""
        return torch.tensor([]) if self.places is None else (self.places < 0).nonzero()[:, 0]


@dataclass(frozen=True)
class Matches:
    """Which weights are taken from an earlier model, and which are not."""

    taken: Mapping[str, Match]
    """By name."""
    left: Mapping[str, str]
    """By name: why not."""
    unused: Sequence[str]
    """Weights of the earlier model that no weights here take."""

    def counted(self, model: nn.Module) -> str:
        """Says how much of a model is taken."""
        parameters = weights(model)
        whole = sum(parameter.numel() for parameter in parameters.values())
        taken = sum(
            parameters[name].numel() - len(one.new) * parameters[name][0].numel()
            for name, one in self.taken.items()
        )
        return f"{len(self.taken)} of {len(parameters)} weights, {taken:,} of {whole:,} numbers"


def match(
    model: nn.Module, earlier: Mapping[str, Tensor], places: Places, shared: Mapping[str, str]
) -> Matches:
    """Finds each of a model's weights among an earlier one's.

    ``shared`` names for a part another one that may have stood for both.
    """
    taken, left = dict[str, Match](), dict[str, str]()
    for name, parameter in weights(model).items():
        part, _, leaf = name.rpartition(".")
        there = name if name in earlier or part not in shared else f"{shared[part]}.{leaf}"
        found, rows = earlier.get(there), places.get(part)
        if found is None:
            left[name] = "not there"
        elif rows is not None and not rows:
            left[name] = "other vocabulary"
        elif found.shape[rows is not None :] != parameter.shape[rows is not None :]:
            left[name] = f"{_size(found)} there, {_size(parameter)} here"
        else:
            taken[name] = Match(there, None if rows is None else torch.tensor(rows))
    used = {one.earlier for one in taken.values()} | left.keys()
    return Matches(taken, left, [name for name in earlier if name not in used])


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))


@torch.no_grad()
def take_weights(model: nn.Module, earlier: Mapping[str, Tensor], matches: Matches) -> None:
    """Copies the weights that are taken into a model; new rows stay as they were drawn.

    As the mean of the earlier rows (Hewitt 2021, "Initializing new word embeddings for pretrained
    language models") they take more updates to learn, in translators that were tried.
    """
    parameters = weights(model)
    for name, one in matches.taken.items():
        one.put(earlier[one.earlier], parameters[name])


def take_moments(model: nn.Module, earlier: Moments, matches: Matches) -> Moments:
    """Returns the moments of what is taken, those of new rows zero."""
    return {
        name: {slot: _moment(tensor, parameter, one) for slot, tensor in moments.items()}
        for name, parameter in trained(model).items()
        if (one := matches.taken.get(name)) and (moments := earlier.get(one.earlier))
    }


def _moment(found: Tensor, parameter: Tensor, one: Match) -> Tensor:
    if not found.ndim:  # a count of updates
        return found
    moment = torch.zeros_like(parameter)
    one.put(found, moment)
    return moment


def give_moments(optimizer: torch.optim.Optimizer, model: nn.Module, moments: Moments) -> None:
    """Lets a model's optimiser, which has done nothing yet, begin with these tensors."""
    flat = {
        f"{index}.{slot}": tensor
        for index, name in enumerate(trained(model))
        for slot, tensor in moments.get(name, {}).items()
    }
    optimizer.load_state_dict(unflatten(flat, optimizer))


def moments_of(
    flat: Mapping[str, Tensor], names: Sequence[str], earlier: Mapping[str, Tensor]
) -> Moments:
    """Returns an optimiser's tensors, ``index.slot`` in a checkpoint, by names in its order.

    Empty where these are not the names: a tensor has another shape than its weights.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in flat.items():
        index, slot = key.split(".")
        if int(index) >= len(names):
            return {}
        name = names[int(index)]
        if tensor.ndim and tensor.shape != earlier[name].shape:
            return {}
        found.setdefault(name, {})[slot] = tensor
    return found
