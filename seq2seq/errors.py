"""Everything that can go wrong for a user, as one family of exceptions.

Messages are one line: where, what was found, what is accepted, the nearest match. The command line
prints that line and exits with :attr:`Seq2SeqError.exit_code`.
"""

import difflib
from collections.abc import Iterable


class Seq2SeqError(Exception):
    """A mistake that the user can mend; its text is shown without a traceback."""

    exit_code = 2


class ConfigError(Seq2SeqError):
    """A configuration key or value that cannot be used."""


class DataError(Seq2SeqError):
    """Input text, a file or a corpus that cannot be used."""


class CheckpointError(Seq2SeqError):
    """A run folder or checkpoint that cannot be used."""


class StorageError(Seq2SeqError):
    """The disk refused a write: full, read-only or failing."""

    exit_code = 74


def nearest(word: str, accepted: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest accepted word, or nothing."""
    close = difflib.get_close_matches(word, list(accepted), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def require(holds: bool, key: str, accepted: str, found: object) -> None:
    """Raises a :class:`ConfigError` naming ``key`` unless ``holds``.

    Called in the ``__post_init__`` of configuration classes; the loader puts the path of the
    section before ``key``.
    """
    if not holds:
        raise ConfigError(f"{key}: must be {accepted}, got {found!r}")
