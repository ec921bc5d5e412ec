"""Losses and gradients of models with constant weights, before and after one update.

The numbers in ``gradients.json`` were written down before the code was rearranged for the first
time, by ``python -m tests.golden.test_gradients``. Weights are a formula, never a seed, so that
they do not depend on how random numbers are drawn.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cells import CELLS
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.tensors import Batch, Outcome, Padded, TextBatch
from seq2seq.training.objective import CrossEntropy
from seq2seq.training.state import weights

RECORD = Path(__file__).with_name("gradients.json")
VOCABULARY, SMOOTHING, RATE = 11, 0.1, 0.05
Settings = dict[str, Any]


# What is adapted when constructors change: how a model is made, and how it makes a loss.


def translator(config: Seq2SeqConfig) -> nn.Module:
    return build_seq2seq(config, VOCABULARY, VOCABULARY)


def writer(config: LanguageModelConfig) -> nn.Module:
    return build_language_model(config, VOCABULARY)


def outcome(model: Any, batch: Batch | TextBatch, carried: Tensor | None) -> Outcome:
    return CrossEntropy(SMOOTHING)(model, batch, carried)


def variants() -> dict[str, tuple[str, Settings]]:
    """Returns the kind of model and its settings, by name."""
    found: dict[str, tuple[str, Settings]] = {}
    for cell in CELLS:
        found[f"translator, {cell}"] = "pairs", {"cell": cell}
        found[f"translator, {cell}, feeding"] = "pairs", {"cell": cell, "input_feeding": True}
        found[f"writer, {cell}"] = "text", {"cell": cell}
    for attention in ATTENTIONS:
        for feeding in (False, True):
            own = {"cell": "lstm", "attention": attention, "input_feeding": feeding}
            found[f"translator, {attention}{', feeding' * feeding}"] = "pairs", own
    shaped = {"cell": "gru", "residual": True, "layer_norm": True}
    found["translator, residual, normalised"] = "pairs", shaped
    found["translator, one direction"] = "pairs", {"cell": "lstm", "bidirectional": False}
    found["writer, penalties"] = "text", {"cell": "lstm", "activation": 2.0, "slowness": 1.0}
    return found


def made(kind: str, settings: Settings) -> nn.Module:
    """Returns a model whose weights are a formula."""
    own = dict(settings)
    shape = {key: own.pop(key, False) for key in ("residual", "layer_norm")}
    layers: Settings = {"cell": own.pop("cell"), "layers": 2, "hidden_size": 6, "dropout": 0.0}
    layers |= shape
    if kind == "text":
        recurrent = RecurrentConfig(**layers)
        model = writer(
            LanguageModelConfig(embedding_size=6, layers=recurrent, output_dropout=0.0, **own)
        )
    else:
        config = Seq2SeqConfig(
            embedding_size=6,
            output_dropout=0.0,
            encoder=EncoderConfig(bidirectional=own.pop("bidirectional", True), **layers),
            decoder=DecoderConfig(**layers, **own),
        )
        model = translator(config)
    model = model.double().train()
    place = 0
    for tensor in weights(model).values():
        steps = torch.arange(place, place + tensor.numel(), dtype=torch.double)
        tensor.copy_((0.4 * torch.sin(0.7 * steps + 0.3 * torch.cos(steps))).view_as(tensor))
        place += tensor.numel()
    return model


def padded(rows: list[list[int]]) -> Padded:
    longest = max(map(len, rows))
    values = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return Padded(values, torch.tensor([len(row) for row in rows]))


def batches(kind: str) -> list[Batch | TextBatch]:
    if kind == "pairs":
        source = padded([[4, 5, 6, 7], [8, 9], [10, 4, 4]])
        inputs, outputs = padded([[2, 5, 6], [2, 7, 8], [2]]), padded([[5, 6, 3], [7, 8, 3], [3]])
        return [Batch(source, inputs, outputs)]
    first = padded([[2, 4, 5], [2, 6, 7]]), padded([[4, 5, 6], [6, 7, 8]])
    second = padded([[6, 7], [2, 9]]), padded([[7, 3], [9, 10]])
    return [
        TextBatch(*first, torch.tensor([True, True])),
        TextBatch(*second, torch.tensor([False, True])),
    ]


def loss(model: nn.Module, kind: str) -> Tensor:
    """Returns the loss of all batches, the state carried from one to the next."""
    total, carried = torch.zeros((), dtype=torch.double), None
    for batch in batches(kind):
        found = outcome(model, batch, carried)
        carried = found.carried
        total = total + found.nats + (0 if found.penalty is None else found.penalty)
    return total


def measured(kind: str, settings: Settings) -> dict[str, Any]:
    """Returns the loss before and after one update of plain gradient descent, and gradients."""
    model = made(kind, settings)
    before = loss(model, kind)
    before.backward()  # type: ignore[no-untyped-call]
    named = dict(zip(weights(model), model.parameters(), strict=True))
    gradients = {}
    for name, parameter in named.items():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        flat = gradient.flatten()
        gradients[name] = [float(gradient.norm()), float(flat[0]), float(flat[-1])]
    with torch.no_grad():
        for parameter in named.values():
            if parameter.grad is not None:
                parameter.sub_(RATE * parameter.grad)
    after = float(loss(model, kind).detach())
    return {"before": float(before.detach()), "after": after, "gradients": gradients}


@pytest.mark.parametrize("name", variants())
def test_losses_and_gradients_are_those_of_before(name: str) -> None:
    expected = json.loads(RECORD.read_text(encoding="utf-8"))[name]
    found = measured(*variants()[name])
    for part in ("before", "after"):
        assert found[part] == pytest.approx(expected[part], rel=1e-5), part
    assert found["gradients"].keys() == expected["gradients"].keys()
    for parameter, numbers in expected["gradients"].items():
        scale = max(1e-9, abs(numbers[0]))
        close = pytest.approx(numbers, rel=1e-5, abs=1e-5 * scale)
        assert found["gradients"][parameter] == close, parameter


def test_every_parameter_learns() -> None:
    for name, entry in json.loads(RECORD.read_text(encoding="utf-8")).items():
        assert entry["before"] != entry["after"], name
        for parameter, numbers in entry["gradients"].items():
            assert numbers[0] > 0, (name, parameter)


if __name__ == "__main__":
    record = {name: measured(*variant) for name, variant in variants().items()}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
