"""Measures the models of a language, one by one and as an ensemble; tables of the scores."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch

import seq2seq
from recipes.g2p.data import TEST, Parts, write
from seq2seq.evaluation.metrics import per, wer
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.tasks.translation.translation import Translation

SHOWN = 20
"""Most confusions and wrong words in a list of mistakes."""
RATES = ("WER", "PER")
MACRO = "macro average"
Scores = dict[str, float]


@dataclass(frozen=True)
class Exam:
    """What one language's models are measured on."""

    language: str
    tag: str
    """What the sources begin with, a space included; empty where each language has its model."""
    runs: dict[str, Path]
    """Run folders by what the table calls them."""
    checkpoint: str
    parts: Parts
    folder: Path
    """Where predictions and mistakes are written."""


class Row(NamedTuple):
    """The scores of one language on one part of its data."""

    words: int
    scores: dict[str, Scores]


def examine(exam: Exam) -> tuple[str, dict[str, Row]]:
    """Measures a language's single models and their ensemble, and writes what the last predicts."""
    torch.set_num_threads(1)  # as many processes work as there are cores
    systems = {name: [run] for name, run in exam.runs.items()}
    if len(systems) > 1:
        systems["ensemble"] = list(exam.runs.values())
    rows = {part: Row(len(pairs), {}) for part, pairs in exam.parts.items()}
    for name, runs in systems.items():
        translator = seq2seq.Translator.load(*runs, checkpoint=exam.checkpoint)
        for part, pairs in exam.parts.items():
            found = translator([exam.tag + word for word, _ in pairs])
            texts = [one.text for one in found]
            references = translator.pipelines.target.restored([phonemes for _, phonemes in pairs])
            values = {"WER": wer(texts, references).value, "PER": per(texts, references).value}
            rows[part].scores[name] = values
            # The ensemble comes last, and replaces the single models.
            keep(exam, part, references, found)
    return exam.language, {
        part: Row(row.words, with_mean(row.scores, exam.runs)) for part, row in rows.items()
    }


def keep(exam: Exam, part: str, references: Sequence[str], found: Sequence[Translation]) -> None:
    """Writes predictions, and the mistakes unless in the test set."""
    words, texts = [word for word, _ in exam.parts[part]], [one.text for one in found]
    scores = [f"{one.score:.4f}" for one in found]
    rows = list(zip(words, references, texts, scores, strict=True))
    write(exam.folder / f"{exam.language}.{part}.tsv", rows)
    if part != TEST:
        mistakes = find_mistakes(words, texts, references, "symbol")
        path = exam.folder / f"{exam.language}.mistakes.txt"
        path.write_text(f"{exam.language} {part}\n\n{mistakes.table(SHOWN)}\n", encoding="utf-8")


def mean(some: Sequence[Scores]) -> Scores:
    """Returns the mean of each score."""
    return {name: fmean(one[name] for one in some) for name in some[0]}


def with_mean(scores: dict[str, Scores], singles: Iterable[str]) -> dict[str, Scores]:
    """Puts the mean of several single models between them and their ensemble."""
    some = {name: scores[name] for name in singles}
    between = {f"mean of {len(some)}": mean(list(some.values()))} if len(some) > 1 else {}
    return some | between | scores


def add_macro(rows: dict[str, Row]) -> dict[str, Row]:
    """Adds the mean over languages, each of equal weight."""
    systems = next(iter(rows.values())).scores
    macro = {name: mean([row.scores[name] for row in rows.values()]) for name in systems}
    return rows | {MACRO: Row(sum(row.words for row in rows.values()), macro)}


def table(rows: dict[str, Row]) -> str:
    """Returns a table in Markdown; of the single models it shows the first and the mean."""
    systems = list(rows[MACRO].scores)
    shown = systems[:1] + systems[-2:] if len(systems) > 1 else systems
    lines = [["language", "words", *(f"{rate}, {one}" for one in shown for rate in RATES)]]
    lines.append(["---"] * len(lines[0]))
    for name, row in rows.items():
        values = (f"{row.scores[one][rate]:.2f}" for one in shown for rate in RATES)
        lines.append([name, f"{row.words:,}", *values])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report(folder: Path, results: dict[str, dict[str, Row]]) -> None:
    """Writes all scores as JSON and as tables, and prints the tables."""
    plain = {
        part: {name: row._asdict() for name, row in rows.items()} for part, rows in results.items()
    }
    (folder / "results.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(f"## {part}\n\n{table(rows)}" for part, rows in results.items())
    (folder / "results.md").write_text(text, encoding="utf-8")
    print(f"\n{text}", end="")
