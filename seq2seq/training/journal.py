"""What a run tells: a progress bar, ``metrics.jsonl`` and ``train.log``."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Never

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

METRICS, LOG = "metrics.jsonl", "train.log"
log = logging.getLogger("seq2seq")

Row = Mapping[str, int | float]


def read_history(folder: Path) -> list[Row]:
    """Returns the rows of a run's ``metrics.jsonl``, oldest first, and not one cut by a crash."""
    path = folder / METRICS
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def forget_after(folder: Path, step: int) -> None:
    """Drops the rows of updates that a resumed run will make again."""
    rows = [row for row in read_history(folder) if row["step"] <= step]
    if rows or (folder / METRICS).exists():
        draft = folder / f".tmp-{METRICS}"
        draft.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        draft.replace(folder / METRICS)


class Journal:
    """The open ends of a run's reports."""

    def __init__(self, folder: Path, bar: "tqdm[Never]") -> None:
        self.folder = folder
        self.bar = bar

    def row(self, row: Row) -> None:
        """Appends a row to ``metrics.jsonl``."""
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Copies the log to ``train.log``, from its first line on; within another, does nothing."""
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
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
