"""A memory that is full above some size, for tests: with the very errors that torch raises."""

from collections.abc import Callable
from typing import Any

import torch

Work = Callable[..., Any]


def overflow() -> None:
    """Asks for more than any machine has."""
    torch.empty(2**60, dtype=torch.uint8)


def full_above(most: int, size: Callable[..., int], work: Work) -> Work:
    """Returns ``work``, for which memory is full where the size of what it is given exceeds some
    limit; the work is done before that shows.
    """

    def limited(*given: Any, **settings: Any) -> Any:
        found = work(*given, **settings)
        if size(*given) > most:
            overflow()
        return found

    return limited
