"""What a device computes, against float64 on a processor."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from seq2seq.models.seq2seq import fold_model
from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cells import CELLS
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.nn.scan import scan
from seq2seq.search.config import STRATEGIES, SamplingConfig, SearchConfig
from seq2seq.search.replay import Replayed
from seq2seq.search.stepper import Hypothesis
from seq2seq.search.strategies import search
from seq2seq.tensors import Batch, Padded, TextBatch
from seq2seq.training.objective import CrossEntropy
from tests.gpu.case import LIMITS, Case, Figures, Setting, exact_products, largest, near
from tests.gpu.models import (
    WIDTH,
    gradients,
    ids,
    language_model,
    padded,
    pairs,
    spread,
    texts,
    translator,
)

BOTH = (False, True)
WAYS = {"one direction": False, "two directions": True}


def cases(setting: Setting) -> Iterator[Case]:
    """Yields all cases."""
    halves = (torch.bfloat16,) if setting.device.type == "cpu" else (torch.bfloat16, torch.float16)
    yield from in_numbers((torch.float32, *halves))
    for cell, (ways, both) in product(CELLS, WAYS.items()):
        yield Case("padding", f"{cell}, {ways}", partial(padding, cell, both))
    for cell in CELLS:
        yield Case("stepping", cell, partial(stepping, cell))
    for shape in ((3, 7, 33), (1, 1, 130), (5, 40, 64)):
        yield Case("scan", " x ".join(map(str, shape)), partial(scanning, shape))
    yield from searches()


def in_numbers(dtypes: Sequence[torch.dtype]) -> Iterator[Case]:
    """Yields what training computes, in all numbers that it may use."""
    names = {dtype: str(dtype).removeprefix("torch.") for dtype in dtypes}
    for cell, (ways, both), dtype in product(CELLS, WAYS.items(), dtypes):
        run = partial(layers, cell, both, dtype)
        yield Case("layers", f"{cell}, {ways}, {names[dtype]}", run)
    for attention, feeding, dtype in product(ATTENTIONS, BOTH, dtypes):
        fed = "input feeding" if feeding else "no feeding"
        made = partial(translator, "lstm", attention, feeding=feeding)
        run = partial(loss, made, pairs(), dtype, 0.1)
        yield Case("attention", f"{attention}, {fed}, {names[dtype]}", run)
    for tied, smoothing, dtype in product(BOTH, (0.0, 0.1), dtypes):
        run = partial(loss, partial(translator, tied=tied), pairs(), dtype, smoothing)
        head = "tied" if tied else "of its own"
        yield Case("head", f"{head}, smoothing {smoothing}, {names[dtype]}", run)
    for cell, dtype in product(CELLS, dtypes):
        run = partial(loss, partial(language_model, cell), texts(), dtype, 0.0)
        yield Case("language model", f"{cell}, {names[dtype]}", run)


def layers(cell: str, both: bool, dtype: torch.dtype, setting: Setting) -> Figures:
    """Compares outputs, last states and gradients of a stack of layers."""
    torch.manual_seed(3)
    config = RecurrentConfig(cell=cell, layers=2, hidden_size=WIDTH, dropout=0.0)
    stack = spread(Recurrent(config, WIDTH, bidirectional=both), 1.0)
    lengths = torch.tensor([9, 1, 4, 9, 6])
    inputs, weighing = torch.randn(2, 5, 9, WIDTH, dtype=torch.double)
    real = (torch.arange(9) < lengths[:, None])[..., None]

    def run(device: torch.device, kept: torch.dtype) -> list[Tensor]:
        stack.to(device, kept).zero_grad()
        given = inputs.to(device, kept)
        with torch.autocast(device.type, dtype, dtype not in (torch.float32, kept)):
            outputs, final = stack(given, stack.zero_state(given), lengths.to(device))
        outputs = outputs * real.to(device)
        (outputs * weighing.to(device, outputs.dtype)).sum().backward()
        return [outputs, final, *gradients(stack)]

    return compared(run, dtype, setting)


def loss(
    make: Callable[[], Any],
    batch: Batch | TextBatch,
    dtype: torch.dtype,
    smoothing: float,
    setting: Setting,
) -> Figures:
    """Compares the loss of a batch, and its gradients."""
    model = make()

    def run(device: torch.device, kept: torch.dtype) -> list[Tensor]:
        model.to(device, kept).zero_grad()
        with torch.autocast(device.type, dtype, dtype not in (torch.float32, kept)):
            found = CrossEntropy(smoothing)(model, batch.to(device), None)
        total: Any = found.nats + (0 if found.penalty is None else found.penalty)
        total.backward()
        return [found.nats, *gradients(model)]

    return compared(run, dtype, setting)


def compared(
    run: Callable[[torch.device, torch.dtype], list[Tensor]], dtype: torch.dtype, setting: Setting
) -> Figures:
    """Returns how far numbers on the device are from float64 on a processor."""
    expected = [one.detach().clone() for one in run(torch.device("cpu"), torch.float64)]
    with exact_products():
        found = run(setting.device, torch.float32)
    return near(largest(found, expected), LIMITS[dtype])


def padding(cell: str, both: bool, setting: Setting) -> Figures:
    """Compares sequences of a batch with the same sequences alone."""
    torch.manual_seed(4)
    config = RecurrentConfig(cell=cell, layers=2, hidden_size=WIDTH, dropout=0.0)
    stack = spread(Recurrent(config, WIDTH, bidirectional=both), 1.0).float().to(setting.device)
    lengths = torch.tensor([9, 1, 4, 9, 6])
    inputs = torch.randn(5, 9, WIDTH).to(setting.device)
    with exact_products(), torch.no_grad():
        outputs, final = stack(inputs, stack.zero_state(inputs), lengths.to(setting.device))
        found, alone = list[Tensor](), list[Tensor]()
        for row, length in enumerate(lengths.tolist()):
            own = inputs[row : row + 1, :length]
            single, last = stack(own, stack.zero_state(own), None)
            found += [outputs[row, :length], final[row]]
            alone += [single[0], last[0]]
    return near(largest(found, alone), LIMITS[torch.float32])


def stepping(cell: str, setting: Setting) -> Figures:
    """Compares a run over whole sequences with one step after the other."""
    model = translator(cell, bidirectional=False).float().to(setting.device).eval()
    inputs = torch.randn(4, 6, WIDTH, generator=torch.Generator().manual_seed(1))
    inputs = inputs.to(setting.device)
    stack = model.decoder.layers
    with exact_products(), torch.no_grad():
        state = stack.zero_state(inputs)
        outputs, final = stack(inputs, state)
        steps = []
        for step in inputs.unbind(1):
            output, state = stack.step(step, state)
            steps.append(output)
    found = [torch.stack(steps, dim=1), state]
    return near(largest(found, [outputs, final]), LIMITS[torch.float32])


def scanning(shape: tuple[int, int, int], setting: Setting) -> Figures:
    """Compares the scan on the device, and its gradients, with the plain one in float64."""
    torch.manual_seed(5)
    batch, _, size = shape
    gate, values, weighing = torch.randn(3, *shape, dtype=torch.double)
    first = torch.randn(batch, size, dtype=torch.double)
    gate[0, 0] = 1e4  # keeps the state as it is

    def run(device: torch.device, kept: torch.dtype) -> list[Tensor]:
        given = [one.detach().to(device, kept).requires_grad_() for one in (gate, values, first)]
        carried = scan(given[0], given[1], given[2])
        assert carried[0, 0].equal(given[2][0]), "an open gate does not keep the state"
        loss = (carried * weighing.to(carried)).sum()
        return [carried, *torch.autograd.grad(loss, given)]

    return compared(run, torch.float32, setting)


def searches() -> Iterator[Case]:
    """Yields the searches: every strategy, cell and attention, in all ways of making a step."""
    ways = {"own steps": own, "folded": folded, "replayed": replayed}
    for (way, make), strategy in product(ways.items(), STRATEGIES):
        yield Case("search", f"{strategy}, {way}", partial(searching, make, strategy, "lstm"))
    for (way, make), cell in product(ways.items(), CELLS):
        yield Case("search", f"beam, {cell}, {way}", partial(searching, make, "beam", cell))
    for attention, feeding in product(ATTENTIONS, BOTH):
        for way, make in ways.items():
            fed = ", input feeding" if feeding else ""
            run = partial(searching, make, "beam", "gru", attention=attention, feeding=feeding)
            yield Case("search", f"beam, {attention}{fed}, {way}", run)
    yield Case("search", "int8", int8)


def own(model: Any) -> Any:
    """Returns a model that makes its own steps."""
    return model


def folded(model: Any) -> Any:
    """Returns a model folded for search."""
    return fold_model(model, "float32")


def replayed(model: Any) -> Any:
    """Returns a folded model whose steps are replayed."""
    return Replayed(fold_model(model, "float32"))


def settings_of(strategy: str) -> SearchConfig:
    """Returns settings by which texts of random models end in time."""
    sampling = SamplingConfig(temperature=0.8, top_k=10)
    return SearchConfig(strategy=strategy, max_length=9, sampling=sampling)


def searching(
    make: Callable[[Any], Any], strategy: str, cell: str, setting: Setting, **parts: Any
) -> Figures:
    """Compares texts, scores and attention of a search in float64."""
    model = translator(cell, strength=1.5, **parts).eval()
    source, config = padded(ids(11, seed=3)), settings_of(strategy)
    expected = search(model, source, config, 3)
    stepper = make(model.to(setting.device))
    found = search(stepper, source.to(setting.device), config, 3)
    if isinstance(stepper, Replayed):
        must_have_recorded(stepper)
    return near(agreement(found, expected, source), LIMITS[torch.float64])


def must_have_recorded(stepper: Replayed[Any, Any]) -> None:
    """Makes sure that steps were replayed.

    Raises:
        AssertionError: They could not be recorded.
    """
    assert stepper.recorded, "nothing was recorded: the search went on without CUDA graphs"


def agreement(
    found: list[list[Hypothesis]], expected: list[list[Hypothesis]], source: Padded
) -> float:
    """Returns how far scores and attention are off.

    Raises:
        AssertionError: A text is another one.
    """
    worst = 0.0
    assert len(found) == len(expected)
    for length, some, others in zip(source.lengths.tolist(), found, expected, strict=True):
        texts_of = [[one.ids for one in group] for group in (some, others)]
        assert texts_of[0] == texts_of[1], f"{texts_of[0]}, on a processor {texts_of[1]}"
        for one, other in zip(some, others, strict=True):
            worst = max(worst, abs(one.score - other.score))
            looked = one.attention[:, :length] - other.attention[:, :length]
            worst = max(worst, float(looked.abs().max()) if looked.numel() else 0.0)
    return worst


def int8(setting: Setting) -> Figures:
    """Searches with int8, which on a GPU is float32 after a warning, and near it elsewhere."""
    model = translator(strength=1.5).float().to(setting.device).eval()
    source, config = padded(ids(11, seed=3)).to(setting.device), settings_of("beam")
    with exact_products():
        expected = search(fold_model(model, "float32"), source, config)
        found = search(fold_model(model, "int8"), source, config)
    same = sum(one[0].ids == other[0].ids for one, other in zip(found, expected, strict=True))
    if setting.device.type == "cuda":
        assert same == len(found), f"{same} of {len(found)} texts are those of float32"
    gaps = [abs(one[0].score - other[0].score) for one, other in zip(found, expected, strict=True)]
    return near(max(gaps), 0.2, same=f"{same} of {len(found)}")
