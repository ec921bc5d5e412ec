"""Compares two files that the benchmarks wrote.

``python -m tests.benchmarks.compare OLD.json NEW.json``: both medians and their ratio; marked where
each median is outside of the other's spread. What else differs is said first: figures of other
machines, or of other work, cannot be compared.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.timing import Part, Rate, shown, table

HEADS = ("part", "variant", "unit", "old", "new", "ratio", "")


def read(path: Path) -> tuple[dict[str, Any], dict[str, Part]]:
    """Reads the facts and the parts of a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    facts = content["facts"]
    parts = {name: Part.from_json(part) for name, part in content["parts"].items()}
    return facts.pop("options", {}) | facts, parts


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yields a line for each fact that two files do not share."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"NOT THE SAME {name}: {old.get(name)} and {new.get(name)}"


def verdict(old: Rate, new: Rate) -> str:
    """Says whether two rates differ by more than they vary."""
    alike = old.least <= new.median <= old.most or new.least <= old.median <= new.most
    return "" if alike else "faster" if new.median > old.median else "slower"


def compared(old: dict[str, Part], new: dict[str, Part]) -> Iterator[tuple[str, ...]]:
    """Yields a row for each variant of both, and for each part's memory."""
    for part in [name for name in old if name in new]:
        before, after = old[part], new[part]
        for name in [name for name in before.rates if name in after.rates]:
            one, other = before.rates[name], after.rates[name]
            medians = shown(one.median), shown(other.median), f"x{other.median / one.median:.2f}"
            yield part, name, f"{other.unit}/s", *medians, verdict(one, other)
        if before.peak and after.peak:
            ratio = f"x{after.peak / before.peak:.2f}"
            yield part, "peak memory", "MB", shown(before.peak), shown(after.peak), ratio, ""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    options = parser.parse_args()
    (before, old), (after, new) = read(options.old), read(options.new)
    print("\n".join([*differences(before, after), *table(HEADS, compared(old, new))]))


if __name__ == "__main__":
    main()
