"""The keys of a configuration: the fields of its classes, with types, defaults and help."""

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal

import docstring_parser

from seq2seq.errors import IsPath, OneOf, brief


@dataclass(frozen=True, kw_only=True)
class Key:
    """One field of a configuration class."""

    field: str
    annotation: object
    default: object
    """A value, or ``MISSING`` where the user must give one."""
    owner: type
    is_path: bool = False
    """Whether it holds a path, or several: the home folder stands in place of ``~``."""

    @property
    def name(self) -> str:
        """What a configuration calls it: Python's own words end in ``_`` as names of fields."""
        return self.field.removesuffix("_")

    def of(self, config: object) -> Any:  # noqa: ANN401
        """Returns its value in a configuration."""
        return getattr(config, self.field)

    @property
    def help(self) -> str:
        """The docstring below the field."""
        return help_of(self.owner).get(self.field, "")

    @property
    def section(self) -> type | None:
        """The dataclass that the field holds, if it holds one."""
        for kind in members(self.annotation):
            if isinstance(kind, type) and is_dataclass(kind):
                return kind
        return None

    @property
    def listed(self) -> bool:
        """Whether a list of such sections may stand in place of one."""
        kinds = members(self.annotation)
        return self.section is not None and any(typing.get_origin(kind) is tuple for kind in kinds)

    @property
    def optional(self) -> bool:
        """Whether the field may be ``None``."""
        return types.NoneType in members(self.annotation)


def keys_of(cls: type) -> dict[str, Key]:
    """Returns the keys of a configuration class by name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    keys = {}
    for field in fields(cls):
        default: object = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        if field.init:
            key = Key(
                field=field.name,
                annotation=at_present(hints[field.name]),
                default=default,
                owner=cls,
                is_path=any(isinstance(mark, IsPath) for mark in _marks(hints[field.name])),
            )
            keys[key.name] = key
    return keys


@functools.cache  # inspect parses the whole module for every class
def help_of(cls: type) -> dict[str, str]:
    """Collects the attribute docstrings of a class and of those it inherits from."""
    texts = {}
    for owner in reversed([kind for kind in cls.__mro__ if is_dataclass(kind)]):
        for parameter in docstring_parser.parse_from_object(owner).params:
            texts[parameter.arg_name] = " ".join((parameter.description or "").split())
    return texts


def walk(cls: type, prefix: str = "", base: object = None) -> Iterator[tuple[str, Key, object]]:
    """Yields dotted path, key and default of every key, and of sections that may be ``None``."""
    for name, key in keys_of(cls).items():
        default = key.default if base is None else key.of(base)
        if key.section is None or key.optional:
            yield prefix + name, key, default
        if key.section is not None:
            inner = default if isinstance(default, key.section) else None
            yield from walk(key.section, f"{prefix}{name}.", inner)


def at_present(annotation: Any) -> Any:  # noqa: ANN401
    """Returns a type with the names that its tables have now in place of each :class:`OneOf`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tables = [mark for mark in inner[1:] if isinstance(mark, OneOf)]
        return Literal[tuple(tables[0])] if tables else inner[0]
    present = tuple(map(at_present, inner))
    if origin is tuple:
        return tuple[present]  # type: ignore[valid-type]
    return typing.Union[present] if len(members(annotation)) > 1 else annotation  # noqa: UP007


def _marks(annotation: object) -> Iterator[object]:
    """Yields what types are annotated with, anywhere in a type."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in typing.get_args(annotation):
        yield from _marks(inner)


def members(annotation: object) -> tuple[Any, ...]:
    """Returns the types that a union joins, or the type itself."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def choices(annotation: object) -> tuple[object, ...]:
    """Returns the values of a ``Literal``, alone, in a union or as the items of a tuple."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(choice for inner in typing.get_args(annotation) for choice in choices(inner))


def type_name(annotation: object) -> str:
    """Returns what a type is called in the list of all keys."""
    if typing.get_origin(annotation) is Literal:
        return "|".join(map(str, choices(annotation)))
    if typing.get_origin(annotation) is tuple:
        return f"list of {type_name(typing.get_args(annotation)[0])}"
    if len(members(annotation)) > 1:
        return " or ".join(map(type_name, members(annotation)))
    if annotation is types.NoneType:
        return "none"
    if is_dataclass(annotation):
        return "section"
    return str(getattr(annotation, "__name__", annotation))


def as_text(value: object) -> str:
    """Returns a value as it is written in YAML, on one line."""
    if value is MISSING:
        return "required"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(as_text, value))}]"
    if is_dataclass(value):
        return "section"
    return str(value) if str(value).isprintable() and str(value) else repr(value)


def shown(value: object) -> str:
    """Returns a value for a message: short, and on one line."""
    if isinstance(value, Mapping):
        return f"a section with keys {', '.join(map(as_text, value)) or 'none'}"
    return brief(value)
