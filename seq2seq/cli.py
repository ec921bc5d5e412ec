"""The command line: parse and hand over. Nothing heavy is imported before a verb runs."""

import argparse
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import NoReturn, TypeAlias, get_args

from seq2seq import __version__
from seq2seq.errors import Seq2SeqError, StorageError, nearest
from seq2seq.measures import MetricName

EXAMPLES = {
    "": """
  seq2seq train recipes/quickstart/config.yaml
  echo 'Total: $5.00' | seq2seq translate runs/quickstart
  seq2seq evaluate runs/quickstart
  seq2seq generate runs/shakespeare --prompt 'ROMEO:' --temperature 0.8
  seq2seq config translation""",
    "train": """
  seq2seq train recipes/quickstart/config.yaml
  seq2seq train recipes/multi30k/de-en.yaml --data.folder path/to/multi30k
  seq2seq train config.yaml --model.encoder.cell gru --folder runs/gru
  seq2seq train config.yaml --train.minutes 30 --train.seed 2
  seq2seq train config.yaml --dry-run""",
    "translate": """
  seq2seq translate runs/quickstart source.txt > output.txt
  echo 'Total: $5.00' | seq2seq translate runs/quickstart
  seq2seq translate runs/quickstart source.txt.gz --beam-size 10 --output output.txt
  seq2seq translate runs/quickstart source.txt --format jsonl --n-best 5
  seq2seq translate runs/g2p/kor-1 words.txt --ensemble runs/g2p/kor-2 runs/g2p/kor-3""",
    "generate": """
  seq2seq generate runs/shakespeare --prompt 'ROMEO:' --length 500 --temperature 0.8
  seq2seq generate runs/python-source --prompt 'def ' --seed 1 --stop 'class ' --stop $'\\n\\n'
  seq2seq generate runs/shakespeare --samples 64 --seed 1 --format jsonl --output samples.jsonl
  seq2seq generate runs/shakespeare --top-p 0.9 --repetition-penalty 1.1
  seq2seq generate runs/shakespeare --length 100000 --no-end --output play.txt""",
    "evaluate": """
  seq2seq evaluate runs/quickstart
  seq2seq evaluate runs/quickstart --source test.en --reference test.pt --metrics exact bleu
  seq2seq evaluate runs/g2p/kor-1 --ensemble runs/g2p/kor-2 runs/g2p/kor-3 --mistakes 10
  seq2seq evaluate runs/words --pairs test.tsv --output spoken.txt --format json
  seq2seq evaluate runs/shakespeare --text sonnets.txt --window 256""",
    "score": """
  seq2seq score output.txt --reference reference.txt
  seq2seq translate runs/quickstart test.en | seq2seq score - --reference test.pt
  seq2seq score output.txt --reference reference.txt --metrics bleu chrf ter exact
  seq2seq score output.txt --reference reference.txt --lowercase
  seq2seq score output.txt --reference reference.txt --format json""",
    "info": """
  seq2seq info runs/quickstart
  seq2seq info runs/quickstart --weights
  seq2seq info runs/multi30k-de-en
  seq2seq info runs/* | grep best
  seq2seq info runs/quickstart runs/multi30k-de-en""",
    "config": """
  seq2seq config translation
  seq2seq config translation model.encoder
  seq2seq config language-model sampling
  seq2seq config translation | grep dropout
  seq2seq config translation --format yaml > config.yaml""",
    "average": """
  seq2seq average runs/multi30k-de-en
  seq2seq average runs/multi30k-de-en --last 5
  seq2seq average runs/multi30k-de-en --last 3 --name last-3
  seq2seq translate runs/multi30k-de-en test.de --checkpoint average
  seq2seq evaluate runs/multi30k-de-en --checkpoint last-3""",
    "tokenizer": """
  seq2seq tokenizer train text.txt --output pipeline --tokenizer bpe --vocab_size 4000
  seq2seq tokenizer train train.en train.pt --output pipeline --split_digits true
  seq2seq tokenizer encode pipeline text.txt
  echo 'Total: $5.00' | seq2seq tokenizer encode runs/quickstart/pipeline/source --format ids
  seq2seq tokenizer encode pipeline text.txt --format ids | seq2seq tokenizer decode pipeline""",
    "tokenizer train": """
  seq2seq tokenizer train text.txt --output pipeline
  seq2seq tokenizer train text.txt --output pipeline --tokenizer bpe --vocab_size 4000
  seq2seq tokenizer train train.en train.pt --output pipeline --split_digits true
  seq2seq tokenizer train text.txt --output pipeline --tokenizer char --normalizers "[nfc]"
  cat text.txt | seq2seq tokenizer train - --output pipeline --tokenizer word --vocab_size 0""",
    "tokenizer encode": """
  seq2seq tokenizer encode pipeline text.txt
  seq2seq tokenizer encode pipeline text.txt --format ids > ids.txt
  seq2seq tokenizer encode runs/quickstart/pipeline/source text.txt
  echo 'Total: $5.00' | seq2seq tokenizer encode pipeline
  seq2seq tokenizer encode pipeline text.txt.gz | head""",
    "tokenizer decode": """
  seq2seq tokenizer decode pipeline ids.txt
  seq2seq tokenizer decode runs/quickstart/pipeline/target ids.txt
  echo "8 15 4" | seq2seq tokenizer decode pipeline
  seq2seq tokenizer encode pipeline text.txt --format ids | seq2seq tokenizer decode pipeline
  seq2seq tokenizer decode pipeline ids.txt > text.txt""",
    "data": """
  seq2seq data check recipes/quickstart/config.yaml
  seq2seq data check recipes/multi30k/de-en.yaml --data.folder path/to/multi30k
  seq2seq data check config.yaml --data.train.limit 100000
  seq2seq data check --data.train.source train.en --data.train.target train.pt
  seq2seq data check --data.train.path pairs.tsv --data.test.path test.tsv""",
}
EXAMPLES["data check"] = EXAMPLES["data"]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise Seq2SeqError(f"{message}; see `{self.prog} --help`")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses; options, values and keys of a verb may stand in any order."""
        if self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        words, keys = self._sort(args)
        options, unknown = super().parse_known_args(words, namespace)
        own = self._option_string_actions
        slips = [key for key in _without_value(keys) if nearest(key, own)]
        unknown += slips if options.takes_keys else keys
        if unknown:
            close = nearest(unknown[0], own)
            self.error(f"{unknown[0]}: unexpected argument{close}")
        options.keys = keys
        return options, []

    def _sort(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Puts positional words before options, and takes out what may be configuration keys.

        argparse alone takes the value of a key it does not know, or the files after an option,
        for something else.
        """
        parts: dict[str, list[str]] = {"positional": [], "option": [], "key": []}
        rest = list(words)
        while rest:
            word = rest.pop(0)
            option, equals, _ = word.partition("=")
            action = self._option_string_actions.get(option)
            kind = "option" if action else "key" if word.startswith("--") else "positional"
            parts[kind].append(word)
            most = 0 if equals or kind == "positional" else 1
            if action is not None and action.nargs is not None:
                most = len(rest) if action.nargs == "+" else 0
            while most and rest and not rest[0].startswith("--"):
                parts[kind].append(rest.pop(0))
                most -= 1
        return parts["positional"] + parts["option"], parts["key"]

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Names what is accepted as every other message does."""
        if action.choices is None or value in action.choices:
            return
        name = action.option_strings[0] if action.option_strings else action.metavar
        accepted = list(action.choices)
        close = nearest(str(value), accepted)
        raise Seq2SeqError(f"{name}: must be one of {', '.join(accepted)}, got {value!r}{close}")


def _without_value(keys: Sequence[str]) -> list[str]:
    """Returns the keys after which no value stands."""
    return [
        key
        for key, after in pairwise([*keys, "--"])
        if key.startswith("--") and "=" not in key and after.startswith("--")
    ]


Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"


def _add(verbs: Verbs, path: str, text: str) -> "_Parser":
    """Adds a verb with its examples."""
    parser = verbs.add_parser(
        path.split()[-1],
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog="examples:" + EXAMPLES[path],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(verb=path, takes_keys=False)
    return parser


def _train(verbs: Verbs) -> None:
    parser = _add(verbs, "train", "train a model, or go on training it")
    parser.add_argument("config", metavar="CONFIG", help="YAML file; see `seq2seq config`")
    parser.add_argument(
        "--dry-run", action="store_true", help="two steps of everything; leaves nothing behind"
    )
    parser.epilog = (
        "Any key of the configuration may follow: --model.encoder.cell gru --folder runs/gru\n\n"
        f"{parser.epilog}"
    )
    parser.set_defaults(takes_keys=True)


def _run(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that uses a trained model."""
    parser.add_argument("run", metavar="RUN", help="folder that `seq2seq train` wrote")
    parser.add_argument(
        "--checkpoint", default="best", metavar="NAME", help="best, last, a step, or a name"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--precision", choices=("float32", "int8"), help="int8 is faster; default: float32"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads")


def _search(parser: argparse.ArgumentParser) -> None:
    """Adds the options of everything that searches for texts."""
    _run(parser)
    parser.add_argument(
        "--ensemble", nargs="+", default=[], metavar="RUN", help="more runs, to translate with RUN"
    )
    parser.add_argument("--beam-size", type=int, metavar="K", help="hypotheses kept; 1 is greedy")
    parser.add_argument("--length-penalty", type=float, metavar="X", help="0 favours short texts")
    parser.add_argument("--min-length", type=int, metavar="N", help="least tokens")
    parser.add_argument("--max-length", type=int, metavar="N", help="most tokens")
    parser.add_argument("--no-repeat-ngram", type=int, metavar="N", help="never repeat n tokens")
    parser.add_argument("--batch-size", type=int, metavar="N", help="texts at once; default: 64")


def _translate(verbs: Verbs) -> None:
    parser = _add(verbs, "translate", "translate files or standard input, line by line")
    _search(parser)
    parser.add_argument("files", nargs="*", default=["-"], metavar="FILE", help="- is a pipe")
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")
    parser.add_argument("--n-best", type=int, default=1, metavar="N", help="needs --format jsonl")
    parser.add_argument(
        "--errors", choices=("strict", "replace"), default="strict", help="what invalid UTF-8 does"
    )


def _generate(verbs: Verbs) -> None:
    parser = _add(verbs, "generate", "generate text with a language model")
    _run(parser)
    parser.add_argument("--prompt", metavar="TEXT", help="go on from here; --prompt=-x with a dash")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="most characters")
    parser.add_argument("--temperature", type=float, metavar="X", help="0 takes the likeliest")
    parser.add_argument("--top-k", type=int, metavar="K", help="only the K likeliest tokens")
    parser.add_argument("--top-p", type=float, metavar="P", help="only the nucleus, in (0, 1]")
    parser.add_argument("--min-p", type=float, metavar="P", help="least share of the likeliest")
    parser.add_argument("--typical", type=float, metavar="P", help="typical tokens, in (0, 1]")
    parser.add_argument("--repetition-penalty", type=float, metavar="X", help="at least 1")
    parser.add_argument("--repetition-window", type=int, metavar="N", help="tokens looked back at")
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end before it; may be repeated"
    )
    parser.add_argument("--no-end", action="store_true", help="go on where a document would end")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same text")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts")
    parser.add_argument(
        "--unknown",
        choices=("refuse", "replace"),
        default="refuse",
        help="what a prompt's characters do that the model does not know",
    )
    parser.add_argument("--output", metavar="FILE", help="write here instead of standard output")
    parser.add_argument("--format", choices=("text", "jsonl"), default="text")
    parser.epilog = (
        "Options of sampling, from --temperature to --repetition-window, default to the run's\n"
        "configuration; see `seq2seq config language-model sampling`.\n\n"
        f"{parser.epilog}"
    )


def _measured(parser: argparse.ArgumentParser, metrics: Sequence[str], default: str) -> None:
    """Adds the options of everything that prints scores."""
    names = get_args(MetricName)
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=names,
        default=list(metrics),
        metavar="NAME",
        help=f"some of {', '.join(names)}; default: {default}",
    )
    parser.add_argument("--lowercase", action="store_true", help="score without case")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _evaluate(verbs: Verbs) -> None:
    parser = _add(verbs, "evaluate", "measure a run on a test set, or on a text")
    _search(parser)
    parser.add_argument("--source", metavar="FILE", help="default: the configuration's data.test")
    parser.add_argument("--reference", metavar="FILE", help="belongs with --source")
    parser.add_argument(
        "--pairs", metavar="FILE", help="or both in one: TSV, JSONL, a folder of datasets"
    )
    parser.add_argument("--output", metavar="FILE", help="write the translations here")
    parser.add_argument(
        "--mistakes", type=int, default=0, metavar="N", help="show the N commonest mistakes"
    )
    parser.add_argument(
        "--text", nargs="+", default=[], metavar="FILE", help="for a language model: another text"
    )
    parser.add_argument(
        "--documents",
        choices=("file", "line", "paragraph"),
        help="what a document of a text is; default: what it is in the configuration",
    )
    parser.add_argument(
        "--window", type=int, metavar="N", help="of a language model: tokens; default: 256"
    )
    _measured(parser, [], "what suits the task")


def _score(verbs: Verbs) -> None:
    parser = _add(verbs, "score", "score translations against references")
    parser.add_argument("hypotheses", metavar="HYPOTHESES", help="one a line; - is a pipe")
    parser.add_argument("--reference", required=True, metavar="FILE", help="one a line")
    _measured(parser, ["bleu", "chrf", "ter"], "bleu chrf ter")


def _info(verbs: Verbs) -> None:
    parser = _add(verbs, "info", "tell what a run folder holds")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--weights", action="store_true", help="names, shapes and sizes of weights")


def _config(verbs: Verbs) -> None:
    parser = _add(verbs, "config", "list every key of the configuration")
    parser.add_argument("task", metavar="TASK", help="translation, transduction or language-model")
    parser.add_argument("prefix", nargs="?", default="", help="only the keys below this one")
    parser.add_argument("--format", choices=("table", "yaml"), default="table")


def _average(verbs: Verbs) -> None:
    parser = _add(verbs, "average", "average the weights of a run's last checkpoints")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--last", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument("--name", default="average", help="of the new checkpoint")


def _tokenizer(verbs: Verbs) -> None:
    parser = _add(verbs, "tokenizer", "train and try out tokenization pipelines")
    inner = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    train = _add(inner, "tokenizer train", "learn a pipeline from text")
    train.add_argument("files", nargs="+", metavar="FILE", help="text, one a line; - is a pipe")
    train.add_argument("--output", required=True, metavar="FOLDER", help="where the pipeline goes")
    train.epilog = (
        "Any key of a pipeline may follow, as in `seq2seq config translation source`.\n\n"
        f"{train.epilog}"
    )
    train.set_defaults(takes_keys=True)
    for verb, text in (
        ("encode", "cut text into tokens or ids"),
        ("decode", "join ids to text"),
    ):
        one = _add(inner, f"tokenizer {verb}", text)
        one.add_argument("pipeline", metavar="PIPELINE", help="folder of a pipeline")
        one.add_argument("file", nargs="?", default="-", metavar="FILE", help="- is a pipe")
        if verb == "encode":
            one.add_argument("--format", choices=("tokens", "ids"), default="tokens")


def _data(verbs: Verbs) -> None:
    parser = _add(verbs, "data", "look at corpora")
    inner = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    check = _add(inner, "data check", "report odd lines, duplicates, outliers and overlap")
    check.add_argument("config", nargs="?", metavar="CONFIG", help="whose data to check")
    check.set_defaults(takes_keys=True)


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole command line."""
    parser = _Parser(
        prog="seq2seq",
        description="Recurrent sequence models: text in; a translator, transducer or writer out.",
        epilog="examples:" + EXAMPLES[""],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"seq2seq {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for add in (
        _train, _translate, _generate, _evaluate, _score,
        _info, _config, _average, _tokenizer, _data,
    ):  # fmt: skip
        add(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or what the error says."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _log_to_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):  # texts are UTF-8 whatever the terminal's locale
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        options = make_parser().parse_args(words)
        verb: Callable[[argparse.Namespace], None] = getattr(
            import_module("seq2seq.commands"), options.verb.replace(" ", "_")
        )
        verb(options)
        sys.stdout.flush()
    except Seq2SeqError as error:
        return _fail(error, str(error), error.exit_code, "--debug" in words)
    except BrokenPipeError:  # the reader has had enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # what nothing nearer to it foresaw: a full disk below a pipe, say
        text = f"{error.filename or 'standard output'}: {error.strerror or error}"
        return _fail(error, text, StorageError.exit_code, "--debug" in words)
    except KeyboardInterrupt as error:
        return _fail(error, "interrupted", 130, "--debug" in words)
    return 0


def _fail(error: BaseException, text: str, code: int, debug: bool) -> int:
    """Prints one line, or the traceback."""
    if debug:
        traceback.print_exception(error)
    else:
        print(f"seq2seq: {text}", file=sys.stderr)
    return code


def _log_to_stderr() -> None:
    """Shows the package's log, one line each."""
    log = logging.getLogger("seq2seq")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


if __name__ == "__main__":
    sys.exit(main())
