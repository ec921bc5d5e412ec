"""How training and search behave on a device: exact, without waiting, without leaks or warnings."""

import gc
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.attention import ATTENTIONS
from seq2seq.nn.cells import CELLS
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.search.config import SamplingConfig
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.gradients import ReplayedGradients
from seq2seq.training.loader import brought
from seq2seq.training.objective import CrossEntropy
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig
from seq2seq.training.state import weights
from seq2seq.training.trainer import Trainer
from tests.gpu.case import LIMITS, Case, Figures, Setting, exact_products, largest, near
from tests.gpu.models import (
    VOCABULARY,
    WIDTH,
    forecaster,
    gradients,
    language_model,
    pairs,
    series,
    texts,
    translator,
)
from tests.waiting import NoWaiting

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for kernels that repeat themselves
NUMBERS = (torch.float32, torch.bfloat16, torch.float16)
SHAPES = 7
"""Different shapes of batches, more or less."""
LETTERS = "".join(chr(code) for code in range(ord("A"), ord("A") + VOCABULARY - 4))


def cases(setting: Setting) -> Iterator[Case]:
    """Yields all cases."""
    yield from filling()
    yield from replaying()
    yield from running(setting)
    for cell in CELLS:
        yield Case("warnings", cell, partial(silent, cell))
    yield Case("loader", "order and values", loading)
    for temperature in (0.0, 1.0):
        yield Case("generation", f"temperature {temperature}", partial(generation, temperature))


def filling() -> Iterator[Case]:
    """Yields comparisons of batches with the same filled up."""
    for attention, feeding in product(ATTENTIONS, (False, True)):
        made = partial(translator, "gru", attention, feeding=feeding)
        name = f"{attention}{', input feeding' if feeding else ''}"
        yield Case("filled batches", name, partial(filled, made, pairs()))
    for cell in CELLS:
        yield Case("filled batches", cell, partial(filled, partial(translator, cell), pairs()))
        text = partial(filled, partial(language_model, cell), texts())
        yield Case("filled batches", f"language model, {cell}", text)


def replaying() -> Iterator[Case]:
    """Yields comparisons of replayed updates with plain ones."""
    for cell in CELLS:
        yield Case("replayed updates", cell, partial(replayed, partial(translator, cell), PAIRS))
        text = partial(replayed, partial(language_model, cell), TEXTS)
        yield Case("replayed updates", f"language model, {cell}", text)
    yield Case("replayed updates", "forecaster, gru", partial(replayed, forecaster, SERIES))


def running(setting: Setting) -> Iterator[Case]:
    """Yields what must hold while a run goes on."""
    for part, run in (("exact resume", resume), ("memory", leak)):
        for (name, (make, order)), replay in product(KINDS.items(), (False, True)):
            ending = ", replayed" if replay else ""
            yield Case(part, f"{name}{ending}", partial(run, make, order, replay))
    for name, (make, order) in KINDS.items():
        yield Case("waiting", name, partial(waiting, make, order))
    for cell, dtype, replay in product(("lstm", "gru", "mingru"), NUMBERS, (False, True)):
        if setting.device.type == "cpu" and (cell, dtype) == ("lstm", torch.float16):
            continue  # a processor has no such kernel
        name = f"{cell}, {str(dtype).removeprefix('torch.')}{', replayed' if replay else ''}"
        yield Case("learning", name, partial(learning, cell, dtype, replay))


@dataclass(frozen=True)
class Order:
    """The same few batches, of different shapes, in every epoch."""

    batches: Sequence[Any]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """Yields the batches of an epoch."""
        return iter(self.batches[start:])

    def size(self, epoch: int) -> int:
        """Returns the number of batches."""
        return len(self.batches)


PAIRS = Order([pairs(5 + 3 * seed, seed, 8 + seed) for seed in range(SHAPES)])
TEXTS = Order([texts(steps=8 + seed % 3, seed=seed) for seed in range(SHAPES)])
SERIES = Order([series(3 + seed, seed) for seed in range(SHAPES)])
KINDS: dict[str, tuple[Callable[..., nn.Module], Order]] = {
    **{f"translator, {cell}": (partial(translator, cell), PAIRS) for cell in ("lstm", "sru")},
    **{f"language model, {cell}": (partial(language_model, cell), TEXTS) for cell in ("gru",)},
    "forecaster, gru": (forecaster, SERIES),
}
CONFIG = TrainConfig(
    steps=6,
    keep=100,
    optimizer=OptimizerConfig(schedule=ScheduleConfig(name="constant", warmup=0)),
)


@contextmanager
def trainer(
    model: nn.Module,
    setting: Setting,
    dtype: torch.dtype = torch.float32,
    replay: bool = False,
    config: TrainConfig = CONFIG,
) -> Iterator[Trainer[Any]]:
    """Makes a trainer in a folder that is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        model.float().to(setting.device)
        yield Trainer(model, config, Path(folder), dtype=dtype, replay=replay)


def must_have_recorded(some: Trainer[Any]) -> None:
    """Makes sure that updates were replayed.

    Raises:
        AssertionError: They could not be recorded.
    """
    assert isinstance(some.gradients, ReplayedGradients)
    assert some.gradients.recorded, "nothing was recorded: it went on without CUDA graphs"


def filled(make: Callable[[], Any], batch: Any, setting: Setting) -> Figures:
    """Compares the gradients of a batch with those of the same filled up to a usual shape."""
    found = []
    for one in (batch.filled(), batch):
        model = make().float().to(setting.device)
        with exact_products():
            outcome = CrossEntropy(0.1)(model, one.to(setting.device), None)
            loss: Any = outcome.nats + (0 if outcome.penalty is None else outcome.penalty)
            loss.backward()
        found.append([outcome.nats, *gradients(model)])
    return near(largest(*found), LIMITS[torch.float32])


def replayed(make: Callable[..., nn.Module], order: Order, setting: Setting) -> Figures:
    """Compares weights after replayed updates with those after plain ones, with the same noise."""
    results = []
    for replay in (True, False):
        with trainer(make(dropout=0.2), setting, replay=replay) as one, exact_products():
            few = order.batches[:3] if setting.short else order.batches
            for batch in [*few, *order.batches[:2]]:
                one.update([batch if replay else batch.filled()])
            if replay:
                must_have_recorded(one)
            results.append([value.clone() for value in weights(one.model).values()])
    return near(largest(*results), LIMITS[torch.float32])


def resume(make: Callable[..., nn.Module], order: Order, replay: bool, setting: Setting) -> Figures:
    """Compares, bit by bit, a run that was stopped with one that was not."""
    torch.use_deterministic_algorithms(True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            ends = [run_to(make, order, replay, setting, Path(folder) / "whole", (6,))]
            ends += [run_to(make, order, replay, setting, Path(folder) / "halves", (4, 6))]
    finally:
        torch.use_deterministic_algorithms(False)
    different = [name for name, value in ends[0].items() if not value.equal(ends[1][name])]
    assert not different, f"{len(different)} weights differ, {different[0]} the first"
    return {"bits": "equal"}


def run_to(
    make: Callable[..., nn.Module],
    order: Order,
    replay: bool,
    setting: Setting,
    folder: Path,
    stops: Sequence[int],
) -> dict[str, Tensor]:
    """Trains up to each of the stops, in a new trainer each time; returns the last weights."""
    folder.mkdir()
    for stop in stops:
        model = make(dropout=0.3).float().to(setting.device)
        config = replace(CONFIG, steps=stop)
        some: Trainer[Any] = Trainer(model, config, folder, dtype=torch.bfloat16, replay=replay)
        latest = some.checkpoints.latest()
        if latest is not None:
            some.resume(latest)
        some.fit(order, lambda: {"loss": 1.0})
        if replay:
            must_have_recorded(some)
    return {name: value.cpu().clone() for name, value in weights(some.model).items()}


def leak(make: Callable[..., nn.Module], order: Order, replay: bool, setting: Setting) -> Figures:
    """Makes 200 updates of changing shapes, and compares what is in use with before."""
    updates = 2 * SHAPES if setting.short else 200
    with trainer(make(dropout=0.2), setting, replay=replay) as one:
        used = []
        for most in (SHAPES if setting.short else 2 * SHAPES, updates - updates % SHAPES):
            while one.progress.step < most:
                one.update([order.batches[one.progress.step % SHAPES]])
            used.append(in_use(setting.device))
        if replay:
            must_have_recorded(one)
    return near((used[1] - used[0]) / used[0], 0.01, updates=str(updates))


def in_use(device: torch.device) -> int:
    """Returns the bytes of all tensors on a device."""
    gc.collect()
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old names that some objects still answer to
        found = [one for one in gc.get_objects() if isinstance(one, Tensor)]
    return sum({one.data_ptr(): one.nbytes for one in found}.values())


def waiting(make: Callable[..., nn.Module], order: Order, setting: Setting) -> Figures:
    """Makes sure that an update waits for the device once, and its gradients never do."""
    on_gpu = setting.device.type == "cuda"
    with trainer(make(dropout=0.2), setting) as one:
        one.update([order.batches[0]])
        batch = order.batches[1].to(setting.device)
        with asking("error") if on_gpu else NoWaiting():  # type: ignore[no-untyped-call]
            one.gradients.add(batch, None, 1, 2)
        if not on_gpu:
            return {"waits": "0, forward and backward"}
        with asking("warn"), warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            one.update([order.batches[2]])
    told = [str(one.message) for one in waits if "synchroniz" in str(one.message)]
    assert len(told) == 1, f"an update waits {len(told)} times: {told}"
    return {"waits": "1, of a whole update"}


@contextmanager
def asking(mode: str) -> Iterator[None]:
    """Makes it an error, or a warning, to wait for the device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says, once, that it may overlook some
        torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def learning(cell: str, dtype: torch.dtype, replay: bool, setting: Setting) -> Figures:
    """Trains for a while; the loss must fall."""
    config = replace(CONFIG, label_smoothing=0.0)
    config = replace(config, optimizer=replace(config.optimizer, learning_rate=1e-2))
    losses = []
    with trainer(translator(cell), setting, dtype, replay, config) as one:
        for _ in range(8 if setting.short else 60):
            before = one.progress.window_loss
            one.update([PAIRS.batches[0]])
            if one.progress.window_loss > before:  # else it was skipped: float16 may overflow
                losses.append(one.progress.window_loss - before)
        if replay:
            must_have_recorded(one)
        scale = one.progress.scale
    fallen = losses[-1] / losses[0]
    assert fallen < 0.8, f"the loss fell to {100 * fallen:.0f} %, less than 80 % expected"
    return {"loss": f"{losses[0]:.1f} -> {losses[-1]:.1f}", "scale": f"{scale:.0f}"}


def silent(cell: str, setting: Setting) -> Figures:
    """Runs layers forward and backward with all warnings as errors, those told once included."""
    torch.manual_seed(1)
    config = RecurrentConfig(cell=cell, layers=2, hidden_size=WIDTH)
    stack = Recurrent(config, WIDTH, bidirectional=True).to(setting.device)
    inputs = torch.randn(4, 6, WIDTH).to(setting.device)
    lengths = torch.tensor([6, 2, 5, 1]).to(setting.device)
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for dtype, some in product((torch.float32, torch.bfloat16), (None, lengths)):
                with torch.autocast(setting.device.type, dtype, dtype != torch.float32):
                    outputs, _ = stack(inputs, stack.zero_state(inputs), some)
                outputs.float().sum().backward()
    finally:
        torch.set_warn_always(before)
    return {"warnings": "0"}


def loading(setting: Setting) -> Figures:
    """Compares batches that a thread brought to the device with those it was given."""
    found = list(brought(iter(PAIRS.batches), setting.device))
    assert len(found) == len(PAIRS.batches)
    for one, other in zip(found, PAIRS.batches, strict=True):
        assert one.source.values.device.type == setting.device.type
        assert one.source.values.cpu().equal(other.source.values)
        assert one.target_out.values.cpu().equal(other.target_out.values)
    return {"batches": str(len(found))}


def generation(temperature: float, setting: Setting) -> Figures:
    """Compares texts, generated in float64, with those of a processor."""
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), [LETTERS])
    sampling = SamplingConfig(temperature=temperature, repetition_penalty=1.2)
    found = []
    for device, replay in (
        (torch.device("cpu"), False),
        *((setting.device, r) for r in (False, True)),
    ):
        model = language_model(strength=1.5).to(device).eval()
        generator = Generator(model, pipeline, sampling, replay=replay)
        some = generator.samples(LETTERS[:5], 3, length=40, seed=1)
        found.append([one.text for one in some])
    assert found[1] == found[0], f"{found[1]}, on a processor {found[0]}"
    assert found[2] == found[0], f"replayed {found[2]}, on a processor {found[0]}"
    return {"characters": str(sum(map(len, found[0])))}
