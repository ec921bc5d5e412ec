"""What a run is measured by: BLEU's tokenizer, several references, sources that stand twice."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab

import seq2seq
from seq2seq.cli import main
from seq2seq.data.references import read_references
from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation import bleu_tokenizer
from seq2seq.measures import METRICS
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator

TARGETS = {
    "zh": ["我今天早上在市场买了三个苹果。", "他们昨天晚上没有来参加会议。"],
    "ja": ["私は昨日市場でりんごを買いました。", "彼は学生です。"],
    "th": ["กรุงเทพเป็นเมืองหลวง", "ฉันชอบกินข้าวทุกวัน"],
    "pt": ["Comprei três maçãs no mercado.", "Eles não vieram à reunião ontem."],
}
SETTLED = {"zh": "zh", "ja": "char", "th": "char", "pt": "13a"}
BASE: dict[str, Any] = {
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "model.embedding_size": 16,
    "model.encoder.hidden_size": 32,
    "model.decoder.hidden_size": 32,
    "model.output_dropout": 0.0,
    "model.encoder.dropout": 0.0,
    "model.decoder.dropout": 0.0,
    "train.steps": 2,
    "train.validate_every": 2,
    "train.metric": "bleu",
    "train.optimizer.learning_rate": 0.03,
    "train.label_smoothing": 0.0,
    "train.device": "cpu",
    "train.precision": "float32",
}
SPOKEN = [("lead", "l i d"), ("lead", "l E d"), ("tin", "t I n"), ("lead", "l i d")]
"""Words of which one is pronounced in two ways, as in a dictionary."""


@pytest.fixture(autouse=True)
def set_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> Iterator[None]:
    """A cache of its own; no packages for Japanese or Korean; what is logged is kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)
    caplog.set_level(logging.INFO, "seq2seq")
    yield
    log = logging.getLogger("seq2seq")
    log.handlers.clear()
    log.propagate = True


def pairs(language: str) -> list[tuple[str, str]]:
    return list(zip((f"{language} a", f"{language} b"), TARGETS[language], strict=True))


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a model has learned, it is all that is taught here."""
    known = {source: target for language in TARGETS for source, target in pairs(language)}
    known |= dict(SPOKEN[:3])

    def translate(self: Translator, texts: list[str], **settings: Any) -> list[Translation]:
        return [Translation(known[text], 0.0) for text in texts]

    monkeypatch.setattr(Translator, "__call__", translate)


def go(folder: Path, learned: list[tuple[str, str]], **given: Any) -> seq2seq.Run:
    overrides = {key.replace("__", "."): value for key, value in given.items()}
    own = {**BASE, "folder": str(folder)}
    return seq2seq.train(own, overrides, data={"train": learned, "valid": learned})


def tokenizer_of(folder: Path) -> str:
    config = read_config(folder)
    assert isinstance(config, TranslationConfig)
    return config.validation.bleu_tokenizer


def notices(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if text.startswith("BLEU: ")]


# --- BLEU's tokenizer


@pytest.mark.parametrize("language", TARGETS)
def test_a_run_chooses_once_and_is_measured_by_its_choice(
    language: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, learned: None
) -> None:
    folder = tmp_path / "run"
    run = go(folder, pairs(language))
    assert run.best["bleu"] == pytest.approx(100)
    assert tokenizer_of(folder) == SETTLED[language]
    told = notices(caplog)
    assert len(told) == (language != "pt")
    assert (folder / "train.log").read_text(encoding="utf-8").count("BLEU: ") == len(told)
    # Whatever the test set looks like, it is measured as validation was.
    for data in (pairs(language), [(f"{language} a", "Comprei.")]):
        (score,) = seq2seq.evaluate(folder, data, {"metrics": ["bleu"]})
        assert f"|tok:{SETTLED[language]}|" in score.signature
    (score,) = seq2seq.evaluate(
        folder, pairs(language), {"metrics": ["bleu"], "bleu_tokenizer": "intl"}
    )
    assert "|tok:intl|" in score.signature
    assert notices(caplog) == told


def test_a_begun_run_keeps_its_choice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    go(folder, pairs("ja"), train__patience=5)
    monkeypatch.setattr(bleu_tokenizer, "_lacks", lambda name: "")  # installed by now
    caplog.clear()
    go(folder, pairs("ja"), train__steps=4, train__patience=5)
    assert tokenizer_of(folder) == "char"
    assert notices(caplog) == []
    assert "changed: train.steps: 2 -> 4" in caplog.messages
    wanted = "validation.bleu_tokenizer: char -> zh"
    with pytest.raises(ConfigError, match=re.escape(wanted)):  # patience goes by it
        go(folder, pairs("ja"), train__steps=6, train__patience=5, validation__bleu_tokenizer="zh")


def test_a_run_of_an_earlier_version_goes_on_and_is_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    go(folder, pairs("zh"), train__patience=5)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    old = re.sub(r"  (bleu_tokenizer|group_sources): .*\n", "", text)
    assert text.count("\n") - old.count("\n") == 2
    (folder / "config.yaml").write_text(old, encoding="utf-8")
    caplog.clear()
    (score,) = seq2seq.evaluate(folder, pairs("zh"), {"metrics": ["bleu"]})
    assert "|tok:zh|" in score.signature
    assert len(notices(caplog)) == 1
    go(folder, pairs("zh"), train__steps=4, train__patience=5)
    assert len(notices(caplog)) == 2


def test_a_run_that_does_not_measure_bleu_chooses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"train__metric": "loss", "validation__metrics": ["chrf"]}
    go(tmp_path / "run", pairs("zh"), **given)
    assert tokenizer_of(tmp_path / "run") == "auto"
    assert notices(caplog) == []
    go(tmp_path / "other", pairs("zh"), validation__sentences=0, train__metric="loss")
    assert notices(caplog) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ja-mecab", r"^validation.bleu_tokenizer: ja-mecab needs `pip install '.*\[ja\]'`; or"),
        ("flores200", "^validation.bleu_tokenizer: flores200 needs a model that is not on this"),
        ("13b", r"^overrides: validation\.bleu_tokenizer: must be one of auto, none, zh, 13a"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_ends_nothing_half_way(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bleu_tokenizer, "SACREBLEU_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        go(tmp_path / "run", pairs("ja"), validation__bleu_tokenizer=name)
    assert not (tmp_path / "run").exists()


# --- several references


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    """Runs a command line and returns the scores that it prints."""

    def run(*words: str) -> list[dict[str, Any]]:
        assert main([*words, "--format", "json"]) == 0, capsys.readouterr().err
        rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
        return rows

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: str) -> str:
        assert main([*words]) == 2
        return capsys.readouterr().err.strip().removeprefix("seq2seq: ")

    return run


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of words."""
    place = tmp_path_factory.mktemp("spoken")
    own = {**BASE, "task": "transduction", "train.metric": "wer", "target.tokenizer": "space"}
    given = {"folder": str(place / "run"), "data.cache": str(place / "cache")}
    learned = SPOKEN[1:3]
    return seq2seq.train({**own, **given}, data={"train": learned, "valid": learned}).folder


def write(path: Path, lines: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", METRICS)
def test_score_takes_several_references(name: str, tmp_path: Path, ran: Any, comet: None) -> None:
    found, first, second = ["a b c d", "e f"], ["a b c x", "g h"], ["a x c d", ""]
    texts = write(tmp_path / "found", found)
    files = [write(tmp_path / "first", first), write(tmp_path / "second", second)]
    words = [word for file in files for word in ("--reference", file)]
    named = ["--metrics", name, *(["--source", texts] if METRICS[name].takes_sources else [])]
    rows = [
        ran("score", texts, *words, *named)[0],
        ran("score", *words[:2], f"--reference={files[1]}", texts, *named)[0],
    ]
    expected = METRICS[name](found, [("a b c x", "a x c d"), "g h"], sources=found)
    for row in rows:
        assert (row["value"], row["signature"]) == (expected.value, expected.signature)
    assert "nrefs:var" in expected.signature


def test_evaluate_takes_several_references(
    spoken: Path, tmp_path: Path, ran: Any, learned: None
) -> None:
    sources = write(tmp_path / "sources", ["lead", "tin"])
    files = [write(tmp_path / "one", ["l i d", "t I n"]), write(tmp_path / "two", ["l E d", ""])]
    words = [word for file in files for word in ("--reference", file)]
    rows = ran("evaluate", str(spoken), "--source", sources, *words)
    assert [(row["name"], row["value"]) for row in rows] == [("WER", 0), ("PER", 0)]
    rows = ran("evaluate", str(spoken), "--source", sources, *words[:2])
    assert [(row["name"], row["value"]) for row in rows] == [("WER", 50), ("PER", 100 / 6)]
    data = [("lead", ["l i d", "l E d"]), ("tin", "t I n")]
    scores = seq2seq.evaluate(spoken, data, {"metrics": ["wer", "exact"]})
    assert [score.value for score in scores] == [0, 100]
    assert scores[0].signature == "n:2|nrefs:var|case:mixed|unit:line"


@pytest.mark.parametrize("row", [("a", []), ("a", [1]), ("a", ["b", None]), ("a", {"b"}), "ab"])
def test_rows_that_hold_no_texts_are_refused(row: Any, spoken: Path) -> None:
    with pytest.raises(DataError, match=r"^data: row 1: must be a source and a target text"):
        seq2seq.evaluate(spoken, [("a", ["b", "c"]), row])


def test_references_of_other_lengths_are_refused(
    tmp_path: Path, spoken: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lines in (("two", 2), ("also", 2), ("three", 3), ("none", 0)):
        write(tmp_path / name, ["a"] * lines)
    several = ["--reference", "also", "--reference", "three"]
    told = "two has 2 lines, also 2, three 3; each line needs its references"
    assert refused("score", "two", *several) == told
    assert refused("evaluate", str(spoken), "--source", "two", *several) == told
    nothing = refused("evaluate", str(spoken), "--source", "none", *["--reference", "none"] * 2)
    assert nothing == "none is empty; at least one line is needed"
    assert refused("score", "two", "--reference", "also", "three") == (
        "three: unexpected argument; to give --reference several values, repeat it: --reference "
        "three; see `seq2seq score --help`"
    )


def test_nothing_that_is_given_twice_is_forgotten(
    tmp_path: Path, spoken: Path, ran: Any, refused: Any
) -> None:
    file = write(tmp_path / "file", ["a"])
    words = ["score", file, "--reference", file, "--metrics", "wer", "--metrics", "exact", "cer"]
    assert [row["name"] for row in ran(*words)] == ["WER", "exact", "CER"]
    for name in ("source", "pairs", "output"):
        words = [f"--{name}", "one", f"--{name}=other"]
        told = f"--{name}: takes one file, got 'one' and 'other'"
        assert refused("evaluate", str(spoken), *words) == told
    # Of two settings the last counts, as of two keys.
    assert len(ran("score", file, "--reference", file, "--format", "table")) == 3


def test_a_blank_line_beside_a_reference_is_none(tmp_path: Path) -> None:
    files = [write(tmp_path / "one", ["a", "", ""]), write(tmp_path / "two", ["b", "c", " "])]
    assert read_references(files, "x", 3) == [("a", "b"), "c", ""]


# --- sources that stand twice


def test_a_source_that_stands_twice_may_have_either_reference(
    spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], learned: None
) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{one}\t{other}\n" for one, other in SPOKEN), encoding="utf-8")
    words = ["evaluate", str(spoken), "--pairs", str(path), "--metrics", "wer"]
    told = "1 sources stand in several lines with other references"
    output = tmp_path / "out"
    for more, value, lines in (
        ([], 50, 4),
        (["--no-group-sources"], 50, 4),
        (["--group-sources"], 0, 2),
    ):
        assert main([*words, *more, "--output", str(output), "--format", "json"]) == 0
        printed = capsys.readouterr()
        (row,) = json.loads(printed.out)
        assert (row["value"], row["signature"][:3]) == (value, f"n:{lines}")
        assert output.read_text(encoding="utf-8").split("\n")[:3] == ["l E d", "l E d", "t I n"]
        assert (told in printed.err) == (more == [])
    (score,) = seq2seq.evaluate(spoken, SPOKEN, {"metrics": ["wer"], "group_sources": True})
    assert score.value == 0


def test_validation_may_take_either_reference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, learned: None
) -> None:
    settings = {"train__metric": "wer", "validation__metrics": ["wer", "per"]}
    each = go(tmp_path / "each", SPOKEN, **settings)
    assert each.best["wer"] == 50
    assert "1 sources stand in several lines" in caplog.text
    caplog.clear()
    any_ = go(tmp_path / "any", SPOKEN, validation__group_sources=True, **settings)
    assert any_.best["wer"] == 0
    assert "several lines" not in caplog.text
    samples = (tmp_path / "any" / "samples" / "latest.txt").read_text(encoding="utf-8")
    assert "reference: l i d / l E d\n" in samples
    (score,) = seq2seq.evaluate(tmp_path / "any", SPOKEN, {"metrics": ["wer"]})
    assert (score.value, score.signature[:3]) == (0, "n:2")
