"""What the program's own verbs do: call the library and print."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from seq2seq import config as configuration
from seq2seq import experiment
from seq2seq.data.arriving import read_arriving
from seq2seq.data.files import read_lines
from seq2seq.data.pipes import rereadable
from seq2seq.data.references import read_references
from seq2seq.data.wmt import read_one, with_sources
from seq2seq.errors import CheckpointError, ConfigError, DataError, nearest, require_name
from seq2seq.measures import AUTO, scores, take_sources
from seq2seq.runs.describe import describe, kept, summary
from seq2seq.tasks.console import as_options, print_scores
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.task import named, task_in
from seq2seq.tasks.verb import Verb
from seq2seq.text.pipeline import FILE, Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.words import key_values


def subject(options: Namespace, verb: Verb) -> tuple[str, str]:
    """Returns the run or configuration that a command line names, and the name of its task.

    Raises:
        CheckpointError: The folder is no run folder.
        ConfigError: The configuration cannot be read, or names no task.
    """
    if verb.subject == "run":
        return options.run, task_in(Path(options.run))
    if options.config:
        options.config = rereadable(Path(), options.config)
    mapping = configuration.read(options.config) if options.config else {}
    task = str({**mapping, **key_values(options.keys)}.get("task", next(iter(TASKS))))
    named(task, f"{options.config}: ")
    return str(options.config), task


def train(options: Namespace) -> None:
    """Trains a model."""
    run = experiment.train(options.config, options.keys, dry_run=options.dry_run)
    if options.dry_run:
        return
    best = f"best at step {run.best['step']:.0f}: {run.scores}" if run.best else "trained"
    print(f"{run.folder}: {best}")
    picture = run.folder / "plots" / "learning_curve.png"
    if picture.exists():
        print(f"learning curve: {picture}")


def score(options: Namespace) -> None:
    """Scores translations against references."""
    with as_options(options):
        side = read_one(options.hypotheses, "system", options.system, "system")
        hypotheses = side.texts
        references = read_references(
            options.reference, options.hypotheses, len(hypotheses), options.translator
        )
    with as_options(options):
        found = scores(
            options.metrics,
            hypotheses,
            references,
            lowercase=options.lowercase,
            tokenize=options.bleu_tokenizer or AUTO,
            sources=_sources(options),
        )
    print_scores(found, options.format)


def _sources(options: Namespace) -> Sequence[str] | None:
    """Reads the sources, if a score needs them, and they are known."""
    if not take_sources(options.metrics):
        if options.source:
            raise ConfigError("--source: must be left out where no metric needs it")
        return None
    file = options.source or with_sources(options.reference)
    return None if file is None else read_one(file, "source").texts


def info(options: Namespace) -> None:
    """Tells what run folders hold."""
    for number, run in enumerate(options.runs):
        print(("\n" if number else "") + describe(Path(run)))
        if options.weights:
            models = experiment.load(run, device="cpu").models
            print("\n".join(summary(models[0]) if models else kept(Path(run))))


def config(options: Namespace) -> None:
    """Lists the keys of a task's configuration."""
    require_name(options.task, "TASK", TASKS)
    kind = named(options.task).config
    rows = configuration.describe(kind)
    asked = f"{options.prefix}." if options.prefix else ""
    kept = [row for row in rows if f"{row[0]}.".startswith(asked)]
    if not kept:
        names = [".".join(key.split(".")[:depth]) for key, *_ in rows for depth in (1, 2, 3, 4)]
        raise ConfigError(f"{options.prefix}: unknown key{nearest(options.prefix, names)}")
    if options.format == "yaml":
        if options.prefix:
            raise ConfigError("PREFIX: must be left out where --format is yaml: a whole file")
        print(configuration.dump(kind()), end="")
        return
    for key, accepted, default, text in kept:
        print(f"{key}: {accepted} = {default}\n    {text}")


def average(options: Namespace) -> None:
    """Averages the last checkpoints of a run."""
    print(experiment.average(options.run, options.last, options.name))


def tokenizer_train(options: Namespace) -> None:
    """Learns a pipeline from text."""
    settings = configuration.load(PipelineConfig, None, options.keys)
    texts = [line for file in options.files for line in read_lines(file)]
    pipeline = Pipeline.train(settings, texts, key="pipeline")
    pipeline.save(Path(options.output))
    print(f"{options.output}: {len(pipeline):,} tokens, reversible: {pipeline.reversible}")


def tokenizer_encode(options: Namespace) -> None:
    """Cuts text into tokens or ids, one line out for each line in."""
    pipeline = _pipeline(Path(options.pipeline))
    for lines in read_arriving([options.file]):
        for row in pipeline.encode(lines):
            print(*(row if options.format == "ids" else pipeline.tokens(row)))
        sys.stdout.flush()


def tokenizer_decode(options: Namespace) -> None:
    """Joins ids to text, one line out for each line in."""
    pipeline = _pipeline(Path(options.pipeline))
    numbers = count(1)
    for lines in read_arriving([options.file]):
        for line in lines:
            where = f"{options.file}: line {next(numbers)}"
            print(pipeline.decode([[_id(word, len(pipeline), where) for word in line.split()]])[0])
        sys.stdout.flush()


def _pipeline(folder: Path) -> Pipeline:
    """Loads a pipeline; says where one is if this is none."""
    if not (folder / FILE).is_file():
        others = folder.parent.glob("*")
        beside = [other.name for other in others if os.path.isfile(other / FILE)]
        side = folder / "pipeline" / "source"  # of a run, which has two
        close = f"; did you mean '{side}'?" if side.is_dir() else nearest(folder.name, beside)
        raise CheckpointError(
            f"{folder}: is not a pipeline; expected a folder that `seq2seq tokenizer train` wrote"
            + close
        )
    return Pipeline.load(folder)


def _id(word: str, size: int, where: str) -> int:
    """Returns a word of a line as an id."""
    if not word.isdecimal() or len(word) > 9 or int(word) >= size:
        raise DataError(f"{where}: {word!r} is not an id; accepted: 0 to {size - 1}")
    return int(word)
