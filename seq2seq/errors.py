"""Everything that can go wrong for a user, as one family of exceptions.

Messages are one line: where, what was found, what is accepted, the nearest match. The command line
prints that line and exits with :attr:`Seq2SeqError.exit_code`.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator


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


class OutOfMemory(Seq2SeqError):  # noqa: N818
    """Memory does not suffice even for the smallest part of the work."""


FULL = re.compile(
    "can't allocate memory|not enough memory|out of memory|bad_alloc|_ALLOC_FAILED", re.IGNORECASE
)
"""What torch's errors say where memory is full; only some are of a class of their own."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error says that memory is full."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and FULL.search(str(error)) is not None
    )


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


class OneOf:
    """Marks a text of a configuration as the name of an entry of a table.

    ``cell: Annotated[str, OneOf(CELLS)]`` accepts the keys that the table has when a configuration
    is read: whoever adds an entry to the table adds a name that is accepted.
    """

    def __init__(self, table: Collection[str], *others: str) -> None:
        """Accepts the table's keys, and ``others`` before them."""
        self.table = table
        self.others = others

    def __iter__(self) -> Iterator[str]:
        return iter((*self.others, *self.table))


def require_name(name: str, key: str, names: Iterable[str]) -> None:
    """Raises a :class:`ConfigError` unless ``name`` is one of ``names``; tells the nearest."""
    accepted = list(names)
    if name not in accepted:
        raise ConfigError(
            f"{key}: must be one of {', '.join(accepted)}, got {name!r}{nearest(name, accepted)}"
        )
