"""What may change when a run goes on: one list, for the check, the refusal and the README."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest

from seq2seq import config as configuration
from seq2seq.device import pick_device, pick_precision
from seq2seq.errors import CheckpointError, ConfigError
from seq2seq.runs.changes import BITS, MAY_CHANGE, accept_changes, may_change
from seq2seq.runs.folder import begin
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.task import read_config
from seq2seq.tasks.translation.config import TranslationConfig

README = Path(__file__).parents[2] / "README.md"
HASHES = {"train": "a", "valid": "b"}
BASE: dict[str, Any] = {"folder": "run", "train.steps": 4, "train.epochs": 0}
BASES: dict[type, dict[str, Any]] = {
    TranslationConfig: {
        **BASE,
        "data.train.path": "train.tsv",
        "data.valid.path": "valid.tsv",
    },
    LanguageModelTaskConfig: BASE,
    ForecastConfig: {**BASE, "data.series.path": "series.csv"},
}
START = {"run": "start", "checkpoint": "step-0000004", "sha256": hashlib.sha256(b"{}").hexdigest()}
"""From what the runs here have begun."""
CHANGES: dict[str, object] = {
    "folder": "moved",
    "data.folder": "elsewhere",
    "data.cache": "cache",
    "data.test": {"path": "test.tsv"},
    "data.train": {"path": "copy.tsv"},
    "data.valid": {"path": "copy.tsv"},
    "train.steps": 9,
    "train.epochs": 9,
    "train.minutes": 9.0,
    "train.patience": 9,
    "train.keep": 9,
    "train.log_every": 9,
    "train.start": "moved",
    "train.threads": 1,
    "train.device": "cpu",
    "train.deterministic": True,
    "train.precision": "float32",
    "search": {"beam_size": 2},
    "sampling": {"temperature": 0.5},
    "intervals": "conformal",
    "train.refit": True,
    "data.series.path": "copy.csv",
    "data.series.more": ["later.csv"],
    "validation": {"samples": 1},
}
"""Another value for each key that may change."""


def made_start(run: Path, manifest: bytes) -> str:
    """Makes what is looked at of a run from which another has begun, and returns its path."""
    place = run / "checkpoints" / START["checkpoint"]
    place.mkdir(parents=True)
    (place / "MANIFEST.json").write_bytes(manifest)
    return str(run)


def kind_with(key: str) -> type:
    """Returns the first configuration that has a key, or a section."""
    return next(
        kind
        for kind in BASES
        if any(f"{name}.".startswith(f"{key}.") for name, *_ in configuration.describe(kind))
    )


def built(
    key: str = "", value: object = None, kind: Any = TranslationConfig, **more: object
) -> Any:
    mapping = {**BASES[kind], **more, **({key: value} if key else {})}
    return configuration.from_mapping(kind, mapping)


def going_on(folder: Path, begun: Any, now: Any, hashes: dict[str, str] = HASHES) -> None:
    begin(begun, folder, HASHES, START)
    accept_changes(begun, now, folder, hashes)


def test_there_is_a_change_to_try_for_each_key() -> None:
    assert set(CHANGES) == {key for free in MAY_CHANGE for key in free.keys}


@pytest.mark.parametrize("key", CHANGES)
def test_what_may_change(key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    value = CHANGES[key]
    if key == "train.precision":  # what auto comes to here
        value = str(pick_precision("auto", pick_device("auto", ""))).removeprefix("torch.")
    if key == "train.start":
        value = made_start(tmp_path / "moved", b"{}")
    kind = kind_with(key)
    now, begun = built(key, value, kind), built(kind=kind)
    with caplog.at_level(logging.INFO, logger="seq2seq"):
        going_on(tmp_path, begun, now)
    assert f"changed: {key}" in caplog.text
    assert (BITS in caplog.text) == (
        key in ("train.threads", "train.device", "train.deterministic")
    )
    assert read_config(tmp_path) == now


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("train.seed", 2),
        ("train.label_smoothing", 0.2),
        ("train.validate_every", 3),
        ("train.average", 0.5),
        ("train.accumulate", 2),
        ("train.metric", "bleu"),
        ("train.optimizer.learning_rate", 0.5),
        ("train.freeze", ["encoder.*"]),
        ("source.vectors", "glove.txt"),
        ("data.batch.tokens", 77),
        ("data.filters.max_ratio", 2.0),
        ("source.tokenizer", "char"),
        ("model.embedding_size", 8),
        ("joint_tokenizer", True),
    ],
)
def test_what_may_not_change(key: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        going_on(tmp_path, built(), built(key, value))
    assert str(error.value).startswith(f"{tmp_path} was begun with another configuration ({key}: ")
    assert str(error.value).endswith(f"what may change: {'; '.join(may_change())}")
    assert read_config(tmp_path) == built()


def test_other_content_is_refused_under_any_name(tmp_path: Path) -> None:
    other = {**HASHES, "train": "c"}
    with pytest.raises(ConfigError, match=r"\(data.train: other content\); undo the change"):
        going_on(tmp_path, built(), built(), other)
    with pytest.raises(ConfigError, match=r"\(data.train.path: .*; data.train: other content\)"):
        going_on(tmp_path, built(), built("data.train.path", "b.tsv"), other)


def test_a_start_that_is_another_or_new_is_refused(tmp_path: Path) -> None:
    now = built("train.start", made_start(tmp_path / "other", b"{ }"))
    with pytest.raises(ConfigError, match=r"\(train.start: .* -> .*/other\); undo the change"):
        going_on(tmp_path, built("train.start", "start"), now)
    begin(built(), tmp_path, HASHES)
    now = built("train.start", made_start(tmp_path / "late", b"{}"))
    with pytest.raises(ConfigError, match=r"\(train.start: '' -> .*/late\); undo the change"):
        accept_changes(built(), now, tmp_path, HASHES)


@pytest.mark.parametrize("settings", [
    {"train.patience": 3}, {"train.optimizer.schedule.name": "plateau"},
])  # fmt: skip
def test_what_ends_or_bends_a_run_may_not_change_under_it(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"\(validation.sentences: 1000 -> 7\); undo"):
        going_on(tmp_path, built(**settings), built("validation.sentences", 7, **settings))


def test_another_precision(tmp_path: Path) -> None:
    names = ({"train.precision": name, "train.device": "cpu"} for name in ("float32", "bfloat16"))
    with pytest.raises(ConfigError, match=r"\(train.precision: float32 -> bfloat16\); undo"):
        going_on(tmp_path, *(built(**settings) for settings in names))


def test_a_run_that_does_not_know_its_data(tmp_path: Path) -> None:
    begin(built(), tmp_path, HASHES)
    (tmp_path / "provenance.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"provenance.json: cannot be read \(not the JSON "):
        accept_changes(built(), built(), tmp_path, HASHES)


def test_the_refusal_and_the_readme_tell_the_same_list() -> None:
    readme = " ".join(README.read_text(encoding="utf-8").split())
    for line in may_change():
        assert f"- {line}" in readme, line
