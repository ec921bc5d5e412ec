"""Finds, on a processor, what would make it wait for a GPU."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class NoWaiting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what would make the processor wait for a GPU: numbers, and shapes, out of tensors."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        chosen = args[1] if name.startswith("index") and len(args) > 1 else ()
        masks = [one for one in chosen if isinstance(one, Tensor)] if chosen else []
        assert name not in self.WAITING, name
        assert not any(one.dtype == torch.bool for one in masks), name
        return func(*args, **(kwargs or {}))
