"""A parser of command lines whose options, values and configuration keys stand in any order."""

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NoReturn

from seq2seq.errors import Seq2SeqError, at_home, nearest
from seq2seq.words import groups, takes_value

PATHS = ("CONFIG", "FILE", "FOLDER", "HYPOTHESES", "PIPELINE", "RUN", "SYSTEM")
"""What the help calls values that are paths. The home folder stands in place of ``~`` in them: a
shell leaves that as it is in ``--output=~/x``, and so do other programs everywhere."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and parts the keys of a configuration from the options.

    The words of the keys are left in ``options.keys``; a parser that does not set ``takes_keys``
    refuses them.
    """

    elsewhere: Mapping[str, str] = MappingProxyType({})
    """Options of other tasks, and why they are refused here."""

    def error(self, message: str) -> NoReturn:
        """Raises the message as a mistake of the user."""
        raise Seq2SeqError(f"{message}; see `{self.prog} --help`")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses; what is unknown is a mistake, or a key."""
        if self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        words, keys = self.sort(args)
        options, unknown = super().parse_known_args(words, namespace)
        takes_keys = getattr(options, "takes_keys", False)
        unknown += self._slips(keys) if takes_keys else keys
        if unknown:
            refused = self.elsewhere.get(unknown[0].partition("=")[0])
            if refused is not None:
                raise Seq2SeqError(refused)
            self.error(f"{unknown[0]}: unexpected argument{self._meant(unknown[0], args)}")
        options.keys = keys
        return options, []

    def sort(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Puts positional words before options, and takes out what may be configuration keys.

        argparse alone takes the value of a key it does not know, or the files after an option,
        for something else.
        """
        positional: list[str] = []
        options: dict[str, list[str]] = {}
        keys: list[str] = []
        for group in groups(words, self._most_values):
            name, equals, value = group[0].partition("=")
            if name in self._option_string_actions:
                values = [value, *group[1:]] if equals else group[1:]
                self._add(options.setdefault(name, []), name, values)
            else:
                (keys if group[0].startswith("--") else positional).extend(group)
        return positional + [word for group in options.values() for word in group], keys

    def _add(self, given: list[str], name: str, values: list[str]) -> None:
        """Adds an option to what was given to it before; argparse alone forgets the first.

        Of two settings the last counts, as of keys. A file that is named may not be forgotten.

        Raises:
            Seq2SeqError: It takes one file, and has another already.
        """
        action = self._option_string_actions[name]
        if given and action.nargs == "+":
            given.extend(values)
        elif given[1:] not in ([], values) and action.metavar == "FILE" and not _adds(action):
            raise Seq2SeqError(f"{name}: takes one file, got {given[1]!r} and {values[0]!r}")
        else:
            given.extend([name, *values])

    def _meant(self, word: str, words: Sequence[str]) -> str:
        """Returns what may have been meant by a word that fits nowhere."""
        if word.startswith("-"):
            return nearest(word, self._option_string_actions)
        before = words[max(words.index(word) - 2, 0)]
        action = self._option_string_actions.get(before)
        if action is None or not _adds(action):
            return ""
        return f"; to give {before} several values, repeat it: {before} {word}"

    def _most_values(self, word: str) -> int:
        """Returns how many values may follow a word."""
        option, equals, _ = word.partition("=")
        action = self._option_string_actions.get(option)
        if equals or action is None:
            return takes_value(word)
        if action.nargs is None:
            return 1
        return 2**31 if action.nargs == "+" else 0

    def _slips(self, keys: Sequence[str]) -> list[str]:
        """Returns the keys without a value that look like a misspelt option."""
        bare = [group[0] for group in groups(keys, takes_value) if len(group) == 1]
        return [
            word
            for word in bare
            if takes_value(word) and nearest(word, self._option_string_actions)
        ]

    def _get_value(self, action: argparse.Action, arg_string: str) -> object:
        """Returns a value, of a path with the home folder in place of ``~``."""
        path = action.metavar in PATHS
        return super()._get_value(action, at_home(arg_string) if path else arg_string)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        """Names what is accepted as every other message does."""
        if action.choices is None or value in action.choices:
            return
        name = action.option_strings[0] if action.option_strings else action.metavar
        accepted = list(action.choices)
        close = nearest(str(value), accepted)
        raise Seq2SeqError(f"{name}: must be one of {', '.join(accepted)}, got {value!r}{close}")


def _adds(action: argparse.Action) -> bool:
    """Tells whether an option may be repeated, one value each time."""
    return isinstance(action, argparse._AppendAction)
