"""Trains in children that are killed: imports everything once, then forks for each job.

Reads one JSON job a line from standard input; writes one JSON line with the child's exit code
(negative: the signal that killed it) and the last line of its standard error.
"""

import json
import os
import signal
import sys
from typing import Any

from seq2seq.errors import Seq2SeqError
from seq2seq.experiment import train
from seq2seq.tasks.language_model.material import TextValidation
from seq2seq.tasks.translation.material import PairValidation
from seq2seq.training.trainer import Trainer
from tests.children import Signal, after, at_call, forked, warm_up

Job = dict[str, Any]


def work(job: Job) -> int:
    os.environ.update(job.get("environment", {}))
    if "update" in job:
        Trainer.update = after(Trainer.update, at_call(*job["update"]))  # type: ignore[method-assign]
    if "validation" in job:
        act = at_call(*job["validation"])
        for kind in (PairValidation, TextValidation):
            kind.__call__ = after(kind.__call__, act)  # type: ignore[method-assign]
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
    signals = [Signal(signal.SIGKILL, job["kill_after"])] if "kill_after" in job else []
    ended = forked(lambda note: work(job), signals)
    return {"code": ended.code, "said": ended.said, "seconds": ended.seconds}


if __name__ == "__main__":
    warm_up()
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
