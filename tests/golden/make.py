"""Trains the small runs in ``folders`` and records what they say in ``texts.json``.

Usage: ``python -m tests.golden.make``. It was run once, for checkpoint format 1, and what it made
is kept: a run that was trained once must load and say the same for ever. Run it again only for a
new format, into a new folder.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

import seq2seq

HERE = Path(__file__).parent
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TENS = ["_", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
VERSE = (
    "The rat and the cat sat on a mat in the sun.\n",
    "A cat ran to the rat, and the rat ran home at noon.\n",
    "In the sun the cat sat, and the mat was warm.\n",
)


def number(value: int) -> str:
    """Returns a number below a hundred in words."""
    ten, one = divmod(value, 10)
    return " ".join([TENS[ten], ONES[one]] if ten and one else [TENS[ten] if ten else ONES[one]])


def pairs() -> list[tuple[str, str]]:
    """Returns sums in words, and in figures."""
    rng = np.random.default_rng(5)
    values = rng.integers(100, size=(500, 2)).tolist()
    return [(f"{number(a)} and {number(b)} apples.", f"{a} + {b} apples!") for a, b in values]


def sounds() -> list[tuple[str, str]]:
    """Returns made-up words, and how they are spoken."""
    letters = {"b": "b", "c": "k", "d": "d", "a": "ɑ", "e": "ɛ", "o": "ɔ", "u": "u", "x": "k s"}
    rng = np.random.default_rng(6)
    lengths = rng.integers(2, 7, size=300)
    words = ["".join(rng.choice(list(letters), size=length)) for length in lengths]
    return [(word, " ".join(letters[letter] for letter in word)) for word in words]


COMMON: dict[str, Any] = {
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.keep": 1,
    "train.label_smoothing": 0.0,
    "train.optimizer.learning_rate": 0.01,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "translation": {
        **COMMON,
        "source": {"tokenizer": "unigram", "vocab_size": 330},
        "target": {"tokenizer": "char"},
        "data.batch.tokens": 400,
        "model.embedding_size": 12,
        "model.output_dropout": 0.0,
        "model.encoder": {"hidden_size": 20, "dropout": 0.0, "embedding_size": 6},
        "model.decoder": {"hidden_size": 20, "dropout": 0.0},
        "train.steps": 1500,
        "train.validate_every": 1500,
        "train.metric": "exact",
    },
    "transduction": {
        **COMMON,
        "task": "transduction",
        "target": {"tokenizer": "space"},
        "data.batch.tokens": 200,
        "model.embedding_size": 10,
        "model.output_dropout": 0.0,
        "model.encoder": {"cell": "gru", "hidden_size": 16, "dropout": 0.0},
        "model.decoder": {
            "cell": "gru", "hidden_size": 16, "dropout": 0.0, "attention": "additive",
            "input_feeding": True,
        },
        "train.steps": 900,
        "train.validate_every": 450,
    },
    "language-model": {
        **COMMON,
        "task": "language-model",
        "data.batch": {"rows": 4, "steps": 20},
        "model.embedding_size": 12,
        "model.output_size": 12,
        "model.tie_embeddings": True,
        "model.output_dropout": 0.0,
        "model.layers": {"hidden_size": 16, "dropout": 0.0},
        "train.steps": 450,
        "train.validate_every": 150,
        "train.average": 0.9,
        "validation.window": 20,
    },
}  # fmt: skip
SOURCES = {
    "translation": ["two and fifty apples.", "ninety one and eight apples.", "noon", ""],
    "transduction": ["cab", "bedux", "oo", "q"],
}
PROMPTS = (None, "The cat ", "A")


def data(task: str) -> dict[str, Any]:
    """Returns what a run is trained on, and validated with."""
    if task == "language-model":
        return {"train": [*VERSE] * 8, "valid": [*VERSE]}
    made = pairs() if task == "translation" else sounds()
    return {"train": made[:-50], "valid": made[-50:]}


def said(folder: Path, task: str) -> dict[str, Any]:
    """Returns what a run says, with its scores, by how it is asked."""
    record: dict[str, Any] = {}
    for precision in ("float32", "int8"):
        if task == "language-model":
            generator = seq2seq.Generator.load(folder, device="cpu", precision=precision)
            for prompt in PROMPTS:
                for heat in (0.0, 0.8):
                    text = generator(prompt, length=60, temperature=heat, seed=11, end=False)
                    record[f"{precision}, {prompt!r}, temperature {heat}"] = [text]
            found = generator.score("The cat sat in the sun.")
            record[f"{precision}, surprisal"] = ["".join(found.tokens), found.bits.tolist()]
            continue
        translator = seq2seq.Translator.load(folder, device="cpu", precision=precision)
        for size in (1, 5):
            record[f"{precision}, beam {size}"] = [
                [text, other.text, other.score]
                for text, translation in zip(
                    SOURCES[task],
                    translator(SOURCES[task], beam_size=size, n_best=min(size, 3)),
                    strict=True,
                )
                for other in translation.alternatives
            ]
    return record


def main() -> None:
    """Trains, and writes what the runs say."""
    torch.set_num_threads(1)
    record = {}
    for task, config in CONFIGS.items():
        folder = HERE / "folders" / task
        shutil.rmtree(folder, ignore_errors=True)
        place = str(folder.relative_to(Path.cwd()))
        run = seq2seq.train({**config, "folder": place, "data.cache": "cache"}, data=data(task))
        for extra in (".lock", "plots", "valid", "samples/all.txt"):
            path = run.folder / extra
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        record[task] = said(folder, task)
    shutil.rmtree("cache")
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (HERE / "texts.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
