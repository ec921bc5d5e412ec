"""The verbs of tasks that turn texts into texts."""

import argparse

from seq2seq.errors import require_name
from seq2seq.lazy import LazyNames
from seq2seq.tasks.translation.data_verbs import DATA_VERBS
from seq2seq.tasks.translation.judging_verbs import JUDGING, pair_options
from seq2seq.tasks.verb import (
    Verb,
    metric_options,
    output_options,
    precision_option,
    reference_option,
    sampling_options,
)
from seq2seq.text.sentences import SPLITS

COMMANDS = "seq2seq.tasks.translation.commands"


def _search(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that searches for texts."""
    precision_option(parser)
    _ensemble(parser)
    parser.add_argument("--beam-size", type=int, metavar="K", help="hypotheses kept; 1 is greedy")
    parser.add_argument("--length-penalty", type=float, metavar="X", help="0 favours short texts")
    parser.add_argument(
        "--coverage-penalty", type=float, metavar="X", help="above 0: less is left untranslated"
    )
    parser.add_argument("--min-length", type=int, metavar="N", help="least tokens")
    parser.add_argument("--max-length", type=int, metavar="N", help="most tokens")
    parser.add_argument("--no-repeat-ngram", type=int, metavar="N", help="never repeat n tokens")
    parser.add_argument(
        "--groups", type=int, metavar="G", help="diverse beam search: parts of the beam that differ"
    )
    parser.add_argument(
        "--diversity", type=float, metavar="X", help="how much they do; default: 0.5"
    )
    parser.add_argument(
        "--glossary", metavar="FILE", help="source term, tab, target term a line: the latter stand"
    )
    parser.add_argument(
        "--ignore-case", action="store_true", default=None, help="of the glossary's source terms"
    )
    parser.add_argument(
        "--terms",
        choices=("hard", "soft"),
        help="soft: each counts --term-bonus nats",
    )
    parser.add_argument("--term-bonus", type=float, metavar="X", help="default: 5")
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts at once; default: 64")
    _choosing(parser)
    _copying(parser)


def _ensemble(parser: argparse.ArgumentParser) -> None:
    """Adds the options for several runs that translate together."""
    parser.add_argument(
        "--ensemble", nargs="+", default=[], metavar="RUN", help="more runs, to translate with RUN"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        type=float,
        metavar="X",
        help="of RUN and the runs of --ensemble, in their order; default: the same",
    )
    parser.add_argument(
        "--mean",
        choices=("arithmetic", "geometric"),
        help="how an ensemble averages probabilities; default: arithmetic",
    )


def _choosing(parser: argparse.ArgumentParser) -> None:
    """Adds the options for translations that are not the likeliest."""
    parser.add_argument(
        "--sample",
        action="store_true",
        help="draw translations instead of searching for the likeliest; from --temperature to "
        "--repetition-window, settings default to the run's; a seed that is not given is told",
    )
    sampling_options(parser)
    _mbr(parser)


def _mbr(parser: argparse.ArgumentParser) -> None:
    """Adds the options of minimum Bayes risk."""
    parser.add_argument(
        "--mbr",
        type=_utility,
        metavar="NAME",
        help="minimum Bayes risk: of several candidates, drawn where --sample is given and of a "
        "beam where not, the one most like all of them, by chrf or bleu",
    )
    parser.add_argument(
        "--candidates", type=int, metavar="N", help="of each text, for --mbr; default: 32"
    )


def _utility(name: str) -> str:
    """Returns the name of a measure of likeness; their table is imported only now."""
    require_name(name, "--mbr", LazyNames("seq2seq.search.config:UTILITIES"))
    return name


def _copying(parser: argparse.ArgumentParser) -> None:
    """Adds the options for what goes from sources to translations as it is."""
    parser.add_argument(
        "--replace-unknown",
        action="store_true",
        default=None,
        help="where the vocabulary lacks a word, write the source's that was looked at",
    )
    parser.add_argument(
        "--dictionary",
        metavar="FILE",
        help="for --replace-unknown: source word, tab and what is written for it, line by line",
    )
    parser.add_argument(
        "--placeholders",
        nargs="+",
        metavar="TEXT",
        help="symbols, such as '<url>', that source and translation share: told of where one is "
        "lost; default: those of source.symbols and target.symbols",
    )


def _alignments(parser: argparse.ArgumentParser) -> None:
    """Adds the options for what shows where translations come from."""
    parser.add_argument(
        "--alignments",
        metavar="FILE",
        help="write which source word each word comes from: 0-0 1-2 are source-target from 0",
    )
    parser.add_argument(
        "--alignment-unit",
        choices=("word", "token"),
        default="word",
        help="of --alignments: words parted by white space, or tokens as the model sees them",
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw where the first translation's tokens looked, as PNG"
    )


def _translate(parser: argparse.ArgumentParser) -> None:
    _search(parser)
    parser.add_argument("files", nargs="*", default=["-"], metavar="FILE", help="- is a pipe")
    output_options(
        parser,
        ("text", "jsonl", "tsv", "tsv-swapped"),
        "jsonl: also scores, tokens, alignments; tsv: source, tab, translation; tsv-swapped: "
        "translation, tab, source, pairs to learn the other direction from",
    )
    parser.add_argument(
        "--n-best", type=int, default=1, metavar="N", help="so many each; not with --format text"
    )
    _alignments(parser)
    parser.add_argument("--prefix", metavar="FILE", help="how translations begin, line by line")
    parser.add_argument(
        "--require", metavar="FILE", help="phrases, tabs between them, to stand in each translation"
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        help="translate each sentence of a line by itself; needs the extra `sentences`",
    )
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="by whose rules to split; default: as training files are named, such as train.de",
    )
    parser.add_argument(
        "--errors", choices=("strict", "replace"), default="strict", help="what invalid UTF-8 does"
    )


def _evaluate(parser: argparse.ArgumentParser) -> None:
    _search(parser)
    parser.add_argument("--source", metavar="FILE", help="default: the configuration's data.test")
    reference_option(parser, "belongs with --source", required=False)
    pair_options(parser)
    parser.add_argument(
        "--group-sources",
        action=argparse.BooleanOptionalAction,
        help="lines with the same source, as a word with several pronunciations has them, count as "
        "one with several references, of which any is right; --output still has a line for each. "
        "Default: as the run's validation.group_sources, else each line counts by itself",
    )
    parser.add_argument("--output", metavar="FILE", help="write the translations here")
    parser.add_argument(
        "--mistakes", type=int, default=0, metavar="N", help="show the N commonest mistakes"
    )
    metric_options(parser, [], "what suits the task", "the run's own")


VERBS = (
    Verb(
        name="translate",
        run=f"{COMMANDS}:translate",
        options=_translate,
        help="translate files or standard input, line by line",
        subject="run",
        examples=(
            "seq2seq translate runs/quickstart source.txt --glossary terms.tsv > output.txt",
            "echo 'Your order arrives on May 4, 2021.' | seq2seq translate runs/quickstart",
            "seq2seq translate runs/quickstart text.txt.gz --split sentences --output output.txt "
            "--alignments links.txt",
            "seq2seq translate runs/en-de english.txt --sample --seed 1 --format tsv-swapped "
            "--output back-translated.tsv",
            "seq2seq translate runs/g2p/kor-1 words.txt --ensemble runs/g2p/kor-2 runs/g2p/kor-3 "
            "--weights 2 1 1 --mbr chrf --format jsonl --n-best 5",
        ),
    ),
    Verb(
        name="evaluate",
        run=f"{COMMANDS}:evaluate",
        options=_evaluate,
        subject="run",
        examples=(
            "seq2seq evaluate runs/quickstart",
            "seq2seq evaluate runs/quickstart --source test.en --reference test.pt --metrics bleu",
            "seq2seq evaluate runs/words --pairs dictionary.tsv --group-sources",
            "seq2seq evaluate runs/g2p/kor-1 --ensemble runs/g2p/kor-2 --mistakes 10",
            "seq2seq evaluate runs/multi30k-de-en --precision int8 --sample --seed 1 --mbr chrf",
        ),
    ),
    *JUDGING,
    *DATA_VERBS,
)
