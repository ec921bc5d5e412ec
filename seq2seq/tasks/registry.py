"""The tasks: the only list of them.

Modules are named as text, so that the command line can show its help without loading them.
"""

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a task is."""

    task: str
    """``module:name`` of its :class:`seq2seq.tasks.task.Task`."""
    verbs: str
    """The module with ``VERBS``, its part of the command line; it imports nothing heavy."""


_TRANSLATION, _LANGUAGE_MODEL = "seq2seq.tasks.translation", "seq2seq.tasks.language_model"
_FORECASTING = "seq2seq.tasks.forecasting"

TASKS: dict[str, Entry] = {
    "translation": Entry(f"{_TRANSLATION}.task:TASK", f"{_TRANSLATION}.verbs"),
    "transduction": Entry("seq2seq.tasks.transduction:TASK", f"{_TRANSLATION}.verbs"),
    "language-model": Entry(f"{_LANGUAGE_MODEL}.task:TASK", f"{_LANGUAGE_MODEL}.verbs"),
    "forecasting": Entry(f"{_FORECASTING}.task:TASK", f"{_FORECASTING}.verbs"),
}
"""Tasks by the name that ``task:`` gives them in a configuration; the first is meant without one.
"""
