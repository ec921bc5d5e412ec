"""Damage, full disks and retention; crashes are in test_resume.py."""

import errno
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from seq2seq.errors import CheckpointError, StorageError
from seq2seq.training import checkpoint
from seq2seq.training.checkpoint import MANIFEST, MODEL, OPTIMIZER, STATE, Checkpoints, name_of

FILES = (MODEL, OPTIMIZER, STATE, MANIFEST)
Damage = Callable[[Path], None]


def tensors(step: int) -> dict[str, Tensor]:
    return {"weight": torch.full((5, 7), float(step)), "bias": torch.arange(3.0)}


def save(checkpoints: Checkpoints, step: int, best: int | None = None) -> Path:
    state = {"step": step, "best_step": best}
    return checkpoints.save(name_of(step), tensors(step), {"0.step": torch.tensor(1.0)}, state)


@pytest.fixture
def two(tmp_path: Path) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    save(checkpoints, 500)
    save(checkpoints, 600)
    return checkpoints


def test_what_is_saved_comes_back(two: Checkpoints) -> None:
    found = two.latest()
    assert found is not None
    assert (found.name, found.state) == ("step-0000600", {"step": 600, "best_step": None})
    assert found.model.keys() == tensors(600).keys()
    assert all(torch.equal(found.model[name], one) for name, one in tensors(600).items())
    assert found.optimizer == {"0.step": torch.tensor(1.0)}
    assert {path.name for path in (two.folder / found.name).iterdir()} == set(FILES)


def test_nothing_is_there_yet(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest() is None
    checkpoints.clear_leftovers()
    for get in (checkpoints.best, lambda: checkpoints.get("last")):
        with pytest.raises(CheckpointError, match=r"no checkpoint; has the run been trained\?$"):
            get()


# --- damage


def truncate(share: float) -> Damage:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    **{f"cut at {tenth}/10": truncate(tenth / 10) for tenth in range(10)},
    "bit flipped": flip,
    "deleted": Path.unlink,
    "other content": lambda path: replace_by(path, b"\x80\x04]"),
    "a folder": replace_by_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_checkpoint_is_passed_over(
    two: Checkpoints, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = two.folder / "step-0000600" / file
    size = path.stat().st_size
    DAMAGES[damage](path)
    found = two.latest()
    assert found is not None
    assert found.name == "step-0000500"
    (message,) = caplog.messages
    assert message.startswith(f"checkpoint step-0000600 is damaged ({file}: ") or (
        damage == "bit flipped" and file == MANIFEST
    )
    assert message.endswith("; using step-0000500")
    if damage == "cut at 5/10" and file != MANIFEST:
        assert message == (
            f"checkpoint step-0000600 is damaged ({file}: expected {size:,} bytes, "
            f"found {int(size * 0.5):,}); using step-0000500"
        )
    if damage == "bit flipped" and file != MANIFEST:
        assert "SHA-256 differs" in message
    if damage == "deleted":
        assert "No such file or directory" in message
    assert path.exists() or damage == "deleted"


def forge(folder: Path, file: str, content: bytes) -> None:
    """Replaces a file and makes the manifest agree."""
    (folder / file).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][file] = checkpoint._facts(folder / file)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (MODEL, b"", r"is damaged \(model.safetensors: "),
        (MODEL, b"\xff" * 64, r"is damaged \(model.safetensors: "),
        (OPTIMIZER, b"PK\x03\x04" * 9, r"is damaged \(optimizer.safetensors: "),
        (STATE, b"{", r"is damaged \(state.json: not JSON\)"),
        (STATE, b"[]", r"is damaged \(state.json: not a JSON object\)"),
        (STATE, b"\xff", r"is damaged \(state.json: not JSON\)"),
    ],
)
def test_files_of_a_wrong_format_are_damage_too(
    two: Checkpoints, file: str, content: bytes, text: str
) -> None:
    forge(two.folder / "step-0000600", file, content)
    with pytest.raises(CheckpointError, match=f"^checkpoint step-0000600 {text}"):
        two.load("step-0000600")


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({}, "format None, this version reads 1"),
        ({"format": 1}, "is damaged (MANIFEST.json: incomplete)"),
        ({"format": 1, "files": {"../x": {}}}, "is damaged (MANIFEST.json: incomplete)"),
        (
            {"format": 1, "files": dict.fromkeys((MODEL, OPTIMIZER, STATE), 3)},
            "is damaged (model.safetensors: no entry in MANIFEST.json)",
        ),
        (
            {"format": 1, "files": {MODEL: {"size": "x"}, OPTIMIZER: {}, STATE: {}}},
            "is damaged (model.safetensors: expected 'x' bytes, found ",
        ),
        ([1], "is damaged (MANIFEST.json: not a JSON object)"),
    ],
)
def test_manifests_of_a_wrong_form(two: Checkpoints, manifest: Any, text: str) -> None:
    (two.folder / "step-0000600" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError) as error:
        two.load("step-0000600")
    assert text in str(error.value)


def test_all_damaged(two: Checkpoints) -> None:
    for name in two.names():
        (two.folder / name / STATE).unlink()
    text = (
        r"^checkpoint step-0000600 is damaged \(state.json: No such file or directory\); "
        rf"no undamaged checkpoint is left in {two.folder}$"
    )
    for get in (two.latest, two.best):
        with pytest.raises(CheckpointError, match=text):
            get()


def test_the_same_step_is_saved_over_a_damaged_one(two: Checkpoints) -> None:
    flip(two.folder / "step-0000600" / MODEL)
    save(two, 600)
    found = two.latest()
    assert found is not None
    assert found.name == "step-0000600"
    flip(two.folder / "step-0000600" / MODEL)
    save(two, 600)
    assert sorted(path.name for path in two.folder.iterdir()) == [
        "step-0000500", "step-0000600",
    ]  # fmt: skip


def test_damaged_later_ones_do_not_push_out_what_is_saved(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (1, 7, 8, 9):
        checkpoints.keep = 4
        save(checkpoints, step)
    for step in (7, 8, 9):
        flip(tmp_path / name_of(step) / MODEL)
    checkpoints.keep = 2
    for step in (2, 3, 4):
        save(checkpoints, step)
        found = checkpoints.latest()
        assert found is not None
        assert found.name == name_of(step)
    assert not (tmp_path / name_of(1)).exists()


# --- which one


@pytest.mark.parametrize(
    ("name", "step"), [("best", 500), ("last", 700), ("600", 600), ("step-0000500", 500)]
)
def test_names(two: Checkpoints, name: str, step: int) -> None:
    save(two, 700, best=500)
    assert two.get(name).state["step"] == step


def test_a_damaged_best_one_is_replaced_by_the_last(
    two: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    save(two, 700, best=500)
    flip(two.folder / "step-0000500" / MODEL)
    assert two.best().name == "step-0000700"
    text = "checkpoint step-0000500 is damaged (model.safetensors: SHA-256 differs)"
    assert caplog.messages == [f"{text}; using step-0000700"]


@pytest.mark.parametrize("name", ["700", "step-600", "../checkpoints", ".", "..", "", "x"])
def test_unknown_names(two: Checkpoints, name: str) -> None:
    accepted = "; accepted: best, last, step-0000600, step-0000500"
    with pytest.raises(CheckpointError) as error:
        two.get(name)
    assert str(error.value) == f"{two.folder}: no checkpoint {name!r}{accepted}"


def test_retention(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 7):
        save(checkpoints, step, best=min(step, 3))
    assert checkpoints.names() == [name_of(step) for step in (6, 5, 3)]


# --- crashes and disks


def test_leftovers_are_removed_and_told_of(
    two: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    (two.folder / ".tmp-step-0000700-99").mkdir()
    (two.folder / ".tmp-step-0000700-99" / MODEL).write_bytes(b"half")
    with caplog.at_level(logging.INFO, "seq2seq"):
        two.clear_leftovers()
    assert caplog.record_tuples == [
        (
            "seq2seq",
            logging.INFO,
            "removed .tmp-step-0000700-99, left over from an interrupted save",
        )
    ]
    assert sorted(path.name for path in two.folder.iterdir()) == ["step-0000500", "step-0000600"]


@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch, which: int, error: Exception
) -> None:
    real, calls = save_file, iter(range(1, 9))

    def refuse(content: dict[str, Tensor], path: Path) -> None:
        if next(calls) == which:
            path.write_bytes(b"half")
            raise error
        real(content, path)

    monkeypatch.setattr(checkpoint, "save_file", refuse)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 1234))
    reason = "Read-only file system" if "Read" in str(error) else "No space left on device"
    needed = sum(one.numel() * 4 for one in tensors(0).values()) + 4
    with pytest.raises(StorageError) as caught:
        save(two, 700)
    assert str(caught.value) == (
        f"{two.folder}: cannot save a checkpoint ({reason}): {needed} bytes needed, "
        "1,234 free; earlier checkpoints are intact"
    )
    assert caught.value.exit_code == 74
    assert sorted(path.name for path in two.folder.iterdir()) == ["step-0000500", "step-0000600"]
    monkeypatch.undo()
    latest = two.latest()
    assert latest is not None
    assert latest.name == "step-0000600"
    save(two, 700)
    assert two.names()[0] == "step-0000700"


def test_other_mistakes_are_not_taken_for_full_disks(two: Checkpoints) -> None:
    shared = torch.zeros(4)
    with pytest.raises(RuntimeError, match="share memory"):
        two.save("step-0000700", {"a": shared, "b": shared}, {}, {})
    assert two.names() == ["step-0000600", "step-0000500"]


def test_no_pickle_anywhere() -> None:
    package = Path(checkpoint.__file__).parents[1]
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for word in ("torch.load", "torch.save", "import pickle", "pickle.load", "joblib"):
            assert word not in text, f"{path}: {word}"
