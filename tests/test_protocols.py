"""Protocols that torch's modules fulfil do so by what isinstance finds from Python 3.12 on."""

import inspect
from importlib import import_module
from typing import Any

import pytest
from torch import nn

from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import Seq2SeqConfig, build_seq2seq
from tests.structure import MODULES

MODELS: list[nn.Module] = [
    build_seq2seq(Seq2SeqConfig(), 6, 6),
    build_language_model(LanguageModelConfig(), 6),
]


def runtime_protocols() -> dict[str, Any]:
    """Returns the protocols that the package defines and isinstance may ask for."""
    found = {}
    for name in MODULES:
        if name.endswith("triton_scan"):
            continue  # Triton may be missing
        module = import_module(f"seq2seq.{name}" if name else "seq2seq")
        for cls in vars(module).values():
            if getattr(cls, "_is_runtime_protocol", False) and cls.__module__ == module.__name__:
                found[f"{name}.{cls.__name__}"] = cls
    return found


PROTOCOLS = runtime_protocols()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_a_protocol_asks_of_a_module_is_found_without_its_own_lookup(name: str) -> None:
    protocol = PROTOCOLS[name]
    asked = {key for key in {**vars(protocol), **protocol.__annotations__} if key[0] != "_"}
    for model in MODELS:
        if all(hasattr(model, key) for key in asked):
            for key in asked:
                assert inspect.getattr_static(model, key, None) is not None, key
