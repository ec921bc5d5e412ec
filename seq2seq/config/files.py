"""YAML files, read strictly and written so that they read back unchanged."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from seq2seq.config.keys import shown
from seq2seq.errors import ConfigError, nearest

ALIASES = "aliases are not accepted; a text that begins with * needs quotes"


class WrittenInt(int):
    """A whole number that knows how it was written: as a text, ``007`` is not ``7``."""

    written: str


class WrittenFloat(float):
    """A number that knows how it was written: as a text, ``1.10`` is not ``1.1``."""

    written: str


def _with_text(number: object, text: str) -> object:
    """Returns a number that knows how it was written; anything else as it is."""
    for plain, kind in ((int, WrittenInt), (float, WrittenFloat)):
        if type(number) is plain:
            number = kind(number)
            number.written = text
    return number


class Loader(yaml.SafeLoader):
    """Reads YAML strictly: no key twice, no aliases, and ``no`` is Norwegian rather than false."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401
        """Refuses aliases: a few lines of them can expand to gigabytes."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, ALIASES, mark)
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
            if isinstance(node, yaml.ScalarNode):
                return _with_text(value, node.value)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            problem = f"cannot be read as {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        return value


# Without YAML 1.1's dates and its yes, no, on and off as booleans; true and false remain.
Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith(":timestamp") and not (tag.endswith(":bool") and first in "yYnNoO")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Dumper(yaml.SafeDumper):
    """Writes YAML that reads back unchanged, also where a text holds line separators."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quotes and escapes a text with unprintable characters: unquoted, NEL becomes a space."""
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, Dumper.represent_text)


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
        content = yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_problem(error, text)}") from None
    if not isinstance(content, Mapping | None):
        raise ConfigError(f"{path}: must be a mapping of keys to values, got {shown(content)}")
    return content or {}


def _yaml_problem(error: Exception, text: str) -> str:
    """Returns what is wrong with a YAML text, and where, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = " ".join((error.problem or "malformed").removeprefix("but ").split())
        if error.context == "while scanning an alias":
            problem = ALIASES
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: character U+{ord(text[error.position]):04X} is not allowed in YAML"
    return "nested too deeply"
