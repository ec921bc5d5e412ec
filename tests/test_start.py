"""Runs that begin from an earlier one: what is taken, what is named, what stays as it was."""

import json
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import seq2seq
from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.experiment import resolve
from seq2seq.runs.describe import describe
from seq2seq.runs.folder import PIPELINE
from seq2seq.runs.start import Start
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.start import TokenRows
from seq2seq.tasks.task import named
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.start import take_weights
from seq2seq.training.state import sections, weights
from seq2seq.training.trainer import Trainer
from tests.tiny import PAIRS, TEXTS, TINY, answers, train_tiny

OF_TEXT = [task for task in TASKS if task != "forecasting"]
OTHER_TEXTS = [f"ÜBER {n} <x>" for n in range(12)]
OTHER: Mapping[str, Mapping[str, Any]] = {
    "language-model": {"train": [*TEXTS, *OTHER_TEXTS], "valid": OTHER_TEXTS[:3]},
}
EMPTY: Mapping[str, object] = {}
OTHER_PAIRS = [(text, text.lower()) for text in OTHER_TEXTS]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Returns a tiny run of each task."""
    folder = tmp_path_factory.mktemp("earlier")
    return {task: train_tiny(task, folder / task) for task in OF_TEXT}


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets updates change nothing, so that a run ends as it begins."""

    def pass_by(trainer: Trainer[Any], group: list[Any]) -> None:
        trainer.progress.step += 1
        trainer.progress.epoch += 1

    monkeypatch.setattr(Trainer, "update", pass_by)


def begun(
    task: str, folder: Path, start: Path, more: Mapping[str, object] = EMPTY, *, new: bool = False
) -> Path:
    """Trains a tiny run that begins from another one; with ``new`` data, from texts of its own."""
    settings = {**TINY[task].config, "task": task, "folder": str(folder), **more}
    settings["data.cache"] = str(folder.parent / "cache")
    pairs = {"train": [*PAIRS, *OTHER_PAIRS], "valid": OTHER_PAIRS[:3]}
    data = OTHER.get(task, pairs) if new else TINY[task].data
    return seq2seq.train(settings, {"train.start": start}, data=data).folder


def weights_of(run: Path) -> dict[str, Tensor]:
    return Checkpoints(run / "checkpoints").get("last").model


def rows_of(task: str, run: Path) -> Mapping[str, TokenRows]:
    """Returns the parts of a run's model with a row for each token."""
    material = named(task).open(resolve(dict(TINY[task].config), {"task": task}), TINY[task].data)
    return {one.part: one for one in material.token_rows(material.load(run / PIPELINE))}


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("task", OF_TEXT)
def test_before_its_first_update_a_run_answers_as_the_earlier_one(
    task: str, earlier: Mapping[str, Path], tmp_path: Path
) -> None:
    average = {"train.average": 0.9} if task == "language-model" else {}
    run = begun(task, tmp_path / "run", earlier[task], average)
    found, expected = (answers(seq2seq.load(one, device="cpu")) for one in (run, earlier[task]))
    assert found == expected
    side = "source/vocab.json" if task != "language-model" else "vocab.json"
    files = [(one / PIPELINE / side).read_bytes() for one in (run, earlier[task])]
    assert files[0] == files[1]


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(
    ("task", "vocabulary", "tied"),
    [
        *((task, "grown", True) for task in OF_TEXT),
        *((task, "replaced", False) for task in ("translation", "language-model")),
    ],
)
def test_rows_are_taken_by_the_text_of_their_tokens(
    task: str,
    vocabulary: str,
    tied: bool,
    earlier: Mapping[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: dict[str, Tensor] = {}

    def take(model: Any, *rest: Any) -> None:
        drawn.update({name: tensor.clone() for name, tensor in weights(model).items()})
        take_weights(model, *rest)

    monkeypatch.setattr("seq2seq.tasks.start.take_weights", take)
    settings: dict[str, Any] = {"train.start_vocabulary": vocabulary}
    settings["model.tie_embeddings"] = tied
    run = begun(task, tmp_path / "run", earlier[task], settings, new=True)
    before, after = weights_of(earlier[task]), weights_of(run)
    parts = rows_of(task, run).items()
    compared = new = 0
    for name, now in after.items():
        part, _, leaf = name.rpartition(".")
        if part not in dict(parts):
            assert now.equal(before[name]), name
            continue
        # Of what was tied, both have come; what was not, has its own.
        then = before.get(name, before.get(f"target_input.{leaf}", before.get(f"input.{leaf}")))
        assert then is not None
        old = rows_of(task, earlier[task])[part].vocabulary
        for index, place in enumerate(dict(parts)[part].vocabulary.places_in(old)):
            if place >= 0:
                assert now[index].equal(then[place]), (name, index)
                compared += 1
            else:
                assert now[index].equal(drawn[name][index]), (name, index)
                new += 1
    assert compared >= 40
    assert new > 5


def captured(monkeypatch: pytest.MonkeyPatch) -> list[Trainer[Any]]:
    """Returns a list of trainers as they begin, of which none does anything."""
    found: list[Trainer[Any]] = []
    monkeypatch.setattr(Trainer, "fit", lambda trainer, *_: found.append(trainer))
    return found


def test_the_optimiser_goes_on_with_its_moments_row_by_row(
    earlier: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, trainers = earlier["translation"], captured(monkeypatch)
    settings: dict[str, object] = {"train.freeze": ["encoder.*"], "train.start_vocabulary": "grown"}
    settings["train.start_optimizer"] = "kept"
    run = begun("translation", tmp_path / "run", start, settings, new=True)
    (trainer,) = trainers
    saved = Checkpoints(start / "checkpoints").get("best")
    slots = sections(saved.optimizer)["optimizer"]
    order = [name for name, _ in trainer.model.named_parameters()]
    checked = 0
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            (index,) = (n for n, one in enumerate(trainer.model.parameters()) if one is parameter)
            state = trainer.optimizer.state[parameter]
            assert state["step"] == 2, order[index]
            old = slots[f"{index}.exp_avg_sq"]
            assert state["exp_avg_sq"][: len(old)].equal(old)
            assert not state["exp_avg_sq"][len(old) :].any()
            checked += 1
    assert checked == len(order) - sum(name.startswith("encoder.") for name in order)
    assert describe(run).splitlines()[2].startswith(f"began from   {start}, {saved.name}, SHA-256 ")


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"train.optimizer.name": "sgd"}, 0),
        ({"model.tie_embeddings": False}, 0),
        ({"model.decoder.hidden_size": 6, "model.decoder.output_size": 8}, None),
        ({"train.optimizer.name": "adamw"}, 20),
    ],
)
def test_moments_of_another_optimiser_or_another_model_are_left(
    earlier: Mapping[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    more: dict[str, Any],
    kept: int | None,
) -> None:
    captured(monkeypatch)
    with caplog.at_level(logging.INFO, "seq2seq"):
        more = {**more, "train.start_optimizer": "kept"}
        begun("translation", tmp_path / "run", earlier["translation"], more)
    if kept is not None:
        assert re.search(rf"optimiser: goes on for {kept} of 2[0-2] weights", caplog.text)
        return
    assert "12 of 20 weights" in caplog.text
    assert "decoder.layers.layers.0.weight_recurrent (32x8 there, 24x6 here)" in caplog.text


@pytest.mark.parametrize("task", OF_TEXT)
def test_what_is_frozen_stays_to_the_bit(
    task: str, earlier: Mapping[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    pattern = "input.*" if task == "language-model" else "*source_input.*"
    decay = {"train.optimizer.name": "adamw", "train.optimizer.weight_decay": 0.5}
    settings = {"train.freeze": [pattern], "train.average": 0.9, "train.steps": 3, **decay}
    run = begun(task, tmp_path / "run", earlier[task], settings)
    before, after = weights_of(earlier[task]), weights_of(run)
    stays = {name for name in after if after[name].equal(before[name])}
    assert stays == {name for name in after if "input.weight" in name and "target" not in name}
    (name,) = stays
    text = f"train.freeze: 1 weights, {after[name].numel()} numbers, stay as they begin"
    assert text in caplog.text
    slots = sections(Checkpoints(run / "checkpoints").get("last").optimizer)["optimizer"]
    assert len({key.split(".")[0] for key in slots}) == len(after) - 1


REFUSED: Mapping[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no pattern": (
        {"train.freeze": ["encodr.*"]},
        ConfigError,
        "train.freeze: 'encodr.*' matches no weights; nearest: encoder.layers.0.",
    ),
    "nothing left": (
        {"train.freeze": ["*put.weight", "[!t]*", "t*"]},
        ConfigError,
        "train.freeze: *put.weight, [!t]*, t* leaves no weights to train",
    ),
    "another tokenizer": (
        {"source.tokenizer": "word"},
        ConfigError,
        "source.tokenizer: must be char, as in the run that train.start names "
        "(or write train.start_vocabulary: replaced), got 'word'",
    ),
    "other normalizers, grown": (
        {"target.normalizers": ["nfc"], "train.start_vocabulary": "grown"},
        ConfigError,
        "target.normalizers: must be [], as in the run that train.start names "
        "(or write train.start_vocabulary: replaced), got ['nfc']",
    ),
    "new tags": (
        {"source.tags": ["<x>"]},
        ConfigError,
        "source.tags: must be [], as in the run that train.start names "
        "(or write train.start_vocabulary: grown), got ['<x>']",
    ),
    "no such checkpoint": (
        {"train.start_checkpoint": "7"},
        CheckpointError,
        "checkpoints: no checkpoint '7'; accepted: best, last, step-0000002",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, earlier: Mapping[str, Path], tmp_path: Path) -> None:
    settings, kind, text = REFUSED[case]
    with pytest.raises(kind) as error:
        begun("translation", tmp_path / "run", earlier["translation"], settings)
    assert text in str(error.value)
    assert not (tmp_path / "run").exists()


def test_runs_of_other_tasks(
    earlier: Mapping[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = earlier["language-model"]
    with pytest.raises(ConfigError) as error:
        begun("translation", tmp_path / "run", start)
    assert str(error.value) == (
        f"train.start: {start} is a run of language-model, whose vocabulary is of no use for "
        "translation; write train.start_vocabulary: replaced"
    )
    with caplog.at_level(logging.INFO, "seq2seq"):
        begun("translation", tmp_path / "both", start, {"train.start_vocabulary": "replaced"})
    assert "head.bias (other vocabulary)" in caplog.text
    assert "only in" in caplog.text
    sizes = {f"model.{part}.hidden_size": 6 for part in ("encoder", "decoder")}
    settings = {**sizes, "model.embedding_size": 6, "train.start_vocabulary": "replaced"}
    with pytest.raises(CheckpointError) as nothing:
        begun("translation", tmp_path / "run", start, settings)
    text = f"train.start: nothing of {start}, step-0000002, fits this model: source_input.weight ("
    assert str(nothing.value).startswith(text)
    assert "head.bias (other vocabulary)" in str(nothing.value)
    with pytest.raises(ConfigError, match=r"^train.start: must be left out for a forecaster, got "):
        begun("forecasting", tmp_path / "run", start)
    with pytest.raises(CheckpointError, match="nowhere: does not exist; expected a folder with "):
        begun("transduction", tmp_path / "run", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="start: must be the folder of a run where start_check"):
        resolve({"train.start_vocabulary": "grown"})
    # Two names of one kind: the pipelines are the same.
    with caplog.at_level(logging.INFO, "seq2seq"):
        begun("transduction", tmp_path / "run", earlier["translation"])
    assert "20 of 20 weights" in caplog.text


def test_before_there_is_a_checkpoint_the_very_same_start_is_needed(
    earlier: Mapping[str, Path], tmp_path: Path
) -> None:
    start = shutil.copytree(earlier["translation"], tmp_path / "start")
    run = begun("translation", tmp_path / "run", start)
    ended = weights_of(run)
    begun("translation", run, start.rename(tmp_path / "moved"))  # found where it lies now
    start = start.rename(tmp_path / "gone") if start.exists() else tmp_path / "moved"
    shutil.rmtree(run / "checkpoints")
    manifest = start / "checkpoints" / "step-0000002" / "MANIFEST.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content + b" ")
    with pytest.raises(CheckpointError) as error:
        begun("translation", run, start)
    assert str(error.value) == (
        f"{start}: no longer has step-0000002 as it was when {run} began from it, "
        "and there is no checkpoint yet; restore it, or name a new folder with --folder"
    )
    manifest.write_bytes(content)
    begun("translation", run, start)
    assert all(tensor.equal(ended[name]) for name, tensor in weights_of(run).items())
    facts = json.loads((run / "provenance.json").read_text())
    assert facts["start"]["checkpoint"] == "step-0000002"
    del facts["start"]
    (run / "provenance.json").write_text(json.dumps(facts))
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match=r"json: does not tell from what the run begins$"):
        begun("translation", run, start)
    assert Start.remembered(run) is None


def test_a_dry_run_begins_as_well_and_from_what_is_only_for_use(
    earlier: Mapping[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start = tmp_path / "start"
    shutil.copytree(
        earlier["translation"], start, ignore=shutil.ignore_patterns("optimizer.safetensors")
    )
    settings = {**TINY["translation"].config, "folder": str(tmp_path / "dry")}
    given = {"train.start": start, "source.vectors": "nowhere.txt"}
    seq2seq.train(settings, given, data=TINY["translation"].data, dry_run=True)
    assert not (tmp_path / "dry").exists()
    text = "source.vectors: nowhere.txt is not read: no token is new to the earlier run"
    assert text in caplog.text
    more = {"train.start_optimizer": "kept"}
    with pytest.raises(CheckpointError, match=r"optimizer.safetensors"):
        seq2seq.train(settings, {**given, **more}, data=TINY["translation"].data)


SIDES: Mapping[str, Mapping[str, str]] = {
    "language-model": {"text": "input.weight"},
    "translation": {"source": "source_input.weight", "target": "target_input.weight"},
}
"""By task: the parts of its configuration that name vectors, and the embeddings they are for."""


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("task", SIDES)
def test_embeddings_begin_with_the_vectors_of_a_file(
    task: str, earlier: Mapping[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "vectors.txt"
    rows = {"s": 1.5, "e": 2.5, "ü": 3.5, "b": 4.5}
    file.write_text("".join(f"{token} {' '.join(8 * [str(x)])}\n" for token, x in rows.items()))
    files = {f"{side}.vectors": str(file) for side in SIDES[task]}
    with caplog.at_level(logging.INFO, "seq2seq"):
        alone = train_tiny(task, tmp_path / "alone", **files)
        more = {**files, "train.start_vocabulary": "grown"}
        both = begun(task, tmp_path / "both", earlier[task], more, new=True)
    assert re.search(r"vectors: [12] of 16 tokens are in ", caplog.text)
    assert f"vectors: 3 of 6 tokens are in {file}, 3 of them only in lower case" in caplog.text
    for side, name in SIDES[task].items():
        for run in (alone, both):
            (one,) = (one for one in rows_of(task, run).values() if f"{one.part}.weight" == name)
            spelt = {spelling: x for text, x in rows.items() for spelling in (text, text.upper())}
            for text, number in spelt.items():
                found = weights_of(run)[name][one.vocabulary.ids([text])[0]]
                known = text in rows_of(task, earlier[task])[one.part].vocabulary
                if text in one.vocabulary and (run == alone or not known):
                    assert found.tolist() == 8 * [number], (side, text)
                elif text in one.vocabulary:
                    assert found.tolist() != 8 * [number], (side, text)
    file.unlink()
    train_tiny(task, alone, **files, **{"train.steps": 3})  # not needed any more


def test_a_file_without_any_of_the_tokens(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_text("house 1 2 3 4 5 6 7 8\n")
    with pytest.raises(
        DataError, match=r"^source.vectors: .*/vectors.txt has none of the 16 tokens$"
    ):
        train_tiny("translation", tmp_path / "run", **{"source.vectors": str(file)})
    more = {"source.vectors": str(file), "model.encoder.embedding_size": 6}
    with pytest.raises(ConfigError, match=r"are of 6; set model.encoder.embedding_size: 8$"):
        train_tiny("translation", tmp_path / "run", **more)
