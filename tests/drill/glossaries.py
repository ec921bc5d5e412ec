"""Terms that must stand in a text: random ones, of random models, searched for in random ways."""

from functools import partial

from tests.drill.drill import Report, Setting, spread
from tests.terms import unmet

TRIES, TOGETHER = 1000, 20


def run(setting: Setting) -> Report:
    """Searches for texts, some at a time; each must have all of its terms."""
    groups = (setting.tries or TRIES) // TOGETHER
    seeds = range(setting.seed * 1000, setting.seed * 1000 + groups)
    found = spread(partial(_failures, count=TOGETHER), seeds, setting, "terms")
    failures = [failure for some in found for failure in some]
    texts = groups * TOGETHER
    return Report("terms", {"texts": texts, "as asked for": texts - len(failures)}, failures)


def _failures(seed: int, count: int) -> list[str]:
    return list(unmet(seed, count))
