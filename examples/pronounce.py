"""Trains a pronouncer on spellings, and lists the most likely pronunciations of a word."""

import itertools

import seq2seq

SOUNDS = {"ca": "k a", "ce": "s e", "co": "k o", "ga": "g a", "ge": "ʒ e", "lo": "l o", "mi": "m i"}
WORDS = [
    ("".join(parts), " ".join(SOUNDS[part] for part in parts))
    for length in (1, 2, 3)
    for parts in itertools.product(SOUNDS, repeat=length)
]

run = seq2seq.train(
    {
        "task": "transduction",
        "folder": "runs/example-pronounce",
        "target": {"tokenizer": "space"},
        "model": {
            "embedding_size": 32,
            "encoder": {"cell": "gru", "hidden_size": 32, "dropout": 0.0},
            "decoder": {"cell": "gru", "hidden_size": 32, "dropout": 0.0},
        },
        "train": {"steps": 250, "validate_every": 125, "optimizer": {"learning_rate": 0.01}},
    },
    data={"train": [pair for at, pair in enumerate(WORDS) if at % 9], "valid": WORDS[::9]},
)

pronouncer = seq2seq.Translator.load(run.folder)
(word,) = pronouncer("cagemi", n_best=3)
for candidate in word.alternatives:
    print(f"{candidate.score:7.3f}  {candidate.text}")
print(seq2seq.evaluate(run.folder, WORDS[::9], {"metrics": ["wer", "per"]}))
