"""The words of a command line: which of them belong together."""

from collections.abc import Callable, Iterator, Sequence

from seq2seq.errors import ConfigError


def groups(words: Sequence[str], most_values: Callable[[str], int]) -> Iterator[list[str]]:
    """Cuts a command line before each option and each positional word.

    ``most_values`` tells how many values may follow a word; what begins with ``--`` is never one.

    >>> list(groups(["run", "--beam", "5", "--fast"], lambda word: int(word == "--beam")))
    [['run'], ['--beam', '5'], ['--fast']]
    """
    left = list(words)
    while left:
        group = [left.pop(0)]
        room = most_values(group[0])
        while room and left and not left[0].startswith("--"):
            group.append(left.pop(0))
            room -= 1
        yield group


def takes_value(word: str) -> int:
    """Returns 1 for an option that has its value in the word after it, else 0."""
    return int(word.startswith("--") and "=" not in word)


def key_values(words: Sequence[str]) -> dict[str, str]:
    """Returns the keys and values of ``--key value`` and ``--key=value``; the last of a key wins.

    >>> key_values(["--train.seed", "2", "--folder=task"])
    {'train.seed': '2', 'folder': 'task'}

    Raises:
        ConfigError: A word is no option, or an option has no value.
    """
    values: dict[str, str] = {}
    for word, *after in groups(words, takes_value):
        option, equals, value = word.partition("=")
        if not option.startswith("--") or option == "--":
            shown = word if word.isprintable() and word else repr(word)
            raise ConfigError(f"{shown}: unexpected argument; write --key value")
        if not equals:
            if not after:
                raise ConfigError(f"{option}: needs a value; write {option} VALUE")
            value = after[0]
        values.pop(option[2:], None)  # so that the order is that of the last ones
        values[option[2:]] = value
    return values
