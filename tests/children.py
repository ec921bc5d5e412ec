"""Children of a process that has imported everything: started in milliseconds, and disturbed."""

import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.training.optimisation import OptimizerConfig, make_optimizer

Note = Callable[[Any], None]
"""What a child tells of itself; it is kept whatever happens to the child."""
Work = Callable[[Note], int]
"""What a child does; returns its exit code."""
POLL = 0.002


class Signal(NamedTuple):
    """A signal that a child gets."""

    number: int
    seconds: float
    """When: so long after it began, or after it told of a moment."""
    moment: str = ""
    """What it tells of, by a note that begins with this; the first time counts."""


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
    leaving: float | None = None
    """The seconds that it took to end after the first signal that it got, if it got one."""

    @property
    def said(self) -> str:
        """The last line of its standard error."""
        return self.err.strip().rpartition("\n")[2]


def forked(work: Work, signals: Sequence[Signal] = (), limit: float = 300.0) -> Ended:
    """Does the work in a child, which gets signals; killed where it takes more seconds."""
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
        status, hung, sent = _wait(child, started, list(signals), told, limit)
        now = time.monotonic()
        return Ended(
            os.waitstatus_to_exitcode(status),
            _read(out),
            _read(err),
            now - started,
            started,
            _notes(told),
            hung,
            now - sent if sent else None,
        )


def _read(file: BinaryIO) -> str:
    """Returns a file's content; the place where a child goes on writing stays as it is."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def _notes(told: BinaryIO) -> list[Any]:
    return [json.loads(line) for line in _read(told).split("\n")[:-1]]


def _work(work: Work, out: BinaryIO, err: BinaryIO, told: BinaryIO) -> None:
    """Is the child; never returns."""
    status = 1

    def note(one: Any) -> None:
        os.write(told.fileno(), f"{json.dumps(one)}\n".encode())

    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        status = work(note)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(
    child: int, started: float, signals: list[Signal], told: BinaryIO, limit: float
) -> tuple[int, bool, float]:
    """Returns the child's status, whether it took too long, and when it got its first signal."""
    hung, sent, moments = False, 0.0, {"": started}
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, hung, sent
        now = time.monotonic()
        if any(one.moment not in moments for one in signals):
            for note in _notes(told):
                if isinstance(note, list):
                    moments.setdefault(note[0], now)
        for one in [one for one in signals if _is_due(one, moments, now)]:
            os.kill(child, one.number)
            signals.remove(one)
            sent = sent or now
        if now - started > limit and not hung:
            hung = True
            os.kill(child, signal.SIGKILL)
        time.sleep(POLL)


def _is_due(one: Signal, moments: dict[str, float], now: float) -> bool:
    return moments.get(one.moment, math.inf) + one.seconds <= now


def warm_up() -> None:
    """Imports what a run imports on first use; trains nothing, since that would start threads."""
    torch.set_num_threads(1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    make_optimizer(OptimizerConfig(), [weight]).step()
    with tempfile.TemporaryDirectory() as folder:
        plot_learning_curve([{"step": 1, "valid_loss": 1.0, "bleu": 1.0}], Path(folder) / "x.png")


def before(function: Callable[..., Any], act: Callable[..., None]) -> Callable[..., Any]:
    """Returns ``function``, before each call of which ``act`` gets what is given to it."""

    def wrapped(*given: Any, **named: Any) -> Any:
        act(*given)
        return function(*given, **named)

    return wrapped


def after(function: Callable[..., Any], act: Callable[..., None]) -> Callable[..., Any]:
    """Returns ``function``, after each call of which ``act`` gets what was given to it."""

    def wrapped(*given: Any, **named: Any) -> Any:
        result = function(*given, **named)
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
