"""Shows what the Python model has learned: a sample, how much of it tokenizes, a picture.

Usage: ``python recipes/python-source/report.py [RUN]``.
"""

import io
import random
import re
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path

import seq2seq
from seq2seq.data.documents.texts import open_texts
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.task import read_config

LENGTH = 2000
COUNT = 8
"""Samples whose lines are counted; made side by side, in about the time of one."""
SEED = 1
FITS = range(600, 1200)
"""Characters of a function in the picture."""
FUNCTION = re.compile(r"^def .*\n(?:(?: .*)?\n)+", re.MULTILINE)


def tokenizes(line: str) -> bool:
    """Tells whether Python's own tokenizer takes a line by itself, its indentation left out.

    It does not where a string or a bracket is left open, as it may well be in real code; nor does
    it take much prose, such as an apostrophe in a docstring.
    """
    tokens = tokenize.generate_tokens(io.StringIO(line.lstrip() + "\n").readline)
    try:
        return all(token.type != tokenize.ERRORTOKEN for token in tokens)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return False  # ValueError: what cannot be encoded, from Python 3.12 on


def share(texts: Sequence[str]) -> float:
    """Returns the percentage of lines that tokenize, blank ones and each text's last left out.

    A text ends where its length is reached: its last line is not whole.
    """
    lines = [line for text in texts for line in text.split("\n")[:-1] if line.strip()]
    return 100 * sum(map(tokenizes, lines)) / max(len(lines), 1)


def stretches(text: str, count: int, length: int = LENGTH) -> list[str]:
    """Returns parts of a text, evenly spread, each from the beginning of a line on."""
    places = (text.find("\n", at * len(text) // count) + 1 for at in range(count))
    return [text[place : place + length] for place in places]


def babble(text: str, count: int, length: int = LENGTH) -> list[str]:
    """Returns texts of characters drawn one by one, each as often as ``text`` has it."""
    dice = random.Random(SEED)
    return ["".join(dice.choices(text, k=length)) for _ in range(count)]


def pictured(text: str, known: set[str]) -> str:
    """Returns the first function that fits the picture and holds known characters only.

    Where there is none, it is the beginning of the text, without the characters not known.
    """
    functions = (function.rstrip() for function in FUNCTION.findall(text))
    fitting = (one for one in functions if len(one) in FITS and known.issuperset(one))
    return next(fitting, "".join(filter(known.__contains__, text[: FITS.stop])))


def main(run: Path) -> None:
    """Prints a sample and what it is worth, and draws how surprising real code is."""
    generator, config = seq2seq.Generator.load(run), read_config(run)
    assert isinstance(config, LanguageModelTaskConfig)
    texts = open_texts(config.data.text("valid"), Path(config.data.folder))
    real = "".join(block for document in texts.documents() for block in document)
    found = generator.samples(count=COUNT, length=LENGTH, end=False, seed=SEED)
    samples = [one.text for one in found]
    print(f"{samples[0]}\n\nlines that tokenize   this text   {COUNT} such texts")
    rows = {"babble": babble(real, COUNT), "model": samples, "library": stretches(real, COUNT)}
    for name, some in rows.items():
        print(f"{name:20} {share(some[:1]):9.1f} % {share(some):12.1f} %")
    code = pictured(real, set(generator.pipeline.vocabulary.entries))
    picture = generator.plot_surprisal(code, run / "plots" / "surprisal.png")
    print(f"\nsurprisal of a function of the library: {picture}")
    print(f"learning curve: {run / 'plots' / 'learning_curve.png'}")
    print(f"lines that tokenize: {share(samples[:1]):.1f} %")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/python-source"))
