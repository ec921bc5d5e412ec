"""Runs that are killed again and again end, bit for bit, as those that were not.

Each kind of run (every task, cell and variant) is trained once undisturbed. Then the same command
is killed, run again, killed again, and at last runs to its end. The kills take turns:

- at a random moment;
- inside a save, at each of the fail-points;
- inside a save of a step that exists: SIGTERM where a validation is due stops the run after a save,
  and the resumed run saves that step once more;
- before a random operation on the file system, anywhere from the lock to the learning curve;
- after SIGTERM, as by a scheduler without patience: before one of the file operations that follow.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from seq2seq.cli.main import main
from seq2seq.training.checkpoint import DRAFT, OLD, Checkpoints, step_of
from seq2seq.training.trainer import Trainer
from tests.children import Ended, Note, Signal, after, forked, warm_up
from tests.drill.cases import EVERY, STEPS, Kind, kinds, write_data
from tests.drill.drill import Report, Setting, percentiles, spread
from tests.run_folders import Outcome, differing, leftovers, outcome

FAILPOINTS = ("after_model_write", "after_optimizer_write", "before_rename", "after_rename")
TURNS = ("anywhere", "save", "operation", "save again", "after SIGTERM", "save", "anywhere",
         "save again", "operation", "save")  # fmt: skip
TRIES = 270
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
"""Events of the interpreter's audit that change a file system, beside `open` for writing."""
IN_A_SAVE = 9
"""File operations of a save, about."""
STOPPED = 128 + signal.SIGTERM
INSIDE = tuple(f"{kind}, {place}" for kind in ("save", "save again") for place in FAILPOINTS)


@dataclass(frozen=True)
class Plan:
    """How one kind of run is killed."""

    kind: Kind
    data: Path
    folder: Path
    kills: tuple[str, ...]
    seed: str


@dataclass
class Course:
    """What happened to one kind of run."""

    name: str
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    finished: int = 0
    failures: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the start of a resumed process to the end of its first update."""
    undone: list[int] = field(default_factory=list)
    """Updates that had to be made once more after each kill."""


def plans(setting: Setting, data: Path) -> list[Plan]:
    """Returns how all kinds are killed; with few tries, some kinds only."""
    every, tries = kinds(), setting.tries or TRIES
    random.Random(setting.seed).shuffle(every)
    chosen = every[:tries]
    each = -(-tries // len(chosen))
    turns = _turns()
    return [
        Plan(
            kind,
            data,
            setting.folder / str(number),
            tuple(next(turns) for _ in range(each)),
            f"{setting.seed} {kind.name}",
        )
        for number, kind in enumerate(chosen)
    ]


def _turns() -> Iterator[str]:
    """Yields what the next kill is, on and on, with the fail-points in turn."""
    counts: Counter[str] = Counter()
    while True:
        for turn in TURNS:
            place = FAILPOINTS[counts[turn] % len(FAILPOINTS)]
            counts[turn] += 1
            yield f"{turn}, {place}" if turn.startswith("save") else turn


@dataclass(frozen=True)
class Blow:
    """What is done to a process, beside what is done from outside."""

    place: str = ""
    """The fail-point at which it is killed."""
    operation: int = -1
    """The file operation before which it is killed, from the beginning or from SIGTERM on."""
    stop: int = 0
    """The update, of its own, after which it gets SIGTERM; 0: none."""
    due: bool = False
    """Whether it gets SIGTERM after the first update after which a validation is due."""


def train(config: Path, run: Path, note: Note, *, blow: Blow = Blow()) -> int:
    """Is the command, in a process of its own; tells of its updates and file operations."""
    os.environ["SEQ_FAILPOINT"] = blow.place
    operations = Operations(config.parent, blow.operation, note)
    if not blow.stop:
        sys.addaudithook(operations)
    updates = 0

    def tell(trainer: Trainer[Any], group: object) -> None:
        nonlocal updates
        updates += 1
        folder = str(trainer.checkpoints.folder)
        note(["step", trainer.progress.step, time.monotonic(), folder])
        if updates == blow.stop or (blow.due and trainer.progress.step % EVERY == 0):
            if blow.stop:
                sys.addaudithook(operations)
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer.update = after(Trainer.update, tell)  # type: ignore[method-assign]
    return main(["train", str(config), "--folder", str(run)])


class Operations:
    """Counts what a process changes among the files of a folder; kills it before number ``last``.

    Without such a number, the count is told.
    """

    def __init__(self, folder: Path, last: int, note: Note) -> None:
        self.inside = f"{folder}{os.sep}"
        self.last = last
        self.note = note
        self.count = 0

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        """Is told of everything by the interpreter (`sys.addaudithook`)."""
        writes = event == "open" and isinstance(given[1], str) and set(given[1]) & set("wax+")
        if not writes and event not in CHANGES:
            return
        # What rmtree removes is named relative to an open folder, the last that is given.
        below = isinstance(given[-1], int) and given[-1] > 0 and event != "open"
        if not below and not str(given[0]).startswith(self.inside):
            return
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        if self.last < 0:
            self.note(["operations", self.count])


def drill(plan: Plan) -> Course:
    """Trains one kind undisturbed, then kills it."""
    course, rng = Course(plan.kind.name), random.Random(plan.seed)
    plan.folder.mkdir()
    config = plan.kind.write(plan.folder, plan.data, plan.folder / "cache")
    whole = forked(partial(train, config, plan.folder / "whole"))
    if whole.code:
        course.failures.append(f"{course.name}: undisturbed, exit code {whole.code}: {whole.said}")
        return course
    expected = outcome(plan.folder / "whole")
    operations = max(one[1] for one in whole.notes if one[0] == "operations")
    waiting = list(plan.kills)
    while waiting or not course.finished or _begun(plan.folder, course):
        run = plan.folder / str(course.finished)
        kill = waiting[0] if waiting else ""
        before = _all_kept(run)
        ended = _disturbed(kill, config, run, whole.seconds, operations, rng)
        _follow(course, ended, before)
        if ended.code == -signal.SIGKILL:
            course.kills[kill] += 1
            course.undone.append(_undone(ended))
            waiting.pop(0)
        elif ended.code == 0:
            _compare(course, run, expected)
        elif ended.code != STOPPED:
            course.failures.append(f"{course.name}, {kill}: exit code {ended.code}: {ended.said}")
            break
    shutil.rmtree(plan.folder)
    return course


def _begun(folder: Path, course: Course) -> bool:
    return (folder / str(course.finished)).exists()


def _disturbed(
    kill: str, config: Path, run: Path, seconds: float, operations: int, rng: random.Random
) -> Ended:
    """Runs the command once, and kills it if it comes to that."""
    turn, _, place = kill.partition(", ")
    blows = {
        "operation": Blow(operation=rng.randrange(operations)),
        "after SIGTERM": Blow(stop=rng.randint(1, EVERY), operation=rng.randrange(IN_A_SAVE)),
        "save": Blow(place=place),
        "save again": Blow(place=place),
    }
    if turn == "save again":
        stopped = forked(partial(train, config, run, blow=Blow(due=True)))
        if stopped.code != STOPPED:
            return stopped
    signals = [Signal(signal.SIGKILL, seconds * rng.random())] if turn == "anywhere" else []
    return forked(partial(train, config, run, blow=blows.get(turn, Blow())), signals)


def _follow(course: Course, ended: Ended, before: dict[str, int]) -> None:
    """Notes how a process has begun: where, in each of the folders that it went on in; how soon."""
    course.starts += 1
    steps = [one for one in ended.notes if one[0] == "step"]
    first = {folder: step for _, step, _, folder in reversed(steps)}
    for folder, step in first.items():
        if step <= before.get(folder, 0):
            course.failures.append(
                f"{course.name}: lost: begins with update {step} of {Path(folder).parent.name}, "
                f"though step {before[folder]} was saved"
            )
    if steps and before:
        course.recoveries.append(steps[0][2] - ended.started)


def _all_kept(run: Path) -> dict[str, int]:
    """Returns the newest step on the disk, by folder: of a run, and of those inside it."""
    found = {str(folder): _kept(folder) for folder in run.rglob("checkpoints")}
    return {folder: step for folder, step in found.items() if step}


def _kept(folder: Path) -> int:
    """Returns the newest step of which a whole checkpoint is on the disk, under whatever name."""
    names = [path.name for path in folder.glob("*")] if folder.is_dir() else []
    old = [
        name.removeprefix(DRAFT).removesuffix(OLD).rpartition("-")[0]
        for name in names
        if name.startswith(DRAFT) and name.endswith(OLD)
    ]
    return max((step_of(name) or 0 for name in [*names, *old]), default=0)


def _undone(ended: Ended) -> int:
    """Returns how many updates of a killed process are on no disk."""
    steps = [one for one in ended.notes if one[0] == "step"]
    return max(0, steps[-1][1] - _kept(Path(steps[-1][3]))) if steps else 0


def _compare(course: Course, run: Path, expected: Outcome) -> None:
    """Compares a run that has come to its end with the undisturbed one."""
    course.finished += 1
    if others := differing(outcome(run), expected):
        course.failures.append(f"{course.name}: mismatch of {', '.join(sorted(others))}")
    if left := leftovers(run):
        course.failures.append(f"{course.name}: left behind: {', '.join(left)}")
    if Checkpoints(run / "checkpoints").names()[0] != f"step-{STEPS:07d}":
        course.failures.append(f"{course.name}: the last checkpoint is another")


def cold_start() -> float:
    """Returns the seconds in which a process imports what training needs."""
    started = time.monotonic()
    imports = "import torch, seq2seq.experiment, seq2seq.tasks.translation.task"
    subprocess.run([sys.executable, "-c", imports], check=True)
    return time.monotonic() - started


def run(setting: Setting) -> Report:
    """Kills runs of all kinds."""
    warm_up()
    data = write_data(setting.folder / "data")
    cold = sorted(cold_start() for _ in range(3))[1]
    return report(list(spread(drill, plans(setting, data), setting, "kills")), cold)


def report(courses: Sequence[Course], cold: float) -> Report:
    """Returns what all courses come to."""
    kills = sum((course.kills for course in courses), Counter[str]())
    failures = [failure for course in courses for failure in course.failures]
    undone = [count for course in courses for count in course.undone]
    figures: dict[str, str | int | float] = {
        "kinds of runs": len(courses),
        "SIGKILLs": kills.total(),
        "inside a save, at a fail-point": sum(kills[place] for place in INSIDE),
        **{f"- {turn}": kills[turn] for turn in sorted(kills)},
        "processes started": sum(course.starts for course in courses),
        "runs that came to their end": sum(course.finished for course in courses),
        "mismatches": sum("mismatch" in failure for failure in failures),
        "lost": sum("lost" in failure for failure in failures),
        "most updates undone by a kill": f"{max(undone, default=0)} (validations every {EVERY})",
        "recovery": percentiles(one for course in courses for one in course.recoveries),
        "cold start beside it": f"{cold:.2f} s",
    }
    return Report("kills", figures, failures)
