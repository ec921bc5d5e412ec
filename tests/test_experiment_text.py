"""Language models from texts to run folders."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq import config as configuration
from seq2seq import experiment
from seq2seq.data.documents.texts import Texts
from seq2seq.errors import ConfigError, DataError, Seq2SeqError
from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.experiment import average, resolve
from seq2seq.runs.describe import describe
from seq2seq.runs.folder import Run
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.evaluation import EvaluationConfig, evaluate_text
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.task import read_config
from seq2seq.training.checkpoint import Checkpoints

TEXTS = ["the cat sat on the mat.\n", "a rat ran to the cat,\n\tand sat.\n", "ratatat!"] * 3
VALID = ["the rat sat on the cat.\n", "a mat!"]
CONFIG: dict[str, Any] = {
    "task": "language-model",
    "data.batch.rows": 3,
    "data.batch.steps": 8,
    "model.embedding_size": 6,
    "model.layers.hidden_size": 8,
    "train.steps": 4,
    "train.epochs": 0,
    "train.validate_every": 2,
    "train.log_every": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.window": 6,
    "validation.sample": 15,
}


def go(folder: Path, texts: list[str] | str = TEXTS, valid: list[str] = VALID, **given: Any) -> Run:
    dry_run = given.pop("dry_run", False)
    own = {**CONFIG, "folder": str(folder), "data.cache": str(folder.parent / "cache")}
    overrides = {key.replace("__", "."): value for key, value in given.items()}
    return seq2seq.train(own, overrides, data={"train": texts, "valid": valid}, dry_run=dry_run)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "plot_learning_curve", plot_learning_curve)
        return go(tmp_path_factory.mktemp("finished") / "run", train__average=0.9)


def steps(folder: Path) -> int:
    latest = Checkpoints(folder / "checkpoints").latest()
    return latest.state["step"] if latest else 0


@pytest.mark.parametrize(
    ("kind", "cell", "size"),
    [("char", "gru", 0), ("byte", "rnn", 0), ("word", "lstm", 0), ("bpe", "gru", 300)],
)
def test_every_tokenizer(tmp_path: Path, kind: str, cell: str, size: int) -> None:
    run = go(
        tmp_path / "run", text__tokenizer=kind, text__vocab_size=size, model__layers__cell=cell
    )
    assert steps(run.folder) == 4
    assert set(run.best) == {
        "step", "epoch", "minutes", "valid_loss", "bits_per_character", "windows_loss",
    }  # fmt: skip
    generator = Generator.load(run.folder, device="cpu")
    predictions = sum(map(len, generator.pipeline.encode(VALID))) + len(VALID)
    bits = run.best["valid_loss"] * predictions / math.log(2)
    assert run.best["bits_per_character"] == pytest.approx(bits / sum(map(len, VALID)))
    assert len(generator(length=12, seed=1)) <= 12
    assert generator("the cat", length=5).startswith("the cat")


def test_the_run_folder_holds_all_that_belongs_to_the_run(finished: Run) -> None:
    folder = finished.folder
    assert [row["step"] for row in finished.history if "loss" in row] == [1, 2, 3, 4]
    measured = [row for row in finished.history if "valid_loss" in row]
    assert [row["step"] for row in measured] == [2, 4]
    assert finished.best == min(measured, key=lambda row: row["valid_loss"])
    assert (folder / "plots" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    latest = (folder / "samples" / "latest.txt").read_text(encoding="utf-8")
    assert len(latest) <= 15
    assert (folder / "samples" / "all.txt").read_text(encoding="utf-8").count("-" * 40) == 2
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["data"].keys() == {"train", "valid"}
    config = read_config(folder)
    assert isinstance(config, LanguageModelTaskConfig)
    assert configuration.dump(config) == (folder / "config.yaml").read_text()
    assert (config.train.average, config.train.label_smoothing) == (0.9, 0.0)
    assert (
        "INFO data: 9 documents, 192 characters, 192 tokens; " in (folder / "train.log").read_text()
    )
    assert [path.name for path in folder.rglob(".tmp-*")] == []


def test_a_description(finished: Run) -> None:
    lines = dict(line.split(maxsplit=1) for line in describe(finished.folder).splitlines())
    generator = Generator.load(finished.folder, device="cpu")
    parameters = sum(one.numel() for one in generator.model.parameters())
    assert lines["task"] == "language-model"
    assert lines["vocabulary"] == str(len(set("".join(TEXTS))) + 4)
    assert lines["parameters"] == f"{parameters:,}"
    assert lines["checkpoints"] == "step-0000004, step-0000002"
    assert lines["trained"].startswith("4 steps, ")
    assert f"bits_per_character {finished.best['bits_per_character']:.3f}" in lines["best"]


def test_averaging(finished: Run) -> None:
    average(finished.folder, 2)
    checkpoints = Checkpoints(finished.folder / "checkpoints")
    loaded = [checkpoints.load(name) for name in ("average", "step-0000004", "step-0000002")]
    for name, mean in loaded[0].model.items():
        torch.testing.assert_close(mean, (loaded[1].model[name] + loaded[2].model[name]) / 2)
    assert Generator.load(finished.folder, checkpoint="average")(length=3, seed=1)


def test_evaluation_is_what_validation_measured(finished: Run, tmp_path: Path) -> None:
    generator = Generator.load(finished.folder, device="cpu")
    scores = evaluate_text(generator, Texts.of(VALID), EvaluationConfig(window=6))
    keys = ("valid_loss", "bits_per_character", "windows_loss")
    found = [scores[index].value for index in (0, 1, 3)]
    assert found == pytest.approx([finished.best[key] for key in keys], rel=1e-6)
    assert scores[2].value == pytest.approx(math.exp(scores[0].value))
    assert scores[0].signature == "tokens:32|characters:30|state:carried"
    assert scores[3].signature == "tokens:32|characters:30|state:zero every 6 tokens"
    alone = evaluate_text(generator, Texts.of(VALID), EvaluationConfig(window=0))
    assert alone == scores[:3]
    with pytest.raises(ConfigError, match=r"^window: must be at least 0, got -1$"):
        EvaluationConfig(window=-1)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"text__tokenizer": "word"}, "|lossy"),
        ({"text__min_count": 4}, "|unknown:0.067"),
        ({"text__normalizers": ["nfc"]}, "|lossy"),
        ({"text__tokenizer": "byte"}, ""),
    ],
)
def test_signatures_of_what_is_lost(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    run = go(tmp_path / "run", train__steps=1, train__validate_every=1, **given)
    generator = Generator.load(run.folder, device="cpu")
    scores = evaluate_text(generator, Texts.of(VALID), EvaluationConfig(window=6))
    assert scores[0].signature.partition("|state:carried")[2] == told
    assert scores[3].signature.partition("|state:zero every 6 tokens")[2] == told


def test_what_is_not_wanted_is_not_measured(tmp_path: Path) -> None:
    run = go(tmp_path / "run", validation__window=0, validation__sample=0, validation__rows=2)
    assert "windows_loss" not in run.best
    assert not (run.folder / "samples").exists()


def test_several_rows_of_validation_begin_in_the_middle(tmp_path: Path) -> None:
    runs = [go(tmp_path / str(rows), validation__rows=rows) for rows in (1, 4)]
    assert runs[0].best["valid_loss"] != runs[1].best["valid_loss"]
    assert runs[0].best["windows_loss"] == runs[1].best["windows_loss"]


# --- the same folder again


def test_going_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    go(folder)
    with caplog.at_level(logging.INFO, "seq2seq"):
        go(folder, train__steps=7)
    assert steps(folder) == 7
    assert "changed: train.steps: 4 -> 7" in caplog.messages
    assert f"{folder}: going on after step-0000004" in caplog.messages
    whole = go(tmp_path / "whole", train__steps=7).folder
    names = [Checkpoints(one / "checkpoints").load("step-0000007") for one in (folder, whole)]
    for name, weight in names[0].model.items():
        assert weight.equal(names[1].model[name])
    with pytest.raises(ConfigError) as error:
        go(folder, train__steps=7, train__average=0.5, model__layers__cell="gru")
    assert str(error.value).startswith(
        f"{folder} was begun with another configuration (model.layers.cell: lstm -> gru; "
        "train.average: 0.0 -> 0.5); undo the change, or name a new folder with --folder"
    )
    with pytest.raises(ConfigError, match=r"\(data.valid: other content\); undo the change"):
        go(folder, valid=TEXTS[:1], train__steps=7)


def test_a_dry_run_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "seq2seq"):
        run = go(tmp_path / "run", dry_run=True, validation__sample=10**9)
    assert list(tmp_path.iterdir()) == []
    assert run.folder == tmp_path / "run"
    assert caplog.messages[-1] == "dry run: two updates, validation, save, load and use work"


def test_texts_from_files(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(TEXTS), encoding="utf-8")
    data = {"data.train": {"files": ["text.txt"], "share": [0, 0.9]}}
    data["data.valid"] = {"files": ["*.txt"], "share": [0.9, 1]}
    own = {**CONFIG, **data, "data.folder": str(tmp_path), "folder": str(tmp_path / "run")}
    run = seq2seq.train(own, {"data.cache": str(tmp_path / "cache")})
    assert steps(run.folder) == 4
    assert "INFO data: 1 documents, 172 characters" in (run.folder / "train.log").read_text()
    assert seq2seq.train(own, {"data.cache": str(tmp_path / "cache")}).history == run.history


# --- refusals and warnings


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for role, given in (("train", {"texts": [" \n", ""]}), ("valid", {"valid": list[str]()})):
        text = f"^{role} texts: all are blank; text is needed$"
        with pytest.raises(DataError, match=text):
            go(folder, **given)
    text = "^data.train: is required; give data.train.files or data.train.path$"
    with pytest.raises(ConfigError, match=text):
        seq2seq.train({**CONFIG, "folder": str(folder)})
    with pytest.raises(ConfigError, match=r"text.vocab_size: must be at least"):
        go(folder, text__tokenizer="bpe", text__vocab_size=3)
    assert not folder.exists()


def test_unknown_characters_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go(tmp_path / "run", valid=["the cat " + "ü" * 8])
    assert "validation text: 50.0 % of the tokens are unknown" in caplog.messages
    caplog.clear()
    go(tmp_path / "other")
    assert not [one for one in caplog.messages if "unknown" in one]


def test_texts_may_come_from_an_iterator(finished: Run, tmp_path: Path) -> None:
    own = {**CONFIG, "folder": str(tmp_path / "run"), "data.cache": str(tmp_path / "cache")}
    valid = (text for text in VALID)
    run = seq2seq.train(own, {"train.average": 0.9}, data={"train": iter(TEXTS), "valid": valid})
    assert run.best["valid_loss"] == finished.best["valid_loss"]


def test_one_text_is_one_document(tmp_path: Path) -> None:
    run = go(tmp_path / "run", texts="the cat sat on the mat. " * 20)
    facts = (run.folder / "train.log").read_text(encoding="utf-8")
    assert "data: 1 documents" in facts


@pytest.mark.parametrize(
    ("task", "data", "text"),
    [
        (
            "language-model",
            {"train": [("a", "b")]},
            "train texts: row 0: must be text, got ('a', 'b'); leave it out, or give ''",
        ),
        (
            "translation",
            {"train": ["a"]},
            "train pairs: row 0: must be a source and a target text, got 'a'; "
            "leave it out, or give two texts",
        ),
        (
            "translation",
            {"tests": [("a", "b")]},
            "data: must have the keys train and valid, got 'tests'",
        ),
    ],
)
def test_data_of_another_kind(task: str, data: dict[str, Any], text: str) -> None:
    with pytest.raises(Seq2SeqError) as error:
        seq2seq.train({"task": task}, data=data)
    assert str(error.value) == text


def test_the_old_names_of_data_still_work_and_say_so(tmp_path: Path) -> None:
    config = {**CONFIG, "folder": str(tmp_path / "run")}
    with pytest.warns(FutureWarning) as told:
        seq2seq.train(config, train_texts=TEXTS, valid_texts=VALID)
    assert [str(warning.message) for warning in told] == [
        'train_texts is now data={"train": ...}; it goes in version 0.3',
        'valid_texts is now data={"valid": ...}; it goes in version 0.3',
    ]


@pytest.mark.parametrize(
    "overrides",
    [{"task": "language-model"}, ["--task", "language-model"], ["--task=language-model"]],
)
def test_the_task_may_be_an_override(overrides: Any) -> None:
    assert isinstance(resolve({}, overrides), LanguageModelTaskConfig)
