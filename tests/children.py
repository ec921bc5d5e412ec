"""Children of a process that has imported everything: started in milliseconds, and disturbed."""

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.training.optimisation import OptimizerConfig, make_optimizer

Note = Callable[[Any], None]
"""What a child tells of itself; it is kept whatever happens to the child."""
Work = Callable[[Note], int]
"""What a child does; returns its exit code."""
POLL = 0.002


@dataclass(frozen=True)
class Ended:
    """How a child has ended."""

    code: int
    """Its exit code; negative: the signal that killed it."""
    out: str
    err: str
    seconds: float
    started: float
    """The clock (`time.monotonic`) when it began."""
    notes: list[Any] = field(default_factory=list)
    hung: bool = False
    """Whether it was killed since it took too long."""

    @property
    def said(self) -> str:
        """The last line of its standard error."""
        return self.err.strip().rpartition("\n")[2]


def forked(work: Work, signals: Sequence[tuple[float, int]] = (), limit: float = 300.0) -> Ended:
    """Does the work in a child, to which signals are sent after so many seconds each."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    started = time.monotonic()
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryFile() as told,
    ):
        child = os.fork()
        if not child:
            _work(work, out, err, told)
        status, hung = _wait(child, started, list(signals), limit)
        seconds = time.monotonic() - started
        texts = [_read(file) for file in (out, err, told)]
    notes = [json.loads(line) for line in texts[2].split("\n")[:-1]]
    return Ended(
        os.waitstatus_to_exitcode(status), texts[0], texts[1], seconds, started, notes, hung
    )


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _work(work: Work, out: BinaryIO, err: BinaryIO, told: BinaryIO) -> None:
    """Is the child; never returns."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        status = work(
            lambda one: (os.write(told.fileno(), f"{json.dumps(one)}\n".encode()), None)[1]
        )
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(
    child: int, started: float, signals: list[tuple[float, int]], limit: float
) -> tuple[int, bool]:
    """Returns the child's status, and whether it took too long."""
    hung = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, hung
        now = time.monotonic() - started
        while signals and signals[0][0] <= now:
            os.kill(child, signals.pop(0)[1])
        if now > limit and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(min(POLL, max(0.0, signals[0][0] - now)) if signals else POLL)


def warm_up() -> None:
    """Imports what a run imports on first use; trains nothing, since that would start threads."""
    torch.set_num_threads(1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    make_optimizer(OptimizerConfig(), [weight]).step()
    with tempfile.TemporaryDirectory() as folder:
        plot_learning_curve([{"step": 1, "valid_loss": 1.0, "bleu": 1.0}], Path(folder) / "x.png")


def after(function: Callable[..., Any], act: Callable[..., None]) -> Callable[..., Any]:
    """Returns ``function``, after each call of which ``act`` gets what was given to it."""

    def wrapped(*given: Any) -> Any:
        result = function(*given)
        act(*given)
        return result

    return wrapped


def at_call(count: int, number: int) -> Callable[..., None]:
    """Returns what, when called for the time ``count``, sends this process a signal."""
    calls = 0

    def act(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), number)

    return act
