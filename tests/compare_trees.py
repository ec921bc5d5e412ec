"""Trains the same models in two checkouts and compares what comes out, bit for bit.

Usage: ``python -m tests.compare_trees OLD NEW [--only WORD] [--jobs N] [--json FILE]``

Each variant (a task with a cell, an attention, a way of training, ...) is trained for 20 updates in
both trees, and then used. Digests are compared of all weights, of the optimiser, of the state and
the scores of training, and of what is generated, with its scores: greedy and by beam search, in
float32 and in eight-bit integers. Only what both trees have is used: ``seq2seq.train`` and the
classes of the README. Not part of ``make test``; run it before and after moving code.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Settings = dict[str, Any]
MAPPINGS = ("config", "state")
CELLS = ("lstm", "gru", "rnn", "sru", "mingru")
SMALL: Settings = {
    "train.steps": 20,
    "train.validate_every": 10,
    "train.log_every": 5,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.optimizer.learning_rate": 0.01,
}
PAIR: Settings = {
    **SMALL,
    "data.batch.tokens": 120,
    "source.vocab_size": 300,
    "target.vocab_size": 300,
    "model.embedding_size": 24,
    "model.encoder.hidden_size": 32,
    "model.decoder.hidden_size": 32,
    "validation.beam_size": 2,
}
TEXT: Settings = {
    **SMALL,
    "task": "language-model",
    "data.batch.rows": 4,
    "data.batch.steps": 16,
    "model.embedding_size": 16,
    "model.layers.hidden_size": 24,
    "validation.window": 20,
}
TWO_LAYERS = {"model.encoder.layers": 2, "model.decoder.layers": 2}


def both(settings: Settings) -> Settings:
    """Returns settings of the encoder and of the decoder."""
    sides = ("model.encoder", "model.decoder")
    return {f"{side}.{key}": value for side in sides for key, value in settings.items()}


def translations() -> Iterator[tuple[str, Settings]]:
    """Yields variants of a translator."""
    for cell in CELLS:
        yield f"cell {cell}", both({"cell": cell})
        yield f"cell {cell}, two layers", {**both({"cell": cell}), **TWO_LAYERS}
        yield f"cell {cell}, bfloat16", {**both({"cell": cell}), "train.precision": "bfloat16"}
        yield f"cell {cell}, feeding", {**both({"cell": cell}), "model.decoder.input_feeding": True}
        shaped = {"cell": cell, "residual": True, "layer_norm": True}
        yield f"cell {cell}, residual", {**both(shaped), **TWO_LAYERS}
    for attention in ("additive", "dot", "general", "none"):
        yield f"attention {attention}", {"model.decoder.attention": attention}
        feeding = {"model.decoder.attention": attention, "model.decoder.input_feeding": True}
        yield f"attention {attention}, feeding", feeding
    yield "one direction", {"model.encoder.bidirectional": False, **TWO_LAYERS}
    yield "untied", {"model.tie_embeddings": False, "model.decoder.output_size": 40}
    yield "wide source", {"model.encoder.embedding_size": 32, "model.encoder.residual": True}
    yield "locked dropout", both({"locked_dropout": True, "input_dropout": 0.1})
    yield "weight drop", both({"weight_drop": 0.2})
    yield "word dropout", {"model.word_dropout": 0.2}
    yield "deep decoder", {"model.decoder.layers": 3}
    yield "subword sampling", {"source.sampling": 0.1, "target.sampling": 0.1}
    yield "bpe, joint", {
        "source.tokenizer": "bpe", "target.tokenizer": "bpe", "joint_tokenizer": True,
    }  # fmt: skip
    yield "words", {"source.tokenizer": "word", "target.tokenizer": "word"}
    yield "characters, nfd", {"source.tokenizer": "char", "source.normalizers": ["nfd", "lower"]}
    yield "bytes", {"source.tokenizer": "byte", "target.tokenizer": "byte"}
    yield "accumulate", {"train.accumulate": 2}
    yield "average", {"train.average": 0.9}
    yield "adamw", {"train.optimizer.name": "adamw", "train.optimizer.weight_decay": 0.1}
    yield "sgd", {"train.optimizer.name": "sgd", "train.optimizer.momentum": 0.9}
    yield "plateau", {"train.optimizer.schedule.name": "plateau", "train.validate_every": 2}
    yield "no smoothing", {"train.label_smoothing": 0.0, "train.metric": "chrf"}
    yield "search", {
        "search.no_repeat_ngram": 2, "search.min_length": 3, "search.length_penalty": 0.6,
        "search.max_length": 12,
    }  # fmt: skip


def texts() -> Iterator[tuple[str, Settings]]:
    """Yields variants of a language model."""
    for cell in CELLS:
        yield f"cell {cell}", {"model.layers.cell": cell}
        shaped = {"model.layers.residual": True, "model.layers.layer_norm": True}
        yield f"cell {cell}, residual", {"model.layers.cell": cell, **shaped}
        low = {"model.layers.cell": cell, "train.precision": "bfloat16"}
        yield f"cell {cell}, bfloat16", low
    yield "reset", {"data.batch.reset": 0.2, "validation.rows": 3}
    yield "tied", {"model.tie_embeddings": True, "model.output_size": 16}
    yield "penalties", {"model.activation": 2.0, "model.slowness": 1.0}
    yield "embedding dropout", {"model.embedding_dropout": 0.2, "model.layers.weight_drop": 0.3}
    yield "average", {"train.average": 0.9, "train.accumulate": 2}
    yield "bytes", {"text.tokenizer": "byte"}
    yield "unigram", {"text.tokenizer": "unigram", "text.vocab_size": 320}
    yield "words", {"text.tokenizer": "word"}


def variants() -> dict[str, Settings]:
    """Returns the settings of all variants by name."""
    strings = {**PAIR, "task": "transduction", "source.vocab_size": 0, "target.vocab_size": 0}
    found = {f"translation: {name}": {**PAIR, **own} for name, own in translations()}
    found |= {f"transduction: cell {cell}": {**strings, **both({"cell": cell})} for cell in CELLS}
    attentive = {"model.decoder.attention": "additive", "target.tokenizer": "space"}
    found["transduction: additive, symbols"] = {**strings, **attentive}
    found |= {f"language model: {name}": {**TEXT, **own} for name, own in texts()}
    return found


WORK = """
import hashlib, json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np, yaml
from safetensors.torch import load_file
import seq2seq
settings, task, tree = json.loads(sys.stdin.read())
assert Path(seq2seq.__file__).is_relative_to(tree), seq2seq.__file__
def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
def of_array(array):
    return str(array.dtype), array.shape, array.tobytes()
words = "ein zwei drei vier fünf sechs sieben acht neun zehn Haus Hund Katze läuft schläft".split()
rng = np.random.default_rng(0)
rows = [[words[i] for i in rng.integers(len(words), size=rng.integers(1, 9))] for _ in range(120)]
sources = [" ".join(row) + "." for row in rows]
targets = [" ".join(word[::-1] for word in reversed(row)) + "!" for row in rows]
if settings.get("target.tokenizer") == "space":
    targets = [" ".join(target.replace(" ", "_")) for target in targets]
found = {}
if task == "language-model":
    documents = [" ".join(sources[i : i + 4]) + "\\n" for i in range(0, 120, 4)]
    run = seq2seq.train(settings, train_texts=documents, valid_texts=documents[:5])
else:
    pairs = list(zip(sources, targets))
    run = seq2seq.train(settings, train_pairs=pairs, valid_pairs=pairs[:20])
folder = Path(run.folder)
last = sorted((folder / "checkpoints").glob("step-*"))[-1]
for part in ("model", "optimizer"):
    tensors = load_file(last / f"{part}.safetensors")
    found[part] = digest([(k, of_array(t.float().numpy()), str(t.dtype)) for k, t in sorted(tensors.items())])
clock = {"seconds", "minutes", "tokens_per_second", "window_seconds"}
state = json.loads((last / "state.json").read_text())
found["state"] = {k: repr(v) for k, v in state.items() if k not in clock}
history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
found["scores"] = digest([sorted((k, v) for k, v in row.items() if k not in clock) for row in history])
found["samples"] = digest((folder / "samples" / "all.txt").read_text())
found["pipeline"] = digest([(p.relative_to(folder).as_posix(), p.read_bytes()) for p in sorted((folder / "pipeline").rglob("*")) if p.is_file()])
config = yaml.safe_load((folder / "config.yaml").read_text())
def flat(mapping, prefix=""):
    for key, value in mapping.items():
        if isinstance(value, dict): yield from flat(value, f"{prefix}{key}.")
        else: yield prefix + key, value
found["config"] = {key: repr(value) for key, value in flat(config) if key not in ("folder", "data.cache")}
for precision in ("float32", "int8"):
    if task == "language-model":
        generator = seq2seq.Generator.load(folder, precision=precision)
        texts = [generator(length=80, temperature=t, seed=3, end=False) for t in (0, 1.0)]
        texts += [s.text for s in generator.samples(None, 5, seed=4, length=40, top_p=0.9, repetition_penalty=1.1)]
        found[f"texts {precision}"] = digest(texts)
        if precision == "float32":
            surprisal = generator.score("ein Haus läuft.", unknown="replace")
            found["surprisal"] = digest((surprisal.tokens, of_array(surprisal.bits)))
        continue
    translator = seq2seq.Translator.load(folder, precision=precision)
    both = seq2seq.Translator.load(folder, folder, checkpoint="last", precision=precision)
    some = sources[:40] + ["", "Katze " * 30, "ξένος"]
    for name, use, options in (("greedy", translator, {"beam_size": 1}), ("beam", translator, {"beam_size": 5, "n_best": 3}), ("ensemble", both, {"beam_size": 3})):
        made = use(some, **options)
        found[f"{name} {precision}"] = digest([
            [(o.text, repr(o.score), o.target_tokens, of_array(o.attention)) for o in one.alternatives] for one in made
        ])
print(json.dumps(found))
"""  # noqa: E501


def outcome(tree: Path, settings: Settings) -> dict[str, Any]:
    """Trains and uses a variant in one tree; returns the digests of what comes out."""
    with tempfile.TemporaryDirectory() as place:
        task = settings.get("task", "translation")
        config = {**settings, "folder": "run", "data.cache": f"{place}/cache"}
        variables = {"PYTHONPATH": str(tree), "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "32"}
        done = subprocess.run(
            [sys.executable, "-c", WORK],
            input=json.dumps([config, task, str(tree)]),
            capture_output=True,
            text=True,
            cwd=place,
            env={**os.environ, **variables},
            check=False,
        )
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Returns the parts that differ; a key that only one tree has is no difference."""
    if "failed" in old or "failed" in new:
        return [f"failed: {old.get('failed') or new.get('failed')}"]
    found = [part for part in old if part not in MAPPINGS and old[part] != new.get(part)]
    for part in MAPPINGS:
        keys = old[part].keys() & new[part].keys()
        found += [key for key in sorted(keys) if old[part][key] != new[part][key]]
    return found


def main() -> int:
    """Compares, prints a line a variant, and returns 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--only", default="", help="only variants with this in their name")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all digests here")
    options = parser.parse_args()
    trees = [options.old.resolve(), options.new.resolve()]
    chosen = {name: own for name, own in variants().items() if options.only in name}

    def compare(name: str) -> tuple[list[str], list[dict[str, Any]]]:
        outcomes = [outcome(tree, chosen[name]) for tree in trees]
        return differing(*outcomes), outcomes

    record, count = {}, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for name, (differences, outcomes) in zip(chosen, pool.map(compare, chosen), strict=True):
            record[name] = outcomes
            count += bool(differences)
            parts = f"equal ({len(outcomes[0]) - 1} parts)"
            print(f"{name}: {'DIFFERS: ' + ', '.join(differences) if differences else parts}")
            sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    print(f"{len(chosen) - count} variants equal, {count} different")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
