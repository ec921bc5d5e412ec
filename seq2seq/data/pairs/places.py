"""The files that the paths of a configuration stand for: patterns, folders, and both sides."""

import logging
import os
import re
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from seq2seq.data.files import is_pattern, matching, suffix_of
from seq2seq.errors import ConfigError, DataError

WILD_CARD = re.compile(r"(\*\*/|\*\*|\*|\?|\[[^]]+\])")
log = logging.getLogger("seq2seq")


def named_by(
    path: str, folder: Path, suffixes: Collection[str], held_out: Collection[Path]
) -> list[str]:
    """Returns the files that a path stands for: those that match it, or lie in it, sorted.

    A folder stands for the files in it whose names end in one of ``suffixes``; without these, and
    if it is a plain path, it stands for itself.

    Raises:
        DataError: There are none, or all are ``held_out``.
    """
    if is_pattern(path, folder):
        return _left(path, matching(path, folder), folder, held_out)
    if not suffixes or not (folder / path).is_dir():
        return [path]
    inside = sorted(file.name for file in (folder / path).iterdir() if file.is_file())
    names = [os.path.join(path, name) for name in inside if suffix_of(name) in suffixes]
    if not names:
        wanted = " or ".join(f"*{suffix}" for suffix in suffixes)
        raise DataError(f"{folder / path}: holds no file named {wanted}")
    return _left(path, names, folder, held_out)


def _left(path: str, names: list[str], folder: Path, held_out: Collection[Path]) -> list[str]:
    """Returns those of some files that are not held out."""
    left = [name for name in names if not _is_held_out(folder / name, held_out)]
    _tell_of_left_out(folder / path, names, left)
    return left


def _is_held_out(path: Path, held_out: Collection[Path]) -> bool:
    """Tells whether a file, or a folder that it lies in, is held out."""
    whole = path.resolve()
    return any(place in held_out for place in (whole, *whole.parents))


def _tell_of_left_out(path: Path, names: Collection[str], left: Collection[str]) -> None:
    """Says which files are left out of those that a path stands for.

    Raises:
        DataError: All are.
    """
    if not left:
        raise DataError(
            f"{path}: stands only for files that are for validation or test; name others"
        )
    if len(left) < len(names):
        _tell_of_held_out(str(path), ", ".join(sorted({*names} - {*left})))


@cache  # a corpus is opened more than once
def _tell_of_held_out(path: str, names: str) -> None:
    log.info("%s: %s left out, for validation or test", path, names)


def counterparts(
    sources: Sequence[str], targets: Sequence[str], folder: Path, held_out: Collection[Path]
) -> list[tuple[str, str]]:
    """Returns the files that paths and patterns of both sides stand for, side by side.

    Two patterns belong together by what their wild cards stand for: of ``*.de`` and ``*.en``,
    ``a.de`` and ``a.en``.

    Raises:
        ConfigError: A pattern stands beside a path without one.
        DataError: A pattern matches no file, or one of them has no counterpart.
    """
    found = []
    for source, target in zip(sources, targets, strict=True):
        if is_pattern(source, folder) != is_pattern(target, folder):
            raise ConfigError(
                f"target: must be a pattern where source is one, and only there, got {target!r} "
                f"beside {source!r}"
            )
        if is_pattern(source, folder):
            found += _side_by_side(source, target, folder, held_out)
        else:
            found.append((source, target))
    return found


def _side_by_side(
    source: str, target: str, folder: Path, held_out: Collection[Path]
) -> list[tuple[str, str]]:
    count = min(len(WILD_CARD.findall(pattern)) for pattern in (source, target))
    left, right = (
        _by_wild_cards(one, count, named_by(one, folder, (), ()), folder)
        for one in (source, target)
    )
    for alone, others, pattern in ((left, right, target), (right, left, source)):
        for part, name in alone.items():
            if part not in others:
                raise DataError(
                    f"{folder / name}: has no counterpart named {pattern}; each file needs one"
                )
    couples = [(left[part], right[part]) for part in left]
    kept = [
        both for both in couples if not any(_is_held_out(folder / one, held_out) for one in both)
    ]
    _tell_of_left_out(folder / source, left.values(), [one for one, _ in kept])
    return kept


def _by_wild_cards(
    pattern: str, count: int, names: Sequence[str], folder: Path
) -> dict[tuple[str, ...], str]:
    """Returns names by what the first wild cards of their pattern stand for.

    Raises:
        DataError: That is the same for two.
    """
    literal = WILD_CARD.split(os.path.normpath(pattern))  # wild cards are at odd places
    shape = re.compile("".join(_regex(text) if n % 2 else re.escape(text)
                               for n, text in enumerate(literal)))  # fmt: skip
    found: dict[tuple[str, ...], str] = {}
    for name in names:
        match = shape.fullmatch(name)
        key = match.groups()[:count] if match is not None else (name,)
        if key in found:
            raise DataError(
                f"{folder / found[key]} and {name}: only one of them can be a counterpart; write "
                "a pattern that tells them apart"
            )
        found[key] = name
    return found


def _regex(wild_card: str) -> str:
    """Returns what matches as a wild card of a path does, in a group."""
    known = {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    return known.get(wild_card, "([^/])")
