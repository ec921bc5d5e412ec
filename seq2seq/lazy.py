"""Things named as text, which are imported when they are first needed."""

from importlib import import_module
from typing import Any


def imported(place: str) -> Any:  # noqa: ANN401
    """Imports what ``module:name`` names.

    >>> imported("math:sqrt")(9)
    3.0
    """
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
