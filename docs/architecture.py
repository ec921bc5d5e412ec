"""Draws ``docs/architecture.png`` from the imports in the source.

Usage: ``python -m docs.architecture``. It reads the same graph as
``tests/test_architecture.py``, which also checks that the picture is that of the present source.
"""

import hashlib
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tests.structure import MODULES, pairs, part_of

PICTURE = Path(__file__).with_name("architecture.png")
WIDTH, HEIGHT, WIDE, HIGH = 2.3, 1.4, 2.0, 0.85
LETTERS = 34
"""Of a line inside a box."""
FILL, EDGE, INK = "#dbe9f6", "#5b7fa3", "#1d2b3a"
Place = tuple[float, float]


def graph() -> dict[str, set[str]]:
    """Returns the parts that each part imports; the root, which only names others, is left out."""
    parts = {part_of(module) for module in MODULES} - {""}
    return {part: {other for one, other in pairs() if one == part and other} for part in parts}


def contents(part: str) -> list[str]:
    """Returns what a part holds: its files and folders."""
    below = [module.split(".")[1:2] for module in MODULES if part_of(module) == part]
    return sorted({names[0] for names in below if names} - {"__main__"})


def fingerprint() -> str:
    """Returns a hash of all that is drawn; the picture carries it."""
    drawn = [(part, contents(part), sorted(others)) for part, others in sorted(graph().items())]
    return hashlib.sha256(repr(drawn).encode()).hexdigest()


def levels(imports: Mapping[str, set[str]]) -> dict[str, int]:
    """Returns how far above the ground each part stands: one more than the highest it imports."""
    heights: dict[str, int] = {}
    while len(heights) < len(imports):
        for part, others in imports.items():
            if part not in heights and others <= heights.keys():
                heights[part] = 1 + max((heights[other] for other in others), default=-1)
    return heights


def direct(imports: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """Returns the imports that no way over a third part implies."""

    def below(part: str) -> set[str]:
        return imports[part].union(*(below(other) for other in imports[part]))

    return [
        (part, other)
        for part, others in imports.items()
        for other in others
        if not any(other in below(third) for third in others - {other})
    ]


def places(heights: Mapping[str, int], imports: Mapping[str, set[str]]) -> dict[str, Place]:
    """Returns the middle of each box: rows by level, each part near those that import it."""
    found: dict[str, Place] = {}
    for level in range(max(heights.values()), -1, -1):
        row = [part for part in heights if heights[part] == level]

        def wish(part: str) -> float:
            users = [found[user][0] for user in found if part in imports[user]]
            return sum(users) / len(users) if users else 0.0

        row.sort(key=lambda part: (wish(part), part))
        for at, part in enumerate(row):
            found[part] = ((at - (len(row) - 1) / 2) * WIDTH, level * HEIGHT)
    return found


def _draw_box(axes: Axes, part: str, place: Place) -> None:
    x, y = place
    left, low = x - WIDE / 2, y - HIGH / 2
    axes.add_patch(Rectangle((left, low), WIDE, HIGH, facecolor=FILL, edgecolor=EDGE, zorder=2))
    inside = "\n".join(textwrap.wrap(", ".join(contents(part)), LETTERS))
    title = y + HIGH / 2 - 0.14 if inside else y
    axes.text(x, title, part, ha="center", va="center", weight="bold", color=INK, fontsize=9)
    axes.text(x, y - 0.12, inside, ha="center", va="center", color=INK, fontsize=6.5)


def _draw_arrows(axes: Axes, arrows: Iterable[tuple[str, str]], at: Mapping[str, Place]) -> None:
    for part, other in sorted(arrows):
        (x, y), (end_x, end_y) = at[part], at[other]
        axes.annotate(
            "",
            xy=(end_x, end_y + HIGH / 2),
            xytext=(x, y - HIGH / 2),
            arrowprops={"arrowstyle": "-|>", "color": EDGE, "linewidth": 0.9, "alpha": 0.8},
            zorder=1,
        )


def draw() -> Figure:
    """Draws the parts in rows, each above all that it imports."""
    imports = graph()
    at = places(levels(imports), imports)
    right, top = (max(place[axis] for place in at.values()) for axis in (0, 1))
    figure = Figure(figsize=(2 * right + WIDE + 0.6, top + HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-right - WIDE / 2 - 0.2, right + WIDE / 2 + 0.2)
    axes.set_ylim(-HIGH, top + HIGH)
    _draw_arrows(axes, direct(imports), at)
    for part, place in at.items():
        _draw_box(axes, part, place)
    return figure


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=110, metadata={"Description": fingerprint(), "Software": None})
    print(PICTURE)
