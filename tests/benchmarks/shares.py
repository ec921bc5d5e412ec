"""Where the time of an update and of a search goes, by kind of operation: a table and a picture.

``python -m tests.benchmarks.shares --run RUN [--data FOLDER] [--output PICTURE] [--threads N]``:
updates of the reference model on Multi30k, float32 and bfloat16, and beam search with a trained
run, float32 and int8, on one thread, under torch's profiler, whose own cost counts as Python.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from torch.profiler import ProfilerActivity, profile

from seq2seq.models.seq2seq import build_seq2seq
from seq2seq.tasks.translation.translator import Translator
from tests.benchmarks.parts import PRECISIONS, Options, read_pairs, reference, test_set, updates

KINDS = {
    "recurrent kernels": ("mkldnn_rnn_layer", "lstm"),
    "products": ("addmm", "mm", "bmm", "baddbmm", "_int_mm", "_linear_", "linear", "qlinear"),
    "optimiser, clipping": ("_fused", "_foreach", "linalg"),
    "softmax, choice": ("_softmax", "_log_softmax", "topk", "amax", "max", "argsort", "exp_"),
    "elementwise": (
        "sigmoid",
        "tanh",
        "mul",
        "add",
        "sub",
        "div",
        "lerp",
        "abs",
        "round",
        "floor",
        "uniform",
    ),
    "moving": ("index", "gather", "scatter", "copy", "cat", "stack", "embedding", "clone", "fill"),
}
"""Beginnings of the names of torch's operations; the first that fits counts."""
REST = "other, Python"
SENTENCES = 256


def kind_of(operation: str) -> str:
    """Returns what kind of work an operation does."""
    name = operation.rpartition("::")[2]
    fits = (kind for kind, names in KINDS.items() if name.startswith(names))
    return next(fits, REST)


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Returns the share of each kind, in percent of the time on the clock."""
    work()
    started = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    whole = (time.perf_counter() - started) * 1e6
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    known = {kind: 100 * spent[kind] / whole for kind in KINDS}
    return {**known, REST: 100 - sum(known.values())}


def measured(options: Options) -> dict[str, dict[str, float]]:
    """Returns the shares of updates and of searches."""
    found = {}
    pairs = read_pairs(options)
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "bfloat16"):
            model = build_seq2seq(reference(options), pairs.source_vocab, pairs.target_vocab)
            work = updates(model, pairs.batches, precision, Path(folder))
            found[f"update, {precision}"] = shares(lambda work=work: work(1))  # type: ignore[misc]
    sources, _ = test_set(options)
    torch.set_num_threads(1)  # so that it searches in this thread, the only one that is watched
    for precision in PRECISIONS:
        translator = Translator.load(options.run, device="cpu", precision=precision)
        found[f"beam 5, {precision}"] = shares(
            lambda one=translator: one(sources[:SENTENCES], beam_size=5)  # type: ignore[misc]
        )
    return found


def draw(found: dict[str, dict[str, float]], path: Path) -> None:
    """Draws a bar for each kind of work."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    panel = figure.subplots()
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    left = dict.fromkeys(found, 0.0)
    for colour, kind in zip(colours, (*KINDS, REST), strict=False):
        widths = [max(0.0, row[kind]) for row in found.values()]
        panel.barh(list(found), widths, left=list(left.values()), color=colour, label=kind)
        left = {name: left[name] + width for name, width in zip(left, widths, strict=True)}
    panel.invert_yaxis()
    panel.set_xlabel("percent of the time")
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--data", default=Options.data)
    parser.add_argument("--output", type=Path, default=Path("time.png"))
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    found = measured(Options(data=given.data, run=given.run, repetitions=2))
    print(f"| of the time, percent | {' | '.join(found)} |")
    print("|---" * (len(found) + 1) + "|")
    for kind in (*KINDS, REST):
        print(f"| {kind} | {' | '.join(f'{row[kind]:.0f}' for row in found.values())} |")
    draw(found, given.output)


if __name__ == "__main__":
    main()
