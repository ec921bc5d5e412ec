"""Weights are used only with the pipeline and the configuration that they were trained with."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import seq2seq
from seq2seq.errors import CheckpointError, ConfigError, Seq2SeqError
from seq2seq.experiment import average
from seq2seq.runs import folder as folders
from seq2seq.runs import loading
from seq2seq.runs.describe import describe
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.vocab import Vocabulary
from seq2seq.training.checkpoint import Checkpoints

PAIRS = [(f"satz {n} von {n % 7}", f"sentence {n % 7} {n}") for n in range(24)]
SETTINGS: dict[str, Any] = {
    "data.batch.tokens": 60,
    "source.tokenizer": "char",
    "target.tokenizer": "bpe",
    "target.vocab_size": 300,
    "model.embedding_size": 8,
    "model.encoder.hidden_size": 8,
    "model.decoder.hidden_size": 8,
    "train.steps": 4,
    "train.validate_every": 2,
    "train.threads": 1,
    "train.device": "cpu",
    "train.precision": "float32",
    "validation.sentences": 2,
}
DATA = {"train": PAIRS, "valid": PAIRS[:6]}
GOLDEN = Path(__file__).parents[1] / "golden" / "folders"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    seq2seq.train(SETTINGS | {"folder": str(folder)}, data=DATA)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    folders._tell.cache_clear()
    loading._tell.cache_clear()
    return Path(shutil.copytree(trained, tmp_path / "run"))


USES: dict[str, Callable[[Path], object]] = {
    "load": seq2seq.load,
    "evaluate": lambda run: seq2seq.evaluate(run, PAIRS[:2]),
    "average": lambda run: average(run, 2),
    "describe": describe,
    "train": lambda run: seq2seq.train(
        SETTINGS | {"folder": str(run), "train.steps": 6}, data=DATA
    ),
}


def exchange(run: Path) -> Path:
    """Puts a pipeline in the place of the source's that has two entries exchanged."""
    folder = run / "pipeline" / "source"
    pipeline = Pipeline.load(folder)
    *entries, one, other = pipeline.vocabulary.entries
    vocabulary = Vocabulary((*entries, other, one), pipeline.vocabulary.tags)
    replace(pipeline, vocabulary=vocabulary).save(folder)
    return folder / "pipeline.json"


def test_what_was_trained_together_is_used(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "seq2seq"):
        for use in USES.values():
            use(run)
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == []


@pytest.mark.parametrize("use", USES)
def test_an_exchanged_entry_is_refused_by_every_use(run: Path, use: str) -> None:
    path = exchange(run)
    with pytest.raises(CheckpointError) as error:
        USES[use](run)
    newest = "step-0000004"
    assert str(error.value).startswith(f"{path}: is not the one that step-")
    assert newest in str(error.value) or use in ("load", "evaluate")  # these take the best


@pytest.mark.parametrize("use", [use for use in USES if use != "train"])
def test_a_changed_setting_is_refused_by_every_use(run: Path, use: str) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("cell: lstm", "cell: sru", 1))
    with pytest.raises(CheckpointError, match=r"encoder.cell is \"sru\", but step-\d+ was trained"):
        USES[use](run)


def test_a_setting_that_may_change_is_told(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("beam_size: 5", "beam_size: 4", 1))
    for _ in range(2):
        seq2seq.load(run)
    text = f"{path}: was changed or damaged since `seq2seq train` wrote it"
    assert caplog.messages == [text]


def test_going_on_with_what_may_change_is_no_damage(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = SETTINGS | {"folder": str(run), "train.steps": 6, "search.beam_size": 2}
    seq2seq.train(changed, data=DATA)
    caplog.clear()
    seq2seq.load(run)
    seq2seq.load(run, checkpoint="2")  # saved before the change
    assert caplog.messages == []


def test_no_flipped_bit_is_silent(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [run / "config.yaml", *(p for p in (run / "pipeline").rglob("*") if p.is_file())]
    silent = []
    for path in files:
        whole = path.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 2)):
            content = bytearray(whole)
            content[place] ^= 1 << place % 7
            path.write_bytes(content)
            folders._tell.cache_clear()
            caplog.clear()
            try:
                seq2seq.load(run)
            except Seq2SeqError:
                continue
            finally:
                path.write_bytes(whole)
            if not caplog.messages:
                silent.append((path, place))
    assert silent == []


def test_a_missing_file_of_the_pipeline(run: Path) -> None:
    checkpoint = Checkpoints(run / "checkpoints").best()
    path = run / "pipeline" / "target" / "vocab.json"
    path.unlink()
    text = f"{path}: is missing, with which {checkpoint.name} was trained with; restore it"
    with pytest.raises(CheckpointError) as error:
        loading.require_own(run, checkpoint)
    assert str(error.value) == text


def test_folders_of_earlier_versions_are_used_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loading._tell.cache_clear()
    run = Path(shutil.copytree(next(p for p in GOLDEN.iterdir() if p.is_dir()), tmp_path / "run"))
    for _ in range(2):
        seq2seq.load(run)
    (message,) = caplog.messages
    assert message.startswith(f"{run}: its checkpoints, of an earlier version, do not tell ")


def test_train_tells_it_when_it_goes_on(run: Path) -> None:
    for manifest in (run / "checkpoints").glob("*/MANIFEST.json"):
        content = json.loads(manifest.read_text())
        del content["run"]
        manifest.write_text(json.dumps(content))
    USES["train"](run)
    newest = Checkpoints(run / "checkpoints").latest()
    assert newest is not None
    assert newest.run == loading.belongings(run)


def test_a_configuration_of_another_run_is_refused_by_train(run: Path) -> None:
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("cell: lstm", "cell: sru", 1))
    with pytest.raises(ConfigError, match="was begun with another configuration"):
        USES["train"](run)


# --- what is gone


def test_lost_checkpoints_are_told_of_where_training_begins_anew(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(run / "checkpoints")
    USES["train"](run)
    text = f"{run}: there is no checkpoint of the 4 updates that metrics.jsonl tells of; "
    assert text + "training begins anew" in caplog.messages


def test_lost_rows_are_told_of(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = run / "metrics.jsonl"
    told = describe(run)
    path.unlink()
    assert describe(run) == told  # the checkpoint tells the best scores
    assert caplog.messages == []
    USES["train"](run)
    assert f"{path}: rows are missing, such as of step 4" in caplog.messages


def test_scores_that_are_printed_are_those_of_the_checkpoint(run: Path) -> None:
    path = run / "metrics.jsonl"
    told = describe(run)
    path.write_text(path.read_text().replace('"valid_loss": ', '"valid_loss": 9'))
    assert describe(run) == told


def test_a_run_of_an_earlier_version_without_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Path(shutil.copytree(next(p for p in GOLDEN.iterdir() if p.is_dir()), tmp_path / "run"))
    assert "best" in describe(run)
    (run / "metrics.jsonl").unlink()
    best = Checkpoints(run / "checkpoints").best().state["best_step"]
    describe(run)
    text = f"{run / 'metrics.jsonl'}: has no scores of step {best}, the best"
    assert text in caplog.messages
