import errno
import hashlib
import logging
import os
import time
from pathlib import Path

import pytest

from seq2seq.data.cache import LEFTOVER_SECONDS, clear_leftovers, draft, storing
from seq2seq.data.files import digest
from seq2seq.errors import DataError, StorageError


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert digest(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_draft_becomes_the_file_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.ends.npy"
    with draft(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.match("*.tmp-*")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_draft_that_failed_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.npy"
    path.write_text("before")

    def fail() -> None:
        with draft(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageError),
        (errno.EROFS, StorageError),
        (errno.EEXIST, DataError),
        (errno.ENOTDIR, DataError),
    ],
)
def test_a_refused_write_is_told_in_one_line(number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as error, storing(Path("cache")):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == (
        f"cache: cannot keep encoded corpora ({os.strerror(number)}); make room, or name another "
        "folder with data.cache"
    )


def test_only_old_drafts_are_cleared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old, recent, other = (tmp_path / name for name in ("a.tmp-1", "b.tmp-2", "c.npy"))
    for path, age in ((old, LEFTOVER_SECONDS + 9), (recent, 9), (other, LEFTOVER_SECONDS + 9)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    with caplog.at_level(logging.INFO, "seq2seq"):
        clear_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == [recent, other]
    assert caplog.messages == [f"removed {old}, left over from an interrupted encoding"]
    clear_leftovers(tmp_path, age=0.0)
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("hours", [-3, 2])
def test_another_clock_than_the_file_system_s_clears_no_draft(
    tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 * hours)
    old, recent = tmp_path / "a.tmp-1", tmp_path / "b.tmp-2"
    old.touch()
    os.utime(old, (now - LEFTOVER_SECONDS - 9,) * 2)
    recent.touch()
    clear_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [recent]
    os.utime(recent, (now + 9999,) * 2)  # written by a clock ahead: in a run's own folder it goes
    clear_leftovers(tmp_path, age=0.0)
    assert list(tmp_path.iterdir()) == []


def test_where_the_time_cannot_be_asked_for_nothing_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "a.tmp-1").touch()
    os.utime(tmp_path / "a.tmp-1", (0, 0))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    clear_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tmp-1"]
