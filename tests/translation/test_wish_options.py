"""What the command line asks of translations: glossaries, phrases, beginnings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.cli import main
from tests.translation.toy import KNOWN

Ran = Callable[[str], int]
SOURCES = [source for source, _ in KNOWN[:5]]


@pytest.fixture
def ran(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    monkeypatch.chdir(tmp_path)
    write("source.txt", *SOURCES)
    write("reference.txt", *(target for _, target in KNOWN[:5]))

    def run(words: str) -> int:
        verb, *options = words.split()
        files = {"translate": "source.txt", "evaluate": "--source source.txt"}[verb].split()
        if verb == "evaluate":
            files += ["--reference", "reference.txt", "--format", "json"]
        more = ["--output", "out.txt", "--device", "cpu"]
        return main([verb, str(toy), *files, *options, *more])

    return run


def write(name: str, *lines: str) -> None:
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def out() -> list[str]:
    return Path("out.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("verb", ["translate", "evaluate"])
@pytest.mark.parametrize("mode", ["hard", "soft --term-bonus 100"])
def test_terms_of_a_glossary_stand_in_the_texts(verb: str, mode: str, ran: Ran) -> None:
    write("terms.tsv", "zwei\tthree\tone one", "EINS\tthree three")
    assert ran(f"{verb} --glossary terms.tsv --ignore-case --terms {mode}") == 0
    found = out()
    assert len(found) == len(SOURCES)
    for source, text in zip(SOURCES, found, strict=True):
        assert "eins" not in source.split() or "three three" in text
        assert "zwei" not in source.split() or "three" in text or "one one" in text
    assert ran(f"{verb} --glossary terms.tsv --beam-size 1") == 0
    assert out() != found


def test_phrases_and_beginnings_have_a_line_for_each_text(ran: Ran) -> None:
    write("beginnings.txt", "one", "", "two two", "three", "")
    write("phrases.tsv", "", "one two\tthree", "one", "", "two two")
    for beam in (1, 4):
        words = f"translate --prefix beginnings.txt --require phrases.tsv --beam-size {beam}"
        assert ran(words) == 0
        texts = out()
        assert texts[0].startswith("one")
        assert "one two" in texts[1]
        assert "three" in texts[1]
        assert texts[2].startswith("two two")
        assert "one" in texts[2]
        assert texts[3].startswith("three")
        assert "two two" in texts[4]


def test_drawn_and_diverse_texts_begin_with_their_prefix(ran: Ran) -> None:
    write("beginnings.txt", *["two two"] * 5)
    for words in ("--sample --seed 1", "--groups 2 --beam-size 4"):
        assert ran(f"translate --prefix beginnings.txt {words}") == 0
        assert all(text.startswith("two two") for text in out())
    assert ran("translate --groups 3 --beam-size 3 --n-best 3 --format jsonl") == 0
    assert all(len(json.loads(line)["hypotheses"]) == 3 for line in out())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--term-bonus 3", "--term-bonus: must be left out where --terms is not soft"),
        ("--terms soft", "--terms: must be left out where there is no --glossary and no --require"),
        ("--diversity 1", "--diversity: must be left out where --groups is not given"),
        ("--ignore-case", "--ignore-case: must be left out where --glossary is not given"),
        ("--glossary t.tsv --sample", "--glossary: must be left out where --sample is given"),
        ("--require t.tsv --groups 5", "--require: must be left out where --groups is given"),
        ("--prefix t.tsv --split sentences", "--prefix: must be left out where --split is given"),
        ("--require t.tsv --split sentences", "--require: must be left out where --split is given"),
        ("--groups 2 --sample", "--groups: must be left out where --sample is given"),
        (
            "--prefix t.tsv",
            "--prefix: t.tsv has fewer lines than there are texts; each needs one, which may be "
            "empty",
        ),
        ("--prefix long.txt", "--prefix: long.txt has more lines than there are texts"),
        ("--glossary long.txt", "long.txt: holds no terms; at least one is needed"),
    ],
)
def test_options_that_do_not_go_together(
    words: str, message: str, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    write("t.tsv", "eins\tone")
    write("long.txt", *[""] * 6)
    assert ran(f"translate {words}") == 2
    assert f"seq2seq: {message}" in capsys.readouterr().err.splitlines()
