"""A run folder: its files and its lock."""

import hashlib
import json
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from seq2seq import config as configuration
from seq2seq.errors import CheckpointError, ConfigError, as_path, at_home, nearest
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.journal import METRICS, Row, log_to, read_history

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG, PIPELINE, CHECKPOINTS = "config.yaml", "pipeline", "checkpoints"
PROVENANCE, LOCK = "provenance.json", ".lock"
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Run:
    """A trained run."""

    folder: Path
    best: Row
    """The validation scores of the best checkpoint."""
    history: Sequence[Row]
    """The rows of ``metrics.jsonl``."""

    @property
    def scores(self) -> str:
        """The scores of :attr:`best` as text."""
        where = ("step", "epoch", "minutes")
        shown = [f"{key} {value:.3f}" for key, value in self.best.items() if key not in where]
        return ", ".join(shown)

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> "Run":
        """Reads what a run folder tells of its training.

        Raises:
            CheckpointError: It is no run folder, or all checkpoints are damaged.
        """
        folder = as_path(folder, "folder")
        read_mapping(folder)
        latest = Checkpoints(folder / CHECKPOINTS).latest()
        best_step = latest.state["best_step"] if latest else None
        history = read_history(folder)
        validations = [row for row in history if "valid_loss" in row]
        kept = latest.state.get("best_row") if latest else None  # a damaged row changes nothing
        best = kept or next((row for row in validations if row["step"] == best_step), {})
        if best_step is not None and not best:
            log.warning("%s: has no scores of step %d, the best", folder / METRICS, best_step)
        return cls(folder, best, history)


def read_mapping(folder: Path) -> Mapping[Any, object]:
    """Returns the configuration of a run, its keys and values unchecked.

    Raises:
        CheckpointError: The folder is no run folder, or the file is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        # Not is_file, which fails where a folder beside it is closed to this user.
        beside = [run.name for run in folder.parent.glob("*") if os.path.isfile(run / CONFIG)]
        what = "is not a run folder" if folder.exists() else "does not exist"
        raise CheckpointError(
            f"{folder}: {what}; expected a folder with {CONFIG} that `seq2seq train` wrote"
            + nearest(folder.name, beside)
        )
    _compare(path)
    try:
        return configuration.read(path)
    except ConfigError as error:
        what = str(error).removeprefix(f"{path}: ")
        raise CheckpointError(f"{path}: is damaged ({what})") from error


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Holds the run folder's lock and copies the log into it; if nothing came of a new one,
    removes it again.

    Raises:
        ConfigError: The folder is no run's, cannot be made, or is in use.
    """  # noqa: D205
    there = folder.is_dir()
    new = _made(folder)
    with (folder / LOCK).open("a+") as lock:
        _hold(lock, folder)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        try:
            with log_to(folder):
                yield
        except BaseException:
            if new and not Checkpoints(folder / CHECKPOINTS).names():
                shutil.rmtree(folder)
                if there:
                    folder.mkdir()  # the user's own, and as empty as before
            raise
    # The file stays: whoever unlinks it may take away the one that another process just locked.


def _hold(lock: IO[str], folder: Path) -> None:
    """Holds the lock of a run; where the file system has none, says so.

    Raises:
        ConfigError: Another process holds it.
    """
    if fcntl is None:
        return  # nor has this operating system
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise ConfigError(
            f"folder: {folder} is in use by {lock.read().strip() or 'another process'}; "
            "wait for it, or name another folder"
        ) from None
    except OSError as error:
        log.warning(
            "%s: this file system has no locks (%s); train only once at a time in this folder",
            folder,
            error.strerror,
        )


def _made(folder: Path) -> bool:
    """Makes the run folder unless it is there, and tells whether it is new.

    Raises:
        ConfigError: The folder is no run's, or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"folder: {folder} is a file; name a new or a run's folder")
    new = not folder.exists() or not any(folder.iterdir())
    # A start that was killed before the configuration was written leaves the lock's file.
    if not new and not any((folder / name).exists() for name in (CONFIG, LOCK)):
        raise ConfigError(
            f"folder: {folder} holds other things and no {CONFIG}; name a new or a run's folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"folder: {folder} cannot be made ({error.strerror})") from error
    return new


def _compare(path: Path) -> None:
    """Says so where a run's configuration is no longer what was written."""
    try:
        told = json.loads(path.with_name(PROVENANCE).read_text(encoding="utf-8")).get("config")
    except (OSError, ValueError, AttributeError):
        return  # whoever needs it says what is wrong with it
    if told and told != hashlib.sha256(path.read_bytes()).hexdigest():
        _tell(path)


@cache
def _tell(path: Path) -> None:
    """Warns; once, since a configuration is read several times."""
    log.warning("%s: was changed or damaged since `seq2seq train` wrote it", path)


def begin(
    config: object,
    folder: Path,
    hashes: Mapping[str, str],
    start: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
) -> None:
    """Writes down with what a run begins; last the configuration, which makes it a run.

    ``start`` is what is known of the checkpoint of another run from which it begins; ``origins``
    tell at which commits data sets of the hub are read.
    """
    facts: dict[str, object] = {"data": dict(hashes)}
    facts |= {"versions": _versions(), "python": platform.python_version()}
    facts |= {"start": dict(start)} if start else {}
    facts |= {"commits": dict(origins)} if origins else {}
    (folder / PROVENANCE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    write_config(config, folder)


def write_config(config: object, folder: Path) -> None:
    """Writes the configuration at once: without it the folder is no run any more.

    Its hash stands in the provenance, so that a change by another hand is seen; and the directory,
    in which its relative paths begin.
    """
    content = configuration.dump(config).encode()
    path = folder / PROVENANCE
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["config"] = hashlib.sha256(content).hexdigest()
        facts["directory"] = os.getcwd()
        _write(path, json.dumps(facts, indent=1).encode())
    except (OSError, ValueError, TypeError):
        log.warning("%s: cannot be used; changes of %s will not be seen", path, CONFIG)
    _write(folder / CONFIG, content)


def _write(path: Path, content: bytes) -> None:
    """Replaces a file at once."""
    draft = path.with_name(f".tmp-{path.name}")
    draft.write_bytes(content)
    draft.replace(path)


def begun_hashes(folder: Path) -> dict[str, str]:
    """Returns the hashes of the data with which a run was begun.

    Raises:
        CheckpointError: They cannot be read.
    """
    path = folder / PROVENANCE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not the JSON that was written"
        raise CheckpointError(
            f"{path}: cannot be read ({why}), so the data cannot be compared; restore it, "
            "or name a new folder with --folder"
        ) from error


def begun_commits(folder: Path) -> dict[str, str]:
    """Returns the commits of data sets of the hub with which a run was begun, if it was."""
    try:
        told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["commits"]
        return {str(name): str(commit) for name, commit in told.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def trained_in(folder: Path) -> Path:
    """Returns the directory in which the relative paths of a run's configuration begin.

    That from which it was trained last; the current one where an earlier version did not tell.
    """
    try:
        told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["directory"]
        return Path(told)
    except (OSError, ValueError, KeyError, TypeError):
        return Path.cwd()


def _versions() -> dict[str, str]:
    """Returns the versions of what the outcome depends on."""
    names = ("seq2seq-toolkit", "torch", "sentencepiece", "datasets", "sacrebleu", "numpy")
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    """Returns a package's version; what runs from a source tree alone has none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def user_cache() -> Path:
    """Returns where encoded data are kept."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(at_home(named)) / "seq2seq"
    try:
        base = Path.home() / ".cache"
        usable = base.exists() or os.access(base.parent, os.W_OK)
    except RuntimeError:
        usable = False
    if not usable:  # a user without a home, as in containers, or with / for one
        base = Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"
    return base / "seq2seq"
