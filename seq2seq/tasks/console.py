"""What verbs share: the options that were given, messages that name options, output files."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from gzip import GzipFile
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from seq2seq.device import cores
from seq2seq.errors import ConfigError, DataError, StorageError
from seq2seq.evaluation.metrics import Score
from seq2seq.evaluation.tables import scores_json, scores_table
from seq2seq.search.config import SamplingConfig

LOADING = ("checkpoint", "device", "precision")
"""The options that say how a run is loaded."""
SAMPLING = tuple(field.name for field in fields(SamplingConfig))
"""The options that say how tokens are drawn."""


def given(options: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Returns the settings that were given as options."""
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


@contextmanager
def as_options(options: Namespace) -> Iterator[None]:
    """Names settings in messages as the command line does: length_penalty is --length-penalty."""
    try:
        yield
    except (ConfigError, DataError) as error:
        key, colon, rest = str(error).partition(":")
        if key not in options:
            raise
        raise type(error)(f"--{key.replace('_', '-')}{colon}{rest}") from None


def use_threads(options: Namespace) -> None:
    """Sets the number of threads that the options ask for."""
    cores.use_threads(options.threads, "--threads")


def print_scores(scores: list[Score], form: str) -> None:
    """Prints scores as a table or as JSON."""
    print(scores_json(scores) if form == "json" else scores_table(scores))


def one_line(text: str) -> str:
    """Returns a text that keeps the lines of the output beside those of the input."""
    return text.replace("\n", " ")


def _is_standard_output(path: str) -> bool:
    """Tells whether a path, such as /dev/stdout, is what standard output goes to already."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # there is no such file yet, or standard output is none
        return False


@contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Opens where the output goes; a file appears only when it is whole, packed if named ``*.gz``.

    ``-``, and whatever standard output already is, is standard output.

    Raises:
        DataError: The path is a folder, or nothing can be written there.
        StorageError: The disk refused.
    """
    if path is None or path == "-" or _is_standard_output(path):
        yield sys.stdout
        return
    final = Path(path).resolve()
    if final.is_dir():
        raise DataError(f"{path} is a directory; a file is needed")
    # A device or a pipe, such as /dev/null, is written to, and never replaced.
    special = final.exists() and not final.is_file()
    draft = final if special else final.with_name(f".tmp-{os.getpid()}-{final.name}")
    try:
        raw = draft.open("wb")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        # Without a time and a name the same texts make the same file.
        packed = GzipFile("", "wb", fileobj=raw, mtime=0) if path.endswith(".gz") else raw
        with raw, TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
            yield file
        if not special:
            draft.replace(final)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        if not special:
            draft.unlink(missing_ok=True)
