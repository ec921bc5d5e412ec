"""What saving costs: its share of the time in which the Multi30k recipe trains.

The recipe is trained for two epochs (of twenty), with the threads that it usually has, in a process
of its own; each epoch ends in a validation and a save, as in the whole recipe.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from seq2seq.experiment import train
from seq2seq.training.checkpoint import Checkpoints
from tests.drill.drill import Report, Setting, percentiles
from tests.structure import ROOT

EPOCHS = 2
MOST = 0.02
"""The share of the training's time that saves may take."""


def run(setting: Setting) -> Report:
    """Trains in a process of its own; ``setting.data`` is where Multi30k lies."""
    own = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.drill.cost", str(setting.data), str(setting.folder)],
        env={**own, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return report(json.loads(done.stdout.splitlines()[-1]))


def measured(data: Path, folder: Path) -> dict[str, Any]:
    """Trains, and returns the seconds of each save and of all, and the size of a checkpoint."""
    seconds, save = list[float](), Checkpoints.save

    def timed(*given: Any) -> Path:
        started = time.monotonic()
        path = save(*given)
        seconds.append(time.monotonic() - started)
        return path

    Checkpoints.save = timed  # type: ignore[assignment, method-assign]
    settings = {"folder": str(folder / "run"), "data.folder": str(data), "train.steps": 0}
    settings |= {"data.cache": str(folder / "cache"), "train.epochs": EPOCHS}
    train(ROOT / "recipes" / "multi30k" / "de-en.yaml", settings)
    latest = Checkpoints(folder / "run" / "checkpoints").latest()
    assert latest is not None
    size = sum(file.stat().st_size for file in (folder / "run/checkpoints" / latest.name).iterdir())
    return {"saves": seconds, "all": latest.state["seconds"] + seconds[-1], "bytes": size,
            "updates": latest.state["step"]}  # fmt: skip


def report(found: dict[str, Any]) -> Report:
    """Returns what saves cost."""
    share = sum(found["saves"]) / found["all"]
    megabytes, saves = found["bytes"] / 1e6, found["saves"]
    figures: dict[str, str | int | float] = {
        "updates": found["updates"],
        "seconds, preparation and validations included": found["all"],
        "saves": len(saves),
        "a save": percentiles(saves),
        "a checkpoint": f"{megabytes:.1f} MB",
        "written and read back": f"{megabytes * len(saves) / sum(saves):.0f} MB/s",
        "share of the time": f"{100 * share:.2f} %",
    }
    failures = [f"saves take {100 * share:.2f} % of the time"] if share >= MOST else []
    return Report("cost", figures, failures)


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]), Path(sys.argv[2]))))
