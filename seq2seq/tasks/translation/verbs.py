"""The verbs of tasks that turn texts into texts."""

import argparse

from seq2seq.errors import require_name
from seq2seq.lazy import LazyNames
from seq2seq.tasks.translation.scorers import SCORERS
from seq2seq.tasks.verb import (
    Verb,
    device_options,
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
    parser.add_argument("--ignore-case", action="store_true", help="of the glossary's source terms")
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
        default=[],
        metavar="TEXT",
        help="symbols, such as '<url>', that source and translation share: told of where one is "
        "lost",
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
    _pairs(parser)
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


def _pairs(parser: argparse.ArgumentParser) -> None:
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
    _pairs(parser)
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
        "systems", nargs="+", metavar="SYSTEM", help="run folders, and files of translations"
    )
    parser.add_argument("--source", metavar="FILE", help="default: the first run's data.test")
    reference_option(parser, "for each of the sources", required=False)
    parser.add_argument(
        "--test",
        choices=("bootstrap", "randomization"),
        default="bootstrap",
        help="paired bootstrap resampling, or paired approximate randomization",
    )
    parser.add_argument(
        "--trials", type=int, default=0, metavar="N", help="default: 1000, and 10000"
    )
    parser.add_argument(
        "--analysis",
        type=int,
        metavar="N",
        help="also lines with faults, scores by length, and the N lines that differ most",
    )
    parser.add_argument("--checkpoint", metavar="NAME", help="of the runs; default: best")
    device_options(parser)
    precision_option(parser)
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts at once; default: 64")
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    metric_options(parser, [], "bleu chrf", "auto")


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="whose data to check")


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
            "seq2seq compare runs/quickstart output.txt --source test.en --reference test.pt",
            "seq2seq compare one.txt other.txt --reference reference.txt --test randomization",
            "seq2seq compare runs/g2p/kor-1 runs/g2p/kor-2 --metrics wer per --format json",
        ),
    ),
    Verb(
        name="data check",
        run=f"{COMMANDS}:data_check",
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
)
