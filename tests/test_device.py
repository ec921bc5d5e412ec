"""What a run computes on."""

import os

import pytest
import torch

from seq2seq.device import limit_kernels, pick_device, pick_precision
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
    for key in ("train.device", "device"):
        text = f"^{key}: cuda, but torch finds no CUDA device; accepted here: cpu$"
        with pytest.raises(ConfigError, match=text):
            pick_device("cuda", key)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto", "device").type == pick_device("cuda", "device").type == "cuda"


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("native", [False, True])
def test_bfloat16_is_chosen_only_where_it_is_native(
    kind: str, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation  # torch emulates it on older cards, slowly

    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    device = torch.device(kind)
    assert pick_precision("auto", device) == (torch.bfloat16 if native else torch.float32)
    assert pick_precision("bfloat16", device) == torch.bfloat16
    assert pick_precision("float32", device) == torch.float32


def test_a_torch_without_its_private_name_takes_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert pick_precision("auto", torch.device("cpu")) == torch.float32
