"""Every file and folder of a run is damaged in every way, and every verb used on what is left.

A verb then does what it does with the whole run; or it does something else and says so in a
warning; or it refuses in one line. It never ends in a traceback, and never does something else
without a word. What only reports, and one checkpoint of several, stops nothing.
"""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.children import warm_up
from tests.drill.drill import Report, Setting, spread
from tests.drill.uses import CACHE, NOBODY, RUN, USES, Came, Use, copied, make_places, use

TRIES = 1500
REFUSALS = (1, 2, 74)
NO_PLACE = ("replaced by a folder", "unreadable", "replaced by a file", "a link to nowhere")
"""What leaves no place for what is encoded; whoever needs it says so."""
REPORTS = ("metrics.jsonl", "train.log", "samples", "plots")
"""Entries of a run folder without which everything goes on."""
GONE = ("deleted", "a link to nowhere", "replaced by a file")
"""What leaves nothing of a checkpoint, since only real folders are checkpoints."""
Change = Callable[[Path, random.Random], None]


def _cut(share: float) -> Change:
    def cut(path: Path, rng: random.Random) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: min(int(share * len(content)), len(content) - 1)])

    return cut


def flipped(path: Path, rng: random.Random) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _emptied(path: Path, rng: random.Random) -> None:
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    else:
        path.write_bytes(b"")


def _deleted(path: Path, rng: random.Random) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _file(path: Path, rng: random.Random) -> None:
    shutil.rmtree(path)
    path.write_text("a file\n")


def _random(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(path.stat().st_size))


def _dangling(path: Path, rng: random.Random) -> None:
    _deleted(path, rng)
    path.symlink_to("nowhere")


def _unreadable(path: Path, rng: random.Random) -> None:
    """Leaves a file or folder to a user who gives no rights; all else belongs to another."""
    path.chmod(0)


OF_FILES: dict[str, Change] = {
    "cut at its beginning": _cut(0.05),
    "cut in its middle": _cut(0.5),
    "cut at its end": _cut(1.0),
    "one bit flipped": flipped,
    "emptied": _emptied,
    "deleted": _deleted,
    "replaced by a folder": _folder,
    "unreadable": _unreadable,
    "replaced by random bytes": _random,
    "a link to nowhere": _dangling,
}
OF_FOLDERS: dict[str, Change] = {
    "emptied": _emptied,
    "deleted": _deleted,
    "replaced by a file": _file,
    "unreadable": _unreadable,
    "a link to nowhere": _dangling,
}


@dataclass(frozen=True)
class Try:
    """One damage, and one verb that meets it."""

    task: str
    target: str
    damage: str
    use: Use
    seed: str
    place: Path
    """The whole run, and what belongs to it."""
    folder: Path
    """Where the damaged copy is made."""

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.task}: {self.target} {self.damage}, {self.use.name}"


@dataclass(frozen=True)
class Verdict:
    """What a use of something damaged came to."""

    kind: str
    failure: str = ""


def targets(place: Path) -> list[str]:
    """Returns all files and folders of a run and its cache."""
    parts = [part for part in (RUN, CACHE) if (place / part).exists()]
    paths = [path for part in parts for path in sorted((place / part).rglob("*"))]
    return [*parts, *(path.relative_to(place).as_posix() for path in paths)]


def tries(setting: Setting, places: dict[str, Path]) -> list[Try]:
    """Returns damages of all targets, each met by one verb after the other, in a random order."""
    rounds: list[list[Try]] = []
    for task, place in places.items():
        for target in targets(place):
            changes = OF_FOLDERS if (place / target).is_dir() else OF_FILES
            for damage in changes:
                seed = f"{setting.seed} {task} {target} {damage}"
                met = [one for one in USES[task] if _meets(one, target)]
                random.Random(seed).shuffle(met)
                for number, one in enumerate(met):
                    rounds += [[]] if number == len(rounds) else []
                    rounds[number].append(
                        Try(task, target, damage, one, seed, place, setting.folder / "tries")
                    )
    for part in rounds:
        random.Random(setting.seed).shuffle(part)
    listed = [one for part in rounds for one in part][: setting.tries or TRIES]
    return [
        replace(one, folder=setting.folder / f"try-{number}") for number, one in enumerate(listed)
    ]


def _meets(one: Use, target: str) -> bool:
    """Tells whether a verb looks at a target, or below or above it."""
    return any(f"{target}/".startswith(f"{read}/") or f"{read}/".startswith(f"{target}/")
               for read in one.reads)  # fmt: skip


def drill(whole: dict[tuple[str, Use], Came], one: Try) -> Verdict:
    """Damages a copy, uses it, and judges."""
    rng = random.Random(one.seed)
    place = copied(one.place, one.folder)
    changes = OF_FOLDERS if (place / one.target).is_dir() else OF_FILES
    if one.damage == "unreadable":
        give_away(place)
    if one.damage == "unreadable" and os.geteuid() == 0:
        os.chown(place / one.target, 0, 0)
    changes[one.damage](place / one.target, rng)
    came = use(one.use, place, nobody=one.damage == "unreadable" and os.geteuid() == 0)
    verdict = judged(came, whole[one.task, one.use])
    if verdict.kind == "silent" and _is_gone(one):
        verdict = Verdict("changed, as is right")
    if verdict.failure == "other metrics" and one.target == f"{RUN}/metrics.jsonl":
        verdict = Verdict("a digit of the metrics")  # which nothing that is printed depends on
    if verdict.kind == "refused" and not _names(came.ended.err, one):
        verdict = Verdict("refused without naming it", came.ended.said)
    if verdict.kind == "refused" and _must_work(one):
        verdict = Verdict("refused needlessly", came.ended.said)
    shutil.rmtree(one.folder)
    return replace(verdict, failure=verdict.failure and f"{one.name}: {verdict.failure}")


def give_away(place: Path) -> None:
    """Makes a user without rights the owner of a place, where this process may."""
    if os.geteuid() == 0:
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _names(said: str, one: Try) -> bool:
    """Tells whether what is said names what was damaged, or a folder around it."""
    around, *inside = Path(one.target).parts
    named = any(part in said for part in inside)
    return named or re.search(rf"\b{around}\b", said) is not None


def _is_gone(one: Try) -> bool:
    """Tells whether a thing is gone as a whole, so that nothing is left to be damaged: a run, to
    whoever trains it; all checkpoints, to whoever asks which there are; one of several, to whoever
    takes those that are there.
    """
    if one.target == RUN:
        return one.damage in ("deleted", "emptied") and one.use.verb == "train"
    if one.target == f"{RUN}/checkpoints":
        return one.damage in ("deleted", "emptied") and one.use.verb == "info"
    checkpoint = Path(one.target).parent == Path(RUN, "checkpoints")
    return checkpoint and one.damage in GONE


def _must_work(one: Try) -> bool:
    """Tells whether a damage must not stop a verb."""
    parts = Path(one.target).parts
    if (parts[0] == CACHE and len(parts) > 1) or parts[1:2] == ("valid",):
        return one.damage not in NO_PLACE
    if len(parts) > 1 and parts[1] in REPORTS:
        return True
    # A folder that is none any more is none: it is deleted, where a file or link is left alone.
    inside = parts[1:2] == ("checkpoints",) and len(parts) > 2
    return inside and one.use.verb != "average"


def judged(came: Came, whole: Came) -> Verdict:
    """Returns what a use came to, beside what it comes to where nothing is damaged."""
    ended = came.ended
    lines = ended.err.splitlines()
    if ended.hung:
        return Verdict("hung", "did not end")
    if "Traceback" in ended.err or ended.code < 0:
        return Verdict("traceback", f"exit code {ended.code}: {ended.said}")
    if ended.code in REFUSALS:
        ours = [line for line in lines if line.startswith("seq2seq: ")]
        if len(ours) == 1 and lines[-1] == ours[0]:
            return Verdict("refused")
        return Verdict("not one line", f"exit code {ended.code}: {ended.err[-300:]!r}")
    if ended.code:
        return Verdict("exit code", f"exit code {ended.code}: {ended.said}")
    told = set(came.warnings) - set(whole.warnings)
    if came.result == whole.result:
        return Verdict("unchanged, told" if told else "unchanged")
    if told:
        return Verdict("changed, told")
    return Verdict("silent", _difference(came, whole))


def _difference(came: Came, whole: Came) -> str:
    """Returns where the results of two uses part."""
    pairs = zip(whole.ended.out.splitlines(), came.ended.out.splitlines(), strict=False)
    lines = [f"{one!r} became {other!r}" for one, other in pairs if one != other]
    made = ", ".join(_keys(came.made, whole.made))
    return "; ".join([*lines[:1], *([f"other {made}"] if made else [])]) or "fewer lines"


def _keys(one: object, other: object) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        yield from (key for key in one if one[key] != other.get(key))
    elif one != other:
        yield str(one)[:100]


def run(setting: Setting) -> Report:
    """Damages runs of all tasks, and uses them."""
    warm_up()
    setting.folder.chmod(0o755)
    places = make_places(setting.folder)
    whole = undamaged(setting, places)
    listed = tries(setting, places)
    verdicts = list(spread(partial(drill, whole), listed, setting, "damage"))
    return report("damage", listed, verdicts)


def undamaged(setting: Setting, places: dict[str, Path]) -> dict[tuple[str, Use], Came]:
    """Returns what comes out of each use where nothing is damaged."""
    found = {}
    for task, place in places.items():
        for one in USES[task]:
            came = use(one, copied(place, setting.folder / "undamaged"))
            assert came.ended.code == 0, came.ended.err
            found[task, one] = came
    return found


def report(name: str, listed: Sequence[Try], verdicts: Sequence[Verdict]) -> Report:
    """Returns what all tries came to."""
    counts = Counter(verdict.kind for verdict in verdicts)
    figures: dict[str, str | int | float] = {
        "tries": len(listed),
        "verbs": len({one.use.verb for one in listed}),
        "files and folders": len({(one.task, one.target) for one in listed}),
        "tracebacks": counts.pop("traceback", 0),
        "silent changes": counts.pop("silent", 0),
        **{kind: counts[kind] for kind in sorted(counts)},
    }
    return Report(name, figures, [verdict.failure for verdict in verdicts if verdict.failure])
