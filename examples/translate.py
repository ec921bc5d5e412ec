"""Trains a translator on a list of pairs, and translates with it."""

import seq2seq

NUMBERS = {"one": "um", "two": "dois", "three": "três", "four": "quatro", "five": "cinco"}
THINGS = {"dogs": "cães", "cats": "gatos", "boats": "barcos", "books": "livros"}
PAIRS = [
    (f"I see {english} {thing}.", f"Vejo {other} {portuguese}.")
    for english, other in NUMBERS.items()
    for thing, portuguese in THINGS.items()
]
HELD_OUT = PAIRS[::7]  # sentences that training never sees
LEARNED = [pair for pair in PAIRS if pair not in HELD_OUT]

run = seq2seq.train(
    {
        "folder": "runs/example-translate",
        "source": {"tokenizer": "word"},
        "target": {"tokenizer": "word"},
        "model": {
            "embedding_size": 32,
            "encoder": {"hidden_size": 32, "embedding_size": 32, "residual": True},
            "decoder": {"hidden_size": 32},
        },
        "train": {"steps": 300, "validate_every": 100, "optimizer": {"learning_rate": 0.01}},
    },
    data={"train": LEARNED, "valid": HELD_OUT},
)

translator = seq2seq.Translator.load(run.folder)
for translation in translator([source for source, _ in HELD_OUT]):
    print(f"{translation.source} -> {translation.text}")
