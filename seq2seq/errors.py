"""Everything that can go wrong for a user, as one family of exceptions; checks of what users give.

Messages are one line: where, what was found, what is accepted, the nearest match. The command line
prints that line and exits with :attr:`Seq2SeqError.exit_code`.
"""

import difflib
import math
import os
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Number, Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args, get_origin

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ItemT = TypeVar("ItemT")


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
        raise ConfigError(f"{key}: must be {accepted}, got {brief(found)}")


def brief(value: object) -> str:
    """Returns a value for a message: short, and on one line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return " ".join(short.repr(value).split())


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


class IsPath:
    """Marks a text of a configuration as a path, in which ``~`` is the home folder."""


PathText = Annotated[str, IsPath()]


def require_name(name: object, key: str, names: Iterable[str]) -> None:
    """Raises a :class:`ConfigError` unless ``name`` is one of ``names``; tells the nearest."""
    accepted = list(names)
    if not isinstance(name, str) or name not in accepted:
        raise ConfigError(
            f"{key}: must be one of {', '.join(accepted)}, got {brief(name)}"
            f"{nearest(str(name), accepted)}"
        )


KINDS: dict[Any, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
}
"""What values of these types are called in messages."""


def require_kind(value: object, kind: Any, key: str) -> None:  # noqa: ANN401
    """Raises a :class:`ConfigError` unless a value is of a type.

    Whole numbers are numbers, also numpy's; True is none, and only True and False are truth values:
    ``"no"`` would count as true. Numbers must be finite.
    """
    wide: Any = {int: Integral, float: Real}.get(kind, kind)
    fits = isinstance(value, wide) and (kind is bool or not isinstance(value, bool))
    require(fits, key, KINDS.get(kind) or f"a {kind.__name__}", value)
    finite = kind is not float or math.isfinite(value)  # type: ignore[arg-type]
    require(finite, key, "finite", value)


def require_whole(value: int, key: str, least: int) -> None:
    """Raises a :class:`ConfigError` unless a value is a whole number, and not too small."""
    require_kind(value, int, key)
    require(value >= least, key, f"at least {least}", value)


def require_kinds(settings: "DataclassInstance") -> None:
    """Raises a :class:`ConfigError` unless each field of a dataclass is of the type it declares."""
    for name, field in settings.__dataclass_fields__.items():  # dataclasses itself loads slowly
        kind = get_args(field.type)[0] if get_origin(field.type) is Annotated else field.type
        require_kind(getattr(settings, name), kind, name)


def as_path(path: str | os.PathLike[str], key: str) -> Path:
    """Returns a path that a user gives, the home folder in place of ``~``.

    Raises:
        ConfigError: It is none, or no home folder is known.
    """
    text = path if isinstance(path, str) else str(path) if isinstance(path, os.PathLike) else "\0"
    require("\0" not in text, key, "a path, as text or pathlib.Path", path)
    found = at_home(text)
    return path if isinstance(path, Path) and found == text else Path(found)


def at_home(path: str) -> str:
    """Returns a path with the home folder in place of ``~``, which shells do not always replace.

    Raises:
        ConfigError: No home folder is known.
    """
    found = os.path.expanduser(path)
    if found == path and path.partition("/")[0] == "~":
        raise ConfigError(f"{path}: no home folder is known here; set HOME, or write the path out")
    return found


def as_texts(texts: str | Iterable[object], name: str = "texts") -> Sequence[str]:
    """Returns a list of texts; a plain string is one text, not a list of characters.

    >>> as_texts("Noon"), as_texts(text for text in ["a", "b"])
    (['Noon'], ['a', 'b'])

    Raises:
        DataError: There is something else; says in which row, what, and what to do.
    """
    listed = as_list([texts] if isinstance(texts, str) else texts, name)
    for row, text in enumerate(listed):
        if not isinstance(text, str):  # asked here, too: there may be millions
            require_text(text, f"{name}: row {row:,}")
    return cast(Sequence[str], listed)


def require_text(value: object, where: str) -> None:
    """Raises a :class:`DataError` unless a value is text; says what there is, and what to do."""
    if not isinstance(value, str):
        number = isinstance(value, Number) and value == value
        usual = "write str(value) if that is meant" if number else "leave it out, or give ''"
        raise DataError(f"{where}: must be text, got {brief(value)}; {instead_of(value, usual)}")


def as_list(items: Iterable[ItemT], name: str, of: str = "texts") -> Sequence[ItemT]:
    """Returns what comes one by one, from a generator say, as a list; ``of`` is what it is made of.

    Raises:
        DataError: It does not, or in no order.
    """
    if isinstance(items, list | tuple):
        return items
    whole = isinstance(items, str | bytes | bytearray | Mapping | set | frozenset)
    table = hasattr(items, "columns")  # of pandas: it would give the names of its columns
    single = getattr(items, "ndim", 1) == 0  # of numpy
    if whole or table or single or not isinstance(items, Iterable):
        mend = instead_of(items, "give a list")
        raise DataError(f"{name}: must be a list of {of}, got {brief(items)}; {mend}")
    return list(items)


def instead_of(value: object, usual: str) -> str:
    """Returns what to do about a value that is no text, or no list; else ``usual``."""
    if isinstance(value, bytes | bytearray):
        return "decode it, as in value.decode()"
    if hasattr(value, "columns"):
        return "give one of its columns, or the rows of two, as in table.values.tolist()"
    return usual
