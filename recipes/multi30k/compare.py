"""Trains variants of a recipe for an equal time, one factor changed at a time; prints a table.

Usage: ``python -m recipes.multi30k.compare CONFIG [--minutes M] [--jobs N] [--a.b value ...]``.
Runs end by the clock; finished ones are not repeated.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import seq2seq

VARIANTS: dict[str, dict[str, object]] = {
    "the recipe": {},
    "the recipe, seed 2": {"train.seed": 2},
    "input feeding": {"model.decoder.input_feeding": True},
    "additive attention": {"model.decoder.attention": "additive"},
    "GRU": {"model.encoder.cell": "gru", "model.decoder.cell": "gru"},
    "simple (tanh) cell": {"model.encoder.cell": "rnn", "model.decoder.cell": "rnn"},
    "2 + 2 layers": {"model.encoder.layers": 2, "model.decoder.layers": 2},
    "embeddings not tied": {"model.tie_embeddings": False},
}


def row(name: str, config: str, overrides: dict[str, object]) -> str:
    """Trains one variant and returns its row of the table."""
    run = seq2seq.train(config, overrides)
    speeds = [row["tokens_per_second"] for row in run.history if "tokens_per_second" in row]
    return (
        f"| {name} | {run.best['bleu']:.1f} | {run.best['valid_loss']:.3f} "
        f"| {sum(speeds) / len(speeds):,.0f} | {run.history[-1]['step']:,} |"
    )


def main() -> None:
    """Trains all variants and prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, sharing the threads")
    parser.add_argument("--folder", type=Path, default=Path("runs/compare"))
    options, keys = parser.parse_known_args()
    names = (key.removeprefix("--") for key in keys[::2])
    given: dict[str, object] = dict(zip(names, keys[1::2], strict=True))
    given |= {"train.minutes": options.minutes, "train.steps": 0, "train.epochs": 0}
    given |= {"train.threads": max(1, torch.get_num_threads() // options.jobs)}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        rows = [
            pool.submit(
                row,
                name,
                options.config,
                {**given, "folder": str(options.folder / "".join(filter(str.isalnum, name)))}
                | changes,
            )
            for name, changes in VARIANTS.items()
        ]
        print("| variant | validation BLEU | validation loss | tokens/s | steps |")
        print("|---|---|---|---|---|")
        for one in rows:
            print(one.result(), flush=True)


if __name__ == "__main__":
    main()
