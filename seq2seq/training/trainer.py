"""The training loop: update, report, validate, save, and go on exactly where it stopped."""

import logging
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from torch import Tensor, nn

from seq2seq.errors import CheckpointError, OutOfMemory, Seq2SeqError, is_out_of_memory
from seq2seq.measures import lower_is_better
from seq2seq.tensors.parts import cut, joined, rows_of
from seq2seq.training.averaging import RunningAverage, copy
from seq2seq.training.checkpoint import Checkpoint, Checkpoints, name_of
from seq2seq.training.config import TrainConfig
from seq2seq.training.freezing import freeze, trained
from seq2seq.training.gradients import Gradients, ReplayedGradients
from seq2seq.training.interruption import Interrupted, Interruption, Stopped
from seq2seq.training.journal import Journal, forget_after, open_journal
from seq2seq.training.loader import BatchOrder, BatchT, brought
from seq2seq.training.objective import OBJECTIVES
from seq2seq.training.optimisation import make_optimizer
from seq2seq.training.state import (
    Progress,
    flatten,
    load_weights,
    rescale,
    sections,
    unflatten,
    weights,
)

DIVERGED = 2.0
"""How many times the first update's loss the last one's is where a run has diverged."""
log = logging.getLogger("seq2seq")
Validator = Callable[[], Mapping[str, float]]
"""Returns the validation's scores, `loss` among them."""


class Diverged(Seq2SeqError):  # noqa: N818
    """Training has left what it had learnt, or what is a number at all."""

    exit_code = 1


class Trainer(Generic[BatchT]):
    """Trains a model in a run folder."""

    MOST_SKIPPED = 10

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        folder: Path,
        *,
        dtype: torch.dtype,
        elapsed: float = 0.0,
        replay: bool = False,
    ) -> None:
        """Trains ``model``, where its weights are, with the objective that ``config`` names.

        ``dtype`` are the numbers that matrix products use: what ``config.precision`` comes to by
        :func:`seq2seq.device.pick_precision`. ``elapsed`` are seconds that the run already took.
        With ``replay``, gradients are made by CUDA graphs.
        """
        self.model = model
        self.config = config
        self.folder = folder
        self.device = next(model.parameters()).device
        freeze(model, config.freeze)
        make = ReplayedGradients if replay else Gradients
        self.gradients = make(model, OBJECTIVES[config.objective](config), dtype)
        self.scaled = dtype == torch.float16
        """Whether gradients are multiplied while they are made, so that few vanish."""
        self.optimizer = make_optimizer(config.optimizer, trained(model).values())
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
            parts = sections(checkpoint.optimizer)
            load_weights(self.model, checkpoint)
            if self.average is not None:
                copy(weights(self.model), self.average.values)
                copy(parts["weights"], weights(self.model))
            carried = parts["text"].get("carried")
            self.carried = None if carried is None else carried.to(self.device)
            self.optimizer.load_state_dict(unflatten(parts["optimizer"], self.optimizer))
            self.progress = Progress.of(checkpoint.state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"checkpoint {checkpoint.name} does not fit this configuration ({error})"
            ) from error

    def fit(
        self,
        batches: BatchOrder[BatchT],
        validate: Validator,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Trains until a limit is met, validating and saving on the way.

        ``look`` is called now and then, and may tell what it sees.

        Raises:
            Interrupted: A signal asked to stop; the run is saved.
            Diverged: Gradients are not numbers, ten updates in a row; or at the end nothing of
                what was learnt is left.
        """
        progress = self.progress
        forget_after(self.folder, progress.step, progress.validated)
        with Interruption() as interruption, open_journal(self.folder) as journal:
            journal.bar.n = journal.bar.initial = progress.step
            with closing(self._groups(batches)) as groups:
                while not interruption.number:
                    if self._due():
                        with suppress(Stopped):  # validation is due again when the run goes on
                            self._validate(validate, journal, interruption)
                    elif self._over():
                        if progress.diverged:
                            raise self._diverged(f"step {progress.step}: {progress.diverged}")
                        return
                    else:
                        self.update(next(groups))
                        if self._report(journal):
                            look()
            saved = progress.validated == progress.step
            name = name_of(progress.step) if saved else self._save()
            raise Interrupted(interruption.number, name)

    def _groups(self, batches: BatchOrder[BatchT]) -> Generator[list[BatchT], None, None]:
        """Yields the batches of each update from where the run stands, epoch after epoch."""
        while True:
            self._epoch_size = batches.size(self.progress.epoch)
            stream = batches.epoch(self.progress.epoch, self.progress.position)
            stream = brought(stream, self.device)
            while group := list(islice(stream, self.config.accumulate)):
                yield group

    def _due(self) -> bool:
        """Tells whether to validate now; a resumed run may owe it since before it stopped."""
        progress, every = self.progress, self.config.validate_every
        if progress.validated == progress.step:
            return False
        return self._over() or (progress.step % every if every else progress.position) == 0

    def update(self, group: list[BatchT]) -> None:
        """Makes one update from the mean gradient over all predictions of ``group``."""
        progress, config = self.progress, self.config
        scale = progress.scale if self.scaled else 1.0
        self.model.train()
        while (made := self._differentiate(group, scale)) is None:
            self._cut_more(group)
        nats, self.carried = made
        self.gradients.divide(scale)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip or math.inf)
        # The only time that a GPU is waited for.
        found, *losses = torch.stack([norm.to(nats[0].dtype), *nats]).tolist()
        predictions = sum(batch.predictions for batch in group)
        if self._follow(found) and math.isfinite(sum(losses)):
            progress.window_loss += sum(losses)
            progress.window_tokens += predictions
            progress.last_loss = sum(losses) / predictions
            if progress.step == 0:
                progress.first_loss = progress.last_loss
        self.gradients.clear()
        progress.step += 1
        progress.position += len(group)
        if progress.position >= self._epoch_size:
            progress.epoch, progress.position = progress.epoch + 1, 0
        progress.window_seconds += self._tick()

    def _differentiate(
        self, group: list[BatchT], scale: float
    ) -> tuple[list[Tensor], Tensor | None] | None:
        """Adds up the gradients of an update, batch by batch or in smaller parts.

        Returns:
            The loss of each part in nats, and the state in which the next batch begins; None
            where memory is full.
        """
        predictions = sum(batch.predictions for batch in group)
        nats, carried = list[Tensor](), self.carried
        self._seed()
        try:
            for batch in group:
                left = []
                for part, state in cut(batch, carried, self.progress.parts):
                    if self.progress.parts > 1:
                        self._seed(len(nats))
                    count, moved = part.predictions, part.to(self.device)
                    outcome = self.gradients.add(moved, state, count, predictions, scale)
                    nats.append(outcome.nats.detach())
                    left.append(outcome.carried)
                carried = joined(left)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return nats, carried

    def _seed(self, *part: int) -> None:
        """Makes the noise a function of (seed, step, part): no generator's state to be saved."""
        seeds = np.random.default_rng([self.config.seed, self.progress.step, *part])
        torch.manual_seed(int(seeds.integers(2**63)))

    def _cut_more(self, group: list[BatchT]) -> None:
        """Lets batches be cut into twice as many parts from now on.

        Raises:
            OutOfMemory: They are cut into single rows already.
        """
        self.gradients.clear()
        progress = self.progress
        if progress.parts >= max(rows_of(batch) for batch in group):
            raise OutOfMemory(
                f"step {progress.step + 1}: memory is full with one row of a batch at a time; "
                "make data.batch or the sizes of the model smaller"
            )
        progress.parts *= 2
        log.warning(
            "step %d: memory is full; from now on, batches are learned in %d parts (a smaller "
            "data.batch is faster)",
            *(progress.step + 1, progress.parts),
        )

    def _follow(self, norm: float) -> bool:
        """Lets the weights follow the gradients, unless these are not numbers; tells which."""
        progress = self.progress
        if math.isfinite(norm):
            progress.skipped_in_a_row = 0
            if self.scaled:
                rescale(progress, overflowed=False)
            for settings in self.optimizer.param_groups:
                settings["lr"] = self.rate()
            self.optimizer.step()
            if self.average is not None:
                self.average.follow(progress.step)
            return True
        self.carried = None  # it may be no number either
        if self.scaled and progress.scale > 1:  # it may have been too much
            rescale(progress, overflowed=True)
            return False
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        where = f"step {progress.step + 1} (epoch {progress.epoch}, batch {progress.position})"
        log.warning("%s: gradient is %s, update skipped", where, norm)
        if progress.skipped_in_a_row >= self.MOST_SKIPPED:
            many = f"{self.MOST_SKIPPED} updates in a row"
            raise self._diverged(f"{where}: {many} had no finite gradient")
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

    def _report(self, journal: Journal) -> bool:
        """Moves the bar, and appends a row to the metrics now and then; tells whether it did."""
        progress = self.progress
        seen = progress.window_tokens
        loss = progress.window_loss / seen if seen else math.nan  # all updates were skipped
        speed = progress.window_tokens / max(1e-9, progress.window_seconds)
        done = self.done()
        journal.bar.total = round(progress.step / done) if done else None
        journal.bar.update()
        journal.bar.set_postfix(
            {"epoch": progress.epoch, "loss": f"{loss:.3f}", "tokens/s": f"{speed:,.0f}"},
            refresh=False,
        )
        if progress.step % self.config.log_every:
            return False
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
        return True

    def _validate(self, validate: Validator, journal: Journal, interruption: Interruption) -> None:
        """Measures, remembers whether it was the best, and saves.

        Raises:
            Stopped: A signal came while it measured; nothing has changed.
        """
        progress, metric = self.progress, self.config.metric
        self._tick()
        self.model.eval()
        averaged = self.average.applied() if self.average is not None else nullcontext()
        with averaged, interruption.at_once():
            scores = validate()
        self._tick()
        value = scores[metric] if lower_is_better(metric) else -scores[metric]
        progress.validated = progress.step
        progress.without_gain += 1
        shown = {f"valid_{name}" if name == "loss" else name: one for name, one in scores.items()}
        minutes = progress.seconds / 60
        row = {"step": progress.step, "epoch": progress.epoch, **shown, "minutes": minutes}
        if self._better(value, scores["loss"]):
            loss = scores["loss"]
            progress.best, progress.best_loss = value, loss if math.isfinite(loss) else None
            progress.best_step, progress.without_gain = progress.step, 0
            progress.best_row = {name: one for name, one in row.items() if math.isfinite(one)}
        elif progress.without_gain % self.config.optimizer.schedule.patience == 0:
            progress.plateaus += 1
        journal.row(row)
        text = ", ".join(f"{name} {score:.3f}" for name, score in shown.items())
        star = " (best)" if progress.best_step == progress.step else ""
        log.info("step %d, %.1f min: %s%s", progress.step, minutes, text, star)
        progress.diverged = self._divergence(scores["loss"]) if self._over() else ""
        self._save()

    def _better(self, value: float, loss: float) -> bool:
        """Tells whether a score, made so that less is better, is the best; of equal ones, whose
        loss is lower.
        """  # noqa: D205
        best, best_loss = self.progress.best, self.progress.best_loss
        if value == best:
            return best_loss is not None and loss < best_loss
        return math.isfinite(value) and (best is None or value < best)

    def _divergence(self, loss: float) -> str:
        """Returns how a run with this validation loss has diverged; nothing if it has not.

        It has where that is no number; or where it and the loss of the last update are more than
        twice what the loss was in the first update, when nothing was known. (What was learnt by
        heart can bring the validation loss there, but not the other.)
        """
        first, last = self.progress.first_loss, self.progress.last_loss
        if not math.isfinite(loss):
            return f"the validation loss is {loss}"
        if first is not None and last is not None and min(loss, last) > DIVERGED * first > 0:
            return f"the validation loss is {loss:,.1f}, training began with {first:,.1f}"
        return ""

    def _diverged(self, what: str) -> "Diverged":
        """Returns an error that says what happened, and which checkpoint is still good."""
        steps, best = self.checkpoints.names(), self.progress.best_step
        good = steps[0] if best is None and steps else name_of(best or 0)
        kept = f"the last good checkpoint is {good}" if steps else "none was saved"
        return Diverged(
            f"{what}; {kept}; try a lower train.optimizer.learning_rate in a new folder"
        )

    def _save(self) -> str:
        """Saves everything and returns the checkpoint's name.

        Raises:
            Diverged: A weight is no number.
        """
        name = name_of(self.progress.step)
        model, training = weights(self.model), flatten(self.optimizer)
        if self.average is not None:
            training |= {f"weights.{key}": tensor for key, tensor in model.items()}
            model = self.average.values
        if strange := [key for key, tensor in model.items() if not tensor.isfinite().all()]:
            raise self._diverged(f"step {self.progress.step}: {strange[0]} holds what is no number")
        if self.carried is not None:
            training["text.carried"] = self.carried
        self.checkpoints.save(name, model, training, asdict(self.progress))
        return name
