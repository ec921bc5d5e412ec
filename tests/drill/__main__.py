"""Long fault drills: ``python -m tests.drill``, or some of its parts.

Runs are killed, damaged and stopped by signals, thousands of times, and texts searched for in which
terms must stand; each line of the tables says how often, and what must never be is counted. Exit
code 1 if anything failed.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":  # before torch is imported: what drills fork may have no threads
    os.environ["OMP_NUM_THREADS"] = "1"

from tests.drill import cost, damage, flips, glossaries, kills, signals
from tests.drill.drill import Report, Setting

PARTS: dict[str, Callable[[Setting], Report]] = {
    "kills": kills.run,
    "damage": damage.run,
    "flips": flips.run,
    "signals": signals.run,
    "terms": glossaries.run,
    "cost": cost.run,
}


def arguments() -> argparse.ArgumentParser:
    """Returns what the command takes."""
    parser = argparse.ArgumentParser("python -m tests.drill", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--tries", type=int, default=0, metavar="N", help="of each part")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="with Multi30k; without it, cost is left out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found here")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Does the drills; returns 0 where nothing failed."""
    given = arguments().parse_args(argv)
    if unknown := [part for part in given.parts if part not in PARTS]:
        print(f"error: PART: {unknown[0]}; accepted: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of forking
    if given.data is None and "cost" in given.parts:
        print("error: --data: is needed to measure what saving costs", file=sys.stderr)
        return 2
    usual = [part for part in PARTS if given.data or part != "cost"]
    reports = []
    for part in given.parts or usual:
        with tempfile.TemporaryDirectory(prefix="seq2seq-drill-") as folder:
            setting = Setting(
                folder=Path(folder),
                tries=given.tries,
                seed=given.seed,
                jobs=given.jobs,
                data=given.data,
            )
            reports.append(PARTS[part](setting))
        print("\n".join(["", *reports[-1].lines()]), flush=True)
        if given.json:
            records = ",\n".join(report.record() for report in reports)
            given.json.write_text(f"[{records}]\n", encoding="utf-8")
    return int(any(report.failures for report in reports))


if __name__ == "__main__":
    sys.exit(main())
