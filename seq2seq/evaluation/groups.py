"""Things in groups by a number, such as lines by their length."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence


def grouped(numbers: Iterable[int], longest: Sequence[int]) -> dict[str, list[int]]:
    """Returns the places of numbers, by what their group is called; groups without any left out.

    Args:
        numbers: From 0.
        longest: The largest number of each group; another group holds what is larger still.

    >>> grouped([3, 0, 9, 1], (0, 5))
    {'0': [1], '1-5': [0, 3], '6+': [2]}
    """
    groups: dict[int, list[int]] = {}
    for place, number in enumerate(numbers):
        groups.setdefault(bisect_left(longest, number), []).append(place)
    return {label(group, longest): places for group, places in sorted(groups.items())}


def label(group: int, longest: Sequence[int]) -> str:
    """Returns what a group is called, such as ``1-5``."""
    first = longest[group - 1] + 1 if group else 0
    if group == len(longest):
        return f"{first}+"
    last = longest[group]
    return f"{first}" if first == last else f"{first}-{last}"
