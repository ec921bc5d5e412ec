"""The verbs of the command line: the program's own, and those that tasks serve."""

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.verb import Verb, device_options, metric_options, reference_option

COMMANDS = "seq2seq.cli.commands"
FIRST = next(iter(TASKS))
"""The task of the examples."""


def _train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="YAML file; see `seq2seq config`")
    parser.add_argument(
        "--dry-run", action="store_true", help="two steps of everything; leaves nothing behind"
    )
    parser.epilog = (
        "Any key of the configuration may follow: --model.encoder.cell gru --folder runs/gru\n\n"
    )


def run_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that uses a trained run."""
    parser.add_argument("run", metavar="RUN", help="folder that `seq2seq train` wrote")
    parser.add_argument(
        "--checkpoint", default="best", metavar="NAME", help="best, last, a step, or a name"
    )
    device_options(parser)


def _score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "hypotheses", metavar="HYPOTHESES", help="one a line, or WMT's .sgm or .xml; - is a pipe"
    )
    parser.add_argument("--system", metavar="NAME", help="where HYPOTHESES hold several")
    parser.add_argument("--source", metavar="FILE", help="one a line; for comet")
    reference_option(parser, "for each of the hypotheses", required=True)
    metric_options(parser, ["bleu", "chrf", "ter"], "bleu chrf ter", "auto")


def _info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--weights", action="store_true", help="names, shapes and sizes of weights")


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", metavar="TASK", help=f"one of {', '.join(TASKS)}")
    parser.add_argument("prefix", nargs="?", default="", help="only the keys below this one")
    parser.add_argument("--format", choices=("table", "yaml"), default="table")


def _average(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--last", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--name", default="average", help="of the new checkpoint")


def _tokenizer_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="text, one a line; - is a pipe")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the pipeline goes")
    parser.epilog = f"Any key of a pipeline may follow, as in `seq2seq config {FIRST} source`.\n\n"


def _pipeline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="folder of a pipeline")
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="- is a pipe")


def _tokenizer_encode(parser: argparse.ArgumentParser) -> None:
    _pipeline(parser)
    parser.add_argument("--format", choices=("tokens", "ids"), default="tokens")


TRAIN = Verb(
    name="train",
    run=f"{COMMANDS}:train",
    options=_train,
    help="train a model, or go on training it",
    takes_keys=True,
    examples=(
        "seq2seq train recipes/quickstart/config.yaml",
        "seq2seq train recipes/multi30k/de-en.yaml --data.folder path/to/multi30k",
        "seq2seq train config.yaml --model.encoder.cell gru --folder runs/gru",
        "seq2seq train trade.yaml --train.start runs/phrases --train.start_vocabulary grown",
        "seq2seq train config.yaml --dry-run",
    ),
)
OTHERS = (
    Verb(
        name="score",
        run=f"{COMMANDS}:score",
        options=_score,
        help="score translations against references",
        examples=(
            "seq2seq score output.txt --reference reference.txt",
            "seq2seq translate runs/quickstart test.en | seq2seq score - --reference test.pt",
            "seq2seq score output.txt --reference wmt22.xml --metrics chrf++ comet",
            "seq2seq score output.txt --reference one.txt --reference other.txt --format json",
            "seq2seq score output.txt --reference reference.txt --bleu-tokenizer intl --lowercase",
        ),
    ),
    Verb(
        name="info",
        run=f"{COMMANDS}:info",
        options=_info,
        help="tell what a run folder holds",
        examples=(
            "seq2seq info runs/quickstart",
            "seq2seq info runs/quickstart --weights",
            "seq2seq info runs/multi30k-de-en",
            "seq2seq info runs/* | grep best",
            "seq2seq info runs/quickstart runs/multi30k-de-en",
        ),
    ),
    Verb(
        name="config",
        run=f"{COMMANDS}:config",
        options=_config,
        help="list every key of the configuration",
        examples=(
            f"seq2seq config {FIRST}",
            f"seq2seq config {FIRST} model.encoder",
            f"seq2seq config {list(TASKS)[-1]}",
            f"seq2seq config {FIRST} | grep dropout",
            f"seq2seq config {FIRST} --format yaml > config.yaml",
        ),
    ),
    Verb(
        name="average",
        run=f"{COMMANDS}:average",
        options=_average,
        help="average the weights of a run's last checkpoints",
        examples=(
            "seq2seq average runs/multi30k-de-en",
            "seq2seq average runs/multi30k-de-en --last 5",
            "seq2seq average runs/multi30k-de-en --last 3 --name last-3",
            "seq2seq translate runs/multi30k-de-en test.de --checkpoint average",
            "seq2seq evaluate runs/multi30k-de-en --checkpoint last-3",
        ),
    ),
    Verb(
        name="tokenizer train",
        run=f"{COMMANDS}:tokenizer_train",
        options=_tokenizer_train,
        help="learn a pipeline from text",
        takes_keys=True,
        examples=(
            "seq2seq tokenizer train text.txt --output pipeline",
            "seq2seq tokenizer train text.txt --output pipeline --tokenizer bpe --vocab_size 4000",
            "seq2seq tokenizer train train.en train.pt --output pipeline --split_digits true",
            "seq2seq tokenizer train text.txt --output pipeline --tokenizer char "
            '--normalizers "[nfc]"',
            "cat text.txt | seq2seq tokenizer train - --output pipeline --tokenizer word "
            "--vocab_size 0",
        ),
    ),
    Verb(
        name="tokenizer encode",
        run=f"{COMMANDS}:tokenizer_encode",
        options=_tokenizer_encode,
        help="cut text into tokens or ids",
        examples=(
            "seq2seq tokenizer encode pipeline text.txt",
            "seq2seq tokenizer encode pipeline text.txt --format ids > ids.txt",
            "seq2seq tokenizer encode runs/quickstart/pipeline/source text.txt",
            "echo 'Your order arrives on May 4, 2021.' | seq2seq tokenizer encode pipeline",
            "seq2seq tokenizer encode pipeline text.txt.gz | head",
        ),
    ),
    Verb(
        name="tokenizer decode",
        run=f"{COMMANDS}:tokenizer_decode",
        options=_pipeline,
        help="join ids to text",
        examples=(
            "seq2seq tokenizer decode pipeline ids.txt",
            "seq2seq tokenizer decode runs/quickstart/pipeline/target ids.txt",
            'echo "8 15 4" | seq2seq tokenizer decode pipeline',
            "seq2seq tokenizer encode pipeline text.txt --format ids "
            "| seq2seq tokenizer decode pipeline",
            "seq2seq tokenizer decode pipeline ids.txt > text.txt",
        ),
    ),
)
SHARED = {"evaluate": "measure a run on its test data, or on other data"}
"""Verbs that every task serves in its own way."""
FAMILIES = {
    "tokenizer": "train and try out tokenization pipelines",
    "data": "look at the data of a configuration",
}
"""Verbs that only have verbs below them."""


class Served(NamedTuple):
    """A verb as some tasks serve it."""

    verb: Verb
    tasks: tuple[str, ...] = ()
    """The names of these tasks; empty: it is the program's own."""


def all_verbs() -> dict[str, list[Served]]:
    """Returns all verbs by name, each as it is served; those of several tasks more than once."""
    verbs: dict[str, list[Served]] = {}
    for served in (Served(TRAIN), *_of_tasks(), *map(Served, OTHERS)):
        verbs.setdefault(served.verb.name, []).append(served)
    return verbs


def _of_tasks() -> Iterator[Served]:
    """Yields the verbs of all tasks; tasks with the same verbs share them."""
    modules: dict[str, list[str]] = {}
    for name, entry in TASKS.items():
        modules.setdefault(entry.verbs, []).append(name)
    for module, names in modules.items():
        for verb in import_module(module).VERBS:
            yield Served(verb, tuple(names))


def verbs_of(task: str) -> list[str]:
    """Returns the names of the verbs that a task serves."""
    return [
        name
        for name, served in all_verbs().items()
        if any(task in variant.tasks for variant in served)
    ]
