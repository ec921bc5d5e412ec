"""Draws a glossary from a run's own alignments, and measures what asking for its terms costs.

Usage: ``python -m recipes.multi30k.glossary RUN --draw val.de val.en --test test.de test.en``. The
first pair of files is translated, and each content word of it looked up in the alignments: the
words that mostly stand for it become its terms, if references agree. The second is translated
without the glossary, with it, and with it as a wish; the table tells how many terms stand in the
translations of their sentences, and the BLEU of all sentences.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import punctuation

from seq2seq import Glossary, Translation, Translator, Wishes
from seq2seq.data.files import read_lines
from seq2seq.evaluation.metrics import bleu

LETTERS, OFTEN, TIMES = 4, 0.05, 3
"""A content word has at least so many letters, stands in at most this share of the sentences, and
in at least so many of them."""
FORM, TOGETHER = 0.1, 0.8
"""A term has at least this share of its word's links; all terms of a word together, this one."""
AGREEING = 0.9
"""The share of the references that must have one of the terms."""
QUOTES = "„“”‚‘’«»–…"
Pairs = Sequence[tuple[str, str]]


def read(files: Sequence[Path]) -> Pairs:
    """Returns sources and references."""
    return list(zip(*map(read_lines, files), strict=True))


def bare(word: str) -> str:
    """Returns a word without the punctuation around it."""
    return word.strip(punctuation + QUOTES)


def links(translations: Iterable[Translation]) -> Iterator[tuple[str, str]]:
    """Yields each word of each text, and after it the word of the source that it looked at most."""
    for one in translations:
        words, sources = one.text.split(), one.source.split()
        for word, place in zip(words, one.alignment("word"), strict=False):
            if bare(word).isalpha():
                yield bare(word), bare(sources[place])


def draw(translations: Sequence[Translation], pairs: Pairs) -> Glossary:
    """Returns the terms that alignments and references agree on."""
    linked: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, source in links(translations):
        linked[source][word] += 1
    holding = Counter(word for source, _ in pairs for word in set(map(bare, source.split())))
    found = {}
    for source, counts in sorted(linked.items()):
        content = source.isalpha() and len(source) >= LETTERS
        if content and TIMES <= holding[source] <= OFTEN * len(pairs):
            total = counts.total()
            forms = [word for word, count in counts.most_common() if count >= FORM * total]
            if sum(counts[form] for form in forms) >= TOGETHER * total:
                found[source] = tuple(forms)
    return Glossary(dict(agreed(found, pairs)))


def agreed(
    found: Mapping[str, tuple[str, ...]], pairs: Pairs
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the terms of which references mostly have one where their word stands."""
    for source, terms in found.items():
        met, asked = counted(Glossary({source: terms}), pairs)
        if asked and met >= AGREEING * asked:
            yield source, terms


def counted(glossary: Glossary, pairs: Pairs) -> tuple[int, int]:
    """Returns how many terms stand in the texts beside their sources, and how many should."""
    met = [
        any(Glossary({term: (term,)}).found(text) for term in terms)
        for source, text in pairs
        for terms in glossary.found(source)
    ]
    return sum(met), len(met)


def row(name: str, translator: Translator, pairs: Pairs, glossary: Glossary, asked: bool) -> str:
    """Translates, and returns a row of the table."""
    sources, references = map(list, zip(*pairs, strict=True))
    started = time.monotonic()
    found = translator(sources, wishes=Wishes(glossary=glossary) if asked else None)
    passed = time.monotonic() - started
    texts = [one.text for one in found]
    met, all_of_them = counted(glossary, list(zip(sources, texts, strict=True)))
    score = bleu(texts, references)
    share = 100 * met / max(1, all_of_them)
    return f"| {name} | {met} of {all_of_them} ({share:.1f} %) | {score.value:.2f} | {passed:.1f} |"


def measure(run: str, drawn: Pairs, tested: Pairs, output: Path | None, bonus: float) -> str:
    """Draws and measures; returns the table."""
    translator = Translator.load(run)
    glossary = draw(translator([source for source, _ in drawn]), drawn)
    if output is not None:
        lines = ("\t".join((source, *terms)) + "\n" for source, terms in glossary.terms.items())
        output.write_text("".join(lines), encoding="utf-8")
    touched = sum(bool(glossary.found(source)) for source, _ in tested)
    met, asked = counted(glossary, tested)
    rows = [
        f"{len(glossary.terms)} words, in {touched} of {len(tested)} sentences; references have "
        f"{met} of {asked} terms\n",
        "| translations | terms met | BLEU | seconds |\n|---|---|---|---|",
        row("as they are", translator, tested, glossary, False),
        row("`--glossary`", translator, tested, glossary, True),
    ]
    translator.search = replace(translator.search, terms="soft", term_bonus=bonus)
    rows.append(row("`--terms soft`", translator, tested, glossary, True))
    return "\n".join(rows)


def main() -> None:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", metavar="RUN")
    for name in ("draw", "test"):
        parser.add_argument(f"--{name}", nargs=2, type=Path, required=True, metavar="FILE")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the glossary here")
    parser.add_argument("--bonus", type=float, default=5.0, metavar="NATS", help="of soft terms")
    options = parser.parse_args()
    drawn, tested = read(options.draw), read(options.test)
    print(measure(options.run, drawn, tested, options.output, options.bonus))


if __name__ == "__main__":
    main()
