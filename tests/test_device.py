"""What a run computes on."""

import os
from itertools import product

import pytest
import torch

from seq2seq.device import (
    GRAPHS,
    limit_kernels,
    pick_device,
    pick_precision,
    use_deterministic_kernels,
)
from seq2seq.errors import ConfigError

VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.mark.parametrize(("before", "after"), [(None, "32"), ("1024", "1024")])
def test_few_kernels_are_kept_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv(VARIABLE, "restored at the end")
    monkeypatch.delenv(VARIABLE) if before is None else monkeypatch.setenv(VARIABLE, before)
    limit_kernels()
    assert os.environ[VARIABLE] == after


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("cpu", "device") == pick_device("auto", "device") == torch.device("cpu")
    for key, name in product(("train.device", "device"), ("cuda", GRAPHS)):
        text = f"^{key}: {name}, but torch finds no CUDA device; accepted here: cpu$"
        with pytest.raises(ConfigError, match=text):
            pick_device(name, key)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("auto", "cuda", GRAPHS):
        assert pick_device(name, "device").type == "cuda"


@pytest.mark.parametrize(
    ("kind", "native", "capability", "chosen"),
    [
        ("cpu", True, (9, 9), torch.bfloat16),
        ("cpu", False, (9, 9), torch.float32),
        ("cuda", True, (8, 0), torch.bfloat16),
        ("cuda", False, (7, 5), torch.float16),
        ("cuda", False, (7, 0), torch.float16),
        ("cuda", False, (6, 1), torch.float32),
    ],
)
def test_precision_is_what_the_device_multiplies_fastest(
    kind: str,
    native: bool,
    capability: tuple[int, int],
    chosen: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation  # torch emulates it on older cards, slowly

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = torch.device(kind)
    assert pick_precision("auto", device) == chosen
    assert pick_precision("bfloat16", device) == torch.bfloat16
    assert pick_precision("float32", device) == torch.float32


def test_float16_is_refused_on_a_processor() -> None:
    accepted = "accepted here: auto, float32, bfloat16$"
    with pytest.raises(ConfigError, match=f"^train.precision: float16 is for CUDA.*{accepted}"):
        pick_precision("float16", torch.device("cpu"))
    assert pick_precision("float16", torch.device("cuda")) == torch.float16


def test_deterministic_kernels_are_asked_for_before_the_first_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "restored at the end")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    asked: list[bool] = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    use_deterministic_kernels()
    assert asked == [True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_torch_without_its_private_name_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert pick_precision("auto", torch.device("cpu")) == torch.float32
