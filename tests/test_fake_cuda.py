"""Models on a GPU that is only imagined: torch works out devices, types and shapes, no numbers.

What would meet a tensor of another device fails here as it would there; so does asking for a
number, or for a shape that numbers decide. torch's recurrent kernels, which have no such form, are
stood in for; backward passes and whole searches need a real GPU (:mod:`tests.gpu`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.models.language_model import fold_language_model
from seq2seq.models.seq2seq import fold_model
from seq2seq.nn import kernel_cells, scan
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cells import CELLS
from seq2seq.search import beam, sampling
from seq2seq.search.asked import Bounds
from seq2seq.search.beams import first
from seq2seq.search.config import SamplingConfig, SearchConfig
from seq2seq.search.rules import constrain, rules_of
from seq2seq.tensors.tree import each
from seq2seq.training.objective import CrossEntropy
from tests.gpu.models import ids, language_model, padded, pairs, texts, translator

fake_tensor = pytest.importorskip("torch._subclasses.fake_tensor", reason="torch has no FakeTensor")
pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason="this torch is built without CUDA"
)
FULL = SamplingConfig(top_k=3, top_p=0.9, min_p=0.1, typical=0.9, repetition_penalty=1.2)
PAIRS, TEXTS, SOURCE = pairs(3, most=4), texts(3, steps=3), padded(ids(3, most=4))
CHOSEN = list(product(ATTENTIONS, (False, True)))


def sequence(
    inputs: Tensor, states: Any, weights: Sequence[Tensor], *_: object
) -> Sequence[Tensor]:
    """Stands for cuDNN: all of one type, inputs as wide as their weights, weights in one piece."""
    states = states if isinstance(states, (tuple, list)) else [states]
    assert {one.dtype for one in (inputs, *states, *weights)} == {inputs.dtype}
    assert {one.device.type for one in (inputs, *states, *weights)} == {"cuda"}
    assert inputs.shape[2] == weights[0].shape[1]
    assert inputs.shape[2] % 8 == 0
    ends = [sum(one.numel() for one in weights[:place]) for place in range(4)]
    assert [one.storage_offset() for one in weights] == ends
    return inputs.new_empty(*inputs.shape[:2], states[0].shape[2]), *map(torch.clone, states)


def step(inputs: Tensor, state: Any, *weights: Tensor) -> Any:
    """Stands for torch's kernels of one step."""
    assert {one.device.type for one in (inputs, *weights)} == {"cuda"}
    return tuple(map(torch.clone, state)) if isinstance(state, tuple) else state.clone()


@contextmanager
def imagined(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, dtype: torch.dtype
) -> Iterator[Any]:
    """Gives a model weights on the imagined GPU; yields what moves a value there."""
    monkeypatch.setattr(scan, "_fused", lambda: None)
    monkeypatch.setattr(kernel_cells, "_has", lambda *_: True)
    for cell in (kernel_cells.Lstm, kernel_cells.Gru, kernel_cells.Simple):
        monkeypatch.setattr(cell, "sequence_kernel", staticmethod(sequence))
        monkeypatch.setattr(cell, "step_kernel", staticmethod(step))
    with fake_tensor.FakeTensorMode():
        for name, number in (("HALF", 0.5), ("TWO", 2.0)):
            monkeypatch.setattr(kernel_cells, name, torch.tensor(number))
        there: dict[Tensor, Any] = {}
        for module, place in product(model.modules(), ("_parameters", "_buffers")):
            given = getattr(module, place)
            for name in [name for name, old in given.items() if old is not None]:
                old = given[name]
                new = torch.empty(old.shape, device="cuda")
                made = nn.Parameter(new) if place == "_parameters" else new
                given[name] = there.setdefault(old, made)
        torch.set_autocast_dtype("cuda", dtype)
        torch.set_autocast_enabled("cuda", dtype != torch.float32)
        try:
            yield lambda value: each(
                value, lambda one: torch.empty(one.shape, dtype=one.dtype, device="cuda")
            )
        finally:
            torch.set_autocast_enabled("cuda", False)


def learned(monkeypatch: pytest.MonkeyPatch, model: Any, batch: Any, dtype: torch.dtype) -> None:
    with imagined(monkeypatch, model.float().train(), dtype) as moved:
        batch = moved(batch)
        for one in (batch, batch.filled()):
            outcome = CrossEntropy(0.1)(model, one, None)
            assert outcome.nats.device.type == "cuda"
            assert outcome.nats.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cell", CELLS)
def test_losses_are_made_on_the_gpu(
    cell: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned(monkeypatch, translator(cell, dropout=0.2), PAIRS, dtype)
    learned(monkeypatch, language_model(cell, dropout=0.2), TEXTS, dtype)


@pytest.mark.parametrize(("attention", "feeding"), CHOSEN)
def test_every_attention_looks_on_the_gpu(
    attention: str, feeding: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = translator("lstm", attention, feeding=feeding)
    learned(monkeypatch, model, PAIRS, torch.bfloat16)
    for fold in (False, True):
        searched(monkeypatch, translator("gru", attention, feeding=feeding), fold)


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_of_a_search_are_made_on_the_gpu(
    cell: str, fold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(monkeypatch, translator(cell), fold)
    model = language_model(cell).float().eval()
    with imagined(monkeypatch, model, torch.float32), torch.inference_mode():
        stepper: Any = fold_language_model(model, "float32") if fold else model
        ids = torch.ones(5, 1, dtype=torch.long, device="cuda")
        assert stepper.step(None, model.start(5), ids).log_probs.is_cuda


def searched(monkeypatch: pytest.MonkeyPatch, model: Any, fold: bool) -> None:
    config, source = SearchConfig(no_repeat_ngram=1, min_length=2), SOURCE
    with (
        imagined(monkeypatch, model.float().eval(), torch.float32) as moved,
        torch.inference_mode(),
    ):
        stepper: Any = fold_model(model, "float32") if fold else model
        source = moved(source)
        memory, state = stepper.start(source)
        limits = Bounds.none(config.limits(source))
        beams = first(limits)
        for _ in range(2):
            made = stepper.step(memory, state, beams.prefix[:, :, -1])
            seen = constrain(made.log_probs, beams.prefix[:, :, 1:], limits, rules_of(config))
            scores, parents, tokens = beam.continuations(beams.scores, seen, config.beam_size)
            assert {one.device.type for one in (scores, parents, tokens)} == {"cuda"}
            state = made.state
        rows, recent = seen[:, 0], beams.prefix[:, 0]
        drawn = sampling.draw(sampling.filtered(rows, recent, FULL), scores[:, 0])
        assert drawn.is_cuda
        assert sampling.likeliest(rows, recent, FULL).is_cuda


def test_real_steps_are_found_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCE
    with imagined(monkeypatch, nn.Module(), torch.float32) as moved:
        source = moved(source)
        assert source.real.is_cuda
        assert len(source.real) == source.count
        assert source.filled(rows=16).valid.is_cuda
