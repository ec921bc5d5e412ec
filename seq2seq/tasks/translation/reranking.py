"""Hypotheses of n-best lists in a better order: by a weighted sum of features."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from seq2seq import config as configuration
from seq2seq.errors import ConfigError, brief
from seq2seq.tasks.translation.features import Feature, NBest, measure
from seq2seq.tasks.translation.scorers import SCORERS

FEATURES = "features"
DIGITS = 6
"""Digits after the point of weights that are written."""


def usual_features(runs: Mapping[str, Sequence[str]]) -> list[Feature]:
    """Returns what needs no run, and the runs of each kind, with their usual weights."""
    return [
        Feature(kind=kind, run=run, weight=scorer.usual)
        for kind, scorer in SCORERS.items()
        for run in ([""] if scorer.load is None else runs.get(kind, ()))
    ]


def read_features(path: str) -> list[Feature]:
    """Reads features with their weights from a JSON file that :func:`as_json` made, or a person.

    Raises:
        ConfigError: The file cannot be read, or an entry makes no sense.
    """
    entries = configuration.read(Path(path)).get(FEATURES)
    if not isinstance(entries, list) or not entries:
        raise ConfigError(
            f"{path}: {FEATURES}: must be a list of kind, run and weight, got {brief(entries)}"
        )
    return [
        _feature(entry, f"{path}: {FEATURES}: entry {number}")
        for number, entry in enumerate(entries, 1)
    ]


def _feature(entry: object, where: str) -> Feature:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{where}: must have kind, run and weight, got {brief(entry)}")
    try:
        return configuration.from_mapping(Feature, entry, where=where)
    except ConfigError as error:  # of what is left out, it tells no place
        raise ConfigError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None


def as_json(features: Sequence[Feature], facts: Mapping[str, object]) -> str:
    """Returns features, and how they came about, as the text of a JSON file, an entry a line."""
    entries = []
    for feature in features:
        entry = {key: value for key, value in asdict(feature).items() if value != ""}
        # Not 1e-05, which YAML, with whose reader it is read, takes for a text.
        weight = f"{entry.pop('weight'):.{DIGITS}f}"
        entries.append(f'{json.dumps(entry, ensure_ascii=False)[:-1]}, "weight": {weight}}}')
    listed = ",\n  ".join(entries)
    told = json.dumps(dict(facts), ensure_ascii=False)
    return f'{{"tuned": {told},\n "{FEATURES}": [\n  {listed}\n]}}'


@dataclass(frozen=True)
class Reranker:
    """Features with their weights, and the runs that are asked for them."""

    features: tuple[Feature, ...]
    uses: tuple[Any, ...]

    @classmethod
    def load(cls, features: Sequence[Feature], device: str = "auto") -> "Reranker":
        """Loads the runs.

        Raises:
            CheckpointError: One is missing, damaged, or of another task.
        """
        uses = (SCORERS[feature.kind].loaded(feature.run, device) for feature in features)
        return cls(tuple(features), tuple(uses))

    @property
    def weights(self) -> Float[np.ndarray, "M"]:
        """What each feature is multiplied with."""
        return np.array([feature.weight for feature in self.features])

    def weighing(self, weights: Float[np.ndarray, "M"]) -> "Reranker":
        """Returns the same with other weights."""
        pairs = zip(self.features, weights.tolist(), strict=True)
        return replace(self, features=tuple(replace(one, weight=weight) for one, weight in pairs))

    def measure(self, lists: Sequence[NBest]) -> list[Float[np.ndarray, "_ M"]]:
        """Returns the features of each list's hypotheses."""
        return measure(self.features, self.uses, lists)

    def __call__(self, lists: Sequence[NBest]) -> Iterator[dict[str, Any]]:
        """Yields each list's record with its hypotheses in their new order, the best first.

        Of equals, that which stood first comes first. A hypothesis gets its ``total`` and what it
        is a sum of, ``features``.
        """
        for one, values in zip(lists, self.measure(lists), strict=True):
            totals = values @ self.weights  # [K]
            order = np.argsort(-totals, kind="stable")
            yield {
                **one.record,
                "hypotheses": [
                    {
                        **one.record["hypotheses"][place],
                        "total": float(totals[place]),
                        FEATURES: self._named(values[place]),
                    }
                    for place in order
                ],
            }

    def _named(self, values: Float[np.ndarray, "M"]) -> dict[str, float]:
        pairs = zip(self.features, values.tolist(), strict=True)
        return {feature.name: value for feature, value in pairs}
