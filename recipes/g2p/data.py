"""Corpora in the layout of SIGMORPHON 2020: LANG_train.tsv, LANG_dev.tsv and LANG_test.tsv."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from seq2seq.data.pairs.corpus import CorpusConfig, Pair, open_corpus, usable
from seq2seq.errors import DataError, nearest

TRAIN, HELD = "train", "held"
DEV, TEST = "dev", "test"
SHARE = 10
"""One pair of so many is held out."""
STEM = 6
"""Words with the same so many first letters are held out together, or learned together."""
CorpusT = TypeVar("CorpusT", bound=CorpusConfig)
Parts = dict[str, list[Pair]]
"""Words and their phonemes by part."""


def choose(folder: Path, wanted: Sequence[str]) -> list[str]:
    """Returns the languages to train.

    Raises:
        DataError: The folder or a language's training file is missing.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; one with LANG_{TRAIN}.tsv files is needed")
    ending = f"_{TRAIN}.tsv"
    there = sorted(path.name.removesuffix(ending) for path in folder.glob(f"*{ending}"))
    if not there:
        raise DataError(f"{folder}: holds no LANG{ending}; at least one is needed")
    for one in wanted:
        if one not in there:
            close = nearest(one, there)
            raise DataError(f"{folder}: no {one}{ending}; there are {', '.join(there)}{close}")
    return list(dict.fromkeys(wanted)) or there


def read(path: Path) -> list[Pair]:
    """Reads words and their phonemes."""
    return list(
        usable(open_corpus(columns(path.name, CorpusConfig), path.parent).pairs(), Counter())
    )


def columns(name: str, kind: type[CorpusT]) -> CorpusT:
    """Returns where the pairs of a file without header stand."""
    return kind(path=name, format="tsv", source_column="0", target_column="1")


def load(folder: Path, language: str, holdout: bool) -> Parts:
    """Splits a language's training file; reads what is reported on unless ``holdout``.

    Raises:
        DataError: A file cannot be used, or there is nothing to report on.
    """
    path = folder / f"{language}_{TRAIN}.tsv"
    pairs = read(path)
    if len(pairs) < SHARE:
        raise DataError(f"{path}: {len(pairs)} pairs; at least {SHARE} are needed to hold some out")
    parts = split(pairs)
    if holdout:
        return parts
    files = {part: folder / f"{language}_{part}.tsv" for part in (DEV, TEST)}
    found = {part: read(file) for part, file in files.items() if file.exists()}
    if not found:
        names = " nor ".join(file.name for file in files.values())
        raise DataError(f"{folder}: neither {names}; one is needed, or --holdout")
    return parts | found


def split(pairs: Sequence[Pair]) -> Parts:
    """Holds a tenth out so that no word begins like a learned one: relatives stay together.

    A draw word by word is too easy: in Bulgarian, 66 % of the words held so share seven tenths of
    their letters, from the first on, with a learned word; of the development words, 29 % do.
    """
    families: dict[str, list[int]] = {}
    for row, (word, _) in enumerate(pairs):
        families.setdefault(word[:STEM], []).append(row)
    held: set[int] = set()
    for stem in random.Random(1).sample(sorted(families), len(families)):
        if len(held) >= len(pairs) // SHARE:
            break
        held.update(families[stem])
    parts: Parts = {TRAIN: [], HELD: []}
    for row, pair in enumerate(pairs):
        parts[HELD if row in held else TRAIN].append(pair)
    return parts


def join(corpora: dict[str, Parts]) -> Parts:
    """Joins languages to one corpus; each source begins with its language's tag."""
    joint: Parts = {}
    for language, parts in corpora.items():
        for part, pairs in parts.items():
            joint.setdefault(part, []).extend((f"<{language}> {one}", two) for one, two in pairs)
    # Validation may translate the first pairs only: let them be of all languages.
    random.Random(1).shuffle(joint[HELD])
    return joint


def write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Writes rows of texts parted by tabs."""
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")


def put(folder: Path, name: str, parts: Parts, everything: bool) -> dict[str, CorpusConfig]:
    """Writes a model's data; returns where each part stands."""
    folder.mkdir(parents=True, exist_ok=True)
    learned = parts[TRAIN] + parts[HELD] if everything else parts[TRAIN]
    written = {part: columns(f"{name}_{part}.tsv", CorpusConfig) for part in parts}
    for part, pairs in (parts | {TRAIN: learned}).items():
        write(folder / f"{name}_{part}.tsv", pairs)
    return written
