"""The verbs that judge texts: how likely they are, which of them is best, which system is."""

import argparse

from seq2seq.errors import require_name
from seq2seq.lazy import LazyNames
from seq2seq.lists import FORMS
from seq2seq.tasks.translation.scorers import SCORERS
from seq2seq.tasks.verb import (
    Verb,
    device_options,
    metric_options,
    output_options,
    precision_option,
    reference_option,
)


def pair_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for pairs that stand in one file."""
    parser.add_argument(
        "--pairs", metavar="FILE", help="or both in one: TSV, JSONL, a folder of datasets"
    )
    for side in ("source", "target"):
        parser.add_argument(
            f"--{side}-column",
            metavar="NAME",
            help=f"of --pairs, the {side}'s; default: as in the run's own files of that format",
        )


def _score_pairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        default=["-"],
        metavar="FILE",
        help="in each line a source, a tab and a target; - is a pipe",
    )
    for side in ("source", "target"):
        parser.add_argument(f"--{side}", metavar="FILE", help=f"or {side}s by themselves")
    pair_options(parser)
    precision_option(parser)
    parser.add_argument(
        "--ensemble", nargs="+", default=[], metavar="RUN", help="more runs, to score with RUN"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="pairs at once; default: 64")
    parser.add_argument(
        "--normalize",
        action="store_true",
        help="divide by length, the end symbol counted, to the run's search.length_penalty, as the "
        "scores of `translate` are",
    )
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument(
        "--format",
        choices=("text", "tsv", "jsonl"),
        default="text",
        help="text: a log-probability in nats a line; tsv: the pair after it; jsonl: also that of "
        "each token",
    )


def _rerank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lists",
        nargs="?",
        default="-",
        metavar="FILE",
        help="what `translate --format jsonl --n-best N` writes; - is a pipe",
    )
    for kind, scorer in SCORERS.items():
        if scorer.load is not None:
            parser.add_argument(f"--{kind}", nargs="+", default=[], metavar="RUN", help=scorer.help)
    parser.add_argument(
        "--tune",
        action="append",
        metavar="FILE",
        help="references, one a line: find the weights whose choice scores best, and write these "
        "in place of texts; may be repeated, and any is right",
    )
    parser.add_argument(
        "--metric",
        type=_counted,
        metavar="NAME",
        help="what --tune makes best: bleu or chrf; default: bleu",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="what --tune wrote; it names the runs. Without it all runs, and the score in the "
        "list, weigh the same",
    )
    output_options(parser)
    device_options(parser)


def _counted(name: str) -> str:
    """Returns the name of a metric that can be tuned for; their table is imported only now."""
    require_name(name, "--metric", LazyNames("seq2seq.evaluation.counted:COUNTED"))
    return name


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="run folders, and files of translations: one a line, or WMT's .sgm or .xml, of which "
        "all systems count",
    )
    parser.add_argument(
        "--system", nargs="+", default=[], metavar="NAME", help="only these of .sgm and .xml"
    )
    parser.add_argument("--source", metavar="FILE", help="default: the first run's data.test")
    reference_option(parser, "for each of the sources", required=False)
    _testing(parser)
    _analysis(parser)
    parser.add_argument("--checkpoint", metavar="NAME", help="of the runs; default: best")
    device_options(parser)
    precision_option(parser)
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts at once; default: 64")
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    metric_options(
        parser,
        [],
        "what suits the first run, else bleu chrf",
        "the first run's own, else auto",
        (*FORMS, "json"),
    )


def _testing(parser: argparse.ArgumentParser) -> None:
    """Adds the options of tests of significance."""
    parser.add_argument(
        "--test",
        choices=("bootstrap", "randomization"),
        default="bootstrap",
        help="paired bootstrap resampling, or paired approximate randomization",
    )
    parser.add_argument(
        "--trials", type=int, default=0, metavar="N", help="default: 1000, and 10000"
    )


def _analysis(parser: argparse.ArgumentParser) -> None:
    """Adds the options for where systems differ."""
    parser.add_argument(
        "--analysis",
        type=int,
        metavar="N",
        help="also lines with faults, scores by length, by document and by how often words stand "
        "in training texts, and the N lines that differ most",
    )
    parser.add_argument(
        "--train",
        nargs="+",
        default=[],
        metavar="FILE",
        help="training texts of the target side, for --analysis; default: the first run's, else "
        "the references",
    )
    parser.add_argument("--plot", metavar="FILE", help="draw scores by length and word, as PNG")


JUDGING = (
    Verb(
        name="score-pairs",
        run="seq2seq.tasks.translation.scoring_commands:score_pairs",
        options=_score_pairs,
        help="tell how likely given pairs of texts are",
        subject="run",
        examples=(
            "seq2seq score-pairs runs/quickstart pairs.tsv > log-probabilities.txt",
            "paste source.txt target.txt | seq2seq score-pairs runs/quickstart --normalize",
            "seq2seq score-pairs runs/quickstart --source test.en --target test.pt --format jsonl",
            "seq2seq score-pairs runs/g2p/kor-1 --pairs pairs.jsonl --ensemble runs/g2p/kor-2",
            "seq2seq score-pairs runs/quickstart pairs.tsv --normalize --format tsv "
            "| awk '$1 + 0 > -4' | cut -f 2,3 > kept.tsv",
        ),
    ),
    Verb(
        name="rerank",
        run="seq2seq.tasks.translation.reranking_commands:rerank",
        options=_rerank,
        help="choose among the hypotheses of n-best lists by more runs",
        examples=(
            "seq2seq rerank valid.jsonl --direct runs/right-to-left --reverse runs/en-de "
            "--language-model runs/english --tune valid.en --output weights.json",
            "seq2seq rerank test.jsonl --weights weights.json > test.en",
            "seq2seq translate runs/de-en test.de --n-best 20 --format jsonl "
            "| seq2seq rerank --weights weights.json",
            "seq2seq rerank test.jsonl --weights weights.json --format jsonl | head -n 1",
            "seq2seq rerank valid.jsonl --direct runs/right-to-left --tune valid.en --metric chrf",
        ),
    ),
    Verb(
        name="compare",
        run="seq2seq.tasks.translation.comparing:compare_systems",
        options=_compare,
        help="compare systems: scores, intervals, and whether they differ by chance",
        examples=(
            "seq2seq compare runs/multi30k-de-en runs/gru",
            "seq2seq compare one.txt other.txt --reference reference.txt",
            "seq2seq compare runs/quickstart output.txt --source test.en --reference test.pt "
            "--analysis 10 --plot lengths.png --format markdown --output report.md",
            "seq2seq compare wmt22.xml mine.txt --reference wmt22.xml --system A B "
            "--translator refA --test randomization --format latex",
            "seq2seq compare runs/g2p/kor-1 runs/g2p/kor-2 --metrics wer per --format json",
        ),
    ),
)
