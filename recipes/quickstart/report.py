"""Shows what the quick-start model can do: score, baseline, translations, pictures."""

import logging
import sys
from pathlib import Path

import seq2seq
from recipes.quickstart.baseline import Index
from seq2seq.data.pairs.corpus import open_corpora
from seq2seq.evaluation.metrics import chrf, exact_match
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.config import TranslationConfig

SHOWN = 5
FITS = 18
"""Most target tokens of the sentence in the attention picture."""


def main(run: Path) -> None:
    """Translates the test set, which holds nothing seen in training, and prints what came out."""
    logging.getLogger("seq2seq").addHandler(logging.StreamHandler())
    config = read_config(run)
    assert isinstance(config, TranslationConfig)
    train, test = (
        list(open_corpora(config.data.corpora(role), Path(config.data.folder)).pairs())
        for role in ("train", "test")
    )
    sources, references = [source for source, _ in test], [target for _, target in test]
    index = Index([source for source, _ in train])
    copied = [train[index.nearest(source)][1] for source in sources]
    translations = seq2seq.Translator.load(run)(sources)
    found = [one.text for one in translations]

    print("\n                         exact match   chrF")
    for name, texts in (("nearest-neighbour copy", copied), ("model", found)):
        scores = exact_match(texts, references).value, chrf(texts, references).value
        print(f"{name:24} {scores[0]:9.1f} % {scores[1]:6.1f}")
    print()
    for source, text in list(zip(sources, found, strict=True))[:: len(test) // SHOWN][:SHOWN]:
        print(f"  {source}\n  → {text}\n")
    fitting = [one for one in translations if len(one.target_tokens) <= FITS]
    longest = max(fitting, key=lambda one: len(one.target_tokens))
    print(f"attention picture: {longest.plot_attention(run / 'plots' / 'attention.png')}")
    print(f"learning curve: {run / 'plots' / 'learning_curve.png'}")
    print(f"exact match {exact_match(found, references).value:.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart"))
