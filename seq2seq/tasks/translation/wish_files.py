"""Files beside the texts that are translated: a line for each, and a glossary for all."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from seq2seq.data.files import read_lines
from seq2seq.errors import DataError
from seq2seq.tasks.translation.wishes import Wishes


class WishFiles:
    """What is asked of texts that arrive one after the other; each call takes the next lines."""

    def __init__(self, names: Mapping[str, str | None], always: Wishes) -> None:
        """Of the files, ``prefix`` has a beginning a line, ``require`` phrases that tabs part.

        ``always`` is asked of every text.
        """
        self.names = {key: name for key, name in names.items() if name is not None}
        self.lines = {key: read_lines(name) for key, name in self.names.items()}
        self.always = always

    def of(self, count: int) -> Wishes | None:
        """Returns what is asked of the next ``count`` texts; None: nothing.

        Raises:
            DataError: A file has fewer lines than there are texts.
        """
        if not self.lines and self.always == Wishes():
            return None
        taken = {key: self._taken(key, lines, count) for key, lines in self.lines.items()}
        required = taken.get("require")
        terms = None if required is None else [phrases(line) for line in required]
        return replace(self.always, prefixes=taken.get("prefix"), terms=terms)

    def _taken(self, key: str, lines: Iterator[str], count: int) -> list[str]:
        found = list(islice(lines, count))
        if len(found) < count:
            raise DataError(
                f"--{key}: {self.names[key]} has fewer lines than there are texts; each needs one, "
                "which may be empty"
            )
        return found

    def require_end(self) -> None:
        """Raises a :class:`DataError` if a file has more lines than there were texts."""
        for key, lines in self.lines.items():
            if next(lines, None) is not None:
                raise DataError(f"--{key}: {self.names[key]} has more lines than there are texts")


def phrases(line: str) -> list[str]:
    r"""Returns the phrases of a line.

    >>> phrases("a dog\tbites")
    ['a dog', 'bites']
    """
    return [phrase for part in line.split("\t") if (phrase := part.strip())]
