"""Every verb that takes a run, on a tiny run of every task; and what came out of it."""

import argparse
import codecs
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from seq2seq.cli.main import main
from seq2seq.cli.verbs import Served, all_verbs
from seq2seq.errors import Seq2SeqError
from seq2seq.tasks.registry import TASKS
from seq2seq.text.pipeline import FILE
from tests.children import Ended, Note, forked
from tests.drill.cases import STEPS, Kind, write_data
from tests.run_folders import outcome

RUN, WHOLE, CACHE = "run", "whole", "cache"
NOBODY = 65534
"""The user who may not read what is made unreadable."""
KINDS = {
    "translation": Kind("translation", "lstm", "subwords"),
    "transduction": Kind("transduction", "sru", "plain"),
    "language-model": Kind("language-model", "gru", "weight averages"),
    "forecasting": Kind("forecasting", "lstm", "fitted again"),
}
PIPELINES: dict[str, Sequence[str]] = {
    "translation": ("run/pipeline/source", "run/pipeline/target"),
    "transduction": ("run/pipeline/source", "run/pipeline/target"),
    "language-model": ("run/pipeline",),
    "forecasting": (),
}
"""By task: the pipelines of texts that its runs have, each of which can be used alone."""


@dataclass(frozen=True)
class Use:
    """A verb with its words, which are the same everywhere: paths are relative."""

    verb: str
    words: tuple[str, ...]
    reads: tuple[str, ...] = (RUN,)
    """The parts of a place that it looks at."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return " ".join((self.verb, *self.words))


def _uses(task: str, *own: Use) -> tuple[Use, ...]:
    """Returns a task's own uses, and those that all tasks have."""
    return (
        Use("train", ("config.yaml", "--train.steps", str(STEPS + 3)), (RUN, CACHE)),
        Use("train", ("config.yaml",), (RUN, CACHE)),  # which has come to its end
        *own,
        Use("info", (RUN,)),
        Use("info", (RUN, "--weights")),
        Use("average", (RUN, "--last", "2")),
        *_of_pipelines(PIPELINES[task]),
    )


def _of_pipelines(names: Sequence[str]) -> tuple[Use, ...]:
    """Returns the uses of pipelines by themselves."""
    if not names:
        return ()
    return (
        Use("tokenizer encode", (names[0], "../data/valid.de", "--format", "ids"), (names[0],)),
        Use("tokenizer decode", (names[-1], "../data/ids.txt"), (names[-1],)),
    )


TEXT_TO_TEXT = (
    Use("translate", (RUN, "../data/valid.de")),
    Use("translate", (RUN, "../data/valid.de", "--checkpoint", "last", "--format", "jsonl")),
    Use("translate", (WHOLE, "../data/valid.de", "--ensemble", RUN)),
    Use("evaluate", (RUN,)),
    Use("score-pairs", (RUN, "--source", "../data/valid.de", "--target", "../data/valid.en")),
    Use("compare", (WHOLE, RUN, "--trials", "20")),
)
USES: dict[str, tuple[Use, ...]] = {
    "translation": _uses("translation", *TEXT_TO_TEXT),
    "transduction": _uses("transduction", *TEXT_TO_TEXT),
    "language-model": _uses(
        "language-model",
        Use("generate", (RUN, "--seed", "1", "--length", "30")),
        Use("generate", (RUN, "--samples", "2", "--seed", "1", "--checkpoint", "last")),
        Use("evaluate", (RUN,)),
    ),
    "forecasting": _uses(
        "forecasting",
        Use("forecast", (RUN, "--samples", "2", "--seed", "1")),
        Use("forecast", (RUN, "../data/sales.csv", "--checkpoint", "last", "--format", "jsonl")),
        Use("evaluate", (RUN,)),
        Use("evaluate", (WHOLE, RUN, "--per-step")),
    ),
}


def verbs_with_runs(task: str) -> set[str]:
    """Returns the verbs that a run of a task, or its pipeline, can be given to."""
    return {
        name
        for name, served in all_verbs().items()
        if any(_takes_run(one, task) and (not one.tasks or task in one.tasks) for one in served)
    }


def _takes_run(served: Served, task: str) -> bool:
    parser = argparse.ArgumentParser()
    served.verb.options(parser)
    taken = {action.dest for action in parser._actions}
    trains = served.verb.name == "train"
    whole = trains or served.verb.subject == "run" or bool(taken & {"run", "runs", "systems"})
    return whole or ("pipeline" in taken and bool(PIPELINES[task]))


@dataclass(frozen=True)
class Came:
    """What came out of a use."""

    ended: Ended
    warnings: tuple[str, ...]
    made: Any
    """What lies in the run folder then, where the verb writes there."""

    @property
    def result(self) -> tuple[int, str, Any]:
        """All that a user would look at."""
        return self.ended.code, self.ended.out, self.made


def make_places(folder: Path) -> dict[str, Path]:
    """Trains a run of each task; returns the folders in which these are."""
    assert KINDS.keys() == USES.keys() == TASKS.keys()
    for one in chain.from_iterable(all_verbs().values()):
        import_module(one.verb.run.partition(":")[0])  # once, before children need it
    import_module("pandas")  # pyarrow asks for it
    logging.getLogger().addHandler(logging.NullHandler())  # nothing of what is read here
    codecs.lookup("utf-8-sig")
    data = write_data(folder / "data")
    (data / "ids.txt").write_text("4 5 6\n7 8\n")
    places = {}
    for task, kind in KINDS.items():
        uncovered = verbs_with_runs(task) ^ {use.verb for use in USES[task]}
        assert not uncovered, f"{task}: {uncovered}"
        place = places[task] = folder / task
        place.mkdir()
        kind.write(place, Path("../data"), Path(CACHE))
        came = use(Use("train", ("config.yaml",)), place)
        assert came.ended.code == 0, came.ended.err
        found = sorted(str(file.parent.relative_to(place)) for file in place.rglob(FILE))
        assert found == sorted(PIPELINES[task])
        shutil.copytree(place / RUN, place / WHOLE)
    return places


def use(one: Use, place: Path, *, nobody: bool = False) -> Came:
    """Runs a verb in a place, in a child; as a user without rights if so told."""
    ended = forked(partial(_be_used, one, place, nobody), limit=120.0)
    return Came(ended, tuple(ended.notes), _made(one, place) if not ended.code else None)


def _be_used(one: Use, place: Path, nobody: bool, note: Note) -> int:
    os.chdir(place)
    logging.getLogger("seq2seq").addFilter(partial(_tell, note))
    if nobody:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return main([*one.verb.split(), *one.words])


def _tell(note: Note, record: logging.LogRecord) -> bool:
    """Notes a warning, and lets it pass."""
    if record.levelno >= logging.WARNING:
        note(record.getMessage())
    return True


def _made(one: Use, place: Path) -> Any:
    """Returns what a verb has written into the run folder."""
    if one.verb == "average":
        (made,) = (place / RUN / "checkpoints").glob("average/model.safetensors")
        return made.read_bytes().hex()
    if one.verb != "train":
        return None
    try:
        return outcome(place / RUN)
    except (Seq2SeqError, OSError, ValueError) as error:
        return f"the run cannot be read: {error}"


def copied(place: Path, to: Path) -> Path:
    """Returns a copy of a place, beside the same data."""
    if to.exists():
        shutil.rmtree(to)
    return Path(shutil.copytree(place, to, symlinks=True))
