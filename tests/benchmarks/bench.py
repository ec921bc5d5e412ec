"""Measures training, search, generation and the start, against what a user of torch would write.

``python -m tests.benchmarks.bench [PART ...]``: each part runs in a process of its own, and its
variants take turns; tables show the median and the spread of each rate, and the median of the
rounds' ratios to the baseline. Run it alone; compare ratios within one run, not figures across
machines.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

from tests.benchmarks.parts import PARTS, Options
from tests.benchmarks.timing import Part, part_table

ROOT = Path(__file__).parents[2]
KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024"}
"""Variants that take turns must not push each other's kernels out of the cache."""


def alone(name: str, options: Options, module: str = "tests.benchmarks.bench") -> Part:
    """Runs one part in a process of its own."""
    command = [sys.executable, "-m", module, "--alone", name, json.dumps(asdict(options))]
    environment = {**KERNELS, **os.environ}
    finished = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    return Part.from_json(json.loads(finished.stdout.splitlines()[-1]))


def here(name: str, content: str) -> str:
    """Runs one part in this process; returns its JSON."""
    options = Options(**json.loads(content))
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    part = PARTS[name](options)
    who = resource.RUSAGE_CHILDREN if name == "start-up" else resource.RUSAGE_SELF
    peak = resource.getrusage(who).ru_maxrss * 1024 / 1e6
    return json.dumps(replace(part, peak=peak).to_json())


def smaller(options: Options, repetitions: int | None) -> Options:
    """Returns what takes less time: the same models on less of everything."""
    return replace(
        options,
        repetitions=repetitions or 5,
        sentences=min(options.sentences, 128),
        tokens=1000,
        rows=16,
        steps=64,
        length=100,
    )


def written(parts: Mapping[str, Part], options: Options) -> str:
    """Returns all that was found as JSON."""
    facts = {
        "torch": version("torch"),
        "python": platform.python_version(),
        "processor": processor(),
        "options": {**asdict(options), "threads": options.threads or torch.get_num_threads()},
    }
    found = {name: part.to_json() for name, part in parts.items()}
    return json.dumps({"facts": facts, "parts": found}, indent=1)


def processor() -> str:
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def arguments() -> argparse.ArgumentParser:
    """Returns what the command takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "multi30k", metavar="FOLDER")
    parser.add_argument("--run", type=Path, metavar="RUN", help="a trained translator")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument("--repetitions", type=int, metavar="N", help="rounds; 7, or 5 if quick")
    parser.add_argument("--sentences", type=int, default=256, metavar="N")
    parser.add_argument("--quick", action="store_true", help="smaller batches, fewer rounds")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    return parser


def chosen(names: Sequence[str]) -> list[str]:
    """Returns the parts in their order, the probe first and last.

    Raises:
        SystemExit: There is no such part.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise SystemExit(f"PART: must be one of {', '.join(PARTS)}, got {unknown[0]!r}")
    wanted = [name for name in PARTS if name != "probe" and (not names or name in names)]
    return ["probe", *wanted, "probe after"]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints all tables, and writes JSON where asked."""
    given = arguments().parse_args(argv)
    if given.alone:
        print(here(*given.alone))
        return
    options = Options(
        data=str(given.data.resolve()),
        run=str(given.run.resolve()) if given.run else "",
        threads=given.threads,
        repetitions=given.repetitions or 7,
        sentences=given.sentences,
    )
    if given.quick:
        options = smaller(options, given.repetitions)
    parts = {}
    for name in chosen(given.parts):
        parts[name] = alone(name.removesuffix(" after"), options)
        print("\n".join(part_table(name, parts[name])), flush=True)
    if given.json:
        given.json.write_text(written(parts, options), encoding="utf-8")


if __name__ == "__main__":
    main()
