"""What a run tells: a progress bar, ``metrics.jsonl`` and ``train.log``."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Never

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

METRICS, LOG = "metrics.jsonl", "train.log"
log = logging.getLogger("seq2seq")

Row = Mapping[str, int | float]


@contextmanager
def report_to(path: Path) -> Iterator[None]:
    """Lets a run go on without a report that cannot be written or read, which is told once."""
    try:
        yield
    except OSError as error:
        _tell(path, error.strerror or str(error))


@cache
def _tell(path: Path, reason: str) -> None:
    """Says what is missing; once, since it is asked for again and again."""
    log.warning("%s: %s; the run goes on without it", path, reason)


def read_history(folder: Path) -> list[Row]:
    """Returns the rows of a run's ``metrics.jsonl``, oldest first, and not one cut by a crash.

    Lines that are damaged are left out, and counted in a warning.
    """
    path = folder / METRICS
    whole = b""
    with report_to(path):
        whole = path.read_bytes() if path.exists() else b""
    lines = whole.split(b"\n")[:-1]
    rows = [row for line in lines if (row := _row(line)) is not None]
    if len(rows) < len(lines):
        log.warning("%s: %d damaged lines are left out", path, len(lines) - len(rows))
    return rows


def _row(line: bytes) -> Row | None:
    """Returns what a line tells, without what was no number; None if it is damaged."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("step"), int):
        return None
    numbers = {key: one for key, one in found.items() if one is not None}
    fits = all(isinstance(one, int | float) for one in numbers.values())
    return numbers if fits else None


def _line(row: Row) -> str:
    """Returns a row as JSON, which has no word for what is no number but ``null``."""
    told = {key: one if math.isfinite(one) else None for key, one in row.items()}
    return json.dumps(told) + "\n"


def forget_after(folder: Path, step: int, validated: int) -> None:
    """Drops the rows of updates, and of validations, that a resumed run will make again."""
    rows = [
        row
        for row in read_history(folder)
        if row["step"] <= (step if "learning_rate" in row else validated)
    ]
    if validated and validated not in (row["step"] for row in rows if "learning_rate" not in row):
        log.warning("%s: rows are missing, such as of step %d", folder / METRICS, validated)
    with report_to(folder / METRICS):
        if rows or (folder / METRICS).exists():
            draft = folder / f".tmp-{METRICS}"
            draft.write_text("".join(map(_line, rows)), encoding="utf-8")
            draft.replace(folder / METRICS)


class Journal:
    """The open ends of a run's reports."""

    def __init__(self, folder: Path, bar: "tqdm[Never]") -> None:
        self.folder = folder
        self.bar = bar

    def row(self, row: Row) -> None:
        """Appends a row to ``metrics.jsonl``."""
        path = self.folder / METRICS
        with report_to(path), path.open("a", encoding="utf-8") as file:
            file.write(_line(row))


class _LogFile(logging.FileHandler):
    """``train.log``; where it cannot be written any more, that is told once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Takes this file out of the log."""
        log.removeHandler(self)
        _tell(Path(self.baseFilename), "cannot be written")


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Copies the log to ``train.log``, from its first line on; within another, does nothing."""
    handler = None
    with report_to(folder / LOG):
        handler = _LogFile(folder / LOG, encoding="utf-8")
    if handler is None:
        yield
        return
    if any(getattr(other, "baseFilename", "") == handler.baseFilename for other in log.handlers):
        handler.close()
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
        handler.close()


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Shows a bar where a person looks, with the log above it."""
    with (
        log_to(folder),
        logging_redirect_tqdm([log]),
        tqdm(desc="train", unit="step", disable=None, dynamic_ncols=True) as bar,
    ):
        yield Journal(folder, bar)
