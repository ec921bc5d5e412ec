"""Trains in children that are killed: imports everything once, then forks for each job.

Reads one JSON job a line from standard input; writes one JSON line with the child's exit code
(negative: the signal that killed it) and the last line of its standard error.
"""

import json
import os
import signal
import sys
from typing import Any

import pandas as pd

from seq2seq.errors import Seq2SeqError
from seq2seq.experiment import train
from seq2seq.tasks.forecasting import fitting
from seq2seq.tasks.forecasting.material import SeriesMaterial
from seq2seq.tasks.forecasting.validation import SeriesValidation
from seq2seq.tasks.language_model.material import TextValidation
from seq2seq.tasks.translation.material import PairValidation
from seq2seq.training.trainer import Trainer
from tests.children import Signal, after, at_call, before, forked, warm_up

Job = dict[str, Any]


def work(job: Job) -> int:
    os.environ.update(job.get("environment", {}))
    if "update" in job:
        Trainer.update = after(Trainer.update, at_call(*job["update"]))  # type: ignore[method-assign]
    if "validation" in job:
        act = at_call(*job["validation"])
        for kind in (PairValidation, TextValidation, SeriesValidation):
            kind.__call__ = after(kind.__call__, act)  # type: ignore[method-assign]
    if "calibration" in job:
        fitting.calibrate = before(fitting.calibrate, at_call(*job["calibration"]))  # type: ignore[attr-defined]
    if "again" in job:
        act = at_call(*job["again"])
        SeriesMaterial._fit_again = before(SeriesMaterial._fit_again, act)  # type: ignore[method-assign]
    try:
        train(job["config"], data={role: given(data) for role, data in job["data"].items()})
    except Seq2SeqError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def given(data: Any) -> Any:
    """Returns what JSON was made of: pairs, texts, or a frame of columns."""
    if isinstance(data, dict):
        return pd.DataFrame(data)
    return [tuple(row) if isinstance(row, list) else row for row in data]


def run(job: Job) -> Job:
    signals = [Signal(signal.SIGKILL, job["kill_after"])] if "kill_after" in job else []
    ended = forked(lambda note: work(job), signals)
    return {"code": ended.code, "said": ended.said, "seconds": ended.seconds}


if __name__ == "__main__":
    warm_up()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
