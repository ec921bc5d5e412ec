"""Measures training and search on synthetic batches, beside a GEMM probe. Run it alone.

``python -m tests.benchmarks.bench [--json FILE]``: medians and spreads over repetitions, of the
reference model (embeddings 256, 2 layers of 512 on both sides, general attention, vocabularies of
8,000 and 4,273) with random weights. Compare ratios within one run, not figures across machines.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from seq2seq.models.seq2seq import EncoderConfig, Seq2Seq, Seq2SeqConfig
from seq2seq.nn.decoder import DecoderConfig
from seq2seq.search.beam import beam_search
from seq2seq.search.greedy import greedy_search
from seq2seq.search.stepper import SearchConfig
from seq2seq.tensors import Batch, Padded
from seq2seq.training.trainer import TrainConfig, Trainer

LENGTH, PAIRS, SENTENCES = 14, 64, 64


def rate(work: Callable[[], object], units: float, repetitions: int = 7) -> dict[str, float]:
    """Returns units per second: median, least and most."""
    work()
    rates = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        rates.append(units / (time.perf_counter() - started))
    return {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}


def gemm_probe() -> dict[str, float]:
    """Returns GFLOP/s of a float32 product of 4096x512 and 512x8000."""
    left, right = torch.randn(4096, 512), torch.randn(512, 8000)
    return rate(lambda: left @ right, 2 * 4096 * 512 * 8000 / 1e9)


def reference_model(feeding: bool = False) -> Seq2Seq:
    """Returns the reference model."""
    return Seq2Seq(
        Seq2SeqConfig(
            encoder=EncoderConfig(layers=2), decoder=DecoderConfig(layers=2, input_feeding=feeding)
        ),
        8000,
        4273,
    )


def random_ids(pairs: int, vocabulary: int) -> Padded:
    """Returns sentences of equal length."""
    ids = torch.randint(4, vocabulary, (pairs, LENGTH))
    return Padded(ids, torch.full((pairs,), LENGTH))


def training(precision: str, feeding: bool) -> dict[str, float]:
    """Returns target tokens per second of whole updates."""
    model = reference_model(feeding)
    batch = Batch(random_ids(PAIRS, 8000), random_ids(PAIRS, 4273), random_ids(PAIRS, 4273))
    config = TrainConfig(steps=10**6, precision=precision)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, config, Path(folder))
        return rate(lambda: trainer.update([batch]), PAIRS * LENGTH)


def searching(beam_size: int) -> dict[str, float]:
    """Returns sentences per second at a forced length."""
    model, source = reference_model().eval(), random_ids(SENTENCES, 8000)
    config = SearchConfig(beam_size=beam_size, min_length=LENGTH, max_length=LENGTH)
    search = greedy_search if beam_size == 1 else beam_search
    return rate(lambda: search(model, source, config), SENTENCES)


def start_up() -> dict[str, float]:
    """Returns starts of ``seq2seq --help`` per second."""
    command = [sys.executable, "-m", "seq2seq.cli", "--help"]
    return rate(lambda: subprocess.run(command, check=True, capture_output=True), 1)


def main() -> None:
    """Prints a table, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    torch.manual_seed(1)
    rows = {
        "GEMM probe, float32, GFLOP/s": gemm_probe(),
        "training, float32, target tokens/s": training("float32", feeding=False),
        "training, bfloat16, target tokens/s": training("bfloat16", feeding=False),
        "training, input feeding, float32, target tokens/s": training("float32", feeding=True),
        "training, input feeding, bfloat16, target tokens/s": training("bfloat16", feeding=True),
        "greedy search, sentences/s": searching(1),
        "beam search (5), sentences/s": searching(5),
        "seq2seq --help, starts/s": start_up(),
        "GEMM probe again, GFLOP/s": gemm_probe(),
    }
    for name, row in rows.items():
        print(f"{name:52} {row['median']:9.1f}   ({row['least']:.1f} to {row['most']:.1f})")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
