"""The drills themselves: that they miss nothing, and can fail; their short forms."""

import random
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from seq2seq import experiment
from seq2seq.cli.main import main
from seq2seq.nn.cells import CELLS
from seq2seq.tasks.registry import TASKS
from tests.children import Ended
from tests.drill import __main__ as script
from tests.drill import cost, damage, kills, signals
from tests.drill.cases import kinds, variants
from tests.drill.damage import OF_FILES, OF_FOLDERS, Verdict, judged
from tests.drill.drill import Report, Setting
from tests.drill.kills import FAILPOINTS, INSIDE, Course
from tests.drill.uses import USES, Came, verbs_with_runs
from tests.structure import PACKAGE, ROOT
from tests.test_cli import forget_log
from tests.tiny import train_tiny


@pytest.mark.parametrize("task", TASKS)
def test_every_verb_that_takes_a_run_is_used(task: str) -> None:
    assert verbs_with_runs(task) == {use.verb for use in USES[task]}


def test_every_kind_is_killed_in_every_way(tmp_path: Path) -> None:
    plans = kills.plans(Setting(folder=tmp_path), tmp_path)
    assert len(plans) == len({plan.kind for plan in plans})
    assert len(plans) == len(CELLS) * sum(len(variants(task)) for task in TASKS)
    planned = Counter(kill for plan in plans for kill in plan.kills)
    assert planned.total() >= 200
    assert sum(planned[place] for place in INSIDE) >= 60
    assert all(planned[place] for place in (*INSIDE, "anywhere", "operation", "after SIGTERM"))


def test_every_failpoint_is_known() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert set(re.findall(r'failpoint\("(\w+)"\)', source)) == set(FAILPOINTS)


def came(code: int, out: str = "", err: str = "", *warnings: str, made: Any = None) -> Came:
    return Came(Ended(code, out, err, 1.0, 0.0), warnings, made)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (came(0, "text"), "unchanged"),
        (came(0, "text", "", "told"), "unchanged, told"),
        (came(0, "other", "", "told"), "changed, told"),
        (came(0, "other"), "silent"),
        (came(0, "text", made={"weights": 1}), "silent"),
        (came(2, "", "seq2seq: run: no\n"), "refused"),
        (came(2, "", "seq2seq: run: no\nmore\n"), "not one line"),
        (came(2), "not one line"),
        (came(1, "", "Traceback (most recent call last):\nKeyError: 1\n"), "traceback"),
        (came(-11), "traceback"),
        (came(3, "", "seq2seq: run: no\n"), "exit code"),
    ],
)
def test_what_comes_of_damage_is_judged(found: Came, kind: str) -> None:
    verdict = judged(found, came(0, "text", ""))
    assert verdict.kind == kind
    assert bool(verdict.failure) == (kind not in ("refused",) and "told" not in kind
                                     and kind != "unchanged")  # fmt: skip


def test_failures_are_counted_and_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = Course("one", Counter({"anywhere": 2, INSIDE[0]: 1}), failures=["one: mismatch of x"])
    course.recoveries.append(0.5)
    found = kills.report([course, course], 2.0)
    assert (found.figures["SIGKILLs"], found.figures["mismatches"]) == (6, 2)
    assert found.figures["inside a save, at a fail-point"] == 2
    assert damage.report("damage", [], [Verdict("silent", "x")]).figures["silent changes"] == 1
    assert signals.report([]).figures["signals"] == 0
    measured = {"saves": [1.0, 1.0], "all": 50.0, "bytes": 10, "updates": 4}
    assert cost.report(measured).failures == ["saves take 4.00 % of the time"]
    monkeypatch.setattr(script, "PARTS", {"good": lambda _: Report("good", {"a": 1}, []),
                                          "bad": lambda _: found})  # fmt: skip
    path = tmp_path / "found.json"
    assert script.main(["good", "--json", str(path)]) == 0
    assert script.main(["bad"]) == 1
    assert script.main(["odd"]) == 2
    shown = capsys.readouterr()
    assert "  FAILED one: mismatch of x\n" in shown.out
    assert shown.err == "error: PART: odd; accepted: good, bad\n"
    assert '"name": "good"' in path.read_text()


@pytest.mark.parametrize("task", TASKS)
def test_nothing_in_a_run_folder_brings_down_who_looks_at_it(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, codes = random.Random(task), Counter[int]()
    whole = train_tiny(task, tmp_path / "whole")
    paths = [path.relative_to(whole) for path in sorted(whole.rglob("*"))]
    for number, path in enumerate(paths):
        changes = OF_FOLDERS if (whole / path).is_dir() else OF_FILES
        names = [name for name in changes if name != "unreadable"]
        name = names[number % len(names)]
        run = tmp_path / str(number)
        shutil.copytree(whole, run)
        changes[name](run / path, rng)
        code = main(["info", str(run)])
        codes[code] += 1
        lines = [one for one in capsys.readouterr().err.splitlines() if "seq2seq: " in one]
        assert len(lines) == (code != 0), (path, name, lines)
    forget_log()
    assert set(codes) <= {0, 2, 74}
    assert codes[0] > 3
    assert codes[2] > 3


def test_every_kind_of_run_has_a_configuration() -> None:
    for kind in kinds():
        if kind.variant == "plain":  # cells differ in what they accept; a reading takes a while
            experiment.resolve(kind.settings())


def test_the_note_names_tests_that_exist() -> None:
    note = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", note)
    assert len(named) > 20
    for path, name in named:
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)
