"""Verbs of the command line, as tasks and the program declare them; nothing heavy is imported."""

import argparse
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from seq2seq.errors import require_name
from seq2seq.measures import AUTO, BLEU_TOKENIZERS, METRICS


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


def device_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for where a run is used."""
    devices = ("auto", "cpu", "cuda", "cuda-graphs")
    parser.add_argument("--device", choices=devices, default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads")


def precision_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that chooses the numbers of a search."""
    parser.add_argument(
        "--precision", choices=("float32", "int8"), help="int8 is faster; default: float32"
    )


def output_options(
    parser: argparse.ArgumentParser, formats: Sequence[str] = ("text", "jsonl"), about: str = ""
) -> None:
    """Adds the options of everything that writes texts; the first format is the usual one."""
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--format", choices=formats, default=formats[0], help=about)


def sampling_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that draws texts: each setting of sampling, and the seed."""
    parser.add_argument("--temperature", type=float, metavar="X", help="0 takes the likeliest")
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the nucleus, in (0, 1]")
    parser.add_argument("--min-p", type=float, metavar="P", help="least share of the likeliest")
    parser.add_argument("--typical", type=float, metavar="P", help="typical tokens, in (0, 1]")
    parser.add_argument("--repetition-penalty", type=float, metavar="X", help="at least 1")
    parser.add_argument("--repetition-window", type=int, metavar="N", help="tokens looked back at")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same text")


def metric_options(
    parser: argparse.ArgumentParser,
    metrics: Sequence[str],
    default: str,
    tokenizer: str,
    forms: Sequence[str] = ("table", "json"),
) -> None:
    """Adds the options of everything that compares texts with references.

    ``default`` and ``tokenizer`` say what happens without ``--metrics``, ``--bleu-tokenizer``.
    """
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=list(METRICS),
        default=list(metrics),
        metavar="NAME",
        help=f"some of {', '.join(METRICS)}; default: {default}",
    )
    parser.add_argument(
        "--bleu-tokenizer",
        type=_tokenizer,
        metavar="NAME",
        help="what cuts texts into the words that BLEU counts: one of sacreBLEU's, such as 13a, "
        "intl, zh, char (a wrong name lists them), or auto, by the script of the references; "
        f"default: {tokenizer}",
    )
    parser.add_argument("--lowercase", action="store_true", help="score without case")
    table_option(parser, forms)


def _tokenizer(name: str) -> str:
    """Returns the name of a tokenizer; their table is imported only now."""
    require_name(name, "--bleu-tokenizer", (AUTO, *BLEU_TOKENIZERS))
    return name


def reference_option(parser: argparse.ArgumentParser, beside: str, required: bool) -> None:
    """Adds the option for files of references."""
    parser.add_argument(
        "--reference",
        action="append",
        required=required,
        metavar="FILE",
        help=f"one a line, {beside}, or WMT's .sgm or .xml; may be repeated: of several references "
        "any is right, and a line that is blank in one of the files is none",
    )
    parser.add_argument(
        "--translator",
        nargs="+",
        default=[],
        metavar="NAME",
        help="whose references, where a file holds several; default: all",
    )


def table_option(parser: argparse.ArgumentParser, forms: Sequence[str] = ("table", "json")) -> None:
    """Adds the option that chooses how scores are printed."""
    parser.add_argument("--format", choices=forms, default="table")
