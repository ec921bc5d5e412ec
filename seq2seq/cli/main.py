"""From words to a verb: which task serves it, with which options."""

import argparse
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq import __version__
from seq2seq.cli.parser import Parser
from seq2seq.cli.verbs import FAMILIES, SHARED, Served, all_verbs, run_options, verbs_of
from seq2seq.errors import (
    CheckpointError,
    OutOfMemory,
    Seq2SeqError,
    StorageError,
    at_home,
    is_out_of_memory,
)
from seq2seq.lazy import imported
from seq2seq.tasks.verb import Verb
from seq2seq.training.interruption import Interruption, Stopped

TASK = re.compile(r"^task: *[\"']?([\w-]+)", re.MULTILINE)
"""Where a run's configuration names its task."""


def make_parser(words: Sequence[str] = ()) -> Parser:
    """Returns the parser of the whole command line.

    Where there are ``words``, only the verb among them gets its options. One that several tasks
    serve gets those of the run's task, if ``words`` name a run, otherwise those of all.
    """
    verbs = all_verbs()
    parser = Parser(
        prog="seq2seq",
        description="Recurrent sequence models: text or tables in; translators, forecasters out.",
        epilog=_examples([served[0].verb.examples[0] for served in verbs.values()][:5]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"seq2seq {__version__}")
    top = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    families: dict[str, Any] = {}
    for name, served in verbs.items():
        family, _, below = name.partition(" ")
        if below and family not in families:
            families[family] = _add_family(top, family, verbs)
        _add(families[family] if below else top, below or family, served, words)
    return parser


def _add_family(top: Any, family: str, verbs: Mapping[str, list[Served]]) -> Any:  # noqa: ANN401
    """Adds a word that only has verbs below it, and returns where these belong."""
    below = [
        served[0].verb.examples for name, served in verbs.items() if name.startswith(f"{family} ")
    ]
    in_turn = [example for examples in zip(*below, strict=False) for example in examples]
    parser = top.add_parser(
        family,
        help=FAMILIES[family],
        description=f"{FAMILIES[family][0].upper()}{FAMILIES[family][1:]}.",
        epilog=_examples(in_turn[:5]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser.add_subparsers(title="verbs", metavar="VERB", required=True)


def _add(verbs: Any, name: str, served: list[Served], words: Sequence[str]) -> None:  # noqa: ANN401
    """Adds a verb: as one task serves it, or as all do."""
    text = SHARED.get(name) or served[0].verb.help
    if words and name not in words:  # listed only: its options are not asked for
        verbs.add_parser(name, help=text, add_help=False)
        return
    parser: Parser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    if served[0].verb.subject == "run":
        run_options(parser)
    chosen = served if len(served) == 1 else _chosen(parser, served, words)
    if len(chosen) == 1:
        chosen[0].verb.options(parser)
    else:
        _add_all(parser, chosen)
    examples = [example for variant in chosen for example in variant.verb.examples]
    parser.epilog = (parser.epilog or "") + _examples(examples)
    parser.set_defaults(served=chosen, takes_keys=chosen[0].verb.takes_keys)


def _examples(lines: Sequence[str]) -> str:
    return "".join(["examples:", *(f"\n  {line}" for line in lines)])


def _chosen(parser: Parser, served: list[Served], words: Sequence[str]) -> list[Served]:
    """Returns the verb as the run's task serves it, or as all do where no run is named."""
    if not words or words[0] != parser.prog.split()[-1]:
        return served
    everything = Parser(add_help=False, conflict_handler="resolve")
    run_options(everything)
    for variant in served:
        variant.verb.options(everything)
    run = next((word for word in everything.sort(words[1:])[0] if word[:1] != "-"), "")
    task = task_in(Path(at_home(run)))
    chosen = [variant for variant in served if task in variant.tasks]
    if chosen:
        others: dict[str, list[str]] = {}
        for other in (variant for variant in served if variant not in chosen):
            for option in _own_parser(other)._option_string_actions:
                others.setdefault(option, []).extend(other.tasks)
        parser.elsewhere = {
            option: f"{option}: is for {', '.join(tasks)}; {run} is a run of {task}, see "
            f"`{parser.prog} {run} --help`"
            for option, tasks in others.items()
        }
    return chosen or served


def _own_parser(served: Served) -> Parser:
    """Returns a parser of a verb's own options."""
    parser = Parser(add_help=False)
    served.verb.options(parser)
    return parser


def _add_all(parser: Parser, served: list[Served]) -> None:
    """Adds the options of several tasks; the help shows them task by task."""
    groups = []
    for variant in served:
        options = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
        variant.verb.options(options)
        listed = options.format_help().partition("options:\n")[2]
        groups.append(f"options for {', '.join(variant.tasks)}:\n{listed}")
        for action in options._actions:
            same = [one for one in parser._actions if set(_names_of(one)) & set(_names_of(action))]
            for known in same:
                known.choices = _joined(known.choices, action.choices)
            if not same:
                action.help = argparse.SUPPRESS  # it stands among those of its task
                parser._add_action(action)
    parser.epilog = "\n".join([*groups, ""])


def _joined(choices: Iterable[Any] | None, others: Iterable[Any] | None) -> Iterable[Any] | None:
    """Returns what an option of several tasks takes: all that one of them takes; None: anything."""
    return None if choices is None or others is None else [*dict.fromkeys([*choices, *others])]


def _names_of(action: argparse.Action) -> Sequence[str]:
    """Returns the names of an option, or that of a positional word."""
    return action.option_strings or [action.dest]


def _names(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in _names_of(action)}


def task_in(folder: Path) -> str | None:
    """Returns the task of a run, read in a hurry; None where there is no run."""
    try:
        line = TASK.search((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return line and line[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or what the error says."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # texts are UTF-8 whatever the terminal's locale
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        with Interruption() as interruption:
            with interruption.ending():
                options = make_parser(words).parse_args(words)
                _log_to_stderr()
                run = imported(_verb(options).run)
            with interruption.at_once():
                run(options)
                sys.stdout.flush()
    except (Seq2SeqError, Stopped) as error:
        return _fail(error, str(error), error.exit_code, "--debug" in words)
    except BrokenPipeError:  # the reader has had enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # what nothing nearer to it foresaw: a full disk below a pipe, say
        text = f"{error.filename or 'standard output'}: {error.strerror or error}"
        return _fail(error, text, StorageError.exit_code, "--debug" in words)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        text = f"memory is full; {_remedy(words)}"
        return _fail(error, text, OutOfMemory.exit_code, "--debug" in words)
    except KeyboardInterrupt as error:
        return _fail(error, "interrupted", 130, "--debug" in words)
    return 0


def _remedy(words: Sequence[str]) -> str:
    """Returns what a verb can be told to do with less memory."""
    if words[:1] == ["train"]:
        return "choose a smaller data.batch, or smaller sizes of the model"
    return (
        "choose a smaller --batch-size or --beam-size where the verb has them, or a shorter input"
    )


def _verb(options: argparse.Namespace) -> Verb:
    """Returns the verb as the task of the run or configuration serves it.

    Raises:
        CheckpointError: That task has no such verb.
    """
    served: list[Served] = options.served
    if served[0].verb.subject == "other":
        return served[0].verb
    place, task = imported("seq2seq.cli.commands:subject")(options, served[0].verb)
    for variant in served:
        if task in variant.tasks:
            _refuse_foreign(options, variant, f"{place} is for {task}")
            return variant.verb
    raise CheckpointError(
        f"{place}: its task is {task}, which has no `{served[0].verb.name}`; it has "
        f"{', '.join(verbs_of(task))}"
    )


def _refuse_foreign(options: argparse.Namespace, chosen: Served, place: str) -> None:
    """Raises a :class:`Seq2SeqError` if an option was given that only other tasks have."""
    own = _names(_own_parser(chosen))
    for other in options.served:
        for action in _own_parser(other)._actions:
            given = getattr(options, action.dest, action.default) != action.default
            if given and own.isdisjoint(_names_of(action)):
                name, tasks = _names_of(action)[0], ", ".join(other.tasks)
                raise Seq2SeqError(f"{name}: is for {tasks}; {place}")


def _fail(error: BaseException, text: str, code: int, debug: bool) -> int:
    """Prints one line, or the traceback."""
    if debug:
        import traceback

        traceback.print_exception(error)
    else:
        print(f"seq2seq: {text}", file=sys.stderr)
    return code


def _log_to_stderr() -> None:
    """Shows the package's log, one line each."""
    import logging

    log = logging.getLogger("seq2seq")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
