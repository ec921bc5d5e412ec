"""Weights that training leaves as they are, by patterns of their names."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from fnmatch import fnmatchcase

from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.training.state import stored_name

NEAREST = 3
"""Names that a message offers for a pattern that matches none."""


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Takes the weights whose names match out of training: they get no gradient.

    Raises:
        ConfigError: A pattern matches nothing, or nothing is left.
    """
    names = list(_first_names(model).values())
    for pattern in patterns:
        if not frozen(model, [pattern]):
            close = ", ".join(_nearest(pattern.strip("*"), names))
            raise ConfigError(f"train.freeze: {pattern!r} matches no weights; nearest: {close}")
    asleep = frozen(model, patterns)
    if asleep == set(names):
        shown = ", ".join(patterns)
        raise ConfigError(f"train.freeze: {shown} leaves no weights to train")
    for name, parameter in model.named_parameters():
        if stored_name(name) in asleep:
            parameter.requires_grad_(False)


def frozen(model: nn.Module, patterns: Sequence[str]) -> set[str]:
    """Returns the names of the weights that match.

    What two parts share matches by its name in either; the first of them is returned.
    """
    first = _first_names(model)
    return {
        first[id(parameter)]
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if any(fnmatchcase(stored_name(name), pattern) for pattern in patterns)
    }


def _nearest(text: str, names: Sequence[str]) -> list[str]:
    """Returns the names that begin or end most like a text."""

    def likeness(name: str) -> float:
        ends = name[: len(text)], name[-len(text) :]
        return max(SequenceMatcher(None, text, end).ratio() for end in ends)

    return sorted(names, key=likeness, reverse=True)[:NEAREST]


def _first_names(model: nn.Module) -> dict[int, str]:
    return {id(parameter): stored_name(name) for name, parameter in model.named_parameters()}


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Returns the weights that are trained, by name, in the optimiser's order."""
    return {
        stored_name(name): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
