"""N-best lists, and numbers that tell a good hypothesis from a bad one.

Log-probabilities are in nats a token (of a language model, a character), so that long texts are not
at a disadvantage, and features of different runs compare; length is a feature by itself.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from seq2seq.data.files import is_blank, text_of
from seq2seq.errors import CheckpointError, DataError, OneOf, PathText, brief, require, require_name
from seq2seq.tasks.task import named, task_in
from seq2seq.tasks.translation.scorers import SCORERS

LEAST = -100.0
"""No log-probability counts as less: a weight of 0 makes nothing of minus infinity."""
LANGUAGE_MODEL = "language-model"


@dataclass(frozen=True)
class Candidate:
    """One hypothesis for a source."""

    source: str
    text: str
    score: float
    """What the search that found it says."""


@dataclass(frozen=True)
class NBest:
    """The hypotheses for a source, as a line of ``translate --format jsonl`` tells them."""

    record: Mapping[str, Any]
    candidates: tuple[Candidate, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any] | None, where: str) -> "NBest":
        """Reads a record; ``where`` is its place in messages.

        Raises:
            DataError: It is no list of hypotheses.
        """
        if record is None:
            raise DataError(f"{where}: is blank; {WANTED}")
        source = text_of(record, "source", where)
        listed = record.get("hypotheses")
        if not isinstance(listed, list) or not listed:
            raise DataError(f"{where}: hypotheses: must be a list of them; {WANTED}")
        return cls(
            record,
            tuple(
                _candidate(source, one, f"{where}: hypothesis {number}")
                for number, one in enumerate(listed, 1)
            ),
        )


WANTED = "`seq2seq translate --format jsonl --n-best N` writes what is needed"


def _candidate(source: str, found: object, where: str) -> Candidate:
    if not isinstance(found, Mapping):
        raise DataError(f"{where}: must be an object, got {brief(found)}; {WANTED}")
    score = found.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or math.isnan(score):
        raise DataError(f"{where}: score: must be a number, got {brief(score)}; {WANTED}")
    return Candidate(source, text_of(found, "text", where), float(score))


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One of the numbers that are added up."""

    kind: Annotated[str, OneOf(SCORERS)]
    """What it measures."""
    run: PathText = ""
    """The run that is asked, where the kind asks one."""
    weight: float
    """What it is multiplied with."""

    def __post_init__(self) -> None:
        require_name(self.kind, "kind", SCORERS)
        asks = SCORERS[self.kind].load is not None
        accepted = "the folder of a run" if asks else f"left out where kind is {self.kind}"
        require(bool(self.run) == asks, "run", accepted, self.run)
        require(math.isfinite(self.weight), "weight", "finite", self.weight)

    @property
    def name(self) -> str:
        """What people are shown."""
        return f"{self.kind} {self.run}".rstrip()


def measure(
    features: Sequence[Feature], uses: Sequence[Any], lists: Sequence[NBest]
) -> list[Float[np.ndarray, "_ M"]]:
    """Returns the features of each list's hypotheses; ``uses`` are the runs that are asked."""
    candidates = [one for every in lists for one in every.candidates]
    columns = [
        SCORERS[feature.kind](use, candidates) for feature, use in zip(features, uses, strict=True)
    ]
    values = np.maximum(np.array(columns, np.float64).T, LEAST)  # [all hypotheses, M]
    ends = np.cumsum([len(every.candidates) for every in lists])
    return np.split(values, ends[:-1])


def listed(use: None, candidates: Sequence[Candidate]) -> list[float]:
    """Returns the score that stands in the list."""
    return [one.score for one in candidates]


def length(use: None, candidates: Sequence[Candidate]) -> list[float]:
    """Returns the number of characters, in hundreds."""
    return [len(one.text) / 100 for one in candidates]


def direct(use: Any, candidates: Sequence[Candidate]) -> list[float]:  # noqa: ANN401
    """Returns the log-probability of each hypothesis given its source, by token."""
    scores = use.score([(one.source, one.text) for one in candidates])
    return [score.normalized() for score in scores]


def reverse(use: Any, candidates: Sequence[Candidate]) -> list[float]:  # noqa: ANN401
    """Returns the log-probability of the source given each hypothesis, by token."""
    scores = use.score([(one.text, one.source) for one in candidates])
    return [score.normalized() for score in scores]


def language_model(use: Any, candidates: Sequence[Candidate]) -> list[float]:  # noqa: ANN401
    """Returns the log-probability of each hypothesis by itself, by character."""
    found = {
        text: -math.inf
        if is_blank(text)  # as no document is
        else -use.score(text, unknown="replace").bits_per_character * math.log(2)
        for text in dict.fromkeys(one.text for one in candidates)
    }
    return [found[one.text] for one in candidates]


def load_language_model(run: str, *, device: str) -> Any:  # noqa: ANN401
    """Loads a language model.

    Raises:
        CheckpointError: The run's task is another.
    """
    task = task_in(Path(run))
    if task != LANGUAGE_MODEL:
        raise CheckpointError(f"{run}: its task is {task}; {LANGUAGE_MODEL} is needed here")
    return named(task).load(Path(run), checkpoint="best", device=device)
