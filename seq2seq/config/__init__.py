"""Turns a YAML file and dotted overrides into typed, nested, frozen dataclasses, and back.

Every field of a configuration class is a key: ``model.encoder.cell`` is the field ``cell`` of the
field ``encoder`` of the field ``model``. This module knows none of them by name. Values are checked
by jsonargparse against the annotation of their field; the classes are built here, so that what
their ``__post_init__`` refuses is reported under its full dotted key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from seq2seq.config.files import Dumper, read
from seq2seq.config.keys import as_text, keys_of, type_name, walk
from seq2seq.config.reader import COMMAND_LINE, PYTHON, Reader, build, leaves, merge
from seq2seq.config.values import plain_of
from seq2seq.words import key_values

__all__ = [
    "Settled",
    "describe",
    "differences",
    "dump",
    "flatten",
    "from_mapping",
    "load",
    "paths_of",
    "plain",
    "read",
    "settle",
    "single_override",
]
T = TypeVar("T")
Overrides = Mapping[str, object] | Sequence[str]
"""Dotted keys and values, or the words of a command line."""


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
    tree = Reader(cls, f"{where}: ").read(cls, mapping)
    if isinstance(overrides, Mapping):
        late = Reader(cls, PYTHON).read(cls, overrides)
    else:
        late = Reader(cls, COMMAND_LINE).read(cls, key_values(overrides))
    tree = merge(tree, late)
    return Settled(build(cls, tree), frozenset(leaves(tree)))


def dump(config: object) -> str:
    """Returns the YAML text from which :func:`load` builds an equal configuration."""
    return yaml.dump(plain(config), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def plain(config: object) -> dict[str, object]:
    """Returns the nested mapping from which :func:`from_mapping` builds an equal configuration."""
    mapping = plain_of(config)
    assert isinstance(mapping, dict)
    return mapping


def flatten(config: object) -> dict[str, object]:
    """Returns every dotted key with its value; a section that is ``None`` is one key."""
    flat: dict[str, object] = {}
    for name, key in keys_of(type(config)).items():
        flat |= _flat(name, key.of(config))
    return flat


def _flat(name: str, value: object) -> dict[str, object]:
    if is_dataclass(value) and not isinstance(value, type):
        return {f"{name}.{below}": inner for below, inner in flatten(value).items()}
    if isinstance(value, tuple) and value and all(map(is_dataclass, value)):
        sections = [_flat(f"{name}.{number}", section) for number, section in enumerate(value)]
        return {key: inner for section in sections for key, inner in section.items()}
    return {name: value}


def differences(old: T, new: T) -> list[str]:
    """Returns one line, ``"model.encoder.cell: lstm -> gru"``, for every key that differs."""
    before, after = flatten(old), flatten(new)
    # A key of a section that is absent on one side is shown as none there.
    return [
        f"{key}: {as_text(before.get(key))} -> {as_text(after.get(key))}"
        for key in before | after
        if before.get(key) != after.get(key)
    ]


def paths_of(settings: object) -> list[str]:
    """Returns the paths that a section, or each of a list, names, in the order of its keys."""
    if isinstance(settings, tuple):
        return [path for section in settings for path in paths_of(section)]
    values = [
        getattr(settings, key.name) for key in keys_of(type(settings)).values() if key.is_path
    ]
    listed = (value if isinstance(value, tuple) else (value,) for value in values)
    return [path for paths in listed for path in paths if path]


def describe(cls: type) -> list[tuple[str, str, str, str]]:
    """Returns key, type, default and help text of every key, in the order of the fields."""
    return [
        (path, type_name(key.annotation), as_text(default), key.help)
        for path, key, default in walk(cls)
    ]


def single_override(overrides: Overrides, key: str) -> object | None:
    """Returns the value that overrides give one key, unchecked, or None."""
    values = overrides if isinstance(overrides, Mapping) else key_values(overrides)
    return values.get(key)
