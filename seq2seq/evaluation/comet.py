"""COMET: how good a trained network takes translations to be (Rei et al. 2020, 2022).

The package ``unbabel-comet`` requires other versions than this one does, of jsonargparse among
them, so it lives in an environment of its own and its command is called.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from seq2seq.errors import ConfigError, DataError, as_texts
from seq2seq.evaluation.metrics import (
    References,
    Score,
    Several,
    Texts,
    require_pairs,
    signature_of,
)

COMMAND, MODEL = "COMET_SCORE", "COMET_MODEL"
"""Variables of the environment: where the command is, and which model it takes."""
USUAL = "Unbabel/wmt22-comet-da"
NAME, DIGITS = "COMET", 4
"""What the score is called, and its digits after the point, as COMET's command has it."""


def comet(
    hypotheses: Texts,
    references: References,
    *,
    lowercase: bool = False,
    sources: Texts | None = None,
) -> Score:
    """Scores by COMET, by the model that ``COMET_MODEL`` names; of several references the best.

    Raises:
        DataError: The sides differ in number, or are empty.
        ConfigError: There are no sources, or the command is missing or fails.
    """
    hypotheses, expected = require_pairs(hypotheses, references)
    scores = segments(hypotheses, expected, sources, lowercase)
    return Score(NAME, sum(scores) / len(scores), signature(expected, lowercase), DIGITS)


def segments(
    hypotheses: Sequence[str], references: Several, sources: Texts | None, lowercase: bool
) -> list[float]:
    """Returns the score of each hypothesis, with the reference that makes it best.

    Raises:
        DataError: There are more or fewer sources.
        ConfigError: There are none, or the command is missing or fails.
    """
    known = _require_sources(sources, len(hypotheses))
    most = max(map(len, references))
    ranks = [[texts[min(rank, len(texts) - 1)] for texts in references] for rank in range(most)]
    sides = [
        [text.lower() if lowercase else text for text in side] for side in (hypotheses, *ranks)
    ]
    scores = (_scored(known, sides[0], rank) for rank in sides[1:])
    return [max(row) for row in zip(*scores, strict=True)]


def _require_sources(sources: Texts | None, count: int) -> Sequence[str]:
    if sources is None:
        raise ConfigError("metrics: comet needs the sources; give --source")
    known = as_texts(sources, "sources")
    if len(known) != count:
        raise DataError(
            f"cannot score: {len(known):,} sources, {count:,} hypotheses; each hypothesis needs "
            "the source of the same line"
        )
    return known


def command() -> str:
    """Returns where COMET's command is.

    Raises:
        ConfigError: There is none.
    """
    named = os.environ.get(COMMAND, "comet-score")
    found = shutil.which(named)
    if found is None:
        raise ConfigError(
            f"metrics: comet needs the command {named}, which is not installed: pip install "
            f"unbabel-comet in an environment of its own and name its comet-score in {COMMAND}; "
            "it fetches its model from a hub"
        )
    return found


def signature(references: Several, lowercase: bool) -> str:
    """Returns how the score is computed."""
    return signature_of(references, lowercase, f"model:{os.environ.get(MODEL, USUAL)}")


def _scored(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
) -> list[float]:
    """Returns what COMET's command says of each hypothesis."""
    with TemporaryDirectory() as folder:
        sides = {"sources": sources, "translations": hypotheses, "references": references}
        words = [command()]
        for name, texts in sides.items():
            path = Path(folder) / name
            lines = (" ".join(text.splitlines()) for text in texts)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            words += [f"--{name}", str(path)]
        scores = Path(folder) / "scores.json"
        _run([*words, "--to_json", str(scores)], scores)
        rows: list[dict[str, Any]] = next(iter(json.loads(scores.read_text("utf-8")).values()))
    return [float(row["COMET"]) for row in rows]


def _run(words: Sequence[str], written: Path) -> None:
    """Runs COMET's command, which writes a file.

    Raises:
        ConfigError: It does not.
    """
    gpus = str(int(torch.cuda.is_available()))
    others = ("--model", os.environ.get(MODEL, USUAL), "--gpus", gpus, "--quiet", "--only_system")
    done = subprocess.run([*words, *others], capture_output=True, text=True, check=False)
    if done.returncode or not written.exists():
        told = done.stderr.strip().splitlines() or ["it says nothing"]
        raise ConfigError(f"metrics: comet: {words[0]} failed: {told[-1]}")
