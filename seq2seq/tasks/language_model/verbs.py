"""The verbs of language models."""

import argparse

from seq2seq.tasks.verb import (
    Verb,
    output_options,
    precision_option,
    sampling_options,
    table_option,
)

COMMANDS = "seq2seq.tasks.language_model.commands"


def _generate(parser: argparse.ArgumentParser) -> None:
    precision_option(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="go on from here; --prompt=-x with a dash")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="most characters")
    sampling_options(parser)
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before it; may be repeated"
    )
    parser.add_argument("--no-end", action="store_true", help="go on where a document would end")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts")
    parser.add_argument(
        "--unknown",
        choices=("refuse", "replace"),
        default="refuse",
        help="what a prompt's characters do that the model does not know",
    )
    output_options(parser)
    parser.epilog = (
        "Options of sampling, from --temperature to --repetition-window, default to the run's\n"
        "configuration; see `seq2seq config language-model sampling`.\n\n"
        f"{parser.epilog or ''}"
    )


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text", nargs="+", default=[], metavar="FILE", help="default: the configuration's text"
    )
    parser.add_argument(
        "--documents",
        choices=("file", "line", "paragraph"),
        help="what a document of a text is; default: what it is in the configuration",
    )
    parser.add_argument("--window", type=int, metavar="N", help="tokens; default: 256, 0: none")
    table_option(parser)


VERBS = (
    Verb(
        name="generate",
        run=f"{COMMANDS}:generate",
        options=_generate,
        help="generate text with a language model",
        subject="run",
        examples=(
            "seq2seq generate runs/shakespeare --prompt 'ROMEO:' --length 500 --temperature 0.8",
            "seq2seq generate runs/python-source --prompt 'def ' --seed 1 --stop 'class ' "
            "--stop $'\\n\\n'",
            "seq2seq generate runs/shakespeare --samples 64 --seed 1 --format jsonl "
            "--output samples.jsonl",
            "seq2seq generate runs/shakespeare --top-p 0.9 --repetition-penalty 1.1",
            "seq2seq generate runs/shakespeare --length 100000 --no-end --output play.txt",
        ),
    ),
    Verb(
        name="evaluate",
        run=f"{COMMANDS}:evaluate",
        options=_evaluate,
        subject="run",
        examples=(
            "seq2seq evaluate runs/shakespeare",
            "seq2seq evaluate runs/shakespeare --text sonnets.txt --window 256",
            "seq2seq evaluate runs/shakespeare --text sonnets.txt --documents paragraph",
            "seq2seq evaluate runs/python-source --text *.py --window 0",
            "seq2seq evaluate runs/shakespeare --checkpoint last --format json",
        ),
    ),
)
