"""Measures training beside other work: ``python -m tests.benchmarks.busy --data FOLDER``.

The Multi30k recipe trains alone on the machine, beside a process that computes without end, and
twice side by side; each under several settings of the environment, such as
``GOMP_SPINCOUNT=1000,OMP_NUM_THREADS=2`` (``default``: none). A figure is the target tokens a
second of one run: the median of the rows that ``metrics.jsonl`` gains, and of the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.timing import table

ROOT = Path(__file__).parents[2]
DEFAULT = "default"
KINDS = {"quiet": (1, False), "busy": (1, True), "twice": (2, False)}
"""By name: how many trainings run, and whether something else does."""


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Lets a process run meanwhile, and then kills it."""
    settings = {**os.environ, **environment}
    with subprocess.Popen(command, cwd=ROOT, env=settings, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def training(folder: Path, data: Path) -> list[str]:
    """Returns the command that trains the recipe in a folder."""
    return [
        *(sys.executable, "-m", "seq2seq", "train", "recipes/multi30k/de-en.yaml"),
        *("--folder", str(folder), "--data.folder", str(data), "--train.log_every", "10"),
    ]


def rates(folder: Path) -> list[float]:
    """Returns the tokens a second of each row so far; the last one may not be whole."""
    path = folder / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    return [row["tokens_per_second"] for row in rows if "tokens_per_second" in row]


def measured(folders: Sequence[Path], seconds: float) -> float:
    """Returns the mean of the runs' median rates over some seconds after all have begun."""
    while any(len(rates(folder)) < 2 for folder in folders):
        time.sleep(0.2)
    before = [len(rates(folder)) for folder in folders]
    time.sleep(seconds)
    while any(len(rates(folder)) <= many for folder, many in zip(folders, before, strict=True)):
        time.sleep(0.2)
    return mean(median(rates(folder)[many:]) for folder, many in zip(folders, before, strict=True))


def rate(kind: str, environment: Mapping[str, str], data: Path, seconds: float) -> float:
    """Returns the rate of one training."""
    trainings, busy = KINDS[kind]
    with tempfile.TemporaryDirectory() as place, ExitStack() as running:
        folders = [Path(place) / str(number) for number in range(trainings)]
        if busy:
            running.enter_context(started([sys.executable, "-c", "while True: pass"], {}))
        for folder in folders:
            running.enter_context(started(training(folder, data), environment))
        return measured(folders, seconds)


def settings(variant: str) -> dict[str, str]:
    """Returns the environment that a variant names."""
    given = [] if variant == DEFAULT else variant.split(",")
    return {name: value for name, _, value in (part.partition("=") for part in given)}


def main() -> None:
    """Prints a table: for each variant, its rate of each kind, and its share of the best quiet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of Multi30k")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=[DEFAULT], metavar="NAME=VALUE,...")
    given = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(given.rounds):
        for variant in given.variants[:: 1 if number % 2 else -1]:
            for kind in KINDS:
                one = rate(kind, settings(variant), given.data, given.seconds)
                found.setdefault((variant, kind), []).append(one)
    best = max(median(found[variant, "quiet"]) for variant in given.variants)
    rows = [
        [variant, *(_shown(found[variant, kind], best) for kind in KINDS)]
        for variant in given.variants
    ]
    print("\n".join(table(["variant", *KINDS], rows)))


def _shown(found: Sequence[float], best: float) -> str:
    middle = median(found)
    return f"{middle:,.0f} ({middle / best:.0%}; {min(found):,.0f} to {max(found):,.0f})"


if __name__ == "__main__":
    main()
