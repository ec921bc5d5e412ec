"""Verbs of the command line, as tasks and the program declare them; nothing heavy is imported."""

import argparse
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from seq2seq.measures import METRICS


class Verb(NamedTuple):
    """One verb: its help, its options, and the function that does the work."""

    name: str
    """Such as ``translate``, or ``data check`` for a verb below another."""
    run: str
    """``module:function``; the function takes the parsed options."""
    options: Callable[[argparse.ArgumentParser], None]
    """Adds the options to a parser."""
    help: str = ""
    """What it does, in half a line; empty where the program itself declares the verb."""
    examples: Sequence[str] = ()
    """Command lines to copy."""
    subject: Literal["run", "config", "other"] = "other"
    """Whether the first word names a run folder or a configuration, whose task then decides who
    serves the verb."""
    takes_keys: bool = False
    """Whether keys of a configuration may follow: ``--model.encoder.cell gru``."""


def precision_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that chooses the numbers of a search."""
    parser.add_argument(
        "--precision", choices=("float32", "int8"), help="int8 is faster; default: float32"
    )


def output_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that writes texts."""
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")


def metric_options(parser: argparse.ArgumentParser, metrics: Sequence[str], default: str) -> None:
    """Adds the options of everything that compares texts with references."""
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=list(METRICS),
        default=list(metrics),
        metavar="NAME",
        help=f"some of {', '.join(METRICS)}; default: {default}",
    )
    parser.add_argument("--lowercase", action="store_true", help="score without case")
    table_option(parser)


def table_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that chooses how scores are printed."""
    parser.add_argument("--format", choices=("table", "json"), default="table")
