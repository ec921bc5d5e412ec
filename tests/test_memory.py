"""Where memory is full, batches are halved and nothing else changes; or one line says why not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seq2seq.cli.main import main
from seq2seq.device import memory
from seq2seq.device.memory import build, whole_memory
from seq2seq.errors import ConfigError, OutOfMemory, is_out_of_memory
from seq2seq.evaluation.text_loss import measure
from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.training.config import TrainConfig
from seq2seq.training.journal import read_history
from seq2seq.training.optimisation import OptimizerConfig
from seq2seq.training.state import weights
from seq2seq.training.trainer import Trainer
from tests.full_memory import full_above, overflow
from tests.training.test_trainer import (
    BASE,
    VOCABULARY,
    Copies,
    join,
    make_text_trainer,
    make_trainer,
    rows,
    scores,
    text_batches,
)

SGD = OptimizerConfig(name="sgd", learning_rate=1.0, clip=0.0)


def batches_of(kind: str) -> list[Any]:
    """Returns the batches of one update; texts go on from one to the next, one row is over."""
    if kind == "pairs":
        return [join(rows(7, 1)), join(rows(5, 2))]
    return list(islice(text_batches().epoch(0), 9))[-2:]


def trainer_of(kind: str, folder: Path, config: TrainConfig = BASE) -> Trainer[Any]:
    if kind == "pairs":
        return make_trainer(folder, config)
    trainer = make_text_trainer(folder, config)
    # What changes from step to step counts by steps, which parts have in other numbers.
    model: Any = trainer.model
    model.config = replace(model.config, slowness=0.0)
    return trainer


def limited(trainer: Trainer[Any], most: int) -> Trainer[Any]:
    """Lets memory be full with more rows than ``most``."""
    objective = trainer.gradients.objective

    def size(model: object, batch: Any, carried: Tensor | None) -> int:
        rows: int = batch.rows
        return rows

    trainer.gradients.objective = full_above(most, size, objective)
    return trainer


@pytest.mark.parametrize("kind", ["pairs", "text"])
@pytest.mark.parametrize("most", [1, 2])
def test_the_gradient_is_the_same(kind: str, most: int, tmp_path: Path) -> None:
    config = replace(BASE, optimizer=replace(SGD, schedule=BASE.optimizer.schedule))
    whole, parted = (trainer_of(kind, tmp_path, config) for _ in range(2))
    limited(parted, most)
    for trainer in (whole, parted):
        trainer.update(batches_of(kind))
    assert parted.progress.parts > 1
    pairs = zip(weights(whole.model).values(), weights(parted.model).values(), strict=True)
    assert max(float((one - other).abs().max()) for one, other in pairs) < 1e-6
    assert parted.progress.last_loss == pytest.approx(whole.progress.last_loss, rel=1e-6)
    if kind == "text":
        assert whole.carried is not None
        assert parted.carried is not None
        torch.testing.assert_close(whole.carried, parted.carried)


def test_a_run_that_goes_on_cuts_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Though there is room now: the noise is a function of the part, too."""
    config = replace(BASE, steps=6, accumulate=2)
    ends = []
    for stops in ([6], [4, 6]):
        folder = tmp_path / str(len(stops))
        folder.mkdir()
        for steps in stops:
            trainer = make_trainer(folder, replace(config, steps=steps), dropout=0.5)
            latest = trainer.checkpoints.latest()
            if latest is None:
                limited(trainer, 2)
            else:
                trainer.resume(latest)
            trainer.fit(Copies(), scores(1.0))
        losses = [row["loss"] for row in read_history(folder) if "loss" in row]
        ends.append((losses, list(weights(trainer.model).values())))
    assert ends[0][0] == ends[1][0]
    assert all(map(torch.equal, ends[0][1], ends[1][1]))
    assert caplog.messages.count(
        "step 1: memory is full; from now on, batches are learned in 2 parts (a smaller data.batch "
        "is faster)"
    ) == len(ends)


def test_a_single_row_cannot_be_cut(tmp_path: Path) -> None:
    trainer = limited(make_trainer(tmp_path), 0)
    with pytest.raises(OutOfMemory, match=r"^step 1: memory is full with one row"):
        trainer.update([join(rows(3))])


def test_other_errors_are_not_hidden(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)

    def wrong(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    trainer.gradients.objective = wrong  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="shapes"):
        trainer.update([join(rows(3))])
    assert trainer.progress.parts == 1


@pytest.mark.parametrize("kind", ["pairs", "text"])
def test_the_loss_is_the_same(kind: str, tmp_path: Path) -> None:
    model = trainer_of(kind, tmp_path).model.eval()

    class Given:
        def epoch(self, epoch: int, start: int = 0) -> Iterator[Any]:
            return iter(batches_of(kind))

    expected = measure(model, Given())  # type: ignore[arg-type]
    features: Callable[..., Any] = model.features  # type: ignore[assignment]
    model.features = full_above(1, lambda batch, _: batch.rows, features)  # type: ignore[assignment]
    found = measure(model, Given())  # type: ignore[arg-type]
    assert found.tokens == expected.tokens
    assert found.nats == pytest.approx(expected.nats, rel=1e-6)


ERRORS: Mapping[str, Callable[[], object]] = {
    "torch": overflow,
    "numpy": lambda: np.zeros(2**60, np.uint8),
    "python": lambda: bytes(2**62),
}


@pytest.mark.parametrize("source", ERRORS)
def test_a_full_memory_is_one_line(
    source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seq2seq.cli.commands.info", lambda _: ERRORS[source]())
    assert main(["info", "run"]) == 2
    assert capsys.readouterr().err == (
        "seq2seq: memory is full; choose a smaller --batch-size or --beam-size where the verb has "
        "them, or a shorter input\n"
    )


def test_training_names_its_own_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("seq2seq.cli.commands.train", lambda _: overflow())
    (tmp_path / "config.yaml").touch()
    assert main(["train", str(tmp_path / "config.yaml")]) == 2
    assert capsys.readouterr().err == (
        "seq2seq: memory is full; choose a smaller data.batch, or smaller sizes of the model\n"
    )


def test_cuda_says_it_by_its_class() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize("size", [10**6, 10**15])
def test_models_that_no_machine_holds_are_refused(size: int) -> None:
    config = LanguageModelConfig(embedding_size=size)
    with pytest.raises(ConfigError, match=r"^model: has [0-9,]+ weights, .*; choose smaller sizes"):
        build(lambda: build_language_model(config, VOCABULARY * 10**5), 1)


@pytest.mark.parametrize(("limit", "expected"), [("12345", 12345), ("max", 0), ("x", 0)])
def test_the_memory_of_a_container_counts(tmp_path: Path, limit: str, expected: int) -> None:
    whole = whole_memory(tmp_path)
    file = tmp_path / "sys/fs/cgroup/memory.max"
    file.parent.mkdir(parents=True)
    file.write_text(limit + "\n")
    assert whole_memory(tmp_path) == (expected or whole)


def test_a_seed_gives_the_same_weights_whether_or_not_there_was_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = LanguageModelConfig(embedding_size=8)
    made = [build(lambda: build_language_model(config, VOCABULARY), 3) for _ in range(2)]
    torch.manual_seed(3)
    made.append(build_language_model(config, VOCABULARY))
    for one in made[1:]:
        pairs = zip(weights(made[0]).values(), weights(one).values(), strict=True)
        assert all(left.equal(right) for left, right in pairs)
    monkeypatch.setattr(memory, "whole_memory", lambda: 10)
    with pytest.raises(ConfigError, match=r"^model: has"):
        build(lambda: build_language_model(config, VOCABULARY), 3)
