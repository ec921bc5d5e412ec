"""Signals at random moments: one line, nothing left behind, and a run that goes on to the same end.

Moments are those of a training (its start, its preparation, the loop, a validation of 20,000
sentences with five hypotheses each, a save, the end; of a forecaster the calibration of its
intervals, and another training on more data), of a dry run, and of verbs that write files.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from seq2seq import experiment
from seq2seq.cli.main import main
from seq2seq.tasks.forecasting import fitting
from seq2seq.tasks.forecasting.forecaster import Forecaster
from seq2seq.tasks.forecasting.material import SeriesMaterial
from seq2seq.tasks.forecasting.validation import SeriesValidation
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.language_model.material import TextValidation
from seq2seq.tasks.translation.material import PairValidation
from seq2seq.tasks.translation.translator import Translator
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.interruption import SIGNALS
from seq2seq.training.trainer import Trainer
from tests.children import Ended, Note, Signal, after, before, forked, warm_up
from tests.drill.cases import EVERY, PAIRS, Kind, write_data
from tests.drill.drill import Report, Setting, percentiles, spread
from tests.run_folders import Outcome, differing, leftovers, outcome
from tests.structure import ROOT

TRIES = 96
SENTENCES = 20_000
TRANSLATION = Kind("translation", "gru", "subwords")
LANGUAGE_MODEL = Kind("language-model", "lstm", "weight averages")
FORECASTING = Kind("forecasting", "gru", "fitted again")
TRAIN = ("train", "config.yaml")
FEW = ("--data.valid.source", "long.de", "--data.valid.target", "long.en",
       "--data.batch.tokens", "2000", "--train.steps", str(EVERY))  # fmt: skip
LONG = ("--validation.sentences", str(SENTENCES), "--validation.beam_size", "5")
OUTPUT = ("--output", "out/text.txt")


@dataclass(frozen=True)
class Scene:
    """A verb, and the moment at which it is sent a signal."""

    name: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    """The command that must then come to the end of an undisturbed one; empty: none."""
    moment: str = "preparing"
    most: float = 0.0
    """Seconds after the moment at most; 0: as long as the moment lasts."""
    alone: bool = False
    """Whether it is a process of its own, which imports everything."""
    kinds: tuple[Kind, ...] = (TRANSLATION, LANGUAGE_MODEL, FORECASTING)
    trained: bool = False
    """Whether it needs a trained run."""


SCENES = (
    Scene("start", TRAIN, TRAIN, moment="", alone=True),
    *(Scene(moment, TRAIN, TRAIN, moment) for moment in ("preparing", "loop", "saving", "end")),
    Scene("validation", (*TRAIN, *FEW, *LONG), (*TRAIN, *FEW), "validation", 6.0,
          kinds=(TRANSLATION,)),
    Scene("calibration", TRAIN, TRAIN, "calibrating", kinds=(FORECASTING,)),
    Scene("fitting again", TRAIN, TRAIN, "again", 0.3, kinds=(FORECASTING,)),
    Scene("dry run", (*TRAIN, "--dry-run")),
    Scene("translate", ("translate", "run", "../data/long.de", *OUTPUT), moment="use", most=3.0,
          kinds=(TRANSLATION,), trained=True),
    Scene("generate", ("generate", "run", "--length", "200000", "--no-end", *OUTPUT), moment="use",
          most=3.0, kinds=(LANGUAGE_MODEL,), trained=True),
    Scene("forecast", ("forecast", "run", "--samples", "20000", *OUTPUT), moment="use", most=0.5,
          kinds=(FORECASTING,), trained=True),
)  # fmt: skip


@dataclass(frozen=True)
class Try:
    """One signal."""

    scene: Scene
    kind: Kind
    number: signal.Signals
    seconds: float
    folder: Path
    expected: Outcome | None
    trained: Path | None

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.scene.name}, {self.kind.task}, {self.number.name} at {self.seconds:.3f} s"


@dataclass
class Course:
    """What became of a try."""

    name: str
    scene: str
    came: str
    """How it ended."""
    leaving: float | None
    failures: list[str] = field(default_factory=list)


def be(words: Sequence[str], folder: Path, alone: bool, note: Note) -> int:
    """Is the command; tells of its moments."""
    os.chdir(folder)
    os.environ["TMPDIR"] = str(folder / "tmp")
    tempfile.tempdir = None
    if alone:
        path = os.pathsep.join([str(ROOT), *sys.path])
        os.execve(sys.executable, [sys.executable, "-m", "seq2seq", *words],
                  {**os.environ, "PYTHONPATH": path})  # fmt: skip
    for place, name, moment in (
        (Trainer, "update", "loop"),
        (PairValidation, "__call__", "validation"),
        (TextValidation, "__call__", "validation"),
        (SeriesValidation, "__call__", "validation"),
        (Checkpoints, "save", "saving"),
        (fitting, "calibrate", "calibrating"),
        (SeriesMaterial, "_fit_again", "again"),
        (experiment, "finish", "end"),
        (Translator, "__call__", "use"),
        (Generator, "stream", "use"),
        (Forecaster, "forecasts", "use"),
    ):
        tell, told = (partial(_tell, note, text) for text in (moment, "other"))
        setattr(place, name, after(before(getattr(place, name), tell), told))
    _tell(note, "preparing")
    return main(words)


def _tell(note: Note, moment: str, *given: Any) -> None:
    note([moment, time.monotonic()])


def prepared(folder: Path, kind: Kind, data: Path, trained: Path | None = None) -> Path:
    """Makes a folder in which a command can run."""
    folder.mkdir()
    for name in ("tmp", "out"):
        (folder / name).mkdir()
    kind.write(folder, data, Path("cache"))
    if trained is not None:
        shutil.copytree(trained, folder / "run")
    return folder


def lasting(ended: Ended, moment: str) -> float:
    """Returns how long a moment lasted the first time, in seconds."""
    at: list[tuple[str, float]] = [(name, clock) for name, clock in ended.notes]
    begun = next(clock for name, clock in at if name == moment)
    over = (clock for name, clock in at if clock > begun and name != moment)
    return next(over, ended.started + ended.seconds) - begun


def tries(setting: Setting, data: Path) -> Iterator[Try]:
    """Yields what is done, after each scene was seen undisturbed."""
    rng = random.Random(setting.seed)
    seen: dict[tuple[Kind, tuple[str, ...]], Ended] = {}
    folders: dict[tuple[Kind, tuple[str, ...]], Path] = {}

    def undisturbed(kind: Kind, words: tuple[str, ...], alone: bool = False) -> Ended:
        key = kind, (*words, str(alone))
        if key not in seen:
            folder = prepared(setting.folder / f"whole-{len(seen)}", kind, data)
            seen[key] = forked(partial(be, words, folder, alone))
            assert seen[key].code == 0, seen[key].err
            folders[kind, words] = folder / "run"
        return seen[key]

    for number in range(setting.tries or TRIES):
        scene = SCENES[number % len(SCENES)]
        kind = scene.kinds[number // len(SCENES) % len(scene.kinds)]
        whole = undisturbed(kind, scene.again or TRAIN)
        most = scene.most
        if scene.alone:
            most = undisturbed(kind, scene.words, alone=True).seconds
        elif not most:
            own = undisturbed(kind, scene.words) if not scene.again else whole
            most = lasting(own, scene.moment) if scene.again else own.seconds
        yield Try(
            scene,
            kind,
            SIGNALS[number // len(SCENES) % len(SIGNALS)],
            rng.uniform(0, most),
            setting.folder / f"try-{number}",
            outcome(folders[kind, scene.again]) if scene.again else None,
            folders[kind, TRAIN] if scene.trained else None,
        )


def drill(data: Path, one: Try) -> Course:
    """Sends one signal, looks at what is left, and goes on."""
    folder = prepared(one.folder, one.kind, data, one.trained)
    begin = partial(be, one.scene.words, folder, one.scene.alone)
    ended = forked(begin, [Signal(one.number, one.seconds, one.scene.moment)])
    course = Course(one.name, one.scene.name, _came(ended, one), ended.leaving)
    for problem in _problems(ended, one, folder):
        course.failures.append(f"{one.name}: {problem}")
    if one.scene.again:
        again = forked(partial(be, one.scene.again, folder, False))
        if again.code:
            course.failures.append(f"{one.name}: cannot go on: {again.said}")
        elif others := differing(outcome(folder / "run"), one.expected or {}):
            course.failures.append(f"{one.name}: mismatch of {', '.join(sorted(others))}")
    shutil.rmtree(folder)
    return course


def _came(ended: Ended, one: Try) -> str:
    if ended.code == -one.number:
        return "ended by the system, before the program began"
    return "stopped" if ended.code else "had come to its end"


def _problems(ended: Ended, one: Try, folder: Path) -> Iterator[str]:
    """Yields what a stopped process must not do, or leave."""
    if ended.code not in (0, 128 + one.number) and not (one.scene.alone and ended.code < 0):
        yield f"exit code {ended.code}: {ended.said}"
    told = [line for line in ended.err.splitlines() if "stopped by" in line]
    if ended.code > 0 and (len(told) != 1 or one.number.name not in told[0]):
        yield f"{len(told)} lines tell of it: {ended.err[-200:]!r}"
    if "Traceback" in ended.err:
        yield f"traceback: {ended.said}"
    left = [path.name for path in (folder / "tmp").iterdir()] + leftovers(folder)
    left += [path.name for path in (folder / "out").iterdir() if ended.code]
    if "--dry-run" in one.scene.words and (folder / "run").exists():
        left.append("run")
    if left:
        yield f"left behind: {', '.join(left)}"


def run(setting: Setting) -> Report:
    """Sends signals at moments of all scenes."""
    warm_up()
    data = write_data(setting.folder / "data")
    for suffix, side in (("de", 0), ("en", 1)):
        lines = [f"{PAIRS[n % len(PAIRS)][side]} {n}\n" for n in range(SENTENCES)]
        (data / f"long.{suffix}").write_text("".join(lines), encoding="utf-8")
    listed = list(tries(setting, data))
    return report(list(spread(partial(drill, data), listed, setting, "signals")))


def report(courses: Sequence[Course]) -> Report:
    """Returns what all signals came to."""
    failures = [failure for course in courses for failure in course.failures]
    counts = Counter(course.came for course in courses)
    figures: dict[str, str | int | float] = {
        "signals": sum(course.leaving is not None for course in courses),
        **{f"- {came}": counts[came] for came in sorted(counts)},
        "mismatches": sum("mismatch" in failure for failure in failures),
        "left behind": sum("left behind" in failure for failure in failures),
    }
    for scene in SCENES:
        own = [one for one in courses if one.scene == scene.name and one.leaving is not None]
        times = percentiles(one.leaving for one in own if one.leaving is not None)
        figures[f"to leave, {scene.name} ({len(own)})"] = times
    every = percentiles(course.leaving for course in courses if course.leaving is not None)
    return Report("signals", {**figures, "to leave, anywhere": every}, failures)
