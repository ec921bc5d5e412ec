"""From mappings to configuration classes: keys and values checked, and where each came from."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
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


# Field names to what was found for them: a Found, or the tree of a section. Of a list of sections,
# the tree has numbers from 0 in place of names, as dotted keys do: data.train.0.path.
Tree: TypeAlias = dict[str, Any]


class Whole(Tree):
    """The tree of a whole list of sections, which takes the place of what was given before."""


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
        if key.listed and isinstance(value, list | tuple):
            return Whole(self._numbered(key.section, dict(enumerate(value)), path))
        if key.listed and isinstance(value, Mapping) and value and all(map(_has_number, value)):
            return self._numbered(key.section, value, path)
        return self._section(key.section, value, path, "or a list of such sections, " * key.listed)

    def _section(self, section: type, value: object, path: str, others: str = "") -> Tree:
        """Reads a section; ``others`` is what else may stand there, for messages."""
        if isinstance(value, Mapping):
            return self.read(section, value, f"{path}.")
        if value is None:  # a section of which every line is commented out
            return {}
        accepted = ", ".join(keys_of(section))
        raise ConfigError(
            f"{self.origin}{path}: must be a section with keys {accepted}, {others}got "
            f"{shown(value)}"
        )

    def _numbered(self, section: type, entries: Mapping[Any, object], path: str) -> Tree:
        """Reads sections of a list by their numbers; ``0.path`` reaches into one of them."""
        tree: Tree = {}
        for written, value in entries.items():
            number, dot, rest = str(written).partition(".")
            entry = self._section(section, {rest: value} if dot else value, f"{path}.{number}")
            tree = merge(tree, {str(int(number)): entry})
        return tree

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


def _has_number(written: object) -> bool:
    """Tells whether a key begins with the number of a section in a list."""
    number = str(written).partition(".")[0]
    return number.isascii() and number.isdecimal()


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
        if isinstance(below, dict) and isinstance(entry, dict) and not isinstance(entry, Whole):
            entry = type(below)(merge(below, entry))
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
            make_one = _build_list if _is_list(entry) else build
            values[key.field] = make_one(key.section, entry or {}, f"{prefix}{name}.", below)
        elif required:
            raise ConfigError(f"{prefix}{name}: is required")
        else:
            values[key.field] = default
    try:
        return make(**values)
    except ConfigError as error:
        refused = str(error).partition(":")[0]
        raise ConfigError(f"{_origin(tree, refused)}{prefix}{error}") from None


def _is_list(tree: Tree | None) -> bool:
    return isinstance(tree, Whole) or (bool(tree) and any(map(_has_number, tree or ())))


def _build_list(cls: type[T], tree: Tree, prefix: str, base: object = None) -> tuple[T, ...]:
    """Builds each section of a list."""
    numbers = [name for name in tree if _has_number(name)]
    if len(numbers) < len(tree):
        raise _one_and_several(tree, numbers, prefix)
    for number, name in enumerate(sorted(numbers, key=int)):
        if number != int(name):
            origin = next(leaves(tree[name], f"{name}."), name)
            raise ConfigError(
                f"{_origin(tree, origin)}{prefix}{name}: there are only {number} in the list, "
                f"counted from 0; {prefix}{number} would be the next"
            )
    return tuple(build(cls, tree[name], f"{prefix}{name}.") for name in sorted(numbers, key=int))


def _one_and_several(tree: Tree, numbers: Sequence[str], prefix: str) -> ConfigError:
    """Returns the error that keys of one section and of a list of them were given together."""
    key = prefix.removesuffix(".")
    if isinstance(tree, Whole):
        name = next(leaf for leaf in leaves(tree) if not _has_number(leaf))
        mend = f"{key} is a list of {len(numbers)}: write {prefix}0.{name} for its first, or a list"
    else:
        name = next(leaf for leaf in leaves(tree) if _has_number(leaf))
        mend = (
            f"{key} is no list: write {prefix}{name.partition('.')[2]}, or all of {key} as a list"
        )
    return ConfigError(f"{_origin(tree, name)}{prefix}{name}: {mend}")


def _origin(tree: Tree, path: str) -> str:
    """Returns the origin of the value at a dotted path, or nothing for a default."""
    name, _, rest = path.partition(".")
    entry = tree.get(name)
    if isinstance(entry, dict):
        return _origin(entry, rest)
    return entry.origin if entry else ""
