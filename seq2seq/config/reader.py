"""From mappings to configuration classes: keys and values checked, and where each came from."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, TypeAlias, TypeVar

from seq2seq.config.keys import Key, keys_of, shown, walk
from seq2seq.config.values import checked, from_words
from seq2seq.errors import ConfigError, at_home

T = TypeVar("T")
# An origin is what stands before the dotted key in a message: "de-en.yaml: " or "--".
COMMAND_LINE = "--"
PYTHON = "overrides: "


@dataclass(frozen=True)
class Found:
    """A checked value, and where it came from."""

    value: object
    origin: str


# Field names to what was found for them: a Found, or the tree of a section.
Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """Checks the keys and values of one origin against a configuration class."""

    root: type
    origin: str

    def read(self, cls: type, mapping: Mapping[Any, object], prefix: str = "") -> Tree:
        """Reads the keys of one section; a dotted key reaches into the sections below."""
        tree: Tree = {}
        keys = keys_of(cls)
        for written, value in mapping.items():
            name, dot, rest = str(written).partition(".")
            key = keys.get(name)
            if key is None:
                raise ConfigError(self._unknown(cls, prefix, str(written)))
            entry = self._entry(key, {rest: value} if dot else value, prefix + name)
            tree = merge(tree, {name: entry})
        return tree

    def _entry(self, key: Key, value: object, path: str) -> Found | Tree:
        if self.origin == COMMAND_LINE and isinstance(value, str):
            value = from_words(key, value)
        if value is None and key.optional:
            return Found(None, self.origin)
        if key.section is None:
            found = checked(key.annotation, value, self.origin + path)
            return Found(_at_home(found) if key.is_path else found, self.origin)
        if isinstance(value, Mapping):
            return self.read(key.section, value, f"{path}.")
        if value is None:  # a section of which every line is commented out
            return {}
        accepted = ", ".join(keys_of(key.section))
        raise ConfigError(
            f"{self.origin}{path}: must be a section with keys {accepted}, got {shown(value)}"
        )

    def _unknown(self, cls: type, prefix: str, written: str) -> str:
        meant = self._meant(cls, prefix, written)
        hint = f"did you mean {meant!r}?" if meant else f"accepted: {', '.join(keys_of(cls))}"
        shown = written if written.isprintable() else repr(written)
        return f"{self.origin}{prefix}{shown}: unknown key; {hint}"

    def _meant(self, cls: type, prefix: str, written: str) -> str | None:
        """Returns the nearest key: in the same section, else of a like name in any section."""
        section, _, name = written.rpartition(".")
        beside = [] if section else difflib.get_close_matches(name, keys_of(cls), n=1)
        if beside:
            return prefix + beside[0]
        names = {path: path.rpartition(".")[2] for path, _, _ in walk(self.root)}
        near = difflib.get_close_matches(name, names.values(), n=1)
        alike = [path for path in names if names[path] in near]
        return next(iter(difflib.get_close_matches(prefix + written, alike, n=1, cutoff=0)), None)


def _at_home(paths: object) -> object:
    """Returns a path, or several, with the home folder in place of ``~``."""
    if isinstance(paths, tuple):
        return tuple(map(_at_home, paths))
    return at_home(paths) if isinstance(paths, str) else paths


def merge(early: Tree, late: Tree) -> Tree:
    """Returns a tree with the entries of both; of one key, the later."""
    merged = dict(early)
    for name, entry in late.items():
        below = merged.get(name)
        if isinstance(below, dict) and isinstance(entry, dict):
            entry = merge(below, entry)
        merged[name] = entry
    return merged


def leaves(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yields the dotted keys of all values in a tree."""
    for name, entry in tree.items():
        if isinstance(entry, dict):
            yield from leaves(entry, f"{prefix}{name}.")
        else:
            yield prefix + name


def build(cls: type[T], tree: Tree, prefix: str = "", base: object = None) -> T:
    """Builds ``cls`` from the entries given, and from ``base`` or the class's defaults."""
    make: Callable[..., T] = cls
    values = {}
    for name, key in keys_of(cls).items():
        entry = tree.get(name)
        default = key.default if base is None else key.of(base)
        required = default is MISSING
        if isinstance(entry, Found):
            values[key.field] = entry.value
        elif key.section is not None and (entry is not None or (required and not key.optional)):
            below = default if isinstance(default, key.section) else None
            values[key.field] = build(key.section, entry or {}, f"{prefix}{name}.", below)
        elif required:
            raise ConfigError(f"{prefix}{name}: is required")
        else:
            values[key.field] = default
    try:
        return make(**values)
    except ConfigError as error:
        refused = str(error).partition(":")[0]
        raise ConfigError(f"{_origin(tree, refused)}{prefix}{error}") from None


def _origin(tree: Tree, path: str) -> str:
    """Returns the origin of the value at a dotted path, or nothing for a default."""
    name, _, rest = path.partition(".")
    entry = tree.get(name)
    if isinstance(entry, dict):
        return _origin(entry, rest)
    return entry.origin if entry else ""
