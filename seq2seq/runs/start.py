"""The checkpoint of another run from which a run begins, as the run remembers it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from seq2seq.errors import CheckpointError
from seq2seq.runs.folder import CHECKPOINTS, PROVENANCE
from seq2seq.training.disk import MANIFEST


@dataclass(frozen=True)
class Start:
    """A checkpoint of another run."""

    run: str
    """The whole path of the run folder, as it was then."""
    checkpoint: str
    sha256: str
    """Of its manifest, which holds those of its files."""

    @classmethod
    def of(cls, run: Path, checkpoint: str) -> "Start":
        """Describes a checkpoint that is there."""
        return cls(str(run.resolve()), checkpoint, _hash(run, checkpoint))

    @classmethod
    def remembered(cls, folder: Path) -> "Start | None":
        """Returns that of a run; None where it began without, or no longer tells."""
        try:
            told = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["start"]
            return cls(**told)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def lies_in(self, run: str) -> bool:
        """Tells whether a run folder has the checkpoint, unchanged."""
        return _hash(Path(run), self.checkpoint) == self.sha256

    def require_in(self, run: str, folder: Path) -> None:
        """Makes sure of it before the run in ``folder`` begins again.

        Raises:
            CheckpointError: It is gone or another.
        """
        if not self.lies_in(run):
            raise CheckpointError(
                f"{run}: no longer has {self.checkpoint} as it was when {folder} began from it, "
                "and there is no checkpoint yet; restore it, or name a new folder with --folder"
            )


def _hash(run: Path, checkpoint: str) -> str:
    """Returns the SHA-256 of a checkpoint's manifest; empty where there is none."""
    try:
        content = (run / CHECKPOINTS / checkpoint / MANIFEST).read_bytes()
    except OSError:
        return ""
    return hashlib.sha256(content).hexdigest()
