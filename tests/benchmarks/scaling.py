"""How speed changes with size: of the model, of its batches and of the corpus.

``python -m tests.benchmarks.scaling [--json FILE] [--quick]``: a table for each thing that grows,
around the reference model; the sizes of a table take turns, and a ratio is to the first of them.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from seq2seq.data.pairs.batches import BatchConfig, Batches
from seq2seq.data.pairs.store import PairStore
from seq2seq.models.seq2seq import Seq2Seq, build_seq2seq
from seq2seq.tensors import Batch
from tests.benchmarks.bench import written
from tests.benchmarks.flops import TRAINING, pair_flops
from tests.benchmarks.memory import make_store
from tests.benchmarks.parts import Options, random_ids, reference, updates
from tests.benchmarks.timing import PROBE, Part, Work, gemm, part_table, rates, rounds

LENGTH, PAIRS, VOCABULARY = 15, 64, 4000
READ = 50
"""Batches read in a turn."""
SIZES: dict[str, tuple[int, ...]] = {
    "hidden size": (128, 256, 512, 1024),
    "layers": (1, 2, 4),
    "vocabulary": (1000, 4000, 16_000, 64_000),
    "length": (5, 15, 50, 150),
    "pairs of a batch": (8, 32, 128, 512),
    "corpus": (10**4, 10**5, 10**6),
}
QUICK: dict[str, tuple[int, ...]] = {
    "hidden size": (128, 512),
    "layers": (1, 2),
    "vocabulary": (1000, 16_000),
    "length": (5, 50),
    "pairs of a batch": (8, 64),
    "corpus": (10**4, 10**5),
}


def training(name: str, sizes: Iterable[int], options: Options) -> Part:
    """Measures whole updates of models, or of batches, that differ in one size."""
    works: dict[str, Work] = {PROBE: gemm()}
    flops: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            title = f"{size:,}"
            model, batch = sized(name, size, options)
            length = batch.target_out.values.shape[1]
            flops[title] = TRAINING * pair_flops(model).forward(length, length) / length
            works[title] = updates(model, [batch], "float32", Path(folder))
        found = rounds(works, options.repetitions)
    return Part(rates=rates(found, "target tokens", next(iter(flops)), flops), notes=[])


def sized(name: str, size: int, options: Options) -> tuple[Seq2Seq, Batch]:
    """Returns a model and a batch, one of whose sizes is another than the reference's."""
    vocabulary = size if name == "vocabulary" else options.vocabulary
    hidden = size if name == "hidden size" else options.hidden
    layers = size if name == "layers" else options.layers
    pairs = size if name == "pairs of a batch" else PAIRS
    length = size if name == "length" else LENGTH
    batch = Batch(*(random_ids(vocabulary, pairs, length) for _ in range(3)))
    config = reference(replace(options, hidden=hidden, layers=layers))
    return build_seq2seq(config, vocabulary, vocabulary), batch


def corpus(name: str, sizes: Iterable[int], options: Options) -> Iterator[tuple[str, Part]]:
    """Measures opening a corpus, planning an epoch of it, and reading batches."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [make_store(Path(folder) / f"{size}.arrow", size) for size in sizes]
        kinds: dict[str, tuple[Callable[[str], Work], str]] = {
            "opening": (opening, "pairs"),
            "planning an epoch": (planning, "pairs"),
            "reading": (reading, "batches"),
        }
        for kind, (make, unit) in kinds.items():
            works = {f"{size:,}": make(path) for size, path in zip(sizes, paths, strict=True)}
            found = rates(rounds(works, options.repetitions), unit, next(iter(works)))
            yield f"{name}, {kind}", Part(rates=found, notes=[])


def opened(path: str) -> PairStore:
    """Opens a store."""
    return PairStore.open(Path(path))


def opening(path: str) -> Work:
    """Returns the work of opening a store, in pairs."""
    return lambda number: float(len(opened(path)))


def planning(path: str) -> Work:
    """Returns the work of planning an epoch, in pairs."""
    store = opened(path)

    def work(number: int) -> float:
        Batches(store, BatchConfig(tokens=4096), seed=1).plan(number)
        return float(len(store))

    return work


def reading(path: str) -> Work:
    """Returns the work of reading batches from the middle of an epoch."""
    store = opened(path)
    plan = Batches(store, BatchConfig(tokens=4096), seed=1).plan(0)

    def work(number: int) -> float:
        some = [plan[(number * READ + index) % len(plan)] for index in range(READ)]
        return float(len([store.gather(rows) for rows in some]))

    return work


def measured(sizes: dict[str, tuple[int, ...]], options: Options) -> Iterator[tuple[str, Part]]:
    """Yields the parts one by one."""
    for name, own in sizes.items():
        if name == "corpus":
            yield from corpus(name, own, options)
        else:
            yield name, training(name, own, options)


def main() -> None:
    """Prints all tables, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=int, default=0, metavar="N")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N")
    parser.add_argument("--quick", action="store_true", help="two sizes of each")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(1)
    options = Options(vocabulary=VOCABULARY, repetitions=given.repetitions, threads=given.threads)
    parts = {}
    for name, part in measured(QUICK if given.quick else SIZES, options):
        parts[name] = part
        print("\n".join(part_table(name, part)), flush=True)
    if given.json:
        given.json.write_text(written(parts, options), encoding="utf-8")


if __name__ == "__main__":
    main()
