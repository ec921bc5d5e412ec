"""Scores as text."""

import json
from collections.abc import Sequence

from seq2seq.evaluation.metrics import Score
from seq2seq.lists import aligned


def scores_table(scores: Sequence[Score]) -> str:
    """Returns one aligned line for each score: name, value, signature."""
    rows = [(score.name, score.shown, score.signature) for score in scores]
    return aligned("<><", [("metric", "score", "signature"), *rows])


def scores_json(scores: Sequence[Score]) -> str:
    """Returns the scores as a JSON list of objects with name, value and signature."""
    rows = [
        {"name": score.name, "value": score.value, "signature": score.signature} for score in scores
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)
