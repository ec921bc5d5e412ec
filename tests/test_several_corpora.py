"""Training on several corpora, from the configuration to the run folder."""

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq import Translator
from seq2seq.cli import main
from seq2seq.errors import ConfigError, DataError
from seq2seq.experiment import resolve
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.material import PairMaterial
from tests.formats import WRITERS
from tests.test_cli import forget_log
from tests.tiny import TINY

CASES = (
    Path(
        os.environ.get("SEQ2SEQ_CASES", Path(__file__).parents[1] / ".." / "shared" / "cases")
    ).resolve()
    / "several_corpora"
)
LARGE = [(f"satz {n} {'x' * (n % 5)}", f"line {n}") for n in range(30)]
SMALL = [(f"wort {n}", f"word {n}") for n in range(6)]
VALID = [(f"satz {n}", f"line {n}") for n in range(3)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, pairs in (("large", LARGE), ("small", SMALL), ("valid", VALID)):
        (tmp_path / f"{name}.tsv").write_bytes(WRITERS["tsv"](pairs))
    return tmp_path


MIXED = [{"path": "large.tsv", "weight": 0.5}, {"path": "small.tsv", "weight": 2.5, "tag": "<bt>"}]


def settings(train: object = MIXED, **more: object) -> dict[str, Any]:
    data = {"data.train": train, "data.valid.path": "valid.tsv", "data.batch.tokens": 60}
    return {**TINY["translation"].config, **data, "folder": "run", **more}


def told(caplog: pytest.LogCaptureFixture, start: str = "data: ") -> list[str]:
    return [line for line in caplog.messages if line.startswith(start)]


def facts_of(config: Any, words: Sequence[str] = ()) -> str:
    """Returns what would be told of the data of a training."""
    resolved: Any = resolve(config, words)
    material = PairMaterial.open(resolved, {})
    return material.ready(material.learn(), Path("run"), torch.device("cpu")).facts


# --- as a user writes it

SHAPES: Mapping[str, tuple[object, str]] = {
    "a list of paths": ({"path": ["large.tsv", "small.tsv"]}, "36 pairs, 0 dropped;"),
    "a list of corpora": (
        [{"path": "large.tsv"}, {"path": "small.tsv", "weight": 5}],
        "60 pairs an epoch (large.tsv: 30, 0 dropped, × 1; small.tsv: 6, 0 dropped, × 5);",
    ),
    "a pattern": ({"path": "*.tsv"}, "36 pairs, 0 dropped;"),
    "a folder": ({"path": ".", "format": "tsv"}, "36 pairs, 0 dropped;"),
    "one with a weight": (
        {"path": "large.tsv", "weight": 2},
        "60 pairs an epoch (large.tsv: 30, 0 dropped, × 2);",
    ),
}
"""What users write, and what they are told; validation pairs stand in the same folder."""


@pytest.mark.parametrize("shape", SHAPES)
def test_what_users_write(shape: str, caplog: pytest.LogCaptureFixture) -> None:
    train, facts = SHAPES[shape]
    caplog.set_level(logging.INFO, "seq2seq")
    assert facts_of(settings(train)).startswith(facts)
    left_out = [line for line in caplog.messages if "valid.tsv left out" in line]
    assert len(left_out) == (shape in ("a pattern", "a folder"))


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e"])
def test_the_cases(name: str, folder: Path) -> None:
    if not CASES.is_dir():
        pytest.skip(f"no {CASES}; SEQ2SEQ_CASES names the folder that holds several_corpora")
    place = folder / "cases"
    shutil.copytree(CASES, place)
    pairs = {"b": "550 pairs an epoch (", "e": "600 pairs an epoch ("}.get(name, "350 pairs, 0 ")
    assert facts_of(place / f"{name}.yaml", ["--data.folder", str(place)]).startswith(pairs)


def test_training_and_settled_tags(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    run = seq2seq.train(settings(**{"source.tags": ["<2en>"]})).folder
    config: Any = read_config(run)
    assert config.source.tags == ("<2en>", "<bt>")
    assert told(caplog)[0].startswith(
        "data: 30 pairs an epoch (large.tsv: 30, 0 dropped, × 0.5; small.tsv: 6, 0 dropped, × 2.5);"
    )
    caplog.clear()
    translator = Translator.load(run, device="cpu")
    assert translator.pipelines.bare == pytest.approx(2 / 3)
    translator(["satz 1", "<bt> wort 2"])  # half of what was learned from had no tag either
    assert not told(caplog, "1 of 2 texts begin with none of the tags")
    assert translator.pipelines.source.encode("<bt>") == [
        [translator.pipelines.source.vocabulary.tag_ids["<bt>"]]
    ]
    again: Any = Translator.load(run, device="cpu").pipelines
    assert again.bare == translator.pipelines.bare


def test_where_all_had_a_tag_texts_without_are_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = seq2seq.train(settings({"path": "small.tsv", "tag": "<bt>"})).folder
    translator = Translator.load(run, device="cpu")
    caplog.clear()
    translator(["wort 1"])
    assert told(caplog, "1 of 1 texts begin with none of the tags <bt>")


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_a_run_on_a_mixture_goes_on_to_the_bit(sampling: float, folder: Path) -> None:
    more: dict[str, Any] = {"train.steps": 8}
    if sampling:
        more |= {"source.tokenizer": "bpe", "source.vocab_size": 290, "source.sampling": sampling}
    whole = seq2seq.train(settings(folder="whole", **more)).folder
    for steps in (4, 8):  # an epoch has six batches
        parts = seq2seq.train(settings(folder="parts", **{**more, "train.steps": steps})).folder
    weights = [next(run.glob("checkpoints/*8/model.safetensors")) for run in (whole, parts)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_the_same_corpora_at_another_place(folder: Path) -> None:
    seq2seq.train(settings())
    (folder / "moved").mkdir()
    for name in ("large", "small", "valid"):
        shutil.move(folder / f"{name}.tsv", folder / "moved" / f"{name}.tsv")
    seq2seq.train(settings(**{"data.folder": "moved", "train.steps": 3}))
    moved = [{**entry, "path": f"moved/{entry['path']}"} for entry in MIXED]
    valid = {"data.valid.path": "moved/valid.tsv"}
    run = seq2seq.train(settings(moved, **valid, **{"train.steps": 4})).folder
    config: Any = read_config(run)
    assert [one.path for one in config.data.train] == ["moved/large.tsv", "moved/small.tsv"]
    assert (config.data.train[1].tag, config.data.train[1].weight) == ("<bt>", 2.5)


def test_what_an_epoch_has_may_not_change_in_a_begun_run() -> None:
    seq2seq.train(settings())
    for key, value, message in (
        ("data.train.1.weight", 3.0, "data.train.1.weight: 2.5 -> 3.0; data.train: other content"),
        ("data.train.0.limit", 7, "data.train.0.limit: 0 -> 7; data.train: other content"),
        ("data.train.1.filters.max_ratio", 2.0, "data.train: other content"),
        ("data.train.1.tag", "", "data.train: other content"),
        ("data.train", [{"path": "large.tsv"}, {"path": "small.tsv"}], "data.train: other content"),
    ):
        with pytest.raises(ConfigError) as error:
            seq2seq.train(settings(), {key: value, "source.tags": ["<bt>"]})
        assert message in str(error.value)
    plain = [{"path": "large.tsv"}, {"path": "small.tsv", "tag": "<bt>"}]
    with pytest.raises(ConfigError, match=r"data.temperature: none -> 2.0"):
        seq2seq.train(settings(plain, **{"data.temperature": 2.0}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"data.temperature": 2.0}, "data.temperature: must be none where corpora have a weight"),
        (
            {"data.train": [{"path": "large.tsv"}], "data.temperature": 0.5},
            "data.temperature: must be at least 1, got 0.5",
        ),
        ({"data.train": []}, "data.train: must be a corpus, or at least one in a list, got []"),
        (
            {"data.valid.weight": 2.0},
            "data.valid.weight: unknown key; did you mean 'data.train.weight'?",
        ),
        (
            {"data.valid.tag": "<x>"},
            "data.valid.tag: must be one of training corpora or source.tags, got '<x>'",
        ),
        ({"data.train.0.weight": 0.0}, "data.train.0.weight: must be above 0, got 0.0"),
    ],
)
def test_refused_settings(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(settings(), keys)
    assert message in str(error.value)


def test_several_corpora_to_validate_and_test_with(folder: Path) -> None:
    several = [{"path": "valid.tsv"}, {"path": "small.tsv", "tag": "<bt>", "limit": 2}]
    more = {"data.valid": several, "data.test": several, "validation.sentences": 9}
    run = seq2seq.train(
        {key: one for key, one in settings(**more).items() if key != "data.valid.path"}
    ).folder
    expected = [*VALID, *((f"<bt> {source}", target) for source, target in SMALL[:2])]
    assert (run / "samples" / "latest.txt").read_text().count("reference: ") == 5
    metrics = {"metrics": ["chrf"]}
    own = seq2seq.evaluate(run, settings=metrics, device="cpu")
    assert own == seq2seq.evaluate(run, expected, metrics, device="cpu")
    # Pairs that are given are read with the columns of the run's own, but have no tag of theirs.
    try:
        assert main(["evaluate", "run", "--pairs", "small.tsv", "--device", "cpu"]) == 0
    finally:
        forget_log()


def test_lists_from_python_take_the_place_of_all() -> None:
    resolved: Any = resolve(settings())
    material = PairMaterial.open(resolved, {"train": SMALL, "valid": VALID})
    assert (list(material.train.pairs()), list(material.valid.pairs())) == (SMALL, VALID)


def test_data_check_tells_of_each_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.tsv").write_bytes(WRITERS["tsv"]([*SMALL, ("", "blank")]))
    train = "[{path: large.tsv}, {path: small.tsv, weight: 2}]"
    try:
        assert main(["data", "check", "--data.train", train, "--data.valid.path", "valid.tsv"]) == 0
    finally:
        forget_log()
    whole, parts = capsys.readouterr().out.split("\ntrain, corpus by corpus\n")
    assert [line.split() for line in whole.splitlines()[:2]] == [
        ["train", "valid"],
        ["pairs", "37", "3"],
    ]
    assert [line.split() for line in parts.splitlines()[:2]] == [
        ["large.tsv", "small.tsv"],
        ["pairs", "30", "7"],
    ]
    assert "- small.tsv: source is blank at pair 7 (1 in all); such pairs are dropped" in parts
    assert "- train: " not in parts


# --- data sets of the hub: there is no network in the tests, `datasets` is a stand-in

COMMIT, LATER = "0123456789abcdef" * 2 + "01234567", "f" * 40


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Stands in for the hub, whose newest commit is given; returns what was asked of it."""
    import datasets

    datasets.disable_progress_bars()
    rows = [{"de": source, "en": target} for source, target in LARGE]
    table = datasets.Dataset.from_dict({"translation": rows})
    asked: list[dict[str, Any]] = []

    class Builder:
        hash: object

    def start(commit: object) -> list[dict[str, Any]]:
        asked.clear()

        def load_dataset_builder(path: str, **settings: Any) -> Builder:
            builder = Builder()
            builder.hash = commit
            asked.append({"builder": path, **settings})
            return builder

        def load_dataset(path: str, **settings: Any) -> Any:
            asked.append({"load": path, **settings})
            return table.to_iterable_dataset() if settings.get("streaming") else table

        monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return asked

    return start


FAR: dict[str, Any] = {
    "path": "owner/name",
    "configuration": "de-en",
    "source_column": "translation.de",
    "target_column": "translation.en",
}


@pytest.mark.parametrize(("streaming", "revision"), [(False, None), (True, "main")])
def test_a_run_keeps_the_commit_that_a_revision_stood_for(
    streaming: bool, revision: str | None, hub: Callable[..., list[dict[str, Any]]]
) -> None:
    far = {**FAR, "streaming": streaming, "revision": revision, "data_files": "train/*.parquet"}
    chosen: dict[str, Any] = {"name": "de-en", "data_files": ["train/*.parquet"]}
    asked = hub(COMMIT)
    run = seq2seq.train(settings([far, {"path": "small.tsv"}])).folder
    load: dict[str, Any] = {"load": "owner/name", "split": "train", "revision": COMMIT, **chosen}
    load |= {"streaming": True} if streaming else {}
    assert asked == [{"builder": "owner/name", "revision": revision, **chosen}, load]
    key = "owner/name@main" if revision else "owner/name"
    assert json.loads((run / "provenance.json").read_text())["commits"] == {key: COMMIT}
    asked = hub(LATER)
    seq2seq.train(settings([far, {"path": "small.tsv"}], **{"train.steps": 3}))
    assert asked == [load]
    config: Any = read_config(run)
    assert config.data.train[0].revision == revision
    if streaming:  # of another run the later commit is other content
        with pytest.raises(ConfigError, match=r"data.train: other content"):
            seq2seq.train(settings([{**far, "revision": LATER}, {"path": "small.tsv"}]))


def test_a_hub_that_tells_no_commit_is_read_as_named(
    hub: Callable[..., list[dict[str, Any]]],
) -> None:
    asked = hub(None)
    run = seq2seq.train(settings({**FAR, "revision": "v1"})).folder
    assert [one["revision"] for one in asked] == ["v1", "v1"]
    assert "commits" not in json.loads((run / "provenance.json").read_text())


def test_a_test_set_of_the_hub_is_read_at_the_commit_of_the_training_data(
    hub: Callable[..., list[dict[str, Any]]],
) -> None:
    hub(COMMIT)
    run = seq2seq.train(settings(FAR, **{"data.test": {**FAR, "split": "test"}})).folder
    asked = hub(LATER)
    seq2seq.evaluate(run, settings={"metrics": ["chrf"]}, device="cpu")
    assert [(one["load"], one["split"], one["revision"]) for one in asked] == [
        ("owner/name", "test", COMMIT)
    ]


def test_a_stream_without_a_column(hub: Callable[..., list[dict[str, Any]]]) -> None:
    hub(COMMIT)
    with pytest.raises(DataError, match=r"^owner/name: has no column source; found transl"):
        seq2seq.train(settings({"path": "owner/name", "streaming": True}))


def test_corpora_of_one_path_are_checked_and_cleaned_each(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "twice.yaml").write_text(
        "data:\n  train:\n  - {path: small.tsv}\n"
        "  - {path: small.tsv, source_column: 1, target_column: 0}\n"
    )
    assert main(["data", "clean", "twice.yaml", "--output", "out.tsv"]) == 0
    pairs = [*SMALL, *((target, source) for source, target in SMALL)]
    assert (folder / "out.tsv").read_text() == "".join(f"{one}\t{two}\n" for one, two in pairs)
    capsys.readouterr()
    assert main(["data", "check", "twice.yaml"]) == 0
    assert "small.tsv (2)" in capsys.readouterr().out


def test_a_tag_hides_no_test_pair_and_is_not_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "leak.yaml").write_text(
        "data:\n  train: [{path: small.tsv, tag: <bt>}, {path: valid.tsv, tag: <bt>}]\n"
        "  valid: {path: valid.tsv, tag: <bt>}\n"
    )
    assert main(["data", "clean", "leak.yaml", "--output", "out.tsv"]) == 0
    assert (folder / "out.tsv").read_text() == "".join(f"{one}\t{two}\n" for one, two in SMALL)
    capsys.readouterr()
    main(["data", "check", "leak.yaml"])
    assert "valid: sources also in train: 3 (100.0 %)" in capsys.readouterr().out


def test_files_of_several_corpora_are_told_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "seq2seq")
    facts_of(settings([{"path": "large.tsv"}, {"path": "*.tsv"}]))
    assert "data.train: large.tsv in several corpora" in caplog.messages


def test_a_corpus_that_weighs_little_is_learned_from(folder: Path) -> None:
    found = facts_of(settings([{"path": "large.tsv"}, {"path": "small.tsv", "weight": 0.01}]))
    assert "small.tsv: 6, 0 dropped, × 0.167" in found
