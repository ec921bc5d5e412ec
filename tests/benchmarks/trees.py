"""Compares the speed of two checkouts, in turns, on one machine.

``python -m tests.benchmarks.trees OLD NEW [PART ...]``: in each round every part runs once in
either tree, in a process of its own, the order turned from round to round. The table shows, for
each rate, the median of the rounds' ratios (new to old) and its 95 % interval (bootstrap). Run it
alone.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.bench import KERNELS, smaller
from tests.benchmarks.parts import PARTS, Options
from tests.benchmarks.timing import PROBE, Part, shown, table

SAMPLES = 4000
HEADS = ("part", "variant", "old", "new", "median ratio", "95 % interval", "")
Rates = dict[tuple[str, str], dict[str, list[float]]]
"""Of each part and variant, the rates of both sides, round by round."""


def measured(tree: Path, part: str, options: Options) -> Part:
    """Runs a part in a checkout."""
    command = [sys.executable, "-m", "tests.benchmarks.bench", "--alone"]
    finished = subprocess.run(
        [*command, part, json.dumps(asdict(options))],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tree,
        env={**KERNELS, **os.environ, "PYTHONPATH": str(tree)},
    )
    return Part.from_json(json.loads(finished.stdout.splitlines()[-1]))


def take_turns(
    trees: dict[str, Path], parts: Sequence[str], rounds: int, options: Options
) -> Rates:
    """Measures all parts in both trees, round by round."""
    rates: Rates = {}
    for number in range(rounds):
        for part in parts:
            for side in sorted(trees, reverse=bool(number % 2)):
                for name, rate in measured(trees[side], part, options).rates.items():
                    sides = rates.setdefault((part, name), {"old": [], "new": []})
                    sides[side].append(rate.median)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return rates


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % interval of the median, by bootstrap."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(SAMPLES))
    return medians[int(0.025 * SAMPLES)], medians[int(0.975 * SAMPLES)]


def rows(rates: Rates) -> Iterator[tuple[str, ...]]:
    """Yields a row for each variant that both trees have, the baseline's own ones aside."""
    for (part, name), sides in rates.items():
        if len(sides["old"]) != len(sides["new"]):
            continue
        ratios = [new / old for old, new in zip(sides["old"], sides["new"], strict=True)]
        low, high = interval(ratios)
        medians = (shown(statistics.median(sides[side])) for side in ("old", "new"))
        judged = "" if high > 0.97 or name == PROBE else "SLOWER"
        ratio = f"{statistics.median(ratios):.3f}"
        yield part, name, *medians, ratio, f"{low:.3f} to {high:.3f}", judged


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD")
    parser.add_argument("new", type=Path, metavar="NEW")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--repetitions", type=int, default=2, metavar="N", help="in each process")
    given = parser.parse_args()
    trees = {"old": given.old.resolve(), "new": given.new.resolve()}
    options = smaller(Options(), given.repetitions)
    found = take_turns(trees, given.parts or list(PARTS), given.rounds, options)
    print("\n".join(table(HEADS, rows(found))))


if __name__ == "__main__":
    main()
