"""What a run computes on: the device, the numbers of its products, its kernels, its cores.

Asked once, by whoever starts a run or loads one; nothing below asks again.
"""

import os

import torch

from seq2seq.errors import ConfigError, require_name

GRAPHS = "cuda-graphs"
"""The name of a CUDA device on which search steps and updates are replayed as CUDA graphs."""
DEVICES = ("auto", "cpu", "cuda", GRAPHS)
"""What a device may be called in settings."""
KERNELS = 32
"""Compiled kernels that oneDNN keeps."""
TENSOR_CORES = (7, 0)
"""The compute capability from which a GPU multiplies float16 faster than float32."""


def pick_device(name: str, key: str) -> torch.device:
    """Returns the device that the setting ``key`` names.

    Raises:
        ConfigError: There is no such device here, or none of that name.
    """
    require_name(name, key, DEVICES)
    if name in ("cuda", GRAPHS) and not torch.cuda.is_available():
        raise ConfigError(f"{key}: {name}, but torch finds no CUDA device; accepted here: cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Returns the numbers that matrix products use.

    ``auto`` is bfloat16 where that is native, else float16 on a GPU that is made for it.

    Raises:
        ConfigError: float16 on a processor, which it would only slow down.
    """
    if name == "float16" and device.type == "cpu":
        raise ConfigError(
            "train.precision: float16 is for CUDA devices; accepted here: auto, float32, bfloat16"
        )
    if name == "auto":
        name = "bfloat16" if _has_bfloat16(device) else "float32"
        if name == "float32" and _has_float16(device):
            name = "float16"
    found: torch.dtype = getattr(torch, name)
    return found


def _has_bfloat16(device: torch.device) -> bool:
    """Tells whether a device multiplies bfloat16 itself, and so faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch's own name for it is private, and may go.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def _has_float16(device: torch.device) -> bool:
    """Tells whether a device multiplies float16 faster than float32."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= TENSOR_CORES


def use_deterministic_kernels() -> None:
    """Lets CUDA use only kernels that give the same bits each time, for the whole process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read before the first product
    torch.use_deterministic_algorithms(True)


def limit_kernels() -> None:
    """Lets oneDNN keep few compiled kernels, unless the user's environment says how many.

    It compiles one for each shape, and would keep a thousand: hundreds of megabytes where batches
    have ever-changing shapes, and as much again that lies unused between them. More than those of a
    few updates are not met again soon. oneDNN looks here once, before it makes its first kernel.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
