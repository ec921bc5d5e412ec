"""What reranking may go by: a table of kinds of features; nothing heavy is imported."""

from collections.abc import Callable
from typing import Any, NamedTuple

from seq2seq.lazy import imported

_FEATURES = "seq2seq.tasks.translation.features"


class Scorer(NamedTuple):
    """A kind of feature of a hypothesis, such as its log-probability to another run."""

    function: str | Callable[..., Any]
    """Takes a loaded run, or None, and a list of
    :class:`seq2seq.tasks.translation.features.Candidate`, and returns a number for each, the larger
    the better; or ``module:name`` of it."""
    load: str | Callable[..., Any] | None = None
    """Takes a run folder and ``device``, and returns the loaded run; or ``module:name`` of it.
    None: no run is asked."""
    help: str = ""
    """What ``--help`` says of its runs."""
    usual: float = 1.0
    """The weight where none is given."""

    def loaded(self, run: str, device: str) -> Any:  # noqa: ANN401
        """Returns the run that is asked, or None."""
        return None if self.load is None else _of(self.load)(run, device=device)

    def __call__(self, use: Any, candidates: Any) -> list[float]:  # noqa: ANN401
        """Returns a number for each candidate."""
        found: list[float] = _of(self.function)(use, candidates)
        return found


def _of(function: str | Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = imported(function) if isinstance(function, str) else function
    return found


_TRANSLATOR = "seq2seq.tasks.translation.translator:Translator.load"

SCORERS: dict[str, Scorer] = {
    "score": Scorer(f"{_FEATURES}:listed"),
    "length": Scorer(f"{_FEATURES}:length", usual=0.0),
    "direct": Scorer(
        f"{_FEATURES}:direct",
        _TRANSLATOR,
        "translators of the same direction, such as one that writes from right to left: how likely "
        "a hypothesis is, given its source",
    ),
    "reverse": Scorer(
        f"{_FEATURES}:reverse",
        _TRANSLATOR,
        "translators of the other direction: how likely the source is, given a hypothesis",
    ),
    "language-model": Scorer(
        f"{_FEATURES}:language_model",
        f"{_FEATURES}:load_language_model",
        "language models of the target: how likely a hypothesis is by itself",
    ),
}
"""Kinds of features by name. Those that ask a run have an option of that name."""
