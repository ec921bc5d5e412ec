"""Measuring beside others: variants take turns, a short while each, and turns are compared.

What slows the machine for some seconds slows all variants of a round: the median of the rounds'
ratios says more than the ratio of medians.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

Work = Callable[[int], float]
"""Does the work of a round, given its number; returns how many units of work that was."""
Rounds = dict[str, list[float]]
"""The rates of each variant, round by round."""
SECONDS = 0.2
"""A variant's turn lasts at least so long."""
PROBE = "GEMM probe, float32"
GEMM = 4096, 512, 8000


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Units a second over several rounds."""

    unit: str
    median: float
    least: float
    most: float
    ratio: float | None = None
    """Median of the rounds' ratios to the baseline."""
    share: float | None = None
    """Median of the rounds' shares of what the probe reaches."""

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table shows of it."""
        ratio = "" if self.ratio is None else f"x{self.ratio:.2f}"
        share = "" if self.share is None else f"{100 * self.share:.0f} %"
        return shown(self.median), f"{shown(self.least)} to {shown(self.most)}", ratio, share


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one part of the benchmarks found."""

    rates: dict[str, Rate]
    notes: list[str]
    peak: float = 0.0
    """Most resident memory of its process, in MB."""

    def to_json(self) -> dict[str, Any]:
        """Returns what :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Part":
        """Undoes :meth:`to_json`."""
        rates = {name: Rate(**rate) for name, rate in content["rates"].items()}
        return cls(rates=rates, notes=content["notes"], peak=content["peak"])


def rounds(works: Mapping[str, Work], repetitions: int, seconds: float = SECONDS) -> Rounds:
    """Lets the variants take turns, after each has done one round more to warm up."""
    for work in works.values():
        work(repetitions)
    found: Rounds = {name: [] for name in works}
    for number in range(repetitions):
        for name, work in works.items():
            found[name].append(turn(work, number, seconds))
    return found


def turn(work: Work, number: int, seconds: float) -> float:
    """Returns the units a second of a round; short work is done again and again."""
    units, passed, started = 0.0, 0.0, time.perf_counter()
    while passed < seconds or not passed:
        units += work(number)
        passed = time.perf_counter() - started
    return units / passed


def rates(
    found: Rounds,
    unit: str,
    baseline: str | None = None,
    flops: Mapping[str, float] | None = None,
) -> dict[str, Rate]:
    """Sums the rounds up.

    Args:
        found: The rounds; where there are ``flops``, those of the probe too.
        unit: What is counted.
        baseline: The variant that all others are compared with.
        flops: The floating-point operations of a unit, of the variants whose share of the probe
            is wanted.
    """
    work = {name: one / 1e9 for name, one in (flops or {}).items()}
    return {
        name: Rate(
            unit="GFLOP" if name == PROBE else unit,
            median=statistics.median(own),
            least=min(own),
            most=max(own),
            ratio=_ratio(own, found[baseline]) if baseline and name != PROBE else None,
            share=_ratio(own, found[PROBE]) * work[name] if name in work else None,
        )
        for name, own in found.items()
    }


def _ratio(own: list[float], others: list[float]) -> float:
    """Returns the median of the rounds' ratios."""
    return statistics.median(one / other for one, other in zip(own, others, strict=True))


def gemm() -> Work:
    """Returns the probe: a float32 product, in GFLOP."""
    rows, inner, columns = GEMM
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)

    def work(number: int) -> float:
        left @ right
        return 2 * rows * inner * columns / 1e9

    return work


def shown(value: float) -> str:
    """Returns a number with about four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yields the lines of a Markdown table."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for index, line in enumerate(lines):
        cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
        if index == 0:
            yield f"|{'|'.join('-' * (width + 2) for width in widths)}|"


def part_table(name: str, part: Part) -> list[str]:
    """Returns the lines that tell of a part."""
    heads = (name, "unit", "median", "least to most", "ratio", "of the probe")
    rows = [(one, f"{rate.unit}/s", *rate.cells) for one, rate in part.rates.items()]
    peak = [f"peak memory of the whole part: {part.peak:,.0f} MB"] if part.peak else []
    return ["", *table(heads, rows), "", *(f"- {note}" for note in [*part.notes, *peak])]
