import errno
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq import config as configuration
from seq2seq import experiment
from seq2seq.data.pairs.corpus import Pair
from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.evaluation.plots.learning_curve import plot_learning_curve
from seq2seq.experiment import average, resolve, train
from seq2seq.runs import folder as folder_module
from seq2seq.runs.describe import describe
from seq2seq.runs.folder import Run
from seq2seq.search.config import SearchConfig
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import EvaluationConfig, evaluate_pairs
from seq2seq.tasks.translation.translator import Translator
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.interruption import Interrupted
from seq2seq.training.trainer import Trainer

PAIRS: list[Pair] = [(f"satz {n}", f"sentence {n}") for n in range(24)]
BASE: dict[str, Any] = {
    "data.batch.tokens": 100,
    "source.tokenizer": "char",
    "target.tokenizer": "char",
    "model.embedding_size": 8,
    "model.encoder.hidden_size": 8,
    "model.decoder.hidden_size": 8,
    "train.steps": 6,
    "train.validate_every": 2,
    "train.log_every": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sentences": 4,
    "validation.samples": 2,
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def go(folder: Path, pairs: list[Pair] | None = None, **given: Any) -> Run:
    dry_run = given.pop("dry_run", False)
    overrides = {key.replace("__", "."): value for key, value in given.items()}
    return train(
        {**BASE, "folder": str(folder)},
        overrides,
        data={"train": pairs or PAIRS, "valid": PAIRS[:6]},
        dry_run=dry_run,
    )


def steps(folder: Path) -> int:
    latest = Checkpoints(folder / "checkpoints").latest()
    return latest.state["step"] if latest else 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "plot_learning_curve", plot_learning_curve)
        return go(folder, data__cache=str(folder.parent / "cache"))


def test_the_run_folder_holds_all_that_belongs_to_the_run(finished: Run) -> None:
    folder = finished.folder
    assert steps(folder) == 6
    losses = [row["loss"] for row in finished.history if "loss" in row]
    assert len(losses) == 6
    assert finished.best["valid_loss"] == min(
        row["valid_loss"] for row in finished.history if "valid_loss" in row
    )
    assert (folder / "plots" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "samples" / "latest.txt").read_text().count("reference: sentence") == 2
    assert (folder / "samples" / "all.txt").read_text().count("source:    satz 0") == 3
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["data"].keys() == {"train", "valid"}
    assert facts["versions"]["torch"] == version("torch")
    assert facts["versions"].keys() == {
        "seq2seq-toolkit",
        *("torch", "sentencepiece", "datasets", "sacrebleu", "numpy"),
    }
    config = configuration.load(TranslationConfig, folder / "config.yaml")
    assert configuration.dump(config) == (folder / "config.yaml").read_text()
    assert config == read_config(folder)
    assert config.train.steps == 6
    assert [path.name for path in folder.rglob(".tmp-*")] == []


def test_a_description(finished: Run) -> None:
    text = describe(finished.folder)
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines["trained"].startswith("trained      6 steps, ")
    assert "step-0000006, step-0000004, step-0000002" in lines["checkpoints"]
    assert lines["best"].startswith(f"best         step-{finished.best['step']:07d}: ")


def test_averaging(finished: Run) -> None:
    checkpoints = Checkpoints(finished.folder / "checkpoints")
    path = average(finished.folder, 2)
    assert path.name == "average"
    loaded = [checkpoints.load(name) for name in ("average", "step-0000006", "step-0000004")]
    for name, mean in loaded[0].model.items():
        torch.testing.assert_close(mean, (loaded[1].model[name] + loaded[2].model[name]) / 2)
    assert loaded[0].state["averaged"] == ["step-0000006", "step-0000004"]
    assert Translator.load(finished.folder, checkpoint="average")(["satz 1"])
    for last in (0, 4):
        text = f"^--last: must be at least 1 and at most 3, .*, got {last}$"
        with pytest.raises(ConfigError, match=text):
            average(finished.folder, last)
    assert len(checkpoints.names()) == 3


@pytest.mark.parametrize(
    ("mapping", "overrides", "epochs"),
    [
        ({}, {}, 20),
        ({"train": {"seed": 2}}, {"train.seed": 3}, 20),
        ({"train": {"steps": 5}}, {}, 0),
        ({"train.steps": 5}, {}, 0),
        ({"train.patience": 5}, {"train.steps": 0}, 20),
        ({}, {"train.minutes": 5}, 0),
        ({}, {"train": {"minutes": 5}}, 0),
        ({}, ["--train.steps", "5"], 0),
        ({}, ["--train.steps=5"], 0),
        ({"train": {"steps": 5, "epochs": 3}}, {}, 3),
        ({"train": {"epochs": 3}}, ["--train.steps", "5"], 3),
        ({"train": {"steps": 5}}, {"train.epochs": 4}, 4),
    ],
)
def test_the_usual_epochs_are_for_want_of_another_end(
    mapping: dict[str, object], overrides: dict[str, object] | list[str], epochs: int
) -> None:
    assert resolve(mapping, overrides).train.epochs == epochs


def test_a_value_that_is_a_key_s_name(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("train: {steps: 5}\n")
    resolved = resolve(path, ["--folder", "task", "--train.seed", "2"])
    assert (resolved.task, resolved.folder, resolved.train.seed) == ("translation", "task", 2)
    assert resolve(path, ["--task", "transduction", "--folder=x"]).task == "transduction"


@pytest.mark.parametrize(
    "overrides",
    [
        ["--train", "{epochs: 3, steps: 100}"],
        {"train": {"epochs": 3, "steps": 100}},
        {"train.epochs": 3, "train.steps": 100},
        ["--train.epochs=3", "--train.steps", "100"],
    ],
)
def test_epochs_given_in_a_section_count(overrides: dict[str, object] | list[str]) -> None:
    train = resolve({}, overrides).train
    assert (train.epochs, train.steps) == (3, 100)


def test_a_configuration_may_be_an_object() -> None:
    config = TranslationConfig(joint_tokenizer=True)
    resolved = resolve(config, {"train.seed": 7})
    assert resolved == resolve({"joint_tokenizer": True, "train.epochs": 20}, {"train.seed": 7})


def test_evaluation(finished: Run) -> None:
    translator = Translator.load(finished.folder)
    settings = EvaluationConfig(metrics=("bleu", "exact"))
    found = evaluate_pairs(translator, PAIRS[:3], settings)
    assert len(found.translations) == 3
    assert [score.name.lower() for score in found.scores] == ["bleu", "exact"]


def test_evaluation_of_a_run(finished: Run) -> None:
    (score,) = seq2seq.evaluate(finished.folder, PAIRS[:3], {"metrics": ["exact"]})
    translator = Translator.load(finished.folder)
    settings = EvaluationConfig(metrics=("exact",))
    assert [score] == evaluate_pairs(translator, PAIRS[:3], settings).scores
    usual = [score.name.lower() for score in seq2seq.evaluate(finished.folder, PAIRS[:3])]
    assert usual == ["bleu", "chrf2", "exact"]
    with pytest.raises(
        ConfigError, match=r"^settings: metric: unknown key; did you mean 'metrics'"
    ):
        seq2seq.evaluate(finished.folder, PAIRS, {"metric": ["exact"]})
    with pytest.raises(ConfigError, match=r"its configuration has no data.test; give"):
        seq2seq.evaluate(finished.folder)


# --- the same folder again


def test_going_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    first = go(folder)
    again = go(folder)
    assert [dict(row) for row in again.history] == [dict(row) for row in first.history]
    with caplog.at_level(logging.INFO, "seq2seq"):
        further = go(folder, train__steps=8)
    assert steps(folder) == 8
    assert "changed: train.steps: 6 -> 8" in caplog.messages
    assert f"{folder}: going on after step-0000006" in caplog.messages
    assert len(further.history) == len(first.history) + 3
    assert read_config(folder).train.steps == 8
    with pytest.raises(ConfigError) as error:
        go(folder, train__steps=8, train__seed=2, model__encoder__cell="gru")
    assert str(error.value).startswith(
        f"{folder} was begun with another configuration (model.encoder.cell: lstm -> gru; "
        "train.seed: 1 -> 2); undo the change, or name a new folder with --folder"
    )
    with pytest.raises(ConfigError, match=r"\(data.train: other content\); undo the change"):
        go(folder, PAIRS[:-1], train__steps=8)
    assert steps(folder) == 8


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        ("{", "not the JSON that was written"),
        ("{}", "not the JSON that was written"),
        ("[]", "not the JSON that was written"),
        ('{"data": 3}', "not the JSON that was written"),
    ],
)
def test_a_run_without_its_provenance_is_refused(
    tmp_path: Path, content: str | None, why: str
) -> None:
    (tmp_path / "config.yaml").write_text(
        configuration.dump(configuration.from_mapping(TranslationConfig, BASE))
    )
    path = tmp_path / "provenance.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError) as error:
        go(tmp_path)
    assert str(error.value) == (
        f"{path}: cannot be read ({why}), so the data cannot be compared; restore it, "
        "or name a new folder with --folder"
    )


def test_a_damaged_checkpoint_costs_its_steps_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    go(folder)
    path = folder / "checkpoints" / "step-0000006" / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    (folder / "checkpoints" / ".tmp-step-0000008-1").mkdir()
    (folder / "valid" / "key.tmp-1").touch()
    with caplog.at_level(logging.INFO, "seq2seq"):
        go(folder)
    assert path.read_bytes() == whole
    found = f"(model.safetensors: expected {len(whole):,} bytes, found 100)"
    expected = f"checkpoint step-0000006 is damaged {found}; using step-0000004"
    assert expected in caplog.messages
    assert "removed .tmp-step-0000008-1, left over from an interrupted save" in caplog.messages
    draft = folder / "valid" / "key.tmp-1"
    assert f"removed {draft}, left over from an interrupted encoding" in caplog.messages
    assert not draft.exists()


def test_a_start_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".lock").write_text("process 1 on there")
    (folder / "pipeline").mkdir()
    go(folder)
    assert steps(folder) == 6


# --- refusals


def test_a_folder_in_use(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        lock.write("process 7 on there")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError) as error:
            go(tmp_path)
    assert str(error.value) == (
        f"folder: {tmp_path} is in use by process 7 on there; wait for it, or name another folder"
    )


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_of(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with folder_module.owned(tmp_path / "run"):
        pass
    text = f"{tmp_path / 'run'}: this file system has no locks ({os.strerror(code)}); train only "
    assert [message[: len(text)] for message in caplog.messages] == [text]


def test_an_operating_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "fcntl", None)
    with folder_module.owned(tmp_path / "run"), folder_module.owned(tmp_path / "run"):
        pass


def test_a_run_goes_on_without_samples_and_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    go(folder, train__steps=2)
    for name in ("samples", "plots"):
        shutil.rmtree(folder / name)
        (folder / name).write_text("in the way")
    caplog.clear()
    go(folder, train__steps=4)
    assert steps(folder) == 4
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [
        f"{folder / 'samples'}: File exists; the run goes on without it",
        f"no learning curve: [Errno 17] File exists: '{folder / 'plots'}'",
    ]


def test_a_provenance_that_cannot_be_used_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "provenance.json").write_text("[")
    folder_module.write_config(TranslationConfig(), tmp_path)
    text = (
        f"{tmp_path / 'provenance.json'}: cannot be used; changes of config.yaml will not be seen"
    )
    assert caplog.messages == [text]
    assert (tmp_path / "config.yaml").exists()


def test_a_user_without_a_home_has_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    found = folder_module.user_cache()
    assert (found.name, found.parent.name) == ("seq2seq", f"cache-{os.getuid()}")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    text = f"^folder: {tmp_path} holds other things and no config.yaml; name a new or a run's"
    with pytest.raises(ConfigError, match=text):
        go(tmp_path)
    with pytest.raises(ConfigError, match=r"is a file; name a new or a run's folder$"):
        go(tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("there", [False, True])
def test_a_failed_start_leaves_nothing(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    with pytest.raises(DataError, match=r"^train pairs: no pair is left, 24 dropped"):
        go(folder, data__filters__max_source_length=1)
    assert folder.exists() == there  # the user's own stays
    assert list(folder.rglob("*")) == []
    with pytest.raises(DataError, match=r"^train pairs: none given; at least one is needed$"):
        train(BASE, data={"train": [], "valid": PAIRS})
    with pytest.raises(ConfigError, match=r"^data.train: is required; give data.train.source"):
        train({**BASE, "folder": str(folder)})
    assert folder.exists() == there  # the user's own stays
    assert list(folder.rglob("*")) == []


def test_rows_that_are_no_pairs_are_one_line() -> None:
    # In a process of its own, since here types are checked before anything else.
    code = """import seq2seq
from seq2seq.errors import DataError
try:
    seq2seq.train({}, data={"train": [("a", "b"), "ab"]})
except DataError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wanted = "must be a source and a target text, got 'ab'; leave it out, or give two texts"
    assert found.stdout == f"train pairs: row 1: {wanted}\n"


def test_a_dry_run_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "seq2seq"):
        run = go(tmp_path / "run", dry_run=True, data__cache=str(tmp_path / "cache"))
    assert list(tmp_path.iterdir()) == []
    assert run.folder == tmp_path / "run"
    message = "dry run: two updates, validation, save, load and use work"
    assert caplog.messages[-1] == message


def test_a_line_of_50_000_tokens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    long: Pair = ("s" * 50_000, "long")
    with caplog.at_level(logging.INFO, "seq2seq"):
        run = go(tmp_path / "run", [*PAIRS, long, ("", "blank")], train__steps=1)
    assert any("24 pairs, 2 dropped (1 blank, 1 too long)" in one for one in caplog.messages)
    caplog.clear()
    translator = Translator.load(run.folder)
    short = SearchConfig(beam_size=1, max_length=4)
    found = translator(["satz 1", "s" * 50_000, "", "satz 2"], search=short)
    assert len(found) == 4
    assert found[2].text == ""
    assert caplog.messages == [
        f"1 of 4 texts longer than 1,000 tokens are cut there; the first begins '{'s' * 40}'"
    ]


def test_a_run_stopped_before_its_first_validation_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer.update

    def stop(trainer: Trainer[Any], group: list[Any]) -> None:
        update(trainer, group)
        os.kill(os.getpid(), signal.SIGTERM)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", stop)
        with pytest.raises(Interrupted, match=r"^stopped by SIGTERM after saving step-0000001; "):
            go(folder)
    text = describe(folder)
    assert "trained      1 steps" in text
    assert "best" not in text
    assert go(folder).best["valid_loss"] > 0
    for name in Checkpoints(folder / "checkpoints").names():
        (folder / "checkpoints" / name / "state.json").unlink()
    with pytest.raises(CheckpointError, match="no undamaged checkpoint is left in"):
        describe(folder)


def test_the_log_file_begins_with_the_summary(tmp_path: Path) -> None:
    config = {
        "folder": str(tmp_path / "run"),
        "data": {"cache": str(tmp_path / "cache")},
        "source": {"tokenizer": "word"},
        "target": {"tokenizer": "word"},
        "model": {
            "embedding_size": 4,
            "encoder": {"hidden_size": 4},
            "decoder": {"hidden_size": 4},
        },
        "train": {"steps": 1},
    }
    pairs = [("a", "b"), ("a a", "b b")]
    train(config, data={"train": pairs, "valid": pairs})
    text = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    assert "INFO data: 2 pairs" in text
    assert "INFO parameters" in text
    assert text.count("valid_loss") == 1


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert folder_module._version("no-such-package") == "not installed"
    assert folder_module._version("torch") == version("torch")
