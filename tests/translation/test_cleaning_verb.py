"""`seq2seq data clean`, from files to files."""

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from seq2seq.data.pairs.rules import RULES
from tests.conftest import Ran

CLEAN = [("ein Hund läuft", "a dog runs"), ("eine Katze schläft", "a cat sleeps")]
DIRTY = [CLEAN[0], ("ein  Hund läuft", "a dog runs"), ("nichts", ""), CLEAN[1]]
WRITTEN = "".join(f"{source}\t{target}\n" for source, target in CLEAN)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tsv = "".join(f"{source}\t{target}\n" for source, target in DIRTY)
    Path("dirty.tsv").write_text(tsv, encoding="utf-8")
    Path("held.tsv").write_text("eine Katze schläft\tcats sleep\n", encoding="utf-8")
    for side, texts in zip(("de", "en"), zip(*DIRTY, strict=True), strict=True):
        Path(f"dirty.{side}").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    rows = [json.dumps({"translation": {"de": one, "en": two}}) for one, two in DIRTY]
    Path("dirty.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    Path("data.yaml").write_text("data: {train: {path: dirty.tsv}, test: {path: held.tsv}}\n")
    Path("nothing.yaml").write_text("data: {test: {path: held.tsv}}\n")


COLUMNS = "--source-column translation.de --target-column translation.en"


@pytest.mark.parametrize(
    "words", ["dirty.tsv", "dirty.de dirty.en", f"dirty.jsonl {COLUMNS}", "data.yaml --overlap off"]
)
def test_whatever_holds_the_pairs(words: str, ran: Ran) -> None:
    ran(f"data clean {words} --output out.tsv --rejected rejected.tsv")
    assert Path("out.tsv").read_text(encoding="utf-8") == WRITTEN
    rejected = Path("rejected.tsv").read_text(encoding="utf-8")
    assert rejected == "duplicates\tein Hund läuft\ta dog runs\nblank\tnichts\t\n"


def test_a_pipe_and_standard_output(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Path("dirty.tsv").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    assert ran("data clean - --output -", says="pairs kept") == WRITTEN


def test_forms_of_output(ran: Ran) -> None:
    ran("data clean dirty.tsv --output out.jsonl.gz")
    lines = gzip.decompress(Path("out.jsonl.gz").read_bytes()).decode().splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == CLEAN
    ran("data clean dirty.tsv --output out.de out.en.gz")
    assert Path("out.de").read_text(encoding="utf-8").splitlines() == [one for one, _ in CLEAN]
    english = gzip.decompress(Path("out.en.gz").read_bytes()).decode().splitlines()
    assert english == [two for _, two in CLEAN]


def test_counts_of_each_rule(ran: Ran) -> None:
    told = json.loads(ran("data clean dirty.tsv --format json"))
    assert (told["read"], told["kept"]) == (4, 2)
    assert {name: count for name, count in told["left_out"].items() if count} == {
        "blank": 1,
        "duplicates": 1,
    }
    assert told["changed"]["whitespace"] == 1
    assert told["settings"] == {name: rule.default for name, rule in RULES.items()}
    table = ran("data clean dirty.tsv").splitlines()
    assert table[0].split() == ["pairs", "read", "4"]
    assert table[-1].split() == ["pairs", "kept", "2", "50.0", "%"]


@pytest.mark.parametrize("held", ["held.tsv", "dirty.de dirty.en", "held.tsv dirty.jsonl.tsv"])
def test_what_is_held_out_is_left_out(held: str, ran: Ran) -> None:
    Path("dirty.jsonl.tsv").write_text("x\ty\n")
    table = ran(f"data clean dirty.jsonl {COLUMNS} --held-out {held}")
    (line,) = [line for line in table.splitlines() if "in validation or test" in line]
    assert line.split()[-3] == ("1" if held != "dirty.de dirty.en" else "3")


def test_of_a_configuration_its_own_test_set_is_held_out(ran: Ran) -> None:
    ran("data clean data.yaml --output out.tsv")
    assert Path("out.tsv").read_text(encoding="utf-8") == "ein Hund läuft\ta dog runs\n"
    ran("data clean data.yaml --data.train.limit 1 --output out.tsv --overlap off")
    assert Path("out.tsv").read_text(encoding="utf-8") == "ein Hund läuft\ta dog runs\n"


def test_a_script_may_be_told(ran: Ran) -> None:
    told = json.loads(ran("data clean dirty.tsv --target-script CYRILLIC --format json"))
    assert told["left_out"]["script"] == 3
    told = json.loads(ran("data clean dirty.tsv --source-script GREEK --format json"))
    assert told["left_out"]["script"] == 3


FILES = "*.tsv, *.csv, *.jsonl"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing.yaml", "nothing.yaml: data.train: is required"),
        ("data.yaml x", "x: unexpected argument; a configuration stands alone"),
        (
            "dirty.tsv --blnk off",
            "--blnk: unexpected argument without a configuration; did you mean '--blank'?",
        ),
        ("dirty.tsv --words x", "--words: must be a whole number from 1, on or off, got 'x'"),
        ("dirty.tsv --blank 3", "--blank: must be on or off, got '3'"),
        (
            "dirty.tsv --overlap pairs",
            "--overlap: must be pair, source, target, either, on or off, got 'pairs'; did you mean "
            "'pair'?",
        ),
        (
            "dirty.de dirty.en --source-column a",
            "--source-column: must be left out with files of lines",
        ),
        (
            "dirty.tsv --output out.txt",
            "--output: must be a file named *.tsv, *.jsonl (.gz too), or two files of lines, got "
            "['out.txt']",
        ),
        (
            "dirty.tsv --target-script CYRILIC",
            "--target-script: must be the first word of its letters' names in Unicode, such as "
            "LATIN, CYRILLIC or CJK, got 'CYRILIC'",
        ),
    ],
)
def test_refused_in_one_line(words: str, message: str, refused: Ran) -> None:
    assert refused(f"data clean {words}") == message


def test_files_that_are_no_pairs_are_refused(refused: Ran, tmp_path: Path) -> None:
    for words, key in (
        ("dirty.de", "FILE"),
        ("a b c", "FILE"),
        ("dirty.tsv --held-out dirty.de", "--held-out"),
    ):
        told = refused(f"data clean {words}")
        assert told.startswith(f"{key}: must be a configuration, two files of lines, or one named ")
    out = tmp_path.resolve() / "same.tsv"
    assert refused("data clean dirty.tsv --output same.tsv --rejected same.tsv") == (
        f"--output, --rejected: must be different files, got {out} twice"
    )
