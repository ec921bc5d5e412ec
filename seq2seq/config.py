"""Turns a YAML file and dotted overrides into typed, nested, frozen dataclasses, and back.

Every field of a configuration class is a key: ``model.encoder.cell`` is the field ``cell`` of the
field ``encoder`` of the field ``model``. This module knows none of them by name. Values are checked
by jsonargparse against the annotation of their field; the classes are built here, so that what
their ``__post_init__`` refuses is reported under its full dotted key.
"""

import difflib
import functools
import reprlib
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import docstring_parser
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from seq2seq.errors import ConfigError, OneOf, nearest
from seq2seq.words import key_values

T = TypeVar("T")

# An origin is what stands before the dotted key in a message: "de-en.yaml: " or "--".
_COMMAND_LINE = "--"
_PYTHON = "overrides: "


def load(
    cls: type[T],
    path: str | Path | None,
    overrides: Mapping[str, object] | Sequence[str] = (),
) -> T:
    """Builds a configuration from its defaults, a YAML file and overrides, the later ones winning.

    Args:
        cls: The dataclass to build.
        path: A YAML file; ``None`` for the defaults alone.
        overrides: ``{"model.encoder.cell": "gru"}``, or the words of a command line such as
            ``["--model.encoder.cell", "gru", "--train.seed=2"]``.

    Raises:
        ConfigError: If the file cannot be read, or a key or value cannot be used.
    """
    mapping = {} if path is None else read(Path(path))
    return from_mapping(cls, mapping, overrides, where=str(path))


def from_mapping(
    cls: type[T],
    mapping: Mapping[Any, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
    where: str = "config",
) -> T:
    """Builds a configuration from a nested mapping and overrides; ``where`` names it in messages.

    Raises:
        ConfigError: If a key or value cannot be used.
    """
    return settle(cls, mapping, overrides, where).config


@dataclass(frozen=True)
class Settled(Generic[T]):
    """A configuration, and which of its keys were given."""

    config: T
    given: frozenset[str]
    """Dotted keys that have a value in the file or in the overrides; the others are defaults."""


def settle(
    cls: type[T],
    mapping: Mapping[Any, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
    where: str = "config",
) -> Settled[T]:
    """Builds a configuration as :func:`from_mapping` does, and tells which keys were given.

    Raises:
        ConfigError: If a key or value cannot be used.
    """
    tree = _Reader(cls, f"{where}: ").read(cls, mapping)
    if isinstance(overrides, Mapping):
        late = _Reader(cls, _PYTHON).read(cls, overrides)
    else:
        late = _Reader(cls, _COMMAND_LINE).read(cls, key_values(overrides))
    tree = _merge(tree, late)
    return Settled(_build(cls, tree), frozenset(_leaves(tree)))


def dump(config: object) -> str:
    """Returns the YAML text from which :func:`load` builds an equal configuration."""
    return yaml.dump(plain(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def plain(config: object) -> dict[str, object]:
    """Returns the nested mapping from which :func:`from_mapping` builds an equal configuration."""
    mapping = _plain(config)
    assert isinstance(mapping, dict)
    return mapping


def flatten(config: object) -> dict[str, object]:
    """Returns every dotted key with its value; a section that is ``None`` is one key."""
    flat: dict[str, object] = {}
    for name in _keys(type(config)):
        value = getattr(config, name)
        if is_dataclass(value) and not isinstance(value, type):
            flat.update({f"{name}.{key}": inner for key, inner in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def differences(old: T, new: T) -> list[str]:
    """Returns one line, ``"model.encoder.cell: lstm -> gru"``, for every key that differs."""
    before, after = flatten(old), flatten(new)
    # A key of a section that is absent on one side is shown as none there.
    return [
        f"{key}: {_text(before.get(key))} -> {_text(after.get(key))}"
        for key in before | after
        if before.get(key) != after.get(key)
    ]


def describe(cls: type) -> list[tuple[str, str, str, str]]:
    """Returns key, type, default and help text of every key, in the order of the fields."""
    return [
        (path, _type_name(key.annotation), _text(default), key.help)
        for path, key, default in _walk(cls)
    ]


@dataclass(frozen=True, kw_only=True)
class _Key:
    """One field of a configuration class."""

    name: str
    annotation: object
    default: object
    """A value, or ``MISSING`` where the user must give one."""
    owner: type

    @property
    def help(self) -> str:
        """The docstring below the field."""
        return _help(self.owner).get(self.name, "")

    @property
    def section(self) -> type | None:
        """The dataclass that the field holds, if it holds one."""
        for kind in _members(self.annotation):
            if isinstance(kind, type) and is_dataclass(kind):
                return kind
        return None

    @property
    def optional(self) -> bool:
        """Whether the field may be ``None``."""
        return types.NoneType in _members(self.annotation)


def _keys(cls: type) -> dict[str, _Key]:
    hints = typing.get_type_hints(cls, include_extras=True)
    keys = {}
    for field in fields(cls):
        default: object = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        if field.init:
            keys[field.name] = _Key(
                name=field.name,
                annotation=_at_present(hints[field.name]),
                default=default,
                owner=cls,
            )
    return keys


@functools.cache  # inspect parses the whole module for every class
def _help(cls: type) -> dict[str, str]:
    """Collects the attribute docstrings of a class and of those it inherits from."""
    texts = {}
    for owner in reversed([kind for kind in cls.__mro__ if is_dataclass(kind)]):
        for parameter in docstring_parser.parse_from_object(owner).params:
            texts[parameter.arg_name] = " ".join((parameter.description or "").split())
    return texts


def _walk(cls: type, prefix: str = "", base: object = None) -> Iterator[tuple[str, _Key, object]]:
    """Yields dotted path, key and default of every key, and of sections that may be ``None``."""
    for name, key in _keys(cls).items():
        default = key.default if base is None else getattr(base, name)
        if key.section is None or key.optional:
            yield prefix + name, key, default
        if key.section is not None:
            inner = default if isinstance(default, key.section) else None
            yield from _walk(key.section, f"{prefix}{name}.", inner)


def _at_present(annotation: Any) -> Any:  # noqa: ANN401
    """Returns a type with the names that its tables have now in place of each :class:`OneOf`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        tables = [mark for mark in inner[1:] if isinstance(mark, OneOf)]
        return Literal[tuple(tables[0])] if tables else inner[0]
    present = tuple(map(_at_present, inner))
    if origin is tuple:
        return tuple[present]  # type: ignore[valid-type]
    return typing.Union[present] if len(_members(annotation)) > 1 else annotation  # noqa: UP007


def _members(annotation: object) -> tuple[Any, ...]:
    """Returns the types that a union joins, or the type itself."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _choices(annotation: object) -> tuple[object, ...]:
    """Returns the values of a ``Literal``, alone, in a union or as the items of a tuple."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    return tuple(choice for inner in typing.get_args(annotation) for choice in _choices(inner))


def _type_name(annotation: object) -> str:
    if typing.get_origin(annotation) is Literal:
        return "|".join(map(str, _choices(annotation)))
    if typing.get_origin(annotation) is tuple:
        return f"list of {_type_name(typing.get_args(annotation)[0])}"
    if len(_members(annotation)) > 1:
        return " or ".join(map(_type_name, _members(annotation)))
    if annotation is types.NoneType:
        return "none"
    if is_dataclass(annotation):
        return "section"
    return str(getattr(annotation, "__name__", annotation))


@dataclass(frozen=True)
class _Found:
    """A checked value, and where it came from."""

    value: object
    origin: str


# Field names to what was found for them: a _Found, or the tree of a section.
_Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class _Reader:
    """Checks the keys and values of one origin against a configuration class."""

    root: type
    origin: str

    def read(self, cls: type, mapping: Mapping[Any, object], prefix: str = "") -> _Tree:
        """Reads the keys of one section; a dotted key reaches into the sections below."""
        tree: _Tree = {}
        keys = _keys(cls)
        for written, value in mapping.items():
            name, dot, rest = str(written).partition(".")
            key = keys.get(name)
            if key is None:
                raise ConfigError(self._unknown(cls, prefix, str(written)))
            entry = self._entry(key, {rest: value} if dot else value, prefix + name)
            tree = _merge(tree, {name: entry})
        return tree

    def _entry(self, key: _Key, value: object, path: str) -> _Found | _Tree:
        if self.origin == _COMMAND_LINE and isinstance(value, str):
            value = _from_words(key, value)
        if value is None and key.optional:
            return _Found(None, self.origin)
        if key.section is None:
            return _Found(_leaf(key.annotation, value, self.origin + path), self.origin)
        if isinstance(value, Mapping):
            return self.read(key.section, value, f"{path}.")
        if value is None:  # a section of which every line is commented out
            return {}
        accepted = ", ".join(_keys(key.section))
        raise ConfigError(
            f"{self.origin}{path}: must be a section with keys {accepted}, got {_shown(value)}"
        )

    def _unknown(self, cls: type, prefix: str, written: str) -> str:
        meant = self._meant(cls, prefix, written)
        hint = f"did you mean {meant!r}?" if meant else f"accepted: {', '.join(_keys(cls))}"
        shown = written if written.isprintable() else repr(written)
        return f"{self.origin}{prefix}{shown}: unknown key; {hint}"

    def _meant(self, cls: type, prefix: str, written: str) -> str | None:
        """Returns the nearest key: in the same section, else of a like name in any section."""
        section, _, name = written.rpartition(".")
        beside = [] if section else difflib.get_close_matches(name, _keys(cls), n=1)
        if beside:
            return prefix + beside[0]
        names = {path: path.rpartition(".")[2] for path, _, _ in _walk(self.root)}
        near = difflib.get_close_matches(name, names.values(), n=1)
        alike = [path for path in names if names[path] in near]
        return next(iter(difflib.get_close_matches(prefix + written, alike, n=1, cutoff=0)), None)


def _merge(early: _Tree, late: _Tree) -> _Tree:
    merged = dict(early)
    for name, entry in late.items():
        below = merged.get(name)
        if isinstance(below, dict) and isinstance(entry, dict):
            entry = _merge(below, entry)
        merged[name] = entry
    return merged


def _leaves(tree: _Tree, prefix: str = "") -> Iterator[str]:
    """Yields the dotted keys of all values in a tree."""
    for name, entry in tree.items():
        if isinstance(entry, dict):
            yield from _leaves(entry, f"{prefix}{name}.")
        else:
            yield prefix + name


def _leaf(annotation: object, value: object, where: str) -> object:
    """Returns ``value`` as the type that its field declares."""
    if isinstance(value, str) and str in _members(annotation):
        return value  # text stays text, also where it reads "null"
    if not _misfit(annotation, value):
        try:
            return _parser(annotation).parse_object({"value": value}, defaults=False)["value"]
        except (ArgumentError, OverflowError):
            pass  # its text takes several lines and names Python types
    raise ConfigError(
        f"{where}: must be {_accepted(annotation)}, got {_shown(value)}"
        f"{_nearest_choice(annotation, value)}"
    )


def _misfit(annotation: object, value: object) -> bool:
    """Tells what jsonargparse lets through: ``None`` everywhere, and ``True`` as ``Literal[1]``."""
    if isinstance(value, bool):
        return bool not in (*_members(annotation), *map(type, _choices(annotation)))
    return value is None or isinstance(value, Mapping)


@functools.cache
def _parser(annotation: Hashable) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--value", type=annotation)
    return parser


def _accepted(annotation: object) -> str:
    if any(typing.get_origin(kind) is Literal for kind in _members(annotation)):
        named = [str(n) for k in _members(annotation) for n in _choices(k) or (_type_name(k),)]
        return f"one of {', '.join(named)}"
    return _type_name(annotation)


def _nearest_choice(annotation: object, value: object) -> str:
    choices = [str(choice) for choice in _choices(annotation)]
    items = value if isinstance(value, list | tuple) else [value]
    return next((nearest(str(item), choices) for item in items if str(item) not in choices), "")


def _from_words(key: _Key, words: str) -> object:
    """Reads one value of the command line by the type of its field."""
    if words in _choices(key.annotation):
        return words
    if key.optional and words.lower() in ("none", "null"):
        return None
    if str in _members(key.annotation):
        return words
    try:
        value = yaml.load(words, _Loader)
    except (yaml.YAMLError, RecursionError):
        return words
    return words if value is None else value


def _build(cls: type[T], tree: _Tree, prefix: str = "", base: object = None) -> T:
    """Builds ``cls`` from the entries given, and from ``base`` or the class's defaults."""
    make: Callable[..., T] = cls
    values = {}
    for name, key in _keys(cls).items():
        entry = tree.get(name)
        default = key.default if base is None else getattr(base, name)
        required = default is MISSING
        if isinstance(entry, _Found):
            values[name] = entry.value
        elif key.section is not None and (entry is not None or (required and not key.optional)):
            below = default if isinstance(default, key.section) else None
            values[name] = _build(key.section, entry or {}, f"{prefix}{name}.", below)
        elif required:
            raise ConfigError(f"{prefix}{name}: is required")
        else:
            values[name] = default
    try:
        return make(**values)
    except ConfigError as error:
        refused = str(error).partition(":")[0]
        raise ConfigError(f"{_origin(tree, refused)}{prefix}{error}") from None


def _origin(tree: _Tree, path: str) -> str:
    """Returns the origin of the value at a dotted path, or nothing for a default."""
    name, _, rest = path.partition(".")
    entry = tree.get(name)
    if isinstance(entry, dict):
        return _origin(entry, rest)
    return entry.origin if entry else ""


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _keys(type(value))}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _text(value: object) -> str:
    """Returns a value as it is written in YAML, on one line."""
    if value is MISSING:
        return "required"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if is_dataclass(value):
        return "section"
    return str(value) if str(value).isprintable() and str(value) else repr(value)


def _shown(value: object) -> str:
    """Returns a value for a message: short, and on one line."""
    if isinstance(value, Mapping):
        return f"a section with keys {', '.join(map(_text, value)) or 'none'}"
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)


class _Loader(yaml.SafeLoader):
    """Reads YAML strictly: no key twice, no aliases, and ``no`` is Norwegian rather than false."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        """Refuses aliases: a few lines of them can expand to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuses a key that stands twice in one section."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name = str(key.value)
            if name in lines:
                problem = f"duplicate key {name!r}, first on line {lines[name]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        """Constructs a value, and reports a malformed one (``!!int x``) with its place."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > 64:
                raise ValueError
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            problem = f"cannot be read as {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        return value


# Without YAML 1.1's dates and its yes, no, on and off as booleans; true and false remain.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith(":timestamp") and not (tag.endswith(":bool") and first in "yYnNoO")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Writes YAML that reads back unchanged, also where a text holds line separators."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quotes and escapes a text with unprintable characters: unquoted, NEL becomes a space."""
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def read(path: Path) -> Mapping[Any, object]:
    """Returns the content of a YAML file, its keys and values unchecked.

    Raises:
        ConfigError: The file cannot be read, or is no mapping.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        beside = nearest(path.name, (file.name for file in path.parent.glob("*.y*ml")))
        raise ConfigError(f"{path}: no such file{beside}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; a YAML file is expected") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line}: not UTF-8 at byte {error.start}") from None
    try:
        content = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_problem(error, text)}") from None
    if not isinstance(content, Mapping | None):
        raise ConfigError(f"{path}: must be a mapping of keys to values, got {_shown(content)}")
    return content or {}


def _yaml_problem(error: Exception, text: str) -> str:
    """Returns what is wrong with a YAML text, and where, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = " ".join((error.problem or "malformed").removeprefix("but ").split())
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: character U+{ord(text[error.position]):04X} is not allowed in YAML"
    return "nested too deeply"
