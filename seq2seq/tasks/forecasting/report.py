"""The table of models: text, Markdown and JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seq2seq.evaluation.forecast_metrics import Tally, digits
from seq2seq.lists import aligned
from seq2seq.tasks.forecasting.classical import SeasonalNaive

REFERENCE = SeasonalNaive().name
"""Against which skill is measured."""
SKILL = f"skill against {REFERENCE}, %"
UNKNOWN = "–"


@dataclass(frozen=True)
class Measured:
    """One model's scores, and how many of 100 truths lay in its intervals."""

    name: str
    scores: Mapping[str, Tally]
    coverage: Mapping[float | int, Tally]


@dataclass(frozen=True)
class Report:
    """The scores of several models on the same origins; the seasonal naive is among them."""

    models: Sequence[Measured]
    columns: tuple[str, ...]
    """The names of the targets."""
    season: int

    def skill(self, model: Measured, metric: str) -> float:
        """Returns by how many per cent a score is better than the seasonal naive's."""
        reference = next(one for one in self.models if one.name == REFERENCE)
        beside = reference.scores[metric].value
        return 100 * (1 - model.scores[metric].value / beside) if beside else math.nan

    def tables(self) -> list[list[tuple[str, ...]]]:
        """Returns the rows of the tables: scores with measured coverage, skill, signatures."""
        first = self.models[0]
        metrics, percents = list(first.scores), list(first.coverage)
        names = [first.scores[metric].name for metric in metrics]
        scores = [[one.scores[metric].value for one in self.models] for metric in metrics]
        covered = [[one.coverage[percent].value for one in self.models] for percent in percents]
        skill = [[self.skill(one, metric) for one in self.models] for metric in metrics]
        rows = ["model", *(one.name for one in self.models)]
        shown = [_column(name, values) for name, values in zip(names, scores, strict=True)]
        shown += [
            _column(f"in {percent:g} %", values, 1)
            for percent, values in zip(percents, covered, strict=True)
        ]
        better = [_column(name, values, 1) for name, values in zip(names, skill, strict=True)]
        signatures = [(one.name, one.score.signature) for one in first.scores.values()]
        return [
            list(zip(rows, *shown, strict=True)),
            list(zip((SKILL, *rows[1:]), *better, strict=True)),
            [("score", "signature"), *signatures],
        ]

    def per_step(self, metric: str) -> list[tuple[str, ...]]:
        """Returns the rows of a table of one score: of each step, a column for each model."""
        name = self.models[0].scores[metric].name
        steps = [one.scores[metric].per_step.tolist() for one in self.models]
        shown = [_column(one.name, values) for one, values in zip(self.models, steps, strict=True)]
        first = (f"{name} of step", *(str(step + 1) for step in range(len(steps[0]))))
        return list(zip(first, *shown, strict=True))

    def per_column(self, metric: str) -> list[tuple[str, ...]]:
        """Returns the rows of a table of one score: of each column, a column for each model."""
        name = self.models[0].scores[metric].name
        found = [one.scores[metric].per_column.tolist() for one in self.models]
        shown = [_column(one.name, values) for one, values in zip(self.models, found, strict=True)]
        return list(zip((f"{name} of column", *self.columns), *shown, strict=True))

    def errors(self) -> tuple[str, dict[str, list[float]]]:
        """Returns the first score's name, and its steps for each model, as a picture shows them."""
        metric, first = next(iter(self.models[0].scores.items()))
        return first.name, {one.name: one.scores[metric].per_step.tolist() for one in self.models}

    def further(self, per_step: Sequence[str] = ()) -> list[list[tuple[str, ...]]]:
        """Returns the rows of further tables: of the first score column by column, where there are
        several, and of those named step by step.
        """  # noqa: D205
        first = next(iter(self.models[0].scores))
        parted = len(self.models[0].scores[first].per_column) == len(self.columns) > 1
        columns = [self.per_column(first)] if parted else []
        return [*columns, *map(self.per_step, per_step)]

    def text(self, per_step: Sequence[str] = ()) -> str:
        """Returns aligned tables; of the metrics named in ``per_step``, one more each."""
        scores, skill, signatures = self.tables()
        numbers = [scores, skill, *self.further(per_step)]
        parts = [aligned("<" + ">" * (len(rows[0]) - 1), rows) for rows in numbers]
        parts.insert(2, aligned("<<", signatures))
        return "\n\n".join(parts)

    def markdown(self, per_step: Sequence[str] = ()) -> str:
        """Returns the same tables as Markdown."""
        return "\n\n".join(map(_markdown, [*self.tables(), *self.further(per_step)]))

    def json(self) -> str:
        """Returns all that is known: scores, skill, signatures, of each step and column."""
        told = {
            "season": self.season,
            "columns": self.columns,
            "reference": REFERENCE,
            "models": [self._told(one) for one in self.models],
        }
        return json.dumps(told, indent=1, ensure_ascii=False)

    def _told(self, model: Measured) -> dict[str, Any]:
        scores = {
            metric: self._of(tally) | {"skill": _number(self.skill(model, metric))}
            for metric, tally in model.scores.items()
        }
        covered = {f"{percent:g}": self._of(tally) for percent, tally in model.coverage.items()}
        return {"name": model.name, "scores": scores, "coverage": covered}

    def _of(self, tally: Tally) -> dict[str, Any]:
        parted = zip(tally.per_column.tolist(), tally.per_cell.T.tolist(), strict=True)
        columns = self.columns if len(tally.per_column) == len(self.columns) else ()
        return {
            "value": _number(tally.value),
            "signature": tally.score.signature,
            "per_step": [_number(value) for value in tally.per_step.tolist()],
            "per_column": {
                name: {"value": _number(value), "per_step": list(map(_number, steps))}
                for name, (value, steps) in zip(columns, parted, strict=False)
            },
        }


def _column(name: str, values: Sequence[float], places: int | None = None) -> tuple[str, ...]:
    """Returns a column of a table, its numbers with as many digits as the least of them needs."""
    known = [abs(value) for value in values if math.isfinite(value) and value]
    if places is None:
        places = digits(min(known, default=0.0))
    shown = (f"{value:,.{places}f}" if math.isfinite(value) else UNKNOWN for value in values)
    return (name, *shown)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    numbers = all(cell[:1] in "-–0123456789" for row in others for cell in row[1:])
    sides = ["---", *(["---:"] if numbers else ["---"]) * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, sides, *others))


def _number(value: float) -> float | None:
    """Returns a number that JSON has."""
    return value if math.isfinite(value) else None
