"""Trains the rows of a published table with the toolkit's parts; prints them beside it.

Usage: ``python -m recipes.ridership.geron FOLDER [--seeds 1 2 3 4 5] [--rows NAME ...] [--folder
RUNS]``. ``FOLDER`` has the table of rides. Figures are mean absolute errors in riders on the days
for which they are published (Géron 2022, "Hands-On Machine Learning", 3rd edition, chapter 15, and
its PyTorch edition); finished trainings are not repeated.
"""

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import seq2seq

CONFIG = Path(__file__).with_name("config.yaml")
RAIL, BUS = "rail_boardings", "bus"
Keys: TypeAlias = Mapping[str, Any]

PLAIN: Keys = {
    "data.series.target": [RAIL],
    "data.series.future": [],
    "data.calendar": [],
    "model.horizon": 1,
    "model.lags": [],
    "model.scaling": "train",
    "model.head": "huber",
    "train.average": 0.0,
}
"""One day of one series, told by nothing but its own last 56 days."""
SPRING: Keys = {
    "data.train": {"from": "2019-01-01", "until": "2019-02-28"},
    "data.valid": {"from": "2019-03-01", "until": "2019-05-31", "inputs": "before"},
    "model.window": 7,
}
"""The three months on which he measures what needs no window."""
NAIVE: Keys = {**SPRING, "model.kind": "seasonal-naive"}
SARIMA: Keys = {
    **SPRING,
    "model.kind": "arima",
    "model.arima": {"order": [1, 0, 0], "seasonal_order": [0, 1, 1], "start": "zero"},
}
SIMPLE: Keys = {"model.layers": {"cell": "rnn", "layers": 1, "hidden_size": 32, "dropout": 0.0}}
DEEP: Keys = {"model.layers": {**SIMPLE["model.layers"], "layers": 3}}
TOLD: Keys = {**SIMPLE, "data.series.past": [BUS], "data.series.future": ["day_type"]}
"""What he calls multivariate: rail by rail, bus and the type of the day that is forecast."""


@dataclass(frozen=True)
class Row:
    """One of his models."""

    keras: str
    torch: str
    """What the two editions publish."""
    keys: Keys
    """How it is made here, where that differs from :data:`PLAIN`."""
    seeded: bool = True
    """Whether it begins with random weights."""
    refit: int = 0
    """Days after which it is fitted again."""


ROWS = {
    "rail a week before": Row("42,143", "42,143", NAIVE, seeded=False),
    "bus a week before": Row(
        "43,916", "43,916", {**NAIVE, "data.series.target": [BUS]}, seeded=False
    ),
    "SARIMA(1,0,0)(0,1,1)[7]": Row("32,041", "32,041", SARIMA, seeded=False, refit=1),
    "linear": Row("37,866", "37,726", {"model.kind": "linear"}, seeded=False),
    "SimpleRNN(32)": Row("29,015", "30,659", SIMPLE),
    "3 x SimpleRNN(32)": Row("31,211", "29,273", DEEP),
    "multivariate": Row("22,062", "23,227", TOLD),
    "multi-task": Row("25,850", "24,695", {**TOLD, "data.series.target": [RAIL, BUS],
                                           "data.series.past": []}),
    "14 days, to a vector": Row("35,017", "32,951", {**TOLD, "model.horizon": 14}),
    "14 days, to a sequence": Row(
        "31,385", "37,400", {**TOLD, "model.horizon": 14, "model.mode": "sequence"}
    ),
}  # fmt: skip
"""His table; the last row is the mean over the steps after whole windows."""


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="FOLDER", help="where the table of rides is")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], metavar="N")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path("runs/geron"), metavar="RUNS")
    return parser.parse_args(words)


def folder_of(name: str, seed: int) -> str:
    """Returns what the run of a row is called.

    >>> folder_of("3 x SimpleRNN(32)", 1)
    '3-x-simplernn-32-1'
    """
    return "-".join([*re.findall(r"[a-z0-9]+", name.lower()), str(seed)])


def error(options: argparse.Namespace, name: str, seed: int) -> float:
    """Trains a row, unless that is done, and returns its mean absolute error."""
    row = ROWS[name]
    own = {
        "data.folder": options.data,
        "folder": str(options.folder / folder_of(name, seed)),
        "train.seed": seed,
    }
    run = seq2seq.train(CONFIG, {**PLAIN, **row.keys, **own})
    if not row.refit:
        return float(run.best["mae"])
    settings = {"part": "valid", "refit": row.refit, "metrics": ("mae",)}
    return seq2seq.evaluate(run.folder, settings=settings)[0].value


def main() -> None:
    """Trains all rows and prints the table in Markdown."""
    options = parse()
    print("| model | Keras edition | PyTorch edition | here | standard deviation |")
    print("|---|---|---|---|---|")
    for name in options.rows:
        row = ROWS[name]
        seeds = options.seeds if row.seeded else options.seeds[:1]
        errors = [error(options, name, seed) for seed in seeds]
        spread = f"{statistics.stdev(errors):,.0f}" if len(errors) > 1 else ""
        mean = f"{statistics.mean(errors):,.0f}"
        print(f"| {name} | {row.keras} | {row.torch} | {mean} | {spread} |", flush=True)


if __name__ == "__main__":
    main()
