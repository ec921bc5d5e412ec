"""Values of a configuration: checked against their field's type, and shown in messages."""

import functools
import math
import os
import typing
from collections.abc import Hashable, Mapping
from dataclasses import is_dataclass
from numbers import Integral, Real
from typing import Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from seq2seq.config.files import Loader
from seq2seq.config.keys import Key, choices, keys_of, members, shown, type_name
from seq2seq.errors import ConfigError, nearest


def checked(annotation: object, value: object, where: str) -> object:
    """Returns ``value`` as the type that its field declares."""
    value = _of_kind(annotation, value)
    if isinstance(value, str) and str in members(annotation):
        return value  # text stays text, also where it reads "null"
    if not _misfit(annotation, value):
        try:
            found = _parser(annotation).parse_object({"value": value}, defaults=False)["value"]
        except (ArgumentError, OverflowError):
            pass  # its text takes several lines and names Python types
        else:
            numbers = found if isinstance(found, tuple) else (found,)
            if all(math.isfinite(one) for one in numbers if isinstance(one, float)):
                return found
            raise ConfigError(f"{where}: must be finite, got {shown(value)}")
    raise ConfigError(
        f"{where}: must be {_accepted(annotation)}, got {shown(value)}"
        f"{_nearest_choice(annotation, value)}{_how_to_quote(value)}"
    )


def _of_kind(annotation: object, value: object) -> object:
    """Returns a number or a path as text where text is meant, and as a plain number elsewhere."""
    if isinstance(value, list | tuple):
        inner = next((kind for kind in members(annotation) if typing.get_args(kind)), None)
        kinds = typing.get_args(inner) or (None,)
        return [_of_kind(kinds[0], item) for item in value]
    if isinstance(value, os.PathLike) and str in members(annotation):
        return os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    number = int(value) if isinstance(value, Integral) else float(value)
    meant = type(number) in members(annotation) or str not in members(annotation)
    if meant or number != number or abs(number) == math.inf:
        return number
    return getattr(value, "written", str(number))


def _misfit(annotation: object, value: object) -> bool:
    """Tells what jsonargparse lets through: ``None`` everywhere, and ``True`` as ``Literal[1]``."""
    if isinstance(value, bool):
        return bool not in (*members(annotation), *map(type, choices(annotation)))
    return value is None or isinstance(value, Mapping)


@functools.cache
def _parser(annotation: Hashable) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, add_help=False)
    parser.add_argument("--value", type=annotation)
    return parser


def _accepted(annotation: object) -> str:
    if any(typing.get_origin(kind) is Literal for kind in members(annotation)):
        named = [str(n) for k in members(annotation) for n in choices(k) or (type_name(k),)]
        return f"one of {', '.join(named)}"
    return type_name(annotation)


def _nearest_choice(annotation: object, value: object) -> str:
    names = [str(choice) for choice in choices(annotation)]
    items = value if isinstance(value, list | tuple) else [value]
    return next((nearest(str(item), names) for item in items if str(item) not in names), "")


def _how_to_quote(value: object) -> str:
    """Returns what to do about words that are meant as a list, and that YAML cannot read."""
    listed = isinstance(value, str) and value.startswith("[")
    return "; quote what begins with a star, as ['*bias']" if listed else ""


def from_words(key: Key, words: str) -> object:
    """Reads one value of the command line by the type of its field."""
    if words in choices(key.annotation):
        return words
    if key.optional and words.lower() in ("none", "null"):
        return None
    if str in members(key.annotation) and not _is_list(key, words):
        return words
    try:
        value = yaml.load(words, Loader)
    except (yaml.YAMLError, RecursionError):
        return words
    return words if value is None else value


def _is_list(key: Key, words: str) -> bool:
    """Tells whether words are a list in brackets, where a text or several may stand."""
    several = any(typing.get_origin(kind) is tuple for kind in members(key.annotation))
    return several and words.startswith("[") and words.endswith("]")


def plain_of(value: object) -> object:
    """Returns a value as nested mappings, lists and what YAML has."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain_of(key.of(value)) for name, key in keys_of(type(value)).items()}
    return [plain_of(item) for item in value] if isinstance(value, tuple) else value
