"""What a run computes on: the device, the numbers of its products, threads, compiled kernels.

Asked once, by whoever starts a run or loads one; nothing below asks again.
"""

import os

import torch

from seq2seq.errors import ConfigError

KERNELS = 32
"""Compiled kernels that oneDNN keeps."""


def pick_device(name: str, key: str) -> torch.device:
    """Returns the device that the setting ``key`` names.

    Raises:
        ConfigError: There is no such device here.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{key}: cuda, but torch finds no CUDA device; accepted here: cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Returns the numbers that matrix products use; ``auto`` is bfloat16 where that is native."""
    if name == "auto":
        name = "bfloat16" if _has_bfloat16(device) else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    """Tells whether a device multiplies bfloat16 itself, and so faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch's own name for it is private, and may go.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def use_threads(count: int) -> None:
    """Sets the number of CPU threads for the whole process; 0 leaves torch's choice."""
    if count:
        torch.set_num_threads(count)


def limit_kernels() -> None:
    """Lets oneDNN keep few compiled kernels, unless the user's environment says how many.

    It compiles one for each shape, and would keep a thousand: hundreds of megabytes where batches
    have ever-changing shapes, and as much again that lies unused between them. More than those of a
    few updates are not met again soon. oneDNN looks here once, before it makes its first kernel.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
