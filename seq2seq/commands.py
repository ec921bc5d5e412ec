"""What the verbs of the command line do: call the library and print."""

import json
import logging
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO, cast

import torch
from tqdm import tqdm

from seq2seq import config as configuration
from seq2seq import experiment
from seq2seq.data.check import check
from seq2seq.data.sources import CorpusConfig, format_of, open_corpus, read_lines
from seq2seq.data.texts import TextConfig, Texts, open_texts
from seq2seq.errors import CheckpointError, ConfigError, DataError, StorageError, nearest
from seq2seq.evaluation.metrics import METRICS, Score, Unit
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.evaluation.report import scores_json, scores_table
from seq2seq.generation import Generator, Options
from seq2seq.inference import Translation, Translator
from seq2seq.loading import load
from seq2seq.runs import read_config
from seq2seq.search.sampling import SamplingConfig
from seq2seq.tasks import (
    TASKS,
    LanguageModelTaskConfig,
    TranslationConfig,
    task_of,
)
from seq2seq.text.pipeline import FILE, Pipeline, PipelineConfig

LINES_AT_ONCE = 2000
log = logging.getLogger("seq2seq")
LOADED = ("checkpoint", "device", "precision")
SAMPLING = tuple(field.name for field in fields(SamplingConfig))
WINDOW = 256
"""Tokens of the windows that `evaluate` scores independently unless told."""
FOR_PAIRS = (
    *("source", "reference", "pairs", "metrics", "output", "ensemble", "mistakes", "lowercase"),
    *("beam_size", "length_penalty", "min_length", "max_length", "no_repeat_ngram"),
    *("batch_size", "precision"),
)
FOR_TEXT = ("text", "documents", "window")
"""Options of `evaluate` that mean nothing to the other kind of task."""


def train(options: Namespace) -> None:
    """Trains a model."""
    run = experiment.train(options.config, options.keys, dry_run=options.dry_run)
    if options.dry_run:
        return
    print(f"{run.folder}: best at step {run.best['step']:.0f}: {run.scores}")
    picture = run.folder / "plots" / "learning_curve.png"
    if picture.exists():
        print(f"learning curve: {picture}")


def translate(options: Namespace) -> None:
    """Translates files or standard input, one line out for each line in."""
    if options.n_best < 1:
        raise ConfigError(f"--n-best: must be at least 1, got {options.n_best}")
    if options.n_best > 1 and options.format == "text":
        raise ConfigError("--n-best: must be 1 where --format is text, or use --format jsonl")
    translator = _translator(options)
    piped = sys.stdin is None or not sys.stdin.isatty()
    interactive = options.files == ["-"] and not piped
    lines = chain.from_iterable(read_lines(file, options.errors) for file in options.files)
    with (
        _output(options.output) as out,
        tqdm(desc="translate", unit=" lines", disable=True if interactive else None) as bar,
    ):
        for some in _chunks(lines, 1 if interactive else LINES_AT_ONCE):
            found = translator(some, n_best=options.n_best, **_asked(options, ["batch_size"]))
            for source, translation in zip(some, found, strict=True):
                print(_rendered(source, translation, options.format), file=out)
            out.flush()
            bar.update(len(some))


def generate(options: Namespace) -> None:
    """Generates text with a language model."""
    _use_threads(options)
    with _as_options(options):
        generator = Generator.load(options.run, **_asked(options, LOADED))
        wanted = _asked(options, ("length", "stop", "unknown", "seed", *SAMPLING))
        wanted["end"] = not options.no_end
        one = options.samples == 1 and options.format == "text"
        texts = (_as_it_comes if one else _several)(generator, options, cast(Options, wanted))
        with _output(options.output) as out:
            for text in texts:
                print(text, end="", file=out, flush=True)


def _as_it_comes(generator: Generator, options: Namespace, wanted: Options) -> Iterator[str]:
    """Yields one text, each character as soon as it is certain."""
    pieces = generator.stream(options.prompt, **wanted)
    yield options.prompt or ""
    with tqdm(desc="generate", unit=" characters", disable=None if options.output else True) as bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece))
    yield "\n"


def _several(generator: Generator, options: Namespace, wanted: Options) -> Iterator[str]:
    """Yields several texts, parted by lines of dashes, or one record a line."""
    found = generator.samples(options.prompt, options.samples, **wanted)
    for number, one in enumerate(tqdm(found, "generate", options.samples, disable=None)):
        if options.format == "jsonl":
            yield json.dumps(asdict(one), ensure_ascii=False) + "\n"
        else:
            between = "-" * 40 + "\n" if number else ""
            yield f"{between}{one.prompt}{one.text}\n"


def evaluate(options: Namespace) -> None:
    """Measures a run: translates a test set, or scores a text."""
    config = read_config(Path(options.run))
    text = isinstance(config, LanguageModelTaskConfig)
    for name in FOR_PAIRS if text else FOR_TEXT:
        if getattr(options, name) not in (None, False, 0, []):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(
                f"{option}: is for pairs; {options.run} is a language model, see --text"
                if text
                else f"{option}: is for language models; give --pairs, or --source and --reference"
            )
    if isinstance(config, LanguageModelTaskConfig):
        _evaluate_text(options, config)
    else:
        _evaluate_pairs(options, config)


def _evaluate_text(options: Namespace, config: LanguageModelTaskConfig) -> None:
    """Prints how well a language model predicts a text."""
    _use_threads(options)
    generator = Generator.load(options.run, **_asked(options, LOADED))
    texts = _texts(options, config)
    window = WINDOW if options.window is None else options.window
    with tempfile.TemporaryDirectory(prefix="seq2seq-evaluate-") as cache, _as_options(options):
        scores = experiment.evaluate_text(generator, texts, Path(cache), window)
    _print_scores(scores, options.format)


def _texts(options: Namespace, config: LanguageModelTaskConfig) -> Texts:
    """Opens the text to score, cut into documents as those that the model has learned from."""
    data = config.data
    where, folder = data.test or data.valid, Path(data.folder)
    if options.text:
        known = where or data.train
        unit = known.documents if known else "file"
        where, folder = TextConfig(files=tuple(options.text), documents=unit), Path()
    elif where is None:
        raise ConfigError(
            f"{options.run}: its configuration has neither data.test nor data.valid; give --text"
        )
    elif data.test is None:
        log.info("no data.test: this is data.valid, which chose the checkpoint; see --text")
    return open_texts(replace(where, **_asked(options, ["documents"])), folder)


def _evaluate_pairs(options: Namespace, config: TranslationConfig) -> None:
    """Translates a test set and prints scores."""
    if options.mistakes < 0:
        raise ConfigError(f"--mistakes: must be at least 0, got {options.mistakes}")
    if options.mistakes and options.format == "json":
        raise ConfigError("--mistakes: must be 0 where --format is json, or use --format table")
    if options.mistakes and options.lowercase:
        raise ConfigError("--mistakes: must be 0 where --lowercase is given; they count case")
    where, folder = _test_set(options, config)
    translator = _translator(options)
    pairs = list(open_corpus(where, folder).pairs())
    with _output(options.output) as out:
        scores, found = experiment.evaluate(
            translator,
            pairs,
            options.metrics or config.usual_metrics,
            lowercase=options.lowercase,
            **_asked(options, ["batch_size"]),
        )
        if options.output:
            out.writelines(f"{_one_line(text)}\n" for text in found)
    _print_scores(scores, options.format)
    if options.mistakes:
        unit: Unit = "symbol" if config.target.tokenizer == "space" else "character"
        sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
        references = translator.pipelines.target.restored(targets)
        print("\n" + find_mistakes(sources, found, references, unit).table(options.mistakes))


def _test_set(options: Namespace, config: TranslationConfig) -> tuple[CorpusConfig, Path]:
    """Returns where the pairs to measure on come from, and where relative paths begin."""
    if (options.source is None) != (options.reference is None):
        raise ConfigError("--source: must come with --reference, and the other way round")
    if options.pairs is not None:
        if options.source is not None:
            raise ConfigError("--pairs: must be left out beside --source and --reference")
        if format_of(options.pairs, Path()) is None:
            raise ConfigError(
                "--pairs: must be named *.tsv or *.jsonl (.gz too), or be a folder of datasets, "
                f"got {options.pairs!r}"
            )
        return CorpusConfig(path=options.pairs), Path()
    if options.source is not None:
        return CorpusConfig(source=options.source, target=options.reference), Path()
    if config.data.test is None:
        raise ConfigError(
            f"{options.run}: its configuration has no data.test; give --pairs, or --source and "
            "--reference"
        )
    return config.data.test, Path(config.data.folder)


def score(options: Namespace) -> None:
    """Scores translations against references."""
    hypotheses = list(read_lines(options.hypotheses))
    references = list(read_lines(options.reference))
    if len(hypotheses) != len(references):
        raise DataError(
            f"{options.hypotheses} has {len(hypotheses):,} lines, "
            f"{options.reference} {len(references):,}; each line needs its reference"
        )
    scores = [
        METRICS[name](hypotheses, references, lowercase=options.lowercase)
        for name in options.metrics
    ]
    _print_scores(scores, options.format)


def info(options: Namespace) -> None:
    """Tells what run folders hold."""
    for number, run in enumerate(options.runs):
        print(("\n" if number else "") + experiment.describe_run(Path(run)))
        if options.weights:
            loaded = load(run, device="cpu")
            model = loaded.model if isinstance(loaded, Generator) else loaded.models[0]
            print("\n".join(experiment.summary(model)))


def config(options: Namespace) -> None:
    """Lists the keys of a task's configuration."""
    if options.task not in TASKS:
        raise ConfigError(
            f"TASK: must be one of {', '.join(TASKS)}, got {options.task!r}"
            + nearest(options.task, TASKS)
        )
    rows = configuration.describe(TASKS[options.task])
    asked = f"{options.prefix}." if options.prefix else ""
    kept = [row for row in rows if f"{row[0]}.".startswith(asked)]
    if not kept:
        names = [".".join(key.split(".")[:depth]) for key, *_ in rows for depth in (1, 2, 3, 4)]
        raise ConfigError(f"{options.prefix}: unknown key{nearest(options.prefix, names)}")
    if options.format == "yaml":
        if options.prefix:
            raise ConfigError("PREFIX: must be left out where --format is yaml: a whole file")
        print(configuration.dump(TASKS[options.task]()), end="")
        return
    for key, kind, default, text in kept:
        print(f"{key}: {kind} = {default}\n    {text}")


def average(options: Namespace) -> None:
    """Averages the last checkpoints of a run."""
    print(experiment.average(Path(options.run), options.last, options.name))


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
    for some in _chunks(read_lines(options.file), LINES_AT_ONCE):
        for row in pipeline.encode(some):
            print(*(row if options.format == "ids" else pipeline.tokens(row)))


def tokenizer_decode(options: Namespace) -> None:
    """Joins ids to text, one line out for each line in."""
    pipeline = _pipeline(Path(options.pipeline))
    for number, line in enumerate(read_lines(options.file), 1):
        where = f"{options.file}: line {number}"
        print(pipeline.decode([[_id(word, len(pipeline), where) for word in line.split()]])[0])


def data_check(options: Namespace) -> None:
    """Reports what is odd about the corpora of a configuration."""
    mapping = configuration.read(Path(options.config)) if options.config else {}
    task = task_of(mapping, str(options.config))
    config = configuration.from_mapping(task, mapping, options.keys, str(options.config))
    if not isinstance(config, TranslationConfig):
        raise ConfigError(f"{options.config}: its task is {config.task}; only pairs are checked")
    settings = config.data
    given = {
        role: open_corpus(where, Path(settings.folder))
        for role in ("train", "valid", "test")
        if (where := getattr(settings, role)) is not None
    }
    if not given:
        raise ConfigError(
            "data.train: is required; name a CONFIG, or give --data.train.source and .target"
        )
    report = check(given)
    print(report.table())
    for problem in report.problems:
        print(f"- {problem}")


def _use_threads(options: Namespace) -> None:
    """Sets the number of threads that the options ask for."""
    if options.threads < 0:
        raise ConfigError(f"--threads: must be 0 (all) or more, got {options.threads}")
    if options.threads:
        torch.set_num_threads(options.threads)


def _asked(options: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that were given as options."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


@contextmanager
def _as_options(options: Namespace) -> Iterator[None]:
    """Names settings in messages as the command line does: length_penalty is --length-penalty."""
    try:
        yield
    except (ConfigError, DataError) as error:
        key, colon, rest = str(error).partition(":")
        if key not in options:
            raise
        raise type(error)(f"--{key.replace('_', '-')}{colon}{rest}") from None


def _translator(options: Namespace) -> Translator:
    """Loads the run, with the search that the options ask for."""
    _use_threads(options)
    if options.batch_size is not None and options.batch_size < 1:
        raise ConfigError(f"--batch-size: must be at least 1, got {options.batch_size}")
    translator = Translator.load(options.run, *options.ensemble, **_asked(options, LOADED))
    names = ("beam_size", "length_penalty", "min_length", "max_length", "no_repeat_ngram")
    with _as_options(options):
        search = replace(translator.search, **_asked(options, names))
    n_best = getattr(options, "n_best", 1)
    translator.search = replace(search, beam_size=max(search.beam_size, n_best))
    return translator


def _pipeline(folder: Path) -> Pipeline:
    """Loads a pipeline; says where one is if this is none."""
    if not (folder / FILE).is_file():
        beside = [other.name for other in folder.parent.glob("*") if (other / FILE).is_file()]
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


def _rendered(source: str, translation: Translation, form: str) -> str:
    """Returns a translation as one line of output."""
    if form == "text":
        return _one_line(translation.text)
    record = {
        "source": source,
        "source_tokens": translation.source_tokens,
        "hypotheses": [
            {
                "text": one.text,
                "score": one.score,
                "tokens": one.target_tokens,
                "alignment": one.alignment(),
            }
            for one in translation.alternatives
        ],
    }
    return json.dumps(record, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Returns a text that keeps the lines of the output beside those of the input."""
    return text.replace("\n", " ")


def _print_scores(scores: list[Score], form: str) -> None:
    """Prints scores as a table or as JSON."""
    print(scores_json(scores) if form == "json" else scores_table(scores))


@contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    """Opens where the output goes; a file appears only when it is whole."""
    if path is None:
        yield sys.stdout
        return
    final = Path(path).resolve()
    if final.is_dir():
        raise DataError(f"{path} is a directory; a file is needed")
    # A device or a pipe, such as /dev/null, is written to, and never replaced.
    special = final.exists() and not final.is_file()
    draft = final if special else final.with_name(f".tmp-{os.getpid()}-{final.name}")
    try:
        out = draft.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        with out:
            yield out
        if not special:
            draft.replace(final)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        if not special:
            draft.unlink(missing_ok=True)


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cuts a stream of lines into lists."""
    stream = iter(lines)
    while some := list(islice(stream, size)):
        yield some
