"""Trains in children that are killed: imports everything once, then forks for each job.

Reads one JSON job a line from standard input; writes one JSON line with the child's exit code
(negative: the signal that killed it) and the last line of its standard error.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seq2seq.errors import Seq2SeqError
from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.experiment import train
from seq2seq.tasks.language_model.material import TextValidation
from seq2seq.tasks.translation.material import PairValidation
from seq2seq.training.optimisation import OptimizerConfig, make_optimizer
from seq2seq.training.trainer import Trainer

Job = dict[str, Any]


def after(function: Callable[..., Any], count: int, number: int) -> Callable[..., Any]:
    """Returns ``function``, which at its call number ``count`` also sends a signal."""
    calls = 0

    def wrapped(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        result = function(*given)
        if calls == count:
            os.kill(os.getpid(), number)
        return result

    return wrapped


def work(job: Job) -> int:
    os.environ.update(job.get("environment", {}))
    if "update" in job:
        Trainer.update = after(Trainer.update, *job["update"])  # type: ignore[method-assign]
    if "validation" in job:
        for kind in (PairValidation, TextValidation):
            kind.__call__ = after(kind.__call__, *job["validation"])  # type: ignore[method-assign]
    pairs = [(one, other) for one, other in job["pairs"]]
    texts = job.get("texts")
    try:
        if texts:
            train(job["config"], data={"train": texts, "valid": texts[:2]})
        else:
            train(job["config"], data={"train": pairs, "valid": pairs[:6]})
    except Seq2SeqError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def run(job: Job) -> Job:
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            status = 1
            try:
                os.dup2(errors.fileno(), 2)
                status = work(job)
            finally:
                sys.stderr.flush()
                os._exit(status)
        if "kill_after" in job:
            time.sleep(job["kill_after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        said = errors.read().decode().strip().splitlines()
    return {
        "code": os.waitstatus_to_exitcode(status),
        "said": said[-1] if said else "",
        "seconds": time.monotonic() - started,
    }


def warm_up() -> None:
    """Imports what a run imports on first use; trains nothing, since that would start threads."""
    torch.set_num_threads(1)
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.ones(1)
    make_optimizer(OptimizerConfig(), [weight]).step()
    with tempfile.TemporaryDirectory() as folder:
        plot_learning_curve([{"step": 1, "valid_loss": 1.0, "bleu": 1.0}], Path(folder) / "x.png")


if __name__ == "__main__":
    warm_up()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
