"""The training loop: update, report, validate, save, and go on exactly where it stopped."""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from seq2seq.errors import CheckpointError, ConfigError, Seq2SeqError, require
from seq2seq.measures import LOWER_IS_BETTER, ScoreName
from seq2seq.tensors import Batch, TextBatch
from seq2seq.training.averaging import RunningAverage, copy
from seq2seq.training.checkpoint import Checkpoint, Checkpoints, name_of
from seq2seq.training.interruption import Interrupted, Interruption
from seq2seq.training.journal import Journal, forget_after, open_journal
from seq2seq.training.optimisation import OptimizerConfig, make_optimizer

AnyBatch: TypeAlias = Batch | TextBatch
BatchT_co = TypeVar("BatchT_co", bound=AnyBatch, covariant=True)
LIMITS = ("steps", "epochs", "minutes", "patience")
"""What may change when a run goes on: where it ends."""
KERNELS = 32
log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The training loop. It ends at the first limit met: steps, epochs, minutes or patience."""

    seed: int = 1
    """Where all randomness begins: weights, order of batches, dropout."""
    steps: int = 0
    """Most updates; 0: no limit."""
    epochs: int = 0
    """Most passes over the training text; 0: no limit, as where only steps or minutes are named."""
    minutes: float = 0.0
    """Most wall-clock time, tokenizer training and validation included; 0: no limit. A run that
    ends by the clock is not repeatable to the bit."""
    patience: int = 0
    """Validations without a gain after which training ends; 0: no limit."""
    label_smoothing: float = 0.1
    """Share of the target's mass that all tokens have in common."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimiser and learning rate."""
    average: float = 0.0
    """Share of itself that a running average of the weights keeps at each update, such as 0.999;
    validation, checkpoints and use then take the average. 0: no average."""
    accumulate: int = 1
    """Batches whose gradients make one update."""
    validate_every: int = 0
    """Updates between validations; 0: once an epoch."""
    metric: ScoreName = "loss"
    """The validation score that tells which checkpoint is best."""
    keep: int = 3
    """Last checkpoints kept, besides the best."""
    log_every: int = 50
    """Updates between rows of the metrics."""
    threads: int = 0
    """CPU threads; 0: torch's choice."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model trains; auto: cuda where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers that matrix products use while training; weights are always float32. auto:
    bfloat16 where the processor multiplies it faster."""

    def __post_init__(self) -> None:
        for key in ("seed", "steps", "epochs", "minutes", "patience", "validate_every", "threads"):
            require(getattr(self, key) >= 0, key, "at least 0", getattr(self, key))
        for key in ("accumulate", "keep", "log_every"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        for key in ("label_smoothing", "average"):
            require(0 <= getattr(self, key) < 1, key, "in [0, 1)", getattr(self, key))
        ends = any(getattr(self, limit) for limit in LIMITS)
        require(ends, "steps", "above 0, or epochs, minutes or patience", self.steps)

    def shortened(self) -> "TrainConfig":
        """Returns the same settings for two updates."""
        return replace(self, steps=2, epochs=0, minutes=0.0, validate_every=0)


@dataclass
class Progress:
    """Where a run stands; all that resuming needs besides weights and optimiser."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    """Batches of this epoch already used."""
    seconds: float = 0.0
    validated: int = 0
    """The step of the last validation."""
    best: float | None = None
    best_step: int | None = None
    without_gain: int = 0
    plateaus: int = 0
    skipped: int = 0
    """Updates left out since a gradient was not a number."""
    skipped_in_a_row: int = 0
    window_loss: float = 0.0
    """Loss, tokens and seconds since the last row of the metrics."""
    window_tokens: int = 0
    window_seconds: float = 0.0


@runtime_checkable
class BatchOrder(Protocol[BatchT_co]):
    """What the loop needs of the data: the batches of an epoch, from any position on."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[BatchT_co]:
        """Yields the batches of an epoch."""
        ...

    def size(self, epoch: int) -> int:
        """Returns the number of batches of an epoch."""
        ...


Validator = Callable[[], Mapping[str, float]]
"""Returns the validation's scores, `loss` among them."""


def pick_device(name: str, key: str) -> torch.device:
    """Returns the device that the setting ``key`` names.

    Raises:
        ConfigError: There is no such device here.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{key}: cuda, but torch finds no CUDA device; accepted here: cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Returns the numbers that matrix products use."""
    if name == "auto":
        # torch's own name for it is private, and may go.
        native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        name = "bfloat16" if device.type == "cuda" or native() else "float32"
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def limit_kernels() -> None:
    """Lets oneDNN keep few compiled kernels, unless the user's environment says how many.

    It compiles one for each shape, and would keep a thousand: hundreds of megabytes where batches
    have ever-changing shapes, and as much again that lies unused between them. More than those of a
    few updates are not met again soon. oneDNN looks here once, before it makes its first kernel.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))


class Trainer:
    """Trains a model in a run folder."""

    MOST_SKIPPED = 10

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        folder: Path,
        elapsed: float = 0.0,
    ) -> None:
        """Trains ``model``, which makes an :class:`Outcome` of a batch, a label smoothing and the
        state that the batch before it left.

        ``elapsed`` are seconds that the run has already used for its preparation.
        """  # noqa: D205
        limit_kernels()
        self.model = model
        self.config = config
        self.folder = folder
        self.device = next(model.parameters()).device
        self.dtype = pick_precision(config.precision, self.device)
        self.optimizer = make_optimizer(config.optimizer, model.parameters())
        self.average = RunningAverage(weights(model), config.average) if config.average else None
        self.carried: Tensor | None = None
        self.checkpoints = Checkpoints(folder / "checkpoints", config.keep)
        self.progress = Progress(seconds=elapsed)
        self._epoch_size = 1
        self._clock = time.monotonic()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Takes everything from a checkpoint.

        Raises:
            CheckpointError: The checkpoint belongs to another model.
        """
        try:
            parts = _sections(checkpoint.optimizer)
            load_weights(self.model, checkpoint)
            if self.average is not None:
                copy(weights(self.model), self.average.values)
                copy(parts["weights"], weights(self.model))
            carried = parts["text"].get("carried")
            self.carried = None if carried is None else carried.to(self.device)
            self.optimizer.load_state_dict(_unflatten(parts["optimizer"], self.optimizer))
            self.progress = Progress(**checkpoint.state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"checkpoint {checkpoint.name} does not fit this configuration ({error})"
            ) from error

    def fit(self, batches: BatchOrder[AnyBatch], validate: Validator) -> None:
        """Trains until a limit is met, validating and saving on the way.

        Raises:
            Interrupted: A signal asked to stop; the run is saved.
            Seq2SeqError: Gradients are not numbers, ten updates in a row.
        """
        progress = self.progress
        forget_after(self.folder, progress.step)
        with Interruption() as interruption, open_journal(self.folder) as journal:
            journal.bar.n = journal.bar.initial = progress.step
            groups = self._groups(batches)
            while not interruption.number:
                if self._due():
                    self._validate(validate, journal)
                elif self._over():
                    return
                else:
                    self.update(next(groups))
                    self._report(journal)
            saved = progress.validated == progress.step
            name = name_of(progress.step) if saved else self._save()
            raise Interrupted(interruption.number, name)

    def _groups(self, batches: BatchOrder[AnyBatch]) -> Iterator[list[AnyBatch]]:
        """Yields the batches of each update from where the run stands, epoch after epoch."""
        while True:
            self._epoch_size = batches.size(self.progress.epoch)
            stream = batches.epoch(self.progress.epoch, self.progress.position)
            while group := list(islice(stream, self.config.accumulate)):
                yield group

    def _due(self) -> bool:
        """Tells whether to validate now; a resumed run may owe it since before it stopped."""
        progress, every = self.progress, self.config.validate_every
        if progress.validated == progress.step:
            return False
        return self._over() or (progress.step % every if every else progress.position) == 0

    def update(self, group: list[AnyBatch]) -> None:
        """Makes one update from the mean gradient over all target tokens of ``group``."""
        progress, config = self.progress, self.config
        # The noise of an update is a function of (seed, step): no generator's state to be saved.
        torch.manual_seed(int(np.random.default_rng([config.seed, progress.step]).integers(2**63)))
        counts = [int(batch.target_out.lengths.sum()) for batch in group]
        tokens, nats = sum(counts), list[Tensor]()
        self.model.train()
        for batch, count in zip(group, counts, strict=True):
            with torch.autocast(self.device.type, self.dtype, self.dtype != torch.float32):
                outcome = self.model(batch.to(self.device), config.label_smoothing, self.carried)
            loss = outcome.nats / tokens
            if outcome.penalty is not None:
                loss = loss + outcome.penalty * (count / tokens)
            loss.backward()
            nats.append(outcome.nats.detach())
            self.carried = outcome.carried
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip or math.inf)
        if self._follow(float(norm)):  # the only time that a GPU is waited for
            progress.window_loss += sum(map(float, nats))
            progress.window_tokens += tokens
        self.optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.position += len(group)
        if progress.position >= self._epoch_size:
            progress.epoch, progress.position = progress.epoch + 1, 0
        progress.window_seconds += self._tick()

    def _follow(self, norm: float) -> bool:
        """Lets the weights follow the gradients, unless these are not numbers; tells which."""
        progress = self.progress
        if math.isfinite(norm):
            progress.skipped_in_a_row = 0
            for settings in self.optimizer.param_groups:
                settings["lr"] = self.rate()
            self.optimizer.step()
            if self.average is not None:
                self.average.follow(progress.step)
            return True
        self.carried = None  # it may be no number either
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        where = f"step {progress.step + 1} (epoch {progress.epoch}, batch {progress.position})"
        log.warning("%s: gradient is %s, update skipped", where, norm)
        if progress.skipped_in_a_row >= self.MOST_SKIPPED:
            latest = self.checkpoints.latest()
            good = f"the last good checkpoint is {latest.name}" if latest else "none was saved"
            raise Seq2SeqError(
                f"{where}: {self.MOST_SKIPPED} updates in a row had no finite gradient; {good}; "
                "try a lower train.optimizer.learning_rate in a new folder"
            )
        return False

    def rate(self) -> float:
        """Returns the learning rate of the next update."""
        optimizer, progress = self.config.optimizer, self.progress
        share = optimizer.schedule.share(progress.step, self.done(), progress.plateaus)
        return optimizer.learning_rate * share

    def done(self) -> float:
        """Returns the part of the run that is over, in [0, 1], by the limit that comes first."""
        progress, config = self.progress, self.config
        epochs = progress.epoch + progress.position / self._epoch_size
        shares = (
            progress.step / config.steps if config.steps else 0.0,
            epochs / config.epochs if config.epochs else 0.0,
            progress.seconds / 60 / config.minutes if config.minutes else 0.0,
        )
        return min(1.0, max(shares))

    def _over(self) -> bool:
        """Tells whether a limit is met."""
        progress, config = self.progress, self.config
        return (
            (0 < config.steps <= progress.step)
            or (0 < config.epochs <= progress.epoch)
            or (0 < config.minutes * 60 <= progress.seconds)
            or (0 < config.patience <= progress.without_gain)
        )

    def _tick(self) -> float:
        """Adds the time since the last tick to the run's time and returns it."""
        now = time.monotonic()
        passed, self._clock = now - self._clock, now
        self.progress.seconds += passed
        return passed

    def _report(self, journal: Journal) -> None:
        """Moves the bar, and appends a row to the metrics now and then."""
        progress = self.progress
        loss = progress.window_loss / max(1, progress.window_tokens)
        speed = progress.window_tokens / max(1e-9, progress.window_seconds)
        done = self.done()
        journal.bar.total = round(progress.step / done) if done else None
        journal.bar.update()
        journal.bar.set_postfix(
            {"epoch": progress.epoch, "loss": f"{loss:.3f}", "tokens/s": f"{speed:,.0f}"},
            refresh=False,
        )
        if progress.step % self.config.log_every:
            return
        journal.row(
            {
                "step": progress.step,
                "epoch": progress.epoch,
                "loss": loss,
                "learning_rate": self.rate(),
                "tokens_per_second": round(speed, 1),
                "minutes": round(progress.seconds / 60, 3),
            }
        )
        progress.window_loss, progress.window_tokens, progress.window_seconds = 0.0, 0, 0.0

    def _validate(self, validate: Validator, journal: Journal) -> None:
        """Measures, remembers whether it was the best, and saves."""
        progress, metric = self.progress, self.config.metric
        self._tick()
        self.model.eval()
        with self.average.applied() if self.average is not None else nullcontext():
            scores = validate()
        self._tick()
        value = scores[metric] if metric in LOWER_IS_BETTER else -scores[metric]
        value = math.inf if math.isnan(value) else value  # no score is worse
        progress.validated = progress.step
        progress.without_gain += 1
        if progress.best is None or value < progress.best:
            progress.best, progress.best_step, progress.without_gain = value, progress.step, 0
        elif progress.without_gain % self.config.optimizer.schedule.patience == 0:
            progress.plateaus += 1
        row = {f"valid_{name}" if name == "loss" else name: score for name, score in scores.items()}
        minutes = progress.seconds / 60
        journal.row({"step": progress.step, "epoch": progress.epoch, **row, "minutes": minutes})
        shown = ", ".join(f"{name} {score:.3f}" for name, score in row.items())
        star = " (best)" if progress.best_step == progress.step else ""
        log.info("step %d, %.1f min: %s%s", progress.step, minutes, shown, star)
        self._save()

    def _save(self) -> str:
        """Saves everything and returns the checkpoint's name."""
        name = name_of(self.progress.step)
        model, training = weights(self.model), _flatten(self.optimizer)
        if self.average is not None:
            training |= {f"weights.{key}": tensor for key, tensor in model.items()}
            model = self.average.values
        if self.carried is not None:
            training["text.carried"] = self.carried
        self.checkpoints.save(name, model, training, asdict(self.progress))
        return name


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Returns the weights by name; shared ones once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def load_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copies a checkpoint's weights into a model.

    Raises:
        CheckpointError: Names or shapes differ; says which.
    """
    own = weights(model)
    for name in sorted(own.keys() | checkpoint.model.keys()):
        mine, saved = own.get(name), checkpoint.model.get(name)
        if mine is None or saved is None or mine.shape != saved.shape:
            found = "nothing" if saved is None else list(saved.shape)
            wanted = "nothing" if mine is None else list(mine.shape)
            raise CheckpointError(
                f"checkpoint {checkpoint.name}: {name} is {found}, the model's is {wanted}"
            )
        mine.copy_(saved)


def _sections(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Parts what training needs besides the model: the optimiser's tensors (``parameter.name``),
    weights of which the model's are the average, and the state that a text has reached.
    """  # noqa: D205
    parts: dict[str, dict[str, Tensor]] = {"optimizer": {}, "weights": {}, "text": {}}
    for key, tensor in tensors.items():
        head, _, name = key.partition(".")
        if head in parts:
            parts[head][name] = tensor
        else:
            parts["optimizer"][key] = tensor
    return parts


def _flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimiser's tensors as ``parameter.name``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, slots in state.items()
        for name, value in slots.items()
        if isinstance(value, Tensor)
    }


def _unflatten(
    tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, object]:
    """Undoes :func:`_flatten`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
