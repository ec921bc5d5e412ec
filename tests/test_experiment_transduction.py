"""Transduction from a table of pairs to scores and mistakes, from Python and the command line."""

import json
import logging
import shlex
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import seq2seq
from seq2seq.cli import main
from seq2seq.data.pairs.corpus import Pair
from seq2seq.tasks.task import read_config
from seq2seq.tasks.transduction import TransductionConfig
from seq2seq.tasks.translation.evaluation import EvaluationConfig, evaluate_pairs
from seq2seq.tasks.translation.translator import Translator
from seq2seq.text.pipeline import Pipeline

CONFIG: dict[str, Any] = {
    "task": "transduction",
    "data.batch.tokens": 100,
    "model.embedding_size": 16,
    "model.output_dropout": 0.0,
    "model.encoder.hidden_size": 32,
    "model.encoder.dropout": 0.0,
    "model.decoder.dropout": 0.0,
    "model.decoder.hidden_size": 32,
    "train.steps": 80,
    "train.epochs": 0,
    "train.validate_every": 80,
    "train.log_every": 80,
    "train.optimizer.learning_rate": 0.01,
    "train.label_smoothing": 0.0,
    "train.device": "cpu",
    "train.precision": "float32",
    "train.threads": 1,
}
SYMBOLS = {"k": "kʰ", "a": "aː", "n": "n", "i": "iː"}
WORDS = ["ka", "na", "ki", "ni", "kani", "naki", "kana", "nika", "ina", "aki", "kan", "nik"]
HANGUL = ["가", "나", "간", "낙", "가나", "나가", "각나", "난간"]
ROMAN = {"ᄀ": "g", "ᄂ": "n", "ᅡ": "a", "ᆨ": "k", "ᆫ": "n"}


def spoken(word: str) -> str:
    return " ".join(SYMBOLS[letter] for letter in word)


def romanised(word: str) -> str:
    return "".join(ROMAN[letter] for letter in unicodedata.normalize("NFD", word))


def trained(place: Path, pairs: list[Pair], **given: Any) -> Path:
    """Learns some pairs by heart."""
    own = {**CONFIG, "folder": str(place / "run"), "data.cache": str(place / "cache")}
    overrides = {key.replace("__", "."): value for key, value in given.items()}
    return seq2seq.train(own, overrides, data={"train": pairs, "valid": pairs}).folder


def answers(folder: Path, sources: list[str]) -> list[str]:
    return [one.text for one in Translator.load(folder, device="cpu")(sources)]


# --- words to phonemes, from a table


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of words and symbols, and a run that learnt it."""
    place = tmp_path_factory.mktemp("phonemes")
    rows = "".join(f"{word}\t{spoken(word)}\n" for word in WORDS)
    (place / "pairs.tsv").write_text(rows, encoding="utf-8")
    data = {role: {"path": "pairs.tsv"} for role in ("train", "valid", "test")}
    own = {
        **CONFIG,
        "folder": str(place / "run"),
        "data.folder": str(place),
        "data.cache": str(place / "cache"),
        "target.tokenizer": "space",
        **{f"data.{role}": where for role, where in data.items()},
    }
    seq2seq.train(own)
    return place


@pytest.fixture
def ran(
    capsys: pytest.CaptureFixture[str], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], str]]:
    def run(line: str) -> str:
        assert main(shlex.split(line)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    monkeypatch.chdir(workplace)
    yield run
    log = logging.getLogger("seq2seq")
    log.handlers.clear()
    log.propagate = True
    log.setLevel(logging.NOTSET)


def test_a_table_is_learnt(workplace: Path) -> None:
    assert answers(workplace / "run", WORDS) == [spoken(word) for word in WORDS]
    config = read_config(workplace / "run")
    assert isinstance(config, TransductionConfig)
    assert (config.task, config.train.metric) == ("transduction", "wer")
    assert (config.source.vocab_size, config.validation.metrics) == (0, ("wer", "per"))


def test_symbols_are_the_tokens_of_the_target(workplace: Path) -> None:
    (found,) = Translator.load(workplace / "run", device="cpu")(["kan"])
    assert found.source_tokens == ("k", "a", "n")
    assert found.target_tokens == ("kʰ", "aː", "n", "<eos>")


def test_the_journal_holds_the_usual_metrics(workplace: Path) -> None:
    lines = (workplace / "run" / "metrics.jsonl").read_text().splitlines()
    (row,) = [row for row in map(json.loads, lines) if "valid_loss" in row]
    assert (row["wer"], row["per"]) == (0, 0)
    assert "cer" not in row


def test_error_rates_by_default(ran: Callable[[str], str]) -> None:
    rows = [line.split()[:2] for line in ran("evaluate run").splitlines()]
    assert rows == [["metric", "score"], ["WER", "0.00"], ["PER", "0.00"]]
    assert ran("info run").splitlines()[1] == "task         transduction"


def test_mistakes_are_counted_in_symbols(ran: Callable[[str], str]) -> None:
    Path("words.txt").write_text("ka\nnika\n", encoding="utf-8")
    Path("sounds.txt").write_text("kʰ aː\nn iː kʰ iː\n", encoding="utf-8")
    table = ran("evaluate run --source words.txt --reference sounds.txt --mistakes 5")
    scores, *parts = table.split("\n\n")
    assert scores.split("\n")[1].split()[:2] == ["WER", "50.00"]
    assert scores.split("\n")[2].split()[:2] == ["PER", "16.67"]
    assert parts[0].splitlines() == [
        "confusions: 1 of 1, 1 edits in all",
        "reference  hypothesis  times",
        "iː         aː              1",
    ]
    assert parts[1].splitlines() == [
        "wrong lines: 1 of 1",
        "edits  source  reference   hypothesis",
        "    1  nika    n iː kʰ iː  n iː kʰ aː",
    ]
    assert parts[2].splitlines()[1].split() == ["length", "lines", "WER", "PER"]


# --- scripts that are taken apart


def test_hangul_is_read_by_its_letters(tmp_path: Path) -> None:
    pairs = [(word, romanised(word)) for word in HANGUL]
    folder = trained(tmp_path, pairs, source__normalizers=["nfd"])
    assert set(Pipeline.load(folder / "pipeline" / "source").vocabulary.tokens(range(4, 9))) == set(
        ROMAN
    )
    assert answers(folder, HANGUL) == [target for _, target in pairs]
    taken_apart = [unicodedata.normalize("NFD", word) for word in HANGUL]
    assert answers(folder, taken_apart) == [target for _, target in pairs]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_hangul_is_written_whole(form: Literal["NFC", "NFD"], tmp_path: Path) -> None:
    words = [word for word in HANGUL if word != "낙"]
    pairs = [(romanised(word), unicodedata.normalize(form, word)) for word in words]
    folder = trained(tmp_path, pairs, target__normalizers=["nfd"])
    assert answers(folder, [source for source, _ in pairs]) == words
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (row,) = [row for row in map(json.loads, lines) if "valid_loss" in row]
    assert row["wer"] == 0
    settings = EvaluationConfig(metrics=("wer", "cer"))
    found = evaluate_pairs(Translator.load(folder, device="cpu"), pairs, settings)
    assert [score.value for score in found.scores] == [0, 0]
    assert found.translations == words


# --- two languages in one model


def test_tags_tell_two_languages_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tags = ["<upper>", "<twice>"]
    pairs: list[Pair] = [(f"<upper> {word}", word.upper()) for word in WORDS[:6]]
    pairs += [(f"<twice> {word}", word + "!") for word in WORDS[:6]]
    folder = trained(tmp_path, pairs, source__tags=tags)
    assert answers(folder, [source for source, _ in pairs]) == [target for _, target in pairs]
    (found,) = Translator.load(folder, device="cpu")(["<twice> ka"])
    assert found.source_tokens == ("<twice>", "k", "a")
    caplog.clear()
    answers(folder, ["<upper> ka", "", "ka", "nik"])
    message = "2 of 4 texts begin with none of the tags <upper>, <twice>; the first begins 'ka'"
    assert caplog.messages == [message]
