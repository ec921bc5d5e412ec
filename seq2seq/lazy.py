"""Things named as text, which are imported when they are first needed."""

from collections.abc import Collection, Iterator
from importlib import import_module
from operator import attrgetter
from typing import Any


def imported(place: str) -> Any:  # noqa: ANN401
    """Imports what ``module:name`` names; dots in the name reach further in.

    >>> imported("math:sqrt")(9)
    3.0
    """
    module, _, name = place.partition(":")
    return attrgetter(name)(import_module(module))


class LazyNames(Collection[str]):
    """The names of a table elsewhere, which is imported when they are first asked for.

    >>> "sqrt" in LazyNames("math:__dict__")
    True
    """

    def __init__(self, place: str) -> None:
        """Takes what :func:`imported` does."""
        self.place = place

    def __contains__(self, name: object) -> bool:
        return name in imported(self.place)

    def __iter__(self) -> Iterator[str]:
        return iter(imported(self.place))

    def __len__(self) -> int:
        return len(imported(self.place))
