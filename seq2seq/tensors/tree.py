"""Values made of tensors: dataclasses and tuples of them, taken apart and put together again."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

ValueT = TypeVar("ValueT")


def tensors_in(value: object) -> Iterator[Tensor]:
    """Yields the tensors of a value, in the order of its fields."""
    if isinstance(value, Tensor):
        yield value
    for _, part in _parts(value):
        yield from tensors_in(part)


def each(value: ValueT, change: Callable[[Tensor], Tensor]) -> ValueT:
    """Returns the same value made of other tensors: what ``change`` makes of each, in order."""
    old: Any = value
    new = old
    if isinstance(old, Tensor):
        new = change(old)
    elif isinstance(old, tuple):
        new = tuple(each(part, change) for part in old)
    elif is_dataclass(old):
        new = replace(cast(Any, old), **{name: each(part, change) for name, part in _parts(old)})
    changed: ValueT = new
    return changed


def layout(value: object, rows: int = 1) -> object:
    """Returns all of a value but the numbers in its tensors; equal layouts compare equal.

    Tensors of ``rows`` rows, or a multiple of that, are described as those of a single row are.
    """
    if isinstance(value, Tensor):
        shape = (len(value) // rows, *value.shape[1:]) if value.dim() else ()
        return shape, value.dtype, value.device
    parts = tuple((name, layout(part, rows)) for name, part in _parts(value))
    return (type(value), parts) if parts else value


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor to ``device`` without waiting: memory must be pinned for that."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def _parts(value: object) -> list[tuple[str, object]]:
    """Returns the parts of a tuple or dataclass by name; anything else has none."""
    if isinstance(value, tuple):
        return [(str(place), part) for place, part in enumerate(value)]
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    return []
