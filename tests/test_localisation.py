"""The bundled corpus is what its script makes, and its held-out parts are unseen."""

import gzip
import runpy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seq2seq.errors import DataError

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "data" / "localisation"
PARTS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def make() -> Any:
    pytest.importorskip("babel")
    return SimpleNamespace(**runpy.run_path(str(CORPUS / "make.py")))


@pytest.fixture(scope="module")
def parts(make: Any) -> dict[str, list[Any]]:
    built: dict[str, list[Any]] = make.build(make.read_templates(CORPUS / "templates.tsv"))
    return built


def committed(part: str) -> str:
    return gzip.decompress((CORPUS / f"{part}.tsv.gz").read_bytes()).decode()


def rows(part: str) -> list[list[str]]:
    return [line.split("\t") for line in committed(part).removesuffix("\n").split("\n")]


@pytest.mark.parametrize("part", PARTS)
def test_committed_file_is_what_the_script_makes(
    make: Any, parts: dict[str, list[Any]], part: str, tmp_path: Path
) -> None:
    make.write(parts[part], tmp_path / "made.tsv.gz")
    made = gzip.decompress((tmp_path / "made.tsv.gz").read_bytes()).decode()
    assert made == committed(part)


def test_written_bytes_hold_no_time(
    make: Any, parts: dict[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.write(parts["test"], tmp_path / "now.gz")
    monkeypatch.setattr("time.time", lambda: 0.0)
    make.write(parts["test"], tmp_path / "then.gz")
    assert (tmp_path / "now.gz").read_bytes() == (tmp_path / "then.gz").read_bytes()


def test_files_are_small_and_clean() -> None:
    assert sum(path.stat().st_size for path in CORPUS.iterdir() if path.is_file()) < 3_000_000
    for part in PARTS:
        assert all(len(row) == 2 and all(row) for row in rows(part))
        assert not any(mark in committed(part) for mark in "\r\ufeff{}")


def test_sizes_and_distinct_sources() -> None:
    sources = {part: [source for source, _ in rows(part)] for part in PARTS}
    assert {part: len(lines) for part, lines in sources.items()} == {
        "train": 60_000,
        "valid": 1_000,
        "test": 1_000,
    }
    everything = [source for lines in sources.values() for source in lines]
    assert len(set(everything)) == len(everything)


def test_sentences_are_short() -> None:
    lengths = [len(source.split()) for part in PARTS for source, _ in rows(part)]
    assert 3 <= min(lengths) <= max(lengths) <= 20


def test_training_holds_nothing_of_the_other_parts(make: Any, parts: dict[str, list[Any]]) -> None:
    values = {value for pair in parts["train"] for value in pair.values}
    names = {(pair.template, name) for pair in parts["train"] for name in pair.names}
    for part in ("valid", "test"):
        for pair in parts[part]:
            unseen_value = not values.issuperset(pair.values)
            unseen_name = not names.issuperset((pair.template, name) for name in pair.names)
            assert unseen_value or unseen_name
            if make.held_values(pair):
                assert unseen_value
            if make.held_names(pair):
                assert unseen_name


@pytest.mark.parametrize(
    ("part", "with_value", "with_name"), [("valid", 594, 409), ("test", 637, 373)]
)
def test_counts_of_held_out_kinds(
    make: Any, parts: dict[str, list[Any]], part: str, with_value: int, with_name: int
) -> None:
    assert sum(bool(make.held_values(pair)) for pair in parts[part]) == with_value
    assert sum(bool(make.held_names(pair)) for pair in parts[part]) == with_name


def test_names_are_trained_in_other_templates(parts: dict[str, list[Any]]) -> None:
    uses = Counter((name, pair.template) for pair in parts["train"] for name in pair.names)
    total = Counter(name for pair in parts["train"] for name in pair.names)
    for pair in parts["valid"] + parts["test"]:
        assert all(total[name] - uses[name, pair.template] >= 5 for name in pair.names)


def test_babel_left_no_unit_untranslated() -> None:
    for part in PARTS:
        assert "duration-" not in committed(part)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "dates\tIt is {date}.",
            r"t.tsv, line 1: found 2 columns; a template is family, source and target, "
            r"separated by tabs",
        ),
        (
            "dates\tIt is {dat}.\tHoje é {dat}.",
            r"t.tsv, line 1: unknown slot 'dat'; accepted are date, .*; did you mean 'date'\?",
        ),
        (
            "times\t{time}\t{date}",
            r"t.tsv, line 1: the slots of the target, \['date'\], are not those of the source, "
            r"\['time'\]",
        ),
    ],
)
def test_bad_template_is_refused(make: Any, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        make.read_templates(path)


def test_source_with_two_targets_is_refused(make: Any) -> None:
    templates = [
        make.Template(1, "times", "At {clock}", "Às {clock}"),
        make.Template(2, "times", "At {clock}", "A partir das {clock}"),
    ]
    with pytest.raises(DataError, match=r"templates.tsv, lines [12] and [12]: source 'At .* has"):
        make.build(templates)


def test_baseline_copies_the_nearest_target(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = runpy.run_path(str(ROOT / "recipes" / "quickstart" / "baseline.py"))
    pairs = {
        "train": [(f"{word} number {i}", word) for word in ("blue", "green") for i in range(40)],
        "test": [("blue number 77", "blue"), ("green number 77", "red")],
    }
    for part, some in pairs.items():
        filled = [make.Pair(*pair, None, (), ()) for pair in some]
        make.write(filled, tmp_path / f"{part}.tsv.gz")
    baseline["main"].__globals__["COMMON"] = 0.6
    baseline["main"](tmp_path)
    assert capsys.readouterr().out == "nearest-neighbour copy: exact match 50.0 %\n"
