"""Trains and measures grapheme-to-phoneme models on data in the layout of SIGMORPHON 2020.

Usage: ``python -m recipes.g2p.run FOLDER [LANG ...] [--seeds 1 2 3] [--jobs N] [--holdout]
[--all] [--together] [--folder FOLDER] [--a.b value ...]``. A tenth of each training file is held
out and says which checkpoint is best; finished trainings are not repeated.
"""

import argparse
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import active_children, get_context
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import seq2seq
from recipes.g2p.data import DEV, HELD, TEST, TRAIN, Parts, choose, columns, join, load, put
from recipes.g2p.report import Exam, add_macro, examine, report
from seq2seq.cli.parser import Parser
from seq2seq.data.pairs.mixture import TrainingCorpusConfig
from seq2seq.errors import Seq2SeqError, require
from seq2seq.experiment import resolve
from seq2seq.tasks.transduction import TransductionConfig
from seq2seq.training.interruption import Interrupted

CONFIG = Path(__file__).with_name("config.yaml")
TOGETHER = "together"
Item = TypeVar("Item")
Result = TypeVar("Result")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Returns the options; their ``keys`` are those of the configuration."""
    parser = Parser(prog="python -m recipes.g2p.run", description=__doc__, allow_abbrev=False)
    parser.set_defaults(takes_keys=True)
    parser.add_argument("data", type=Path, metavar="FOLDER", help="LANG_{train,dev,test}.tsv")
    parser.add_argument("languages", nargs="*", metavar="LANG", help="default: all in FOLDER")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], metavar="N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="trainings at once")
    parser.add_argument("--together", action="store_true", help="one model for all languages")
    parser.add_argument("--folder", type=Path, default=Path("runs/g2p"), metavar="FOLDER")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--holdout", action="store_true", help="report on the held tenth only")
    either.add_argument("--all", action="store_true", help="train on the held tenth, too")
    return parser.parse_args(words)


def plan(
    options: argparse.Namespace, corpora: dict[str, Parts]
) -> dict[str, list[TransductionConfig]]:
    """Writes the data of each model; returns its configurations, one for each seed."""
    base = resolve(CONFIG, options.keys)
    assert isinstance(base, TransductionConfig)
    if options.together:
        tags = tuple(f"<{language}>" for language in corpora)
        base = replace(base, source=replace(base.source, tags=tags))
    data = options.folder / "data"
    plans: dict[str, list[TransductionConfig]] = {}
    for model, parts in ({TOGETHER: join(corpora)} if options.together else corpora).items():
        name = f"{model}-all" if options.all else model
        files = put(data, name, parts, options.all)
        plans[model] = [
            replace(
                base,
                folder=str(options.folder / f"{name}-{seed}"),
                data=replace(
                    base.data,
                    folder=str(data),
                    train=columns(files[TRAIN].one_path, TrainingCorpusConfig),
                    valid=files[HELD],
                    test=files.get(DEV),
                ),
                train=replace(base.train, seed=seed, threads=1),
            )
            for seed in dict.fromkeys(options.seeds)
        ]
    return plans


def train(config: TransductionConfig) -> str:
    """Trains one model, and returns what to tell of it."""
    try:
        run = seq2seq.train(config)
    except Interrupted as error:  # cannot travel between processes as it is
        stopped = Seq2SeqError(str(error))
        stopped.exit_code = error.exit_code
        raise stopped from None
    minutes, rate = run.history[-1]["minutes"], run.best.get("wer", math.nan)
    return f"{config.folder}: {minutes:.1f} minutes, validation WER {rate:.2f}"


def each(
    pool: Executor | None, work: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[Result]:
    """Yields results as they come, from the processes of a pool or from this one."""
    if pool is None:
        yield from map(work, items)
        return
    futures = [pool.submit(work, item) for item in items]
    try:
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        pool.shutdown(cancel_futures=True)  # or all that wait would still be trained
        raise


def make_exam(
    options: argparse.Namespace, language: str, parts: Parts, configs: Sequence[TransductionConfig]
) -> Exam:
    """Returns what one language's models are measured on."""
    return Exam(
        language=language,
        tag=f"<{language}> " if options.together else "",
        runs={f"seed {config.train.seed}": Path(config.folder) for config in configs},
        checkpoint="last" if options.all else "best",
        parts={part: parts[part] for part in reported(options) if part in parts},
        folder=reports(options),
    )


def reported(options: argparse.Namespace) -> tuple[str, ...]:
    """Returns the parts that are reported on, where a language has them."""
    return (HELD,) if options.holdout else (DEV, TEST)


def reports(options: argparse.Namespace) -> Path:
    """Returns where the reports are written; those of each kind of training stand apart."""
    folder: Path = options.folder
    kinds = {TOGETHER: options.together, HELD: options.holdout, "all": options.all}
    return folder.joinpath(*(kind for kind, asked in kinds.items() if asked))


def run(options: argparse.Namespace) -> None:
    """Trains what is not trained yet, measures, and reports."""
    require(options.jobs >= 1, "--jobs", "at least 1", options.jobs)
    languages = choose(options.data, options.languages)
    corpora = {one: load(options.data, one, options.holdout) for one in languages}
    plans = plan(options, corpora)
    # Seed by seed: an early stop leaves something of every language.
    configs = [config for same_seed in zip(*plans.values(), strict=True) for config in same_seed]
    exams = [
        make_exam(options, one, parts, plans[TOGETHER if options.together else one])
        for one, parts in corpora.items()
    ]
    reports(options).mkdir(parents=True, exist_ok=True)
    spawn = get_context("spawn")
    with nullcontext() if options.jobs == 1 else ProcessPoolExecutor(options.jobs, spawn) as pool:
        for line in each(pool, train, configs):
            print(line, flush=True)
        found = dict(each(pool, examine, exams))
    results = {
        part: {one: found[one][part] for one in languages if part in found[one]}
        for part in reported(options)
    }
    report(reports(options), {part: add_macro(rows) for part, rows in results.items() if rows})


def main(words: Sequence[str]) -> int:
    """Runs the recipe and returns its exit code: 0, or what the error says."""
    try:
        run(parse(words))
    except Seq2SeqError as error:
        print(f"g2p: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("g2p: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def stop(number: int, frame: FrameType | None) -> NoReturn:
    """Hands a signal on to the trainings, which save and end; then the recipe does."""
    for training in active_children():
        training.terminate()
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    sys.exit(main(sys.argv[1:]))
