"""How translations are written: formats, alignments, a picture."""

import json
import shlex
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq.cli import main
from seq2seq.cli.verbs import all_verbs
from seq2seq.data.pairs.corpus import CorpusConfig, open_corpus
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tasks.translation.writing import FORMATS
from tests.tiny import train_tiny
from tests.translation.toy import KNOWN

TEXTS = [source for source, _ in KNOWN[:5]] + ["", " eins  zwei "]
Ran = Callable[..., int]


@pytest.fixture
def ran(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Translates the texts in a folder of its own; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")

    def run(words: str, folder: Path = toy) -> int:
        return main(["translate", str(folder), "in.txt", "--device", "cpu", *shlex.split(words)])

    return run


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without attention."""
    none = {"model.decoder.attention": "none", "model.decoder.input_feeding": False}
    return train_tiny("translation", tmp_path_factory.mktemp("blind") / "run", **none)


def read(name: str) -> list[str]:
    return Path(name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("form", "columns"), [("tsv", (0, 1)), ("tsv-swapped", (1, 0))])
def test_tables_are_pairs_to_learn_from(
    form: str, columns: tuple[int, int], ran: Ran, translator: Translator
) -> None:
    assert ran(f"--format {form} --output out.tsv --n-best 2") == 0
    pairs = list(open_corpus(CorpusConfig(path="out.tsv"), Path()).pairs())
    expected = [
        (one.source, hypothesis.text)
        for one in translator(TEXTS, n_best=2)
        for hypothesis in one.alternatives
    ]
    assert [(pair[columns[0]], pair[columns[1]]) for pair in pairs] == expected


def test_every_format_can_be_chosen() -> None:
    (translate,) = (served.verb for served in all_verbs()["translate"])
    parser = ArgumentParser()
    translate.options(parser)
    (chosen,) = (one for one in parser._actions if one.dest == "format")
    assert list(chosen.choices or ()) == list(FORMATS)


def test_what_would_part_columns_is_made_a_space() -> None:
    odd = Translation("a\tb\nc", 0.0, source="x\ty\rz")
    found = Translation("a\tb\nc", 0.0, source="x\ty\rz", alternatives=(odd,))
    assert FORMATS["tsv"](found) == ["x y z\ta b c"]
    assert FORMATS["tsv-swapped"](found) == ["a b c\tx y z"]
    assert FORMATS["text"](found) == ["a\tb c"]


def test_a_record_tells_seed_utility_and_words(ran: Ran) -> None:
    assert ran("--format jsonl --output out.jsonl --sample --seed 4 --mbr chrf --candidates 3") == 0
    rows: list[dict[str, Any]] = [json.loads(line) for line in read("out.jsonl")]
    assert {row.get("seed") for row in rows if row["source"].strip()} == {4}
    (best,) = rows[0]["hypotheses"]
    assert 0 < best["utility"] <= 100
    assert best["word_alignment"] == best["alignment"][:-1]
    assert ran("--format jsonl --output out.jsonl") == 0
    plain = json.loads(read("out.jsonl")[0])
    assert set(plain) == {"source", "source_tokens", "hypotheses"}
    assert "utility" not in plain["hypotheses"][0]


@pytest.mark.parametrize("unit", ["word", "token"])
def test_alignments_are_written_line_by_line(unit: str, ran: Ran, translator: Translator) -> None:
    assert ran(f"--alignments links.txt --alignment-unit {unit} --output out.txt") == 0
    found = translator(TEXTS)
    assert read("out.txt") == [one.text for one in found]
    links = [
        [tuple(map(int, link.split("-"))) for link in line.split()] for line in read("links.txt")
    ]
    assert len(links) == len(TEXTS)
    for line, one in zip(links, found, strict=True):
        words = len(one.text.split()) if unit == "word" else max(0, len(one.target_tokens) - 1)
        assert [target for _, target in line] == list(range(words))
        sides = one.alignment(unit)  # type: ignore[arg-type]
        assert [source for source, _ in line] == sides[:words]
        limit = len(one.source.split()) if unit == "word" else len(one.source_tokens)
        assert all(source < limit for source, _ in line)
    assert links[5] == []  # a blank line


def test_tables_have_an_alignment_for_each_hypothesis(ran: Ran) -> None:
    assert ran("--alignments links.txt --format tsv --n-best 3 --output out.tsv") == 0
    assert len(read("links.txt")) == len(read("out.tsv")) > 2 * len(TEXTS)
    assert ran("--alignments links.txt --format jsonl --n-best 3 --output out.jsonl") == 0
    assert len(read("links.txt")) == len(read("out.jsonl")) == len(TEXTS)


def test_the_first_text_is_drawn(ran: Ran) -> None:
    pytest.importorskip("matplotlib")
    assert ran("--plot first.png --output out.txt") == 0
    assert Path("first.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--alignments a.txt", "--alignments: needs attention; the run has none "
         "(model.decoder.attention)"),
        ("--plot a.png", "--plot: needs attention; the run has none (model.decoder.attention)"),
        ("--replace-unknown", "--replace-unknown: needs attention; the run has none "
         "(model.decoder.attention)"),
        ("--placeholders x", "--placeholders: needs attention; the run has none "
         "(model.decoder.attention)"),
    ],
)  # fmt: skip
def test_what_needs_attention(
    words: str, message: str, ran: Ran, blind: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(words, blind) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"seq2seq: {message}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--alignments out.txt --output ./out.txt",
         "--alignments: must be another file than --output, got 'out.txt'"),
        ("--dictionary in.txt",
         "--dictionary: must be left out where --replace-unknown is not given"),
        ("--replace-unknown --dictionary in.txt",
         "in.txt: line 1: has no tab; one parts source and target"),
        ("--weights 1 2", "--weights: must be one for each run (1), got [1.0, 2.0]"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(
    words: str, message: str, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(Path().rglob("*"))
    assert ran(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"seq2seq: {message}"
    assert set(Path().rglob("*")) == before
