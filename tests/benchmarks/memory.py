"""Measures memory: of training, of each further pair, and of encoding a large corpus.

``python -m tests.benchmarks.memory [--json FILE]``: each part runs in a process of its own, so that
peaks are its own. Needs Linux and the files of Multi30k, in ``--data``. Smaller sizes, such as
``--steps 100 --megabytes 100``, give a first impression sooner.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa

from seq2seq import config as configuration
from seq2seq.data.files import read_lines
from seq2seq.data.pairs.batches import BatchConfig, Batches
from seq2seq.data.pairs.corpus import Corpus, CorpusConfig, open_corpus
from seq2seq.data.pairs.store import FilterConfig, PairStore, encode_corpus
from seq2seq.experiment import train
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.pipelines import Pipelines

ROOT = Path(__file__).parents[2]
MEGABYTE = 10**6
TYPICAL_LENGTH = 14
PAIRS_AT_ONCE = 10_000
COLUMNS = pa.schema({side: pa.list_(pa.uint16()) for side in ("source", "target")})
REFERENCE: dict[str, object] = {
    "joint_tokenizer": True,
    "source.vocab_size": 8000,
    "target.vocab_size": 8000,
    "data.batch.tokens": 4096,
    "model.output_dropout": 0.3,
    "model.encoder.layers": 2,
    "model.encoder.dropout": 0.3,
    "model.encoder.embedding_size": 0,
    "model.encoder.residual": False,
    "model.decoder.layers": 2,
    "model.decoder.dropout": 0.3,
}
"""What differs in the reference work from the recipe."""
HALVES = {**REFERENCE, "data.batch.tokens": 2048, "train.accumulate": 2}
"""The same updates, each of two batches."""


# --- what a process uses


def mapped(field: str, process: int | str = "self") -> int:
    """Returns bytes by a field of ``smaps_rollup``; 0 for a process that is over."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def family(process: int) -> list[int]:
    """Returns a process and all its living descendants."""
    found = [process]
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += family(int(child))
    return found


def proportional() -> int:
    """Returns the bytes of this process and its descendants; shared pages count once (PSS)."""
    return sum(mapped("Pss", process) for process in family(os.getpid()))


def private() -> int:
    """Returns the bytes that only this process has, pages of files left out."""
    return mapped("Anonymous")


@contextmanager
def peak(measure: Callable[[], int], seconds: float = 0.02) -> Iterator[list[int]]:
    """Measures again and again while the block runs; the most is the list's only item."""
    most, over = [measure()], threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            most[0] = max(most[0], measure())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


# --- the parts


def training(data: str, steps: int, overrides: dict[str, object]) -> dict[str, float]:
    """Trains by the recipe, with one validation at the end; returns the peak of resident memory."""
    config = configuration.read(ROOT / "recipes" / "multi30k" / "de-en.yaml")
    limits = {"train.minutes": 0, "train.steps": steps, "train.validate_every": 10**9}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        places = {"folder": f"{folder}/run", "data.folder": data, "data.cache": f"{folder}/cache"}
        train(config, {**limits, **places, **overrides})
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"peak RSS, MB": most / MEGABYTE, "minutes": (time.monotonic() - started) / 60}


def per_pair(few: int, many: int) -> dict[str, float]:
    """Returns how much private memory each pair takes beyond the first ``few``."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [make_store(Path(folder) / f"{pairs}.arrow", pairs) for pairs in (few, many)]
        least, most = (alone("reading", path)["bytes"] for path in paths)
    return {"bytes": (most - least) / (many - few)}


def make_store(path: Path, pairs: int) -> str:
    """Writes random ids, of lengths like those of captions, as an encoded corpus keeps them."""
    rng = np.random.default_rng(1)
    with pa.ipc.new_stream(str(path), COLUMNS) as writer:
        for start in range(0, pairs, PAIRS_AT_ONCE):
            sides = [random_rows(rng, min(PAIRS_AT_ONCE, pairs - start)) for _ in COLUMNS]
            writer.write_batch(pa.record_batch(sides, schema=COLUMNS))
    return str(path)


def random_rows(rng: np.random.Generator, rows: int) -> pa.ListArray:
    """Returns rows of ids, most of them about as long as captions."""
    lengths = np.clip(rng.lognormal(np.log(TYPICAL_LENGTH), 0.35, rows), 1, 100)
    offsets = np.concatenate([np.zeros(1), lengths.astype(np.int32).cumsum()]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, rng.integers(4, 8000, offsets[-1], np.uint16))


def reading(path: str) -> dict[str, float]:
    """Opens a store, reads an epoch and plans the next; returns the private bytes at the peak."""
    with peak(private) as most:
        batches = Batches(PairStore.open(Path(path)), BatchConfig(tokens=4096), seed=1)
        read = sum(len(batch.source.lengths) for batch in batches.epoch(0))
        batches.size(1)
    return {"bytes": most[0], "pairs": read}


def encoding(data: str, megabytes: int) -> dict[str, float]:
    """Learns the tokenizers of a large corpus and encodes it; memory of all processes together."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = perturbed(Path(data), Path(folder), megabytes * MEGABYTE)
        config = configuration.from_mapping(TranslationConfig, {}, REFERENCE, "reference")
        started = time.monotonic()
        with peak(proportional) as learned:
            pipelines = Pipelines.train(config, corpus)
        between = time.monotonic()
        with peak(proportional) as encoded:
            both = pipelines.source, pipelines.target
            store = encode_corpus(corpus, *both, FilterConfig(), Path(folder) / "cache")
        ended = time.monotonic()
    return {
        "peak PSS while learning, MB": learned[0] / MEGABYTE,
        "peak PSS while encoding, MB": encoded[0] / MEGABYTE,
        "learning, MB/s": megabytes / (between - started),
        "encoding, MB/s": megabytes / (ended - between),
        "pairs": len(store),
    }


def perturbed(data: Path, folder: Path, size: int) -> Corpus:
    """Writes Multi30k's pairs again and again, each time with another word and another number."""
    rng = Random(1)
    texts = [list(read_lines(data / f"train.{side}")) for side in ("de", "en")]
    words = [" ".join(side).split() for side in texts]
    names = CorpusConfig(source="large.de", target="large.en")
    with (folder / "large.de").open("wb") as source, (folder / "large.en").open("wb") as target:
        while source.tell() + target.tell() < size:
            row = rng.randrange(len(texts[0]))
            for file, side, own in zip((source, target), texts, words, strict=True):
                changed = side[row].split()
                changed[rng.randrange(len(changed))] = rng.choice(own)
                file.write(f"{' '.join(changed)} {rng.randrange(10**6)}\n".encode())
    return open_corpus(names, folder)


# --- each in a process of its own

PARTS: dict[str, Callable[..., dict[str, float]]] = {
    one.__name__: one for one in (training, per_pair, reading, encoding)
}


def alone(part: str, *arguments: object) -> dict[str, float]:
    """Runs one part in a process of its own and returns its figures."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--part", part]
    command.append(json.dumps(arguments))
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Prints all figures, and writes JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "multi30k", metavar="FOLDER")
    parser.add_argument("--steps", type=int, default=1000, help="updates of the recipe")
    parser.add_argument("--pairs", type=int, default=10**6, help="pairs of the larger store")
    parser.add_argument("--megabytes", type=int, default=1000, help="text to encode, both sides")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, arguments = options.part
        print(json.dumps(PARTS[name](*json.loads(arguments))))
        return
    data = str(options.data.resolve())
    runs: dict[str, tuple[object, ...]] = {
        "training, the reference work": ("training", data, max(1, options.steps // 4), REFERENCE),
        "training, its updates in halves": ("training", data, max(1, options.steps // 4), HALVES),
        "training, the recipe": ("training", data, options.steps, {}),
        "each further pair": ("per_pair", options.pairs // 10, options.pairs),
        "encoding": ("encoding", data, options.megabytes),
    }
    rows = {}
    for title, (part, *arguments) in runs.items():
        rows[title] = alone(str(part), *arguments)
        for name, figure in rows[title].items():
            print(f"{title + ': ' + name:52} {figure:12,.1f}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
