"""The verb ``compare``: runs are scored as they are by themselves, beside files of any kind."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq.cli import main
from seq2seq.evaluation.comparison import TESTS
from seq2seq.lists import FORMS
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator
from tests.conftest import Ran
from tests.data.test_wmt import XML
from tests.test_cli import forget_log

KNOWN = {
    "가": "가 감",
    "나": "나 날",
    "A dog & a cat.": "Ein Hund.",
    "Two.": "2.",
    "Three.": "Drei.",
}
ROWS = [("가", "가 감"), ("가", "가 강"), ("나", "나 난"), ("나", "나 나")]
CONFIG: dict[str, Any] = {
    "task": "transduction",
    "source": {"tokenizer": "char"},
    "target": {"tokenizer": "char", "normalizers": ["nfd"]},
    "model": {"embedding_size": 8, "encoder": {"hidden_size": 8}, "decoder": {"hidden_size": 8}},
    "train": {"steps": 1, "epochs": 0, "threads": 1, "precision": "float32"},
    "validation": {"group_sources": True},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, its test set, and files of translations."""
    folder = tmp_path_factory.mktemp("compare")
    pairs = "".join(f"{source}\t{target}\n" for source, target in ROWS)
    for name, content in {
        "pairs.tsv": pairs,
        "test.de": "".join(f"{source}\n" for source, _ in ROWS),
        "test.en": "".join(f"{target}\n" for _, target in ROWS),
        "good.txt": "".join(f"{target}\n" for _, target in ROWS),
        "bad.txt": "가\n\n나 나 나 나\n5\n",
        "short.txt": "가\n",
        "three.txt": "Hund.\n2.\nDrei.\n",
        "wmt.xml": XML,
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    data = {role: {"path": str(folder / "pairs.tsv")} for role in ("train", "valid", "test")}
    config = {**CONFIG, "folder": str(folder / "run"), "data": {**data, "cache": str(folder)}}
    seq2seq.train(config)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test set's folder; whatever the run has learned, it knows what it is asked."""

    def translate(self: Translator, texts: list[str], **settings: Any) -> list[Translation]:
        composed = (unicodedata.normalize("NFC", KNOWN[text]) for text in texts)
        return [Translation(text, 0.0) for text in composed]

    monkeypatch.chdir(place)
    monkeypatch.setattr(Translator, "__call__", translate)
    yield
    forget_log()


def rows(text: str) -> dict[tuple[str, str], Any]:
    """Returns the scores of a comparison, by system and metric."""
    return {(row["system"], row["metric"]): row for row in json.loads(text)}


@pytest.mark.parametrize("words", ["", "--metrics bleu exact --lowercase --bleu-tokenizer char"])
def test_a_run_has_the_scores_that_it_has_by_itself(words: str, ran: Ran) -> None:
    """Its own metrics and tokenizer; its references composed; sources that stand twice grouped."""
    alone = json.loads(ran(f"evaluate run --format json {words}"))
    for given in ("", "--source test.de --reference test.en"):
        found = rows(ran(f"compare run good.txt --format json --trials 10 {given} {words}"))
        assert {metric: row["value"] for (name, metric), row in found.items() if name == "run"} == {
            row["name"]: row["value"] for row in alone
        }
    if not words:
        assert [row["name"] for row in alone] == ["WER", "CER"]
        assert found["run", "WER"]["value"] == 50
        assert found["good.txt", "WER"]["value"] == 0


def test_the_files_of_a_test_set_of_wmt_are_all_that_is_needed(ran: Ran) -> None:
    words = "--metrics exact chrf --trials 10 --format json"
    found = rows(ran(f"compare wmt.xml three.txt run --reference wmt.xml {words}"))
    values = {name: row["value"] for (name, metric), row in found.items() if metric == "exact"}
    share = 100 / 3
    assert values == pytest.approx(
        {"Y": 2 * share, "X": 0, "three.txt": 2 * share, "run": 2 * share}
    )
    chosen = rows(ran(f"compare wmt.xml --system X --translator B --reference wmt.xml {words}"))
    line = "score wmt.xml --system X --translator B --reference wmt.xml --metrics chrf"
    (alone,) = json.loads(ran(f"{line} --format json"))
    assert chosen["X", "chrF2"]["value"] == alone["value"]
    assert chosen["X", "chrF2"]["p_value"] is None
    scored = json.loads(ran("evaluate run --reference wmt.xml --metrics exact --format json"))
    assert scored[0]["value"] == pytest.approx(2 * share)


def test_comet_is_asked_about_sources(ran: Ran, comet: None) -> None:
    words = "--metrics comet --format json"
    found = rows(ran(f"compare wmt.xml --reference wmt.xml --trials 10 {words}"))
    for system in ("X", "Y"):
        line = f"score wmt.xml --system {system} --reference wmt.xml {words}"
        (score,) = json.loads(ran(line))
        assert found[system, "COMET"]["value"] == pytest.approx(score["value"])
    (score,) = json.loads(ran(f"evaluate run --reference wmt.xml {words}"))
    assert "model:" in score["signature"]
    table = ran("compare wmt.xml --reference wmt.xml --metrics comet --trials 10 --analysis 0")
    assert table.splitlines()[1].split()[1] == f"{found['Y', 'COMET']['value']:.4f}"
    assert "chrF2 by words of the reference" in table


SECTIONS = {
    "run bad.txt": ["faults", "WER, CER by words of", "F1 of words by times in training texts"],
    "good.txt bad.txt --reference test.en": ["F1 of words by times in references"],
    "good.txt bad.txt --reference test.en --train bad.txt short.txt": ["times in training texts"],
    "wmt.xml --reference wmt.xml": ["BLEU, chrF2 by document", "line 3: chrF -"],
}


@pytest.mark.parametrize("words", SECTIONS)
def test_an_analysis_has_its_sections(words: str, ran: Ran, tmp_path: Path) -> None:
    found = ran(f"compare {words} --trials 10 --analysis 2 --plot {tmp_path}/plot.png")
    for title in SECTIONS[words]:
        assert title in found
    assert found.count("line ") <= 2
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    report = tmp_path / "report.md"
    markdown = f"--trials 10 --analysis 2 --format markdown --output {report}"
    assert ran(f"compare {words} {markdown}") == ""
    assert "### faults" in report.read_text(encoding="utf-8")


def test_training_texts_that_are_gone_are_told_of(ran: Ran, place: Path) -> None:
    (place / "pairs.tsv").rename(place / "gone.tsv")
    try:
        words = "--source test.de --reference test.en --trials 10 --analysis 0"
        found = ran(f"compare run bad.txt {words}", "words are counted in the references instead")
    finally:
        (place / "gone.tsv").rename(place / "pairs.tsv")
    assert "by times in references" in found


SHORT = "short.txt: has 1 lines, the test set 4; each needs its translation"
FILES = "good.txt bad.txt --reference test.en"
WRONG = {
    "a b --reference test.en": "a does not exist",
    "empty --reference test.en": "empty: is a directory without config.yaml; a run or a file is",
    "bad.txt bad.txt --reference test.en": "SYSTEM: must be all different, got bad.txt twice",
    "good.txt short.txt --reference test.en": SHORT,
    "run short.txt": SHORT,
    "good.txt bad.txt": "--reference: is required where only files are compared",
    "good.txt bad.txt --source test.de": "--source: must come with --reference",
    "run --reference test.en": "--reference: must come with --source where a run is compared",
    "run --translator A": "--translator: must be left out where --reference is not given",
    f"{FILES} --system A": "--system: must be left out where no file names systems",
    "wmt.xml --reference wmt.xml --system A": "--system: must be one of Y, X, got 'A'",
    "wmt.xml --reference wmt.xml --translator C": "--translator: must be one of A, B, got 'C'",
    f"{FILES} --analysis 1 --format json": "--analysis: must be left out where --format is json",
    f"{FILES} --analysis -1": "--analysis: must be at least 0, got -1",
    f"{FILES} --trials -1": "--trials: must be at least 0, got -1",
    f"{FILES} --batch-size 0": "--batch-size: must be at least 1, got 0",
    f"{FILES} --train gone.txt --analysis 1 --trials 2": "gone.txt does not exist",
    f"{FILES} --metrics comet": "--metrics: comet needs the command",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_told_in_one_line(words: str, refused: Ran) -> None:
    assert refused(f"compare {words}").startswith(WRONG[words])


def test_files_with_markup_in_other_verbs(refused: Ran) -> None:
    assert refused("evaluate run --translator A") == (
        "--translator: must be left out where --reference is not given"
    )
    assert refused("evaluate run --source test.de --reference test.en --translator A") == (
        "--translator: must be left out where no file of references names any"
    )
    assert refused("score good.txt --reference test.en --source test.de") == (
        "--source: must be left out where no metric needs it"
    )


def test_the_options_name_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    told = capsys.readouterr().out
    assert f"--test {{{','.join(TESTS)}}}" in told
    assert f"--format {{{','.join([*FORMS, 'json'])}}}" in told
