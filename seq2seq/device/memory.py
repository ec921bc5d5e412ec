"""Memory: whether a model fits into it at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from seq2seq.errors import ConfigError

BYTES = 4
"""Of a weight, in float32."""
ModelT = TypeVar("ModelT", bound=nn.Module)


def whole_memory(root: Path = Path("/")) -> float:
    """Returns the bytes of memory that this process may use at most: the machine's, or fewer where
    its control group has a limit; infinitely many where the system does not tell.
    """  # noqa: D205
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows
        return float("inf")
    try:
        return min(whole, float((root / "sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no such control groups; or "max", which is no limit
        return whole


def build(make: Callable[[], ModelT], seed: int) -> ModelT:
    """Makes a model, its weights drawn from a seed, where there is room for them.

    Raises:
        ConfigError: There is not; so a slip in a size neither stops the machine nor ends in torch.
    """
    try:
        with torch.device("meta"):  # shapes alone
            weights = sum(parameter.numel() for parameter in make().parameters())
    except RuntimeError:  # sizes that torch cannot even count
        weights = 2**63
    if weights * BYTES > whole_memory():
        raise ConfigError(
            f"model: has {weights:,} weights, {weights * BYTES / 2**30:,.0f} GB, more than the "
            f"memory of this machine, {whole_memory() / 2**30:,.0f} GB; choose smaller sizes"
        )
    torch.manual_seed(seed)
    return make()
