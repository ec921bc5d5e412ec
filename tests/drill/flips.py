"""Single bits and whole entries of a pipeline and of a configuration are changed, unseen by eye.

Weights are numbers: with another vocabulary they say something else, fluently. Each change must be
refused, or told of, by every verb that reads what was changed.
"""

import json
import random
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.children import warm_up
from tests.drill.damage import Change, Try, Verdict, flipped, judged, report, undamaged
from tests.drill.drill import Report, Setting, spread
from tests.drill.uses import RUN, USES, Came, Use, copied, make_places, use

TRIES = 600
NEEDED = ("config.yaml", "pipeline")
"""The entries of a run folder that weights belong to."""


def exchanged(path: Path, rng: random.Random) -> None:
    """Exchanges two entries of a list, two values of a mapping, or two lines."""
    if path.suffix != ".json":
        lines = path.read_bytes().splitlines(keepends=True)
        _exchange(lines, rng)
        path.write_bytes(b"".join(lines))
        return
    content = json.loads(path.read_bytes())
    longest = max((one for one in content.values() if isinstance(one, list)), key=len, default=[])
    if len(longest) > 1:
        _exchange(longest, rng)
    else:
        names = rng.sample(sorted(content), 2)
        first, second = (content[name] for name in names)
        content |= {names[0]: second, names[1]: first}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _exchange(entries: list[Any], rng: random.Random) -> None:
    """Exchanges two entries that are not the same."""
    one, other = rng.sample(range(len(entries)), 2)
    while entries[one] == entries[other]:
        one, other = rng.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]


CHANGES: dict[str, Change] = {"one bit flipped": flipped, "two entries exchanged": exchanged}


def tries(setting: Setting, places: dict[str, Path]) -> list[Try]:
    """Returns changes of all files, each met by every verb that reads it, in a random order."""
    combinations = [
        (task, path.relative_to(place).as_posix(), change, one)
        for task, place in places.items()
        for entry in NEEDED
        for path in (place / RUN / entry, *(place / RUN / entry).rglob("*"))
        if path.is_file()
        for change in CHANGES
        for one in USES[task]
        if any(
            f"{path.relative_to(place).as_posix()}/".startswith(f"{read}/") for read in one.reads
        )
    ]
    rng, listed = random.Random(setting.seed), list[Try]()
    while len(listed) < (setting.tries or TRIES):
        rng.shuffle(combinations)
        for task, target, change, one in combinations:
            number = len(listed)
            seed, folder = f"{setting.seed} {number}", setting.folder / f"try-{number}"
            listed.append(Try(task, target, change, one, seed, places[task], folder))
    return listed[: setting.tries or TRIES]


def drill(whole: dict[tuple[str, Use], Came], one: Try) -> Verdict:
    """Changes a copy, uses it, and judges."""
    place = copied(one.place, one.folder)
    CHANGES[one.damage](place / one.target, random.Random(one.seed))
    came = use(one.use, place)
    verdict = judged(came, whole[one.task, one.use])
    # A pipeline by itself has no weights: what does not change what it says is no harm.
    if verdict.kind == "unchanged" and not one.use.verb.startswith("tokenizer"):
        verdict = Verdict("silent", "was used as if nothing were")
    shutil.rmtree(one.folder)
    return replace(verdict, failure=verdict.failure and f"{one.name}: {verdict.failure}")


def run(setting: Setting) -> Report:
    """Changes pipelines and configurations of runs of all tasks, and uses them."""
    warm_up()
    places = make_places(setting.folder)
    whole = undamaged(setting, places)
    listed = tries(setting, places)
    return report("flips", listed, list(spread(partial(drill, whole), listed, setting, "flips")))
