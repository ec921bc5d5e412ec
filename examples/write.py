"""Trains a language model on a text, and writes on, character by character, as it is made."""

import seq2seq

TEXT = """The sun was up, the rain had gone, the cat sat on the wall.
The dog ran out, the cat ran home, and that was nearly all.
The rain came back, the sun went down, the dog lay in the hall.
"""

run = seq2seq.train(
    {
        "task": "language-model",
        "folder": "runs/example-write",
        "data": {"batch": {"rows": 8, "steps": 32}},
        "model": {"layers": {"cell": "gru", "hidden_size": 64, "dropout": 0.0}},
        "train": {"steps": 150, "validate_every": 75, "optimizer": {"learning_rate": 0.01}},
    },
    data={"train": [TEXT * 20], "valid": [TEXT]},
)

generator = seq2seq.Generator.load(run.folder)
for piece in generator.stream("The cat", length=200, temperature=0.5, seed=1):
    print(piece, end="", flush=True)
print()
for text in ("The dog sat on the wall.", "The wall on sat dog the."):
    print(f"{generator.score(text).bits_per_character:.2f} bits per character: {text}")
