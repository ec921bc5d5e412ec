import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seq2seq.data.documents.batches import TextBatchConfig, TextBatches
from seq2seq.data.documents.store import TextStore
from seq2seq.data.layout import flatten, make_batch
from seq2seq.errors import CheckpointError, ConfigError, Seq2SeqError
from seq2seq.models.language_model import LanguageModelConfig, build_language_model
from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig, build_seq2seq
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.nn.recurrent import RecurrentConfig
from seq2seq.symbols import BOS, EOS
from seq2seq.tensors import Batch, Outcome, TextBatch
from seq2seq.training.averaging import RunningAverage
from seq2seq.training.config import TrainConfig
from seq2seq.training.journal import METRICS, forget_after, read_history
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig
from seq2seq.training.state import STEADY, weights
from seq2seq.training.trainer import Diverged, Trainer
from tests.losses import outcome
from tests.waiting import NoWaiting

VOCABULARY = 12
CONSTANT = OptimizerConfig(
    learning_rate=0.01, schedule=ScheduleConfig(name="constant", warmup=0), clip=0.0
)
BASE = TrainConfig(
    steps=4, optimizer=CONSTANT, precision="float32", device="cpu", log_every=1, keep=100
)


def make_model(dropout: float = 0.0) -> Seq2Seq:
    torch.manual_seed(1)
    config = Seq2SeqConfig(
        embedding_size=8,
        output_dropout=dropout,
        encoder=EncoderConfig(hidden_size=8, dropout=dropout),
        decoder=DecoderConfig(hidden_size=8, dropout=dropout),
    )
    return build_seq2seq(config, VOCABULARY, VOCABULARY)


def rows(count: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(4, VOCABULARY, (count, 5), generator=generator)
    return [row[: 2 + index % 4].tolist() for index, row in enumerate(table)]


def join(sources: list[list[int]]) -> Batch:
    """Pairs each row with itself turned around."""
    return make_batch(*flatten(sources), *flatten([row[::-1] for row in sources]))


@dataclass
class Copies:
    """The same few batches in every epoch."""

    count: int = 4
    batches: list[Batch] = field(init=False)

    def __post_init__(self) -> None:
        self.batches = [join(rows(3, seed)) for seed in range(self.count)]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return iter(self.batches[start:])

    def size(self, epoch: int) -> int:
        return len(self.batches)


def make_trainer(folder: Path, config: TrainConfig = BASE, dropout: float = 0.0) -> Trainer[Any]:
    model = make_model(dropout)
    return Trainer(model, config, folder, dtype=torch.float32)


def scores(*values: float, name: str = "loss") -> Callable[[], Mapping[str, float]]:
    """Returns a validator that gives one value after the other, the last one for ever."""
    left = list(values)
    return lambda: {"loss": 1.0, name: left.pop(0) if len(left) > 1 else left[0]}


def names(trainer: Trainer[Any]) -> list[int]:
    return sorted(int(name.removeprefix("step-")) for name in trainer.checkpoints.names())


# --- updates


def test_accumulation_equals_one_large_batch(tmp_path: Path) -> None:
    first, second = rows(3, 1), rows(5, 2)
    trainers = [make_trainer(tmp_path) for _ in range(2)]
    trainers[0].update([join(first), join(second)])
    trainers[1].update([join(first + second)])
    for one, other in zip(*(weights(each.model).values() for each in trainers), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    losses = [each.progress.window_loss for each in trainers]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_gradient_is_the_mean_over_target_tokens(tmp_path: Path) -> None:
    sgd = replace(CONSTANT, name="sgd", learning_rate=1.0)
    trainer = make_trainer(tmp_path, replace(BASE, optimizer=sgd, label_smoothing=0.0))
    batch = join(rows(3))
    before = {name: one.clone() for name, one in weights(trainer.model).items()}
    loss = outcome(make_model(), batch).nats / batch.target_out.lengths.sum()
    trainer.update([batch])
    name = "bridge.layers.0.weight"
    reference = make_model()
    (outcome(reference, batch).nats / batch.target_out.lengths.sum()).backward()
    gradient = dict(reference.named_parameters())[name].grad
    assert gradient is not None
    torch.testing.assert_close(before[name] - weights(trainer.model)[name], gradient)
    assert trainer.progress.window_loss / trainer.progress.window_tokens == pytest.approx(
        loss.item()
    )


@pytest.mark.parametrize("clip", [0.001, 0.0])
def test_clipping_bounds_the_step(tmp_path: Path, clip: float) -> None:
    sgd = replace(CONSTANT, name="sgd", learning_rate=1.0, clip=clip)
    trainer = make_trainer(tmp_path, replace(BASE, optimizer=sgd))
    before = [one.clone() for one in weights(trainer.model).values()]
    trainer.update([join(rows(3))])
    pairs = zip(before, weights(trainer.model).values(), strict=True)
    moved = math.sqrt(sum(float(((one - other) ** 2).sum()) for one, other in pairs))
    assert moved == pytest.approx(clip, rel=1e-2) if clip else moved > 0.01


def test_the_noise_is_a_function_of_seed_and_step(tmp_path: Path) -> None:
    def after(seed: int, draws: int) -> list[Tensor]:
        trainer = make_trainer(tmp_path, replace(BASE, seed=seed), dropout=0.5)
        torch.rand(draws)
        trainer.update([join(rows(3))])
        return list(weights(trainer.model).values())

    first, again, other = after(1, 0), after(1, 7), after(2, 0)
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


def test_training_learns(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, steps=60, log_every=10, label_smoothing=0.0))
    trainer.fit(Copies(), scores(1.0))
    losses = [row["loss"] for row in read_history(tmp_path) if "loss" in row]
    assert losses[-1] < 0.6 * losses[0]


# --- gradients that are not numbers


def poison(trainer: Trainer[Any], *calls: int) -> Trainer[Any]:
    """Makes the model's loss no number at the given calls."""
    count, objective = itertools.count(1), trainer.gradients.objective

    def poisoned(model: nn.Module, batch: Any, carried: Tensor | None) -> Outcome:
        found = objective(model, batch, carried)
        bad = next(count) in calls
        return replace(found, nats=found.nats * math.nan) if bad else found

    trainer.gradients.objective = poisoned
    return trainer


def test_an_update_without_finite_gradient_is_skipped_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = poison(make_trainer(tmp_path, replace(BASE, steps=6, log_every=3)), 2, 6)
    seen = []

    def validate() -> Mapping[str, float]:
        seen.append([one.clone() for one in weights(trainer.model).values()])
        return {"loss": 1.0}

    trainer.config = replace(trainer.config, validate_every=1)
    trainer.fit(Copies(), validate)
    same = [all(map(torch.equal, *pair)) for pair in pairwise(seen)]
    assert same == [True, False, False, False, True]
    assert (trainer.progress.skipped, trainer.progress.skipped_in_a_row) == (2, 1)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "step 2 (epoch 0, batch 1): gradient is nan, update skipped",
        "step 6 (epoch 1, batch 1): gradient is nan, update skipped",
    ]
    assert "update skipped" in (tmp_path / "train.log").read_text()
    assert all(math.isfinite(row.get("loss", 0.0)) for row in read_history(tmp_path))


@pytest.mark.parametrize(
    ("good", "text"),
    [(11, "the last good checkpoint is step-0000011"), (0, "none was saved")],
)
def test_ten_in_a_row_end_the_run(tmp_path: Path, good: int, text: str) -> None:
    config = replace(BASE, steps=40, validate_every=good or 30)
    trainer = poison(make_trainer(tmp_path, config), *range(good + 1, 50))
    text = (
        rf"^step {good + 10} \(epoch \d, batch \d\): 10 updates in a row had no finite gradient; "
        f"{text}; try a lower train.optimizer.learning_rate in a new folder$"
    )
    with pytest.raises(Seq2SeqError, match=text):
        trainer.fit(Copies(), scores(1.0))


def test_a_row_of_skipped_updates_has_no_loss(tmp_path: Path) -> None:
    trainer = poison(make_trainer(tmp_path, replace(BASE, steps=4, log_every=2)), 1, 2)
    trainer.fit(Copies(), scores(1.0))
    rows = [row for row in read_history(tmp_path) if "learning_rate" in row]
    assert ["loss" in row for row in rows] == [False, True]
    for line in (tmp_path / METRICS).read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


# --- runs that have diverged


def test_a_run_that_has_diverged_ends_in_a_line(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, steps=5, validate_every=2))
    objective = trainer.gradients.objective

    def worse(model: nn.Module, batch: Any, carried: Tensor | None) -> Outcome:
        found = objective(model, batch, carried)
        return replace(found, nats=found.nats * 100)

    trainer.gradients.objective = worse
    trainer.progress.step, trainer.progress.first_loss = 1, 2.0  # the first update was another
    text = (
        r"^step 5: the validation loss is 9.0, training began with 2.0; the last good checkpoint "
        r"is step-0000002; try a lower train.optimizer.learning_rate in a new folder$"
    )
    with pytest.raises(Diverged, match=text) as caught:
        trainer.fit(Copies(), scores(3.0, 9.0))
    assert caught.value.exit_code == 1
    again, latest = make_trainer(tmp_path, trainer.config), trainer.checkpoints.latest()
    assert latest is not None
    again.resume(latest)
    with pytest.raises(Diverged, match=text):  # the same command says the same
        again.fit(Copies(), scores(3.0))


@pytest.mark.parametrize(("first", "valid"), [(None, 9.0), (2.0, 9.0), (0.1, 0.15)])
def test_what_has_not_diverged(tmp_path: Path, first: float | None, valid: float) -> None:
    trainer = make_trainer(tmp_path)
    trainer.progress.step, trainer.progress.first_loss = 1, first  # learnt by heart, perhaps
    trainer.fit(Copies(), scores(valid))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_validation_loss_that_is_no_number_at_the_end(tmp_path: Path, value: float) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, validate_every=1))
    text = (
        f"^step 4: the validation loss is {value}; the last good checkpoint is step-0000001; try "
    )
    with pytest.raises(Diverged, match=text):
        trainer.fit(Copies(), scores(1.0, value))
    state = (tmp_path / "checkpoints" / "step-0000004" / "state.json").read_text()
    json.loads(state, parse_constant=lambda word: pytest.fail(word))


@pytest.mark.parametrize("saved", [True, False])
def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path, saved: bool) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, validate_every=2))
    step = 4 if saved else 2

    def validate() -> Mapping[str, float]:
        if trainer.progress.step == step:
            with torch.no_grad():
                next(trainer.model.parameters())[0] = math.nan
        return {"loss": 1.0}

    good = "the last good checkpoint is step-0000002" if saved else "none was saved"
    text = f"^step {step}: source_input.weight holds what is no number; {good}; try a lower "
    with pytest.raises(Diverged, match=text):
        trainer.fit(Copies(), validate)
    assert names(trainer) == ([2] if saved else [])


# --- reports


@pytest.mark.parametrize("name", [METRICS, "train.log"])
def test_training_goes_on_without_a_report(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).mkdir()
    trainer = make_trainer(tmp_path)
    trainer.fit(Copies(), scores(1.0))
    assert trainer.progress.step == BASE.steps
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [f"{tmp_path / name}: Is a directory; the run goes on without it"]


def test_damaged_rows_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]
    lines = [json.dumps(good[0]).encode(), b'{"step": 2, "lo', b"\xff\xfe", b"[]", b'{"loss": 1}']
    lines += [b'{"step": 2, "loss": "much"}', json.dumps(good[1]).encode(), b'{"step": 3']
    (tmp_path / METRICS).write_bytes(b"\n".join(lines))
    assert read_history(tmp_path) == good
    assert caplog.messages == [f"{tmp_path / METRICS}: 5 damaged lines are left out"]
    forget_after(tmp_path, 1, 1)
    assert read_history(tmp_path) == good[:1]


# --- validation, limits, what is kept


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("loss", (3.0, 1.0, 2.0, 1.0), 2),
        ("ter", (3.0, 1.0, 2.0, 1.0), 2),
        ("bleu", (3.0, 1.0, 4.0, 4.0), 3),
        ("chrf", (3.0, 1.0, 2.0, 1.0), 1),
        ("loss", (math.nan, 2.0, math.nan, 3.0), 2),
    ],
)
def test_the_best_checkpoint_is_that_of_the_metric(
    tmp_path: Path, metric: Any, values: tuple[float, ...], best: int
) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, validate_every=1, metric=metric))
    trainer.fit(Copies(), scores(*values, name=metric))
    assert trainer.progress.best_step == best
    assert trainer.checkpoints.best().name == f"step-{best:07d}"


def test_a_best_score_without_a_finite_loss_is_saved_and_gone_on_from(tmp_path: Path) -> None:
    def trainer_for(steps: int) -> Trainer[Any]:
        return make_trainer(tmp_path, replace(BASE, steps=steps, validate_every=2, metric="bleu"))

    first = trainer_for(4)
    found = iter([{"loss": math.nan, "bleu": 3.0}, {"loss": 1.0, "bleu": 2.0}])
    first.fit(Copies(), lambda: next(found))
    assert (first.progress.best_step, first.progress.best_loss) == (2, None)
    latest = first.checkpoints.latest()
    assert latest is not None
    # An earlier version wrote infinity where no validation had given a number.
    second = trainer_for(6)
    second.resume(replace(latest, state={**latest.state, "best": math.inf, "best_step": 2}))
    second.fit(Copies(), lambda: {"loss": 1.0, "bleu": 1.0})
    assert second.progress.best_step == 6


def test_a_loss_that_is_no_number_beside_a_gradient_that_is_one(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    objective = trainer.gradients.objective

    def worse(model: nn.Module, batch: Any, carried: Tensor | None) -> Outcome:
        found = objective(model, batch, carried)
        return replace(found, nats=found.nats + math.inf)  # its gradient is as before

    trainer.gradients.objective = worse
    trainer.fit(Copies(), scores(1.0))
    assert (trainer.progress.window_tokens, trainer.progress.last_loss) == (0, None)


def test_of_equal_scores_the_one_with_the_lower_loss_is_best(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, validate_every=1, metric="bleu"))
    found = iter([(0.0, 4.0), (0.0, 3.0), (0.0, 3.5), (0.0, 3.0)])

    def validate() -> Mapping[str, float]:
        bleu, loss = next(found)
        return {"loss": loss, "bleu": bleu}

    trainer.fit(Copies(), validate)
    assert (trainer.progress.best_step, trainer.progress.without_gain) == (2, 2)


def test_patience_ends_the_run(tmp_path: Path) -> None:
    config = replace(BASE, steps=0, validate_every=2, patience=3)
    trainer = make_trainer(tmp_path, config)
    trainer.fit(Copies(), scores(3.0, 2.0, 2.0, 2.5, 2.0, 1.0))
    assert (trainer.progress.step, trainer.progress.best_step) == (10, 4)


def test_the_last_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, steps=6, validate_every=1, keep=2))
    trainer.fit(Copies(), scores(3.0, 1.0, 2.0))
    assert names(trainer) == [2, 5, 6]


@pytest.mark.parametrize(
    ("limits", "step", "validated"),
    [
        ({"steps": 5}, 5, [4, 5]),
        ({"steps": 4}, 4, [4]),
        ({"steps": 0, "epochs": 2}, 8, [4, 8]),
        ({"steps": 5, "epochs": 1}, 4, [4]),
        ({"steps": 5, "validate_every": 3}, 5, [3, 5]),
        ({"steps": 6, "validate_every": 3}, 6, [3, 6]),
        ({"steps": 0, "epochs": 1, "accumulate": 3}, 2, [2]),
        ({"steps": 0, "minutes": 1e-9}, 1, [1]),
        ({"steps": 7, "minutes": 60.0}, 7, [4, 7]),
    ],
)
def test_limits(tmp_path: Path, limits: dict[str, Any], step: int, validated: list[int]) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, **limits))
    trainer.fit(Copies(), scores(1.0))
    assert trainer.progress.step == step
    found = [row["step"] for row in read_history(tmp_path) if "valid_loss" in row]
    assert found == validated == names(trainer)


def test_the_clock_counts_preparation(tmp_path: Path) -> None:
    model = make_model()
    config = replace(BASE, steps=0, minutes=1.0)
    trainer: Trainer[Any] = Trainer(model, config, tmp_path, dtype=torch.float32, elapsed=61.0)
    trainer.fit(Copies(), scores(1.0))
    assert trainer.progress.step == 0


def test_rows_of_the_metrics(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, steps=5, log_every=2))
    trainer.fit(Copies(), scores(1.5, 2.5))
    history = read_history(tmp_path)
    assert [(row["step"], "loss" in row) for row in history] == [
        (2, True), (4, True), (4, False), (5, False),
    ]  # fmt: skip
    assert set(history[0]) == {
        "step", "epoch", "loss", "learning_rate", "tokens_per_second", "minutes",
    }  # fmt: skip
    assert set(history[2]) == {"step", "epoch", "valid_loss", "minutes"}
    assert history[0]["learning_rate"] == 0.01
    assert [row["valid_loss"] for row in history[2:]] == [1.5, 2.5]


def test_a_plateau_lowers_the_learning_rate(tmp_path: Path) -> None:
    schedule = ScheduleConfig(name="plateau", warmup=0, factor=0.5, patience=2)
    optimizer = replace(CONSTANT, schedule=schedule)
    trainer = make_trainer(tmp_path, replace(BASE, steps=8, validate_every=1, optimizer=optimizer))
    rates = []
    validate = scores(2.0, 3.0, 3.0, 3.0, 3.0, 1.0, 3.0, 3.0)

    def watch() -> Mapping[str, float]:
        rates.append(trainer.rate())
        return validate()

    trainer.fit(Copies(), watch)
    assert rates == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025, 0.0025]
    assert trainer.rate() == 0.00125


@pytest.mark.parametrize("limits", [{"steps": 8}, {"steps": 0, "epochs": 2}])
def test_cosine_ends_with_the_run(tmp_path: Path, limits: dict[str, Any]) -> None:
    optimizer = replace(CONSTANT, schedule=ScheduleConfig(name="cosine", warmup=0))
    trainer = make_trainer(tmp_path, replace(BASE, optimizer=optimizer, **limits))
    rates = [trainer.rate()]
    trainer.fit(Copies(), scores(1.0))
    rates += [row["learning_rate"] for row in read_history(tmp_path) if "loss" in row]
    expected = [0.01 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)]
    assert rates == pytest.approx(expected)


# --- going on


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path: Path) -> None:
    config = replace(BASE, steps=9, accumulate=2, log_every=4)
    ends = []
    for parts in ([9], [3, 9], [2, 4, 5, 9]):
        folder = tmp_path / str(len(parts))
        folder.mkdir()
        for steps in parts:
            trainer = make_trainer(folder, replace(config, steps=steps), dropout=0.3)
            latest = trainer.checkpoints.latest()
            if latest:
                trainer.resume(latest)
            trainer.fit(Copies(5), scores(1.0))
        columns = [row["loss"] for row in read_history(folder) if "loss" in row]
        ends.append((list(weights(trainer.model).values()), columns))
    for tensors, columns in ends[1:]:
        assert columns == ends[0][1]
        assert all(map(torch.equal, tensors, ends[0][0]))


def test_a_finished_run_makes_no_further_steps(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit(Copies(), scores(1.0))
    before = (tmp_path / METRICS).read_bytes()
    trainer = make_trainer(tmp_path)
    latest = trainer.checkpoints.latest()
    assert latest is not None
    trainer.resume(latest)
    trainer.fit(Copies(), scores(0.0))
    assert trainer.progress.step == 4
    assert (tmp_path / METRICS).read_bytes() == before


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit(Copies(), scores(1.0))
    other = build_seq2seq(Seq2SeqConfig(embedding_size=4), VOCABULARY, VOCABULARY)
    trainer: Trainer[Any] = Trainer(other, BASE, tmp_path, dtype=torch.float32)
    latest = trainer.checkpoints.latest()
    assert latest is not None
    text = r"^checkpoint step-0000004: bridge\.layers\.0\.bias is \[16\]|\[8\], the model's is"
    with pytest.raises(CheckpointError, match=text):
        trainer.resume(latest)


def test_a_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit(Copies(), scores(1.0))
    trainer = make_trainer(tmp_path)
    latest = trainer.checkpoints.latest()
    assert latest is not None
    text = r"^checkpoint step-0000004 does not fit this configuration \(.*'oddity'\)$"
    with pytest.raises(CheckpointError, match=text):
        trainer.resume(replace(latest, state={**latest.state, "oddity": 1}))


def test_rows_beyond_the_checkpoint_and_torn_ones_are_forgotten(tmp_path: Path) -> None:
    forget_after(tmp_path, 3, 3)
    assert not (tmp_path / METRICS).exists()
    (tmp_path / METRICS).write_text('{"step": 2}\n{"step": 3}\n{"step": 4}\n{"st')
    assert [row["step"] for row in read_history(tmp_path)] == [2, 3, 4]
    forget_after(tmp_path, 3, 3)
    assert (tmp_path / METRICS).read_text() == '{"step": 2}\n{"step": 3}\n'


def test_the_row_of_a_validation_that_is_still_owed_is_forgotten(tmp_path: Path) -> None:
    # A signal saved step 4 before its validation; that was made, and the process killed.
    rows: list[dict[str, int | float | None]] = [
        {"step": 2, "loss": 1.0, "learning_rate": 0.1},
        {"step": 2, "valid_loss": 2.0},
        {"step": 4, "loss": 1.0, "learning_rate": 0.1},
        {"step": 4, "valid_loss": None},
    ]
    (tmp_path / METRICS).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    forget_after(tmp_path, 4, 2)
    assert read_history(tmp_path) == rows[:3]


# --- a running average of the weights


def test_validation_and_checkpoints_take_the_average(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, replace(BASE, steps=3, average=0.15, validate_every=1))
    name = "bridge.layers.0.weight"
    raw = [weights(trainer.model)[name].clone()]
    follow, seen = RunningAverage.follow, list[Tensor]()

    def validate() -> Mapping[str, float]:
        seen.append(weights(trainer.model)[name].clone())
        return {"loss": 1.0}

    def watch(average: RunningAverage, step: int) -> None:
        raw.append(weights(trainer.model)[name].clone())
        follow(average, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunningAverage, "follow", watch)
        trainer.fit(Copies(), validate)
    expected = [raw[0]]
    for kept, weight in zip((0.1, 0.15, 0.15), raw[1:], strict=True):
        expected.append(kept * expected[-1] + (1 - kept) * weight)
    torch.testing.assert_close(seen, expected[1:])
    assert weights(trainer.model)[name].equal(raw[3])
    latest = trainer.checkpoints.load("step-0000003")
    assert latest.model[name].equal(seen[2])
    assert latest.optimizer[f"weights.{name}"].equal(raw[3])
    again = make_trainer(tmp_path, replace(BASE, steps=3, average=0.15))
    again.resume(latest)
    assert again.average is not None
    assert again.average.values[name].equal(seen[2])
    assert weights(again.model)[name].equal(raw[3])


def test_without_an_average_nothing_more_is_kept(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    trainer.fit(Copies(), scores(1.0))
    assert trainer.average is None
    latest = trainer.checkpoints.latest()
    assert latest is not None
    assert not [key for key in latest.optimizer if key.startswith(("weights.", "text."))]
    trainer = make_trainer(tmp_path, replace(BASE, average=0.9))
    text = r"^checkpoint step-0000004 does not fit this configuration \('.*'\)$"
    with pytest.raises(CheckpointError, match=text):
        trainer.resume(latest)


def test_a_skipped_update_leaves_the_average(tmp_path: Path) -> None:
    trainer = poison(make_trainer(tmp_path, replace(BASE, average=0.9)), 2)
    assert trainer.average is not None
    trainer.update([join(rows(3))])
    before = {name: one.clone() for name, one in trainer.average.values.items()}
    trainer.update([join(rows(3))])
    assert all(one.equal(before[name]) for name, one in trainer.average.values.items())


# --- continuous text: the state that goes from batch to batch


def make_text_trainer(folder: Path, config: TrainConfig = BASE, **noise: Any) -> Trainer[Any]:
    torch.manual_seed(1)
    layers = RecurrentConfig(hidden_size=8, **{"dropout": 0.0, **noise})
    settings = LanguageModelConfig(
        embedding_size=8,
        layers=layers,
        output_dropout=layers.dropout,
        activation=2.0,
        slowness=1.0,
    )
    return Trainer(build_language_model(settings, VOCABULARY), config, folder, dtype=torch.float32)


def text_batches(**settings: Any) -> TextBatches:
    ids, ends = list[int](), list[int]()
    for row in rows(12):
        ids += [BOS, *row, *row, EOS]
        ends.append(len(ids))
    store = TextStore(np.array(ids, np.uint16), np.array(ends), len(ids))
    return TextBatches(store, TextBatchConfig(rows=3, steps=2, **settings), seed=1)


def test_the_gradient_of_a_group_that_goes_on(tmp_path: Path) -> None:
    sgd = replace(CONSTANT, name="sgd", learning_rate=1.0)
    config = replace(BASE, optimizer=sgd, label_smoothing=0.0)
    trainer, twin = make_text_trainer(tmp_path, config), make_text_trainer(tmp_path).model.train()
    batches = list(islice(text_batches().epoch(0), 4))
    trainer.carried = given = outcome(twin, batches[0]).carried
    before = {name: one.clone() for name, one in weights(trainer.model).items()}
    trainer.update(list(batches[1:]))
    counts = [int(batch.target_out.lengths.sum()) for batch in batches[1:]]
    assert not all(batch.fresh.all() for batch in batches[1:])
    for batch, count in zip(batches[1:], counts, strict=True):
        found = outcome(twin, batch, 0.0, given)
        torch.autograd.backward((found.nats + count * found.penalty) / sum(counts))
        given = found.carried
    assert trainer.carried is not None
    torch.testing.assert_close(trainer.carried, given)
    for name, parameter in twin.named_parameters():
        moved = before[name] - weights(trainer.model)[name]
        torch.testing.assert_close(moved, parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_skipped_update_forgets_what_was_carried(tmp_path: Path) -> None:
    batches = list(islice(text_batches().epoch(0), 3))
    trainer, other = poison(make_text_trainer(tmp_path), 2), make_text_trainer(tmp_path)
    trainer.update([batches[0]])
    assert trainer.carried is not None
    trainer.update([batches[1]])
    assert trainer.carried is None
    trainer.update([batches[2]])
    other.update([batches[0]])
    other.carried, other.progress.step = None, 2
    other.update([batches[2]])
    pairs = zip(weights(trainer.model).values(), weights(other.model).values(), strict=True)
    assert all(one.equal(twin) for one, twin in pairs)


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_text_in_parts_is_the_text_in_one(
    tmp_path: Path, average: float, precision: Literal["float32", "bfloat16"]
) -> None:
    noise = {"dropout": 0.3, "weight_drop": 0.3, "locked_dropout": True}
    adam = replace(CONSTANT, name="adamw")
    config = replace(
        BASE, steps=13, accumulate=2, average=average, precision=precision, optimizer=adam
    )
    ends = []
    for parts in ([13], [3, 13], [1, 4, 8, 9, 13]):
        folder = tmp_path / str(len(parts))
        folder.mkdir()
        for steps in parts:
            trainer = make_text_trainer(folder, replace(config, steps=steps), **noise)
            latest = trainer.checkpoints.latest()
            if latest:
                trainer.resume(latest)
            trainer.fit(text_batches(reset=0.2), scores(1.0))
        latest = trainer.checkpoints.latest()
        assert latest is not None
        columns = [row["loss"] for row in read_history(folder) if "loss" in row]
        ends.append((latest.model, latest.optimizer, columns))
    keys = set(ends[0][1])
    assert "text.carried" in keys
    assert bool(average) == any(key.startswith("weights.") for key in keys)
    for model, optimizer, columns in ends[1:]:
        assert columns == ends[0][2]
        assert optimizer.keys() == keys
        assert all(one.equal(ends[0][0][name]) for name, one in model.items())
        assert all(one.equal(ends[0][1][key]) for key, one in optimizer.items())


def text_batch() -> TextBatch:
    ids = np.arange(40) % VOCABULARY
    store = TextStore(ids, np.array([40]), 40)
    return store.gather(np.array([0, 9]), np.array([7, 4]), np.array([True, False]))


@pytest.mark.parametrize("kind", ["pairs", "text"])
def test_forward_and_backward_never_wait_for_a_gpu(kind: str) -> None:
    model: nn.Module = make_model(dropout=0.2)
    batch: Batch | TextBatch = join(rows(5))
    if kind == "text":
        config = LanguageModelConfig(embedding_size=8, activation=0.1, slowness=0.1)
        model, batch = build_language_model(config, VOCABULARY), text_batch()
    with NoWaiting():  # type: ignore[no-untyped-call]
        found = outcome(model, batch, 0.1)
        (found.nats / 7 + (0 if found.penalty is None else found.penalty)).backward()


# --- float16


def half_trainer(folder: Path, settings: TrainConfig = BASE) -> Trainer[Any]:
    """Makes a trainer in float16, of a model that a processor has in it."""
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"cell": "gru", "hidden_size": 8, "dropout": 0.0}
    config = Seq2SeqConfig(
        embedding_size=8,
        output_dropout=0.0,
        encoder=EncoderConfig(**sizes),
        decoder=DecoderConfig(**sizes),
    )
    model = build_seq2seq(config, VOCABULARY, VOCABULARY)
    return Trainer(model, settings, folder, dtype=torch.float16)


def test_scaled_gradients_are_those_of_float32_to_rounding(tmp_path: Path) -> None:
    found = []
    for dtype in (torch.float16, torch.float32):
        trainer = half_trainer(tmp_path, replace(BASE, optimizer=replace(CONSTANT, name="sgd")))
        before = [one.clone() for one in weights(trainer.model).values()]
        if dtype == torch.float32:
            trainer = Trainer(trainer.model, trainer.config, tmp_path, dtype=dtype)
        trainer.update([join(rows(4))])
        after = weights(trainer.model).values()
        steps = [new - old for new, old in zip(after, before, strict=True)]
        found.append(torch.cat([step.flatten() for step in steps]))
    assert (found[0] - found[1]).norm() < 2e-2 * found[1].norm()


def test_an_overflow_halves_the_scale_and_leaves_the_update_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = poison(half_trainer(tmp_path), 2, 3)
    before = trainer.progress.scale
    seen = []
    for _ in range(4):
        trainer.update([join(rows(4))])
        seen.append([one.clone() for one in weights(trainer.model).values()])
    same = [all(map(torch.equal, *pair)) for pair in pairwise(seen)]
    assert same == [True, True, False]
    progress = trainer.progress
    assert (progress.scale, progress.since_overflow, progress.skipped) == (before / 4, 1, 0)
    assert caplog.records == []


def test_what_is_no_number_without_a_scale_is_told(tmp_path: Path) -> None:
    trainer = poison(half_trainer(tmp_path), 1)
    trainer.progress.scale = 1.0
    trainer.update([join(rows(4))])
    assert (trainer.progress.scale, trainer.progress.skipped) == (1.0, 1)


def test_the_scale_is_doubled_after_a_long_while_and_saved(tmp_path: Path) -> None:
    trainer = half_trainer(tmp_path)
    trainer.progress.scale, trainer.progress.since_overflow = 8.0, STEADY - 1
    trainer.fit(Copies(), scores(1.0))
    assert (trainer.progress.scale, trainer.progress.since_overflow) == (16.0, BASE.steps - 1)
    other = half_trainer(tmp_path)
    latest = other.checkpoints.latest()
    assert latest is not None
    other.resume(latest)
    assert other.progress == trainer.progress


def test_float32_has_no_scale(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path)
    before = trainer.progress.scale, trainer.progress.since_overflow
    trainer.update([join(rows(4))])
    assert (trainer.progress.scale, trainer.progress.since_overflow) == before


# --- replayed updates


def test_replayed_updates_of_several_batches_are_plain_ones(tmp_path: Path) -> None:
    batches = [join(rows(3, 1)), join(rows(5, 2)), join(rows(3, 3))]
    found = []
    for replay in (True, False):
        trainer: Trainer[Any] = Trainer(
            make_model(0.2), BASE, tmp_path, dtype=torch.float32, replay=replay
        )
        for _ in range(2):
            trainer.update([one if replay else one.filled() for one in batches])
        found.append([*weights(trainer.model).values()])
        losses = trainer.progress.window_loss
        found[-1].append(torch.tensor(losses))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_replayed_updates_leave_frozen_weights_alone(tmp_path: Path) -> None:
    model = make_model()
    model.bridge.requires_grad_(False)
    before = {name: one.clone() for name, one in weights(model).items()}
    trainer: Trainer[Any] = Trainer(model, BASE, tmp_path, dtype=torch.float32, replay=True)
    trainer.update([join(rows(3))])
    for name, value in weights(model).items():
        assert value.equal(before[name]) == name.startswith("bridge"), name


# --- refusals


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("average", 1.0, r"in \[0, 1\)"),
        ("average", -0.1, r"in \[0, 1\)"),
        *((key, -1, "at least 0") for key in ("seed", "steps", "epochs", "patience")),
        ("minutes", -1.0, "at least 0"),
        *((key, 0, "at least 1") for key in ("accumulate", "keep", "log_every")),
        ("label_smoothing", 1.0, r"in \[0, 1\)"),
    ],
)
def test_refused_settings(key: str, value: float, accepted: str) -> None:
    settings: dict[str, Any] = {"steps": 1, key: value}
    with pytest.raises(ConfigError, match=f"^{key}: must be {accepted}, got {value}$"):
        TrainConfig(**settings)


def test_a_run_without_end_is_refused() -> None:
    text = "^steps: must be above 0, or epochs, minutes or patience, got 0$"
    with pytest.raises(ConfigError, match=text):
        TrainConfig()


def test_the_log_goes_to_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "seq2seq"):
        make_trainer(tmp_path).fit(Copies(), scores(1.0))
    text = (tmp_path / "train.log").read_text()
    assert "INFO step 4, 0.0 min: valid_loss 1.000 (best)" in text
