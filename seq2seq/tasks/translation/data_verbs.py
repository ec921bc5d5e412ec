"""The verbs that look at pairs of texts, and clean them."""

import argparse
from functools import partial

from seq2seq.data.pairs.rules import RULES, Rule
from seq2seq.tasks.verb import Verb, table_option


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="whose data to check")


def _clean(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a configuration, whose training pairs are meant; a file or folder of pairs; or two "
        "files of lines; - is a pipe of TSV",
    )
    parser.add_argument(
        "--output",
        nargs="+",
        default=[],
        metavar="FILE",
        help="*.tsv, *.jsonl, or two files of lines (.gz too); without it pairs are only counted",
    )
    parser.add_argument(
        "--rejected", metavar="FILE", help="what is left out: rule, tab, source, tab, target"
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="FILE",
        help="pairs for --overlap besides the configuration's data.valid and data.test: files of "
        "pairs, or two of lines",
    )
    for side in ("source", "target"):
        parser.add_argument(f"--{side}-column", metavar="NAME", help=f"of files: the {side}'s")
        parser.add_argument(
            f"--{side}-script",
            metavar="NAME",
            help="for --script, such as LATIN, CYRILLIC or CJK; default: that of most letters",
        )
    table_option(parser)
    group = parser.add_argument_group("rules, each of which can be on, off, or given what is shown")
    for name, rule in RULES.items():
        _rule(group, name, rule)


def _rule(parser: argparse._ArgumentGroup, name: str, rule: Rule) -> None:
    """Adds the option of a rule by which pairs are cleaned."""
    default = "on" if rule.default is True else rule.default or "off"
    takes = "NAME" if rule.choices else "on" if rule.usual is True else "N"
    kind = "changes" if rule.change else "leaves out"
    parser.add_argument(
        f"--{name}",
        type=partial(rule.parse, key=f"--{name}"),
        default=rule.default,
        metavar=takes,
        help=f"{kind}: {rule.does}; default: {default}",
    )


DATA_VERBS = (
    Verb(
        name="data check",
        run="seq2seq.tasks.translation.commands:data_check",
        options=_check,
        help="report odd lines, duplicates, outliers and overlap",
        subject="config",
        takes_keys=True,
        examples=(
            "seq2seq data check recipes/quickstart/config.yaml",
            "seq2seq data check recipes/multi30k/de-en.yaml --data.folder path/to/multi30k",
            "seq2seq data check config.yaml --data.train.limit 100000",
            "seq2seq data check --data.train.source train.en --data.train.target train.pt",
            "seq2seq data check --data.train.path pairs.tsv --data.test.path test.tsv",
        ),
    ),
    Verb(
        name="data clean",
        run="seq2seq.tasks.translation.cleaning:data_clean",
        options=_clean,
        help="write pairs without what `data check` counts: duplicates, outliers, odd characters",
        takes_keys=True,
        examples=(
            "seq2seq data clean train.tsv --output clean.tsv --rejected rejected.tsv",
            "seq2seq data clean train.en train.pt --output clean.en.gz clean.pt.gz --words 100",
            "seq2seq data clean recipes/quickstart/config.yaml --near-duplicates on --format json",
            "seq2seq data clean crawled.jsonl --source-column translation.en --target-column "
            "translation.pt --held-out test.tsv --copied on --numbers on --output clean.jsonl",
            "zcat crawled.tsv.gz | seq2seq data clean - --target-script CYRILLIC --ratio 3 "
            "--duplicates either --output - > clean.tsv",
        ),
    ),
)
