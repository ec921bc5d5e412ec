"""Trains variants of a recipe, one factor changed at a time, and prints a table.

Usage: ``python -m recipes.multi30k.compare CONFIG [--minutes M] [--a.b value ...]``. Runs follow
one another, each with the whole machine, and end by the clock; finished ones are not repeated.
"""

import argparse
from pathlib import Path

import seq2seq

VARIANTS: dict[str, dict[str, object]] = {
    "the recipe": {},
    "input feeding": {"model.decoder.input_feeding": True},
    "additive attention": {"model.decoder.attention": "additive"},
    "GRU": {"model.encoder.cell": "gru", "model.decoder.cell": "gru"},
    "simple (tanh) cell": {"model.encoder.cell": "rnn", "model.decoder.cell": "rnn"},
    "2 + 2 layers": {"model.encoder.layers": 2, "model.decoder.layers": 2},
    "embeddings not tied": {"model.tie_embeddings": False},
}


def main() -> None:
    """Trains all variants and prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, default=Path("runs/compare"))
    options, keys = parser.parse_known_args()
    given = {
        key.removeprefix("--"): value for key, value in zip(keys[::2], keys[1::2], strict=True)
    }
    print(
        "| variant | validation BLEU | validation loss | tokens/s | steps |\n|---|---|---|---|---|"
    )
    for name, changes in VARIANTS.items():
        folder = options.folder / name.replace(" ", "-").replace("(", "").replace(")", "")
        limits = {"train.minutes": options.minutes, "train.steps": 0, "train.epochs": 0}
        overrides = {**given, **limits, "folder": str(folder), **changes}
        run = seq2seq.train(options.config, overrides)
        speeds = [row["tokens_per_second"] for row in run.history if "tokens_per_second" in row]
        print(
            f"| {name} | {run.best['bleu']:.1f} | {run.best['valid_loss']:.3f} "
            f"| {sum(speeds) / len(speeds):,.0f} | {run.history[-1]['step']:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
