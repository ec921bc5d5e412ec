"""What all drills share: how large they are, what they found, and many tries side by side."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

ItemT = TypeVar("ItemT")
FoundT = TypeVar("FoundT")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a drill is done."""

    folder: Path
    """Where its runs are; removed afterwards."""
    tries: int = 0
    """How many, at least where they come in groups; 0: as many as the drill means to make."""
    seed: int = 1
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Tries side by side."""
    data: Path | None = None
    """Where Multi30k lies, for what is measured."""


@dataclass(frozen=True)
class Report:
    """What a drill found."""

    name: str
    figures: dict[str, str | int | float]
    failures: list[str]
    """One line for each thing that must not be."""

    def lines(self) -> list[str]:
        """Returns a table, and the failures."""
        width = max(map(len, self.figures))
        rows = [f"  {name:<{width}}  {_shown(value)}" for name, value in self.figures.items()]
        return [self.name, *rows, *(f"  FAILED {failure}" for failure in self.failures)]

    def record(self) -> str:
        """Returns the same as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


def _shown(value: str | float) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def spread(
    do: Callable[[ItemT], FoundT], items: Sequence[ItemT], setting: Setting, name: str
) -> Iterator[FoundT]:
    """Yields what ``do`` finds for each item, in the order in which they are done.

    They are done in a few processes, which have one thread each and may fork.
    """
    with ProcessPoolExecutor(setting.jobs, mp_context=get_context("fork")) as pool:
        waiting = [pool.submit(do, item) for item in items]
        # Only now, or it would be a bar of the processes, too.
        with tqdm(desc=name, total=len(items), unit=" tries", disable=None) as bar:
            for done in as_completed(waiting):
                bar.update()
                yield done.result()


def percentiles(seconds: Iterable[float]) -> str:
    """Returns the median and the 95th percentile."""
    found = list(seconds)
    if not found:
        return "none"
    median, high = np.percentile(found, [50, 95])
    return f"p50 {median:.2f} s, p95 {high:.2f} s"
