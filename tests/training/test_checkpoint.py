"""Damage, full disks and retention; crashes are in test_resume.py."""

import errno
import json
import logging
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.errors import CheckpointError, StorageError
from seq2seq.training import checkpoint, disk
from seq2seq.training.checkpoint import MODEL, OPTIMIZER, STATE, Checkpoints, name_of
from seq2seq.training.disk import MANIFEST, facts_of

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
    manifest["files"][file] = facts_of(content)
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


@pytest.mark.parametrize("which", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
    ],
)
def test_a_full_disk(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch, which: int, error: Exception
) -> None:
    real, calls = disk.put, iter(range(1, 9))

    def refuse(path: Path, content: bytes) -> dict[str, Any]:
        if next(calls) == which:
            path.write_bytes(b"half")
            raise error
        return real(path, content)

    monkeypatch.setattr(checkpoint, "put", refuse)
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


@pytest.mark.parametrize("file", FILES)
def test_what_the_disk_changes_while_it_is_written_is_found_before_old_ones_go(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    real = disk.put

    def corrupt(path: Path, content: bytes) -> dict[str, Any]:
        facts = real(path, content)
        if path.name == file:
            flip(path)
        return facts

    monkeypatch.setattr(checkpoint, "put", corrupt)
    two.keep = 1
    with pytest.raises(StorageError, match=rf"\({file} reads back different\).* are intact$"):
        save(two, 700)
    assert sorted(path.name for path in two.folder.iterdir()) == ["step-0000500", "step-0000600"]


def test_a_refused_save_of_a_step_that_exists_keeps_the_old_one(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        if name == "before_rename":
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint, "failpoint", refuse)
    with pytest.raises(StorageError, match="are intact"):
        save(two, 600, best=1)
    assert sorted(path.name for path in two.folder.iterdir()) == ["step-0000500", "step-0000600"]
    assert two.load("step-0000600").state["best_step"] is None


# --- between the two renames


def interrupted(folder: Path, step: int) -> Path:
    """Saves a step twice, and leaves what a kill between the renames leaves; returns the draft."""
    for best in (None, step):
        save(Checkpoints(folder / str(best)), step, best=best)
    folder = folder / "checkpoints"
    folder.mkdir()
    draft = folder / f".tmp-{name_of(step)}-99"
    (folder.parent / str(step) / name_of(step)).rename(draft)
    (folder.parent / "None" / name_of(step)).rename(draft.with_name(f"{draft.name}-old"))
    return draft


@pytest.mark.parametrize("whole", [True, False])
def test_the_only_checkpoint_survives_a_kill_between_the_renames(
    tmp_path: Path, whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    draft = interrupted(tmp_path, 500)
    checkpoints = Checkpoints(draft.parent)
    assert checkpoints.names() == []
    if not whole:
        flip(draft / MODEL)
    with caplog.at_level(logging.INFO, "seq2seq"):
        checkpoints.clear_leftovers()
    assert "step-0000500: restored after an interrupted save" in caplog.messages
    assert checkpoints.load("step-0000500").state["best_step"] == (500 if whole else None)
    assert [path.name for path in draft.parent.iterdir()] == ["step-0000500"]


# --- what is a checkpoint


def test_only_real_folders_with_exact_names_count(
    two: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(two.folder / "step-0000600", two.folder / "step-0000600-backup")
    shutil.copytree(two.folder / "step-0000500", two.folder / "step-500")
    (two.folder / "step-0000800").write_text("a file")
    (two.folder / "step-0000900").symlink_to(two.folder / "step-0000500")
    assert two.names() == ["step-0000600", "step-0000500"]
    two.keep = 1
    save(two, 700)
    assert two.names() == ["step-0000700"]
    left = {path.name for path in two.folder.iterdir()}
    assert left == {
        "step-0000700",
        "step-0000600-backup",
        "step-500",
        "step-0000800",
        "step-0000900",
    }
    assert caplog.messages == []


def test_steps_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (9_999_998, 9_999_999, 10_000_000):
        save(checkpoints, step)
    assert checkpoints.names() == ["step-10000000", "step-9999999"]
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.state["step"] == 10_000_000


def test_what_cannot_be_removed_is_told(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors=False: (
        None if ignore_errors else refuse(path)
    ))  # fmt: skip
    two.keep = 1
    save(two, 700)
    texts = [f"{two.folder / name}: cannot be removed (Permission denied)" for name in (
        "step-0000600", "step-0000500"
    )]  # fmt: skip
    assert caplog.messages == texts


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.write_text("a file")
    text = f"^{re.escape(str(folder))}: cannot be read \\(Not a directory\\); nothing was changed$"
    for ask in (Checkpoints(folder).names, Checkpoints(folder).latest):
        with pytest.raises(CheckpointError, match=text):
            ask()


def test_a_link_to_nowhere_is_no_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.symlink_to(tmp_path / "not mounted")
    with pytest.raises(CheckpointError, match=r"cannot be read \(No such file or directory\)"):
        Checkpoints(folder).latest()


@pytest.mark.parametrize("kind", ["file", "link", "link to nowhere"])
def test_what_has_the_name_of_a_checkpoint_is_in_no_save_s_way(two: Checkpoints, kind: str) -> None:
    path = two.folder / name_of(700)
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to("step-0000500" if kind == "link" else "nowhere")
    save(two, 700)
    assert sorted(entry.name for entry in two.folder.iterdir()) == two.names()[::-1]
    assert [two.load(name).state["step"] for name in two.names()] == [700, 600, 500]


# --- a run that is being trained


def test_a_checkpoint_that_goes_while_it_is_read_is_looked_for_again(
    two: Checkpoints, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, passed = disk.verified, list[str]()

    def thinned(folder: Path, file: str, facts: object) -> bytes:
        if not passed and folder.name == "step-0000600":
            passed.append(file)
            shutil.rmtree(folder)
            save(Checkpoints(two.folder), 700, best=700)
        return real(folder, file, facts)

    monkeypatch.setattr(checkpoint, "verified", thinned)
    assert two.best().name == "step-0000700"
    assert caplog.messages == []


def test_weights_that_are_no_numbers_are_damage(
    two: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    for bad in (math.nan, math.inf):
        weights = {**tensors(700), "weight": torch.full((5, 7), bad)}
        two.save(name_of(700), weights, {}, {"step": 700, "best_step": 700})
        found = two.best()
        assert found.name == "step-0000600"
    text = "checkpoint step-0000700 is damaged (model.safetensors: weight holds what is no number)"
    assert caplog.messages == [f"{text}; using step-0000600"] * 2


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
