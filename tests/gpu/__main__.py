"""Checks and measures a GPU: ``python -m tests.gpu``, at most eight minutes on one card.

What is computed is compared with a processor first; then training, search and generation are
measured beside torch's own. A case that fails is one line, and the rest goes on. JSON is written on
the way, tables come last. ``--cpu`` runs all of it on a processor, at sizes that measure nothing.
"""

import argparse
import faulthandler
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.bench import processor
from tests.benchmarks.timing import shown, table
from tests.gpu import behaviour, correctness, figures
from tests.gpu.case import Case, Setting, made

RESERVE = 30.0
"""Seconds that the last case must leave for writing down what was found."""
SHOWN = {"rate": shown, "of the roofline": lambda share: f"{100 * share:.1f} %", "peak MB": shown}
Found = dict[str, Any]
"""What became of a case: part, name, whether it holds, seconds, and figures or the error."""


def all_cases(setting: Setting) -> list[Case]:
    """Returns everything, correctness first."""
    sources = (correctness, behaviour, figures)
    return made(lambda: (case for source in sources for case in source.cases(setting)))


def outcome(case: Case, setting: Setting) -> Found:
    """Runs a case; whatever it raises is its outcome."""
    started = time.monotonic()
    found: Found = {"part": case.part, "name": case.name}
    try:
        found |= {"holds": True, "figures": dict(case.run(setting))}
    except Exception as error:
        first = str(error).strip().partition("\n")[0][:300]
        found |= {"holds": False, "error": f"{type(error).__name__}: {first}"}
        print(f"FAILED {case.part}: {case.name}: {found['error']}", flush=True)
    return found | {"seconds": round(time.monotonic() - started, 3)}


def lost(device: torch.device) -> bool:
    """Tells whether an earlier failure has broken the device for this process."""
    if device.type != "cuda":
        return False
    try:
        torch.rand(1, device=device).sum().item()  # a failed recording keeps random numbers back
    except RuntimeError:
        return True
    return False


def run(
    cases: Sequence[Case], setting: Setting, deadline: float, given: argparse.Namespace
) -> list[Found]:
    """Runs the cases in order; writes down after each part what was found."""
    found: list[Found] = []
    for place, case in enumerate(cases):
        left = deadline - time.monotonic() - RESERVE
        wanted = 60 * setting.minutes if case.part == "recipe" else 0.0
        if left < min(wanted, 30.0):
            found.append({"part": case.part, "name": case.name, "holds": None})
            continue
        now = replace(setting, minutes=min(setting.minutes, left / 60))
        found.append(outcome(case, now))
        if not found[-1]["holds"] and lost(setting.device):
            # What is left of this part is lost with it, and the other parts get a new process.
            rest = [other for other in cases[place + 1 :] if other.part != case.part]
            found += elsewhere(rest, deadline, given)
            break
        if place + 1 == len(cases) or cases[place + 1].part != case.part:
            print(summary(case.part, found), flush=True)
            write(given.json, found)
    write(given.json, found)
    return found


def elsewhere(cases: Sequence[Case], deadline: float, given: argparse.Namespace) -> list[Found]:
    """Runs the rest in a process that has a sound device."""
    parts = list(dict.fromkeys(case.part for case in cases))
    minutes = (deadline - time.monotonic()) / 60
    print(f"the device is lost for this process; {', '.join(parts)} in another one", flush=True)
    if not parts or minutes <= 0:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rest.json"
        command = [sys.executable, "-m", "tests.gpu", *parts, "--json", str(path)]
        command += ["--minutes", str(minutes), "--recipe-minutes", str(given.recipe_minutes)]
        command += ["--data", str(given.data)] if given.data else []
        subprocess.run(command, check=False)
        rest: list[Found] = json.loads(path.read_text(encoding="utf-8"))["cases"]
        return rest


def write(path: Path, found: Sequence[Found]) -> None:
    """Writes down what was found so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"facts": facts(), "cases": found}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def facts() -> dict[str, str]:
    """Returns what the figures depend on."""
    on_gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if on_gpu else processor(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())) if on_gpu else "",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
        "python": platform.python_version(),
        "processor": processor(),
        "date": time.strftime("%Y-%m-%d"),
    }


def summary(part: str, found: Iterable[Found]) -> str:
    """Returns a line that says how a part went."""
    own = [one for one in found if one["part"] == part]
    holding = sum(one["holds"] is True for one in own)
    worst = max(
        (
            one["figures"]["error"] / one["figures"]["limit"]
            for one in own
            if one["holds"] and "limit" in one["figures"]
        ),
        default=None,
    )
    said = "" if worst is None else f", largest error {100 * worst:.2g} % of what it may be"
    seconds = sum(one.get("seconds", 0.0) for one in own)
    return f"{part}: {holding} of {len(own)} hold{said}; {seconds:.1f} s"


def tables(found: Sequence[Found]) -> list[str]:
    """Returns the lines of what was measured, and of what does not hold."""
    columns = ["rate", "unit", "x baseline", "x nn.LSTM", "of the roofline", "peak MB"]
    measured = [one for one in found if one["holds"] and "rate" in one["figures"]]
    rows = [(f"{one['part']}: {one['name']}", *cells(one["figures"], columns)) for one in measured]
    lines = list(table(["figure", *columns], rows)) if rows else []
    if rows:
        lines += ["", "torch's own nn.LSTM computes in float16 where autocast says bfloat16"]
    lines += ["", *(summary(part, found) for part in dict.fromkeys(one["part"] for one in found))]
    recipes = [one for one in found if one["holds"] and "validation BLEU" in one["figures"]]
    lines += [f"recipe: {one['figures']}" for one in recipes]
    for holds, said in ((False, "FAILED"), (None, "left out, no time")):
        some = [one for one in found if one["holds"] is holds]
        lines += [f"{said} {one['part']}: {one['name']}: {one.get('error', '')}" for one in some]
    return lines


def cells(one: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """Returns what a row of the table shows."""
    usual = {"unit": str}
    return [
        (SHOWN | usual).get(name, lambda ratio: f"{ratio:.2f}")(one[name]) if name in one else ""
        for name in columns
    ]


def arguments() -> argparse.ArgumentParser:
    """Returns what the command takes."""
    parser = argparse.ArgumentParser("python -m tests.gpu", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these parts; default: all")
    parser.add_argument("--cpu", action="store_true", help="the short form, on a processor")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SEQ2SEQ_DATA"),
        metavar="FOLDER",
        help="where multi30k lies; default: $SEQ2SEQ_DATA; without it, random ids are measured",
    )
    parser.add_argument("--json", type=Path, default=Path("runs/gpu/checks.json"), metavar="FILE")
    parser.add_argument("--minutes", type=float, default=8.0, help="when to stop; default: 8")
    parser.add_argument(
        "--recipe-minutes", type=float, default=2.0, help="how long the recipe trains; default: 2"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the cases; returns 0 where all hold, 1 where one does not, 2 where none can run."""
    given = arguments().parse_args(argv)
    if not given.cpu and not torch.cuda.is_available():
        print("error: torch finds no CUDA device; --cpu runs the short form", file=sys.stderr)
        return 2
    deadline = time.monotonic() + 60 * given.minutes
    faulthandler.dump_traceback_later(60 * given.minutes + RESERVE, exit=True)  # if one hangs
    with tempfile.TemporaryDirectory(prefix="seq2seq-gpu-") as folder:
        return _main(given, Path(folder), deadline)


def _main(given: argparse.Namespace, folder: Path, deadline: float) -> int:
    """Does the same, with its runs in a folder that goes afterwards."""
    setting = Setting(
        device=torch.device("cpu" if given.cpu else "cuda"),
        short=given.cpu,
        data=given.data,
        folder=folder,
        minutes=given.recipe_minutes,
    )
    cases = all_cases(setting)
    known = list(dict.fromkeys(case.part for case in cases))
    unknown = [part for part in given.parts if part not in known]
    if unknown:
        print(f"error: PART: {unknown[0]}; accepted: {', '.join(known)}", file=sys.stderr)
        return 2
    logging.getLogger("seq2seq").addFilter(lambda record: record.levelno >= logging.WARNING)
    found = run(
        [case for case in cases if not given.parts or case.part in given.parts],
        setting,
        deadline,
        given,
    )
    faulthandler.cancel_dump_traceback_later()
    print("\n".join(["", *tables(found), "", f"written: {given.json}"]))
    return 0 if all(one["holds"] is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
