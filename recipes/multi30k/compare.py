"""Trains variants of a recipe for an equal time, one factor changed at a time; prints a table.

Usage: ``python -m recipes.multi30k.compare CONFIG [--minutes M] [--seeds S] [--jobs N]
[--only TEXT] [--a.b value ...]``. Runs end by the clock, so that nothing else should run beside
them; finished ones are not repeated.
"""

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean

import torch

import seq2seq

Settings = Mapping[str, object]


def both(key: str, value: object) -> Settings:
    """Returns a setting of encoder and decoder."""
    return {f"model.{side}.{key}": value for side in ("encoder", "decoder")}


def sides(key: str, value: object) -> Settings:
    """Returns a setting of source and target."""
    return {f"{side}.{key}": value for side in ("source", "target")}


VARIANTS: Mapping[str, Settings] = {
    "the recipe": {},
    "GRU": both("cell", "gru"),
    "minGRU": both("cell", "mingru"),
    "simple (tanh) cell": both("cell", "rnn"),
    "2 + 2 layers": both("layers", 2),
    "not residual": {"model.encoder.residual": False},
    "no dropout of inputs": both("input_dropout", 0.0),
    "locked dropout": both("locked_dropout", True),
    "word dropout 0.1": {"model.word_dropout": 0.1},
    "subword sampling 0.1": sides("sampling", 0.1),
    "no label smoothing": {"train.label_smoothing": 0.0},
    "running average 0.999": {"train.average": 0.999},
    "forget bias 0": both("forget_bias", 0.0),
    "input feeding": {"model.decoder.input_feeding": True},
    "additive attention": {"model.decoder.attention": "additive"},
    "embeddings not tied": {"model.tie_embeddings": False},
    "2,000 subwords a side": sides("vocab_size", 2000),
    "8,000 subwords a side": sides("vocab_size", 8000),
    "8,000 joint subwords": {**sides("vocab_size", 8000), "joint_tokenizer": True},
    "cosine schedule": {"train.optimizer.schedule.name": "cosine"},
    "trapezoid schedule": {"train.optimizer.schedule.name": "trapezoid"},
    "rate 1e-3": {"train.optimizer.learning_rate": 1e-3},
    "rate 4e-3": {"train.optimizer.learning_rate": 4e-3},
}


def measured(config: str, overrides: Settings) -> tuple[float, float, int]:
    """Trains once; returns the best validation's BLEU and loss, and the number of updates."""
    run = seq2seq.train(config, overrides)
    best = run.best
    return float(best["bleu"]), float(best["valid_loss"]), int(run.history[-1]["step"])


def row(name: str, found: Sequence[tuple[float, float, int]]) -> str:
    """Returns a variant's row of the table: means, and the BLEU of each seed."""
    scores, losses, steps = zip(*found, strict=True)
    each = ", ".join(f"{score:.1f}" for score in scores)
    return f"| {name} | {fmean(scores):.1f} | {each} | {fmean(losses):.3f} | {fmean(steps):,.0f} |"


def main() -> None:
    """Trains all variants and prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, sharing the threads")
    parser.add_argument("--only", default="", metavar="TEXT", help="variants whose names have it")
    parser.add_argument("--folder", type=Path, default=Path("runs/compare"))
    options, keys = parser.parse_known_args()
    names = (key.removeprefix("--") for key in keys[::2])
    given: dict[str, object] = dict(zip(names, keys[1::2], strict=True))
    given |= {"train.minutes": options.minutes, "train.steps": 0, "train.epochs": 0}
    given |= {"train.threads": max(1, torch.get_num_threads() // options.jobs)}
    chosen = {name: changes for name, changes in VARIANTS.items() if options.only in name}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        rows = {}
        for name, changes in chosen.items():
            folder = options.folder / "".join(filter(str.isalnum, name))
            rows[name] = [
                pool.submit(
                    measured,
                    options.config,
                    {**given, "train.seed": seed, "folder": str(folder / str(seed)), **changes},
                )
                for seed in range(1, options.seeds + 1)
            ]
        print("| variant | BLEU | each seed | loss | updates |\n|---|---|---|---|---|")
        for name, found in rows.items():
            print(row(name, [one.result() for one in found]), flush=True)


if __name__ == "__main__":
    main()
