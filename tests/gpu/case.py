"""What the checks of a device are made of: cases, and how far a number may be off."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Figures = Mapping[str, float | str]
"""What a case found, by name: `error`, or rates and what they are compared with."""
LIMITS = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 2e-2}
"""Largest relative error, by norm, of what is computed in these numbers."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the cases run, and how large they are."""

    device: torch.device
    short: bool = False
    """Whether sizes are those of a processor: everything runs, nothing is measured well."""
    data: Path | None = None
    """The folder with `multi30k`; without it, random ids take its place."""
    folder: Path = Path("runs/gpu")
    """Where runs are written."""
    minutes: float = 2.0
    """How long the recipe trains."""


@dataclass(frozen=True)
class Case:
    """One thing that must hold, or one that is measured."""

    part: str
    name: str
    run: Callable[[Setting], Figures]
    """Raises where something is wrong."""


def error(found: Tensor, expected: Tensor) -> float:
    """Returns the relative error by norm, whatever the types and devices of the two."""
    wanted = expected.detach().double().cpu()
    gap = (found.detach().double().cpu() - wanted).norm()
    return float(gap / wanted.norm().clamp(min=torch.finfo(torch.float64).tiny))


def largest(found: Iterable[Tensor], expected: Iterable[Tensor]) -> float:
    """Returns the largest error of several tensors; those that are nearly zero do not count.

    A gradient that cancels out is rounding alone: it is compared with the largest of them.
    """
    pairs = list(zip(found, expected, strict=True))
    scale = max((float(one.detach().double().norm()) for _, one in pairs), default=0.0)
    kept = [(one, other) for one, other in pairs if float(other.detach().norm()) > 1e-3 * scale]
    assert kept, "nothing to compare"
    return max(error(one, other) for one, other in kept)


def near(found: float, limit: float, **figures: float | str) -> Figures:
    """Returns the figures of a case whose error must not pass a limit.

    Raises:
        AssertionError: It does, or is no number.
    """
    assert found <= limit, f"error {found:.2g}, at most {limit:.2g} expected"
    return {"error": found, "limit": limit, **figures}


def made(cases: Callable[[], Iterable[Case]]) -> list[Case]:
    """Returns the cases of a part; two of one name would hide each other."""
    found = list(cases())
    names = [(case.part, case.name) for case in found]
    assert len(set(names)) == len(names), names
    return found


@contextmanager
def allowing_tf32(allowed: bool) -> Iterator[None]:
    """Says whether float32 products may be made in tf32, which has the digits of float16."""
    libraries: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [one.allow_tf32 for one in libraries]
    for one in libraries:
        one.allow_tf32 = allowed
    try:
        yield
    finally:
        for one, as_it_was in zip(libraries, before, strict=True):
            one.allow_tf32 = as_it_was


def exact_products() -> AbstractContextManager[None]:
    """Keeps products of float32 as exact as float32 is."""
    return allowing_tf32(False)
