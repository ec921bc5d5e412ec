"""The codes of byte-pair encoding as subword-nmt and fastBPE write and apply them.

Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", section 3.2.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, pairwise
from random import Random

from seq2seq.errors import DataError

MORE = "@@"
"""Ends a token after which its word goes on."""
END = "</w>"
"""Ends a word among the codes."""
VERSIONS = ("0.1", "0.2")
Merge = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Codes:
    """What merges pieces of words, and what takes them apart again."""

    ranks: Mapping[Merge, int]
    """The pairs that are merged; the lowest comes first."""
    version: str = "0.2"
    """In 0.1 the end of a word is a piece of its own, later it belongs to its last character."""
    vocabulary: Mapping[str, None] | None = None
    """Tokens in the order of their file; what they lack is taken apart. None: anything goes."""
    parents: Mapping[str, Merge] | None = None
    """What each piece was merged of."""

    def limited(self, vocabulary: Sequence[str]) -> "Codes":
        """Returns the same that makes no tokens but those of a vocabulary, where it can."""
        parents = {left + right: (left, right) for left, right in self.ranks}
        return replace(self, vocabulary=dict.fromkeys(vocabulary), parents=parents)

    def cut(self, word: str) -> list[str]:
        """Returns the tokens of a word, or of what stands in it between marks."""
        return self._tokens(self._merged(word)) if len(word) > 1 else [word]

    def draw(self, word: str, dropout: float, rng: Random) -> list[str]:
        """Returns tokens made with each merge left out, anew each time, with a chance.

        Provilkov et al. 2020, section 3.2, algorithm 1; all places of a pair are merged at once,
        and draws are those of subword-nmt.
        """
        return self._tokens(self._merged(word, dropout, rng)) if len(word) > 1 else [word]

    def _merged(self, word: str, dropout: float = 0.0, rng: Random | None = None) -> list[str]:
        """Merges characters: of all neighbours the pair that comes first, wherever it stands."""
        pieces = [*word, END] if self.version == "0.1" else [*word[:-1], word[-1] + END]
        while len(pieces) > 1:
            ranked = [
                (self.ranks[pair], place, pair)
                for place, pair in enumerate(pairwise(pieces))
                if (rng is None or rng.random() > dropout) and pair in self.ranks
            ]
            if not ranked:
                break
            best = min(ranked)[2]
            pieces = _join(pieces, {place for _, place, pair in ranked if pair == best})
        *first, last = pieces
        return first if last == END else [*first, last.removesuffix(END)]

    def _tokens(self, pieces: list[str]) -> list[str]:
        if self.vocabulary is not None:
            *inner, last = pieces
            parts = [self._known(piece, final=False) for piece in inner]
            pieces = list(chain(*parts, self._known(last, final=True)))
        return [*(piece + MORE for piece in pieces[:-1]), pieces[-1]]

    def _known(self, piece: str, *, final: bool) -> Iterator[str]:
        """Yields a piece, or the parts of it that the vocabulary has, or that cannot be parted."""
        vocabulary, parents = self.vocabulary or {}, self.parents or {}
        token, merged = (piece, piece + END) if final else (piece + MORE, piece)
        if token in vocabulary or merged not in parents:
            yield piece
            return
        left, right = parents[merged]
        yield from self._known(left, final=False)
        yield from self._known(right.removesuffix(END) if final else right, final=final)

    def drawable(self) -> Iterator[str]:
        """Yields all tokens that can be drawn of the characters that there are, some twice."""
        pieces = chain.from_iterable((left, right, left + right) for left, right in self.ranks)
        for piece in pieces:
            bare = piece.removesuffix(END)
            ends = piece != bare or len(bare) == 1 or self.version == "0.1"
            yield from (bare,) if bare and ends else ()
            yield from (bare + MORE,) if bare and (piece == bare or len(bare) == 1) else ()


def _join(pieces: Sequence[str], places: AbstractSet[int]) -> list[str]:
    """Joins the pieces at some places with the next ones; of places that overlap the first."""
    found, at = list[str](), 0
    while at < len(pieces):
        size = 2 if at in places else 1
        found.append("".join(pieces[at : at + size]))
        at += size
    return found


@lru_cache(maxsize=2**16)
def cut(codes: Codes, word: str) -> tuple[str, ...]:
    """Returns the tokens of a word; most words of a corpus were met before."""
    return tuple(codes.cut(word))


def read_codes(content: bytes, name: str) -> Codes:
    """Reads a file of codes, called ``name`` in messages: subword-nmt's, or fastBPE's with counts.

    Raises:
        DataError: A line is none of such a file.
    """
    lines = _lines(content, name)
    version = lines[0].split(" ")[-1].strip() if lines[0].startswith("#version:") else None
    version = version and re.sub(r"(\.0+)+$", "", version)
    if version is not None and version not in VERSIONS:
        raise DataError(
            f"{name}: line 1: has version {version!r}; only {' and '.join(VERSIONS)} are read"
        )
    ranks: dict[Merge, int] = {}
    first = 0 if version is None else 1
    rows = [_merge(line, f"{name}: line {at:,}") for at, line in enumerate(lines, 1) if at > first]
    for rank in range(len(rows) - 1, -1, -1):  # the order in which subword-nmt keeps them
        ranks[rows[rank][0]] = rank
    if not ranks:
        raise DataError(f"{name}: holds no codes; at least one is needed")
    counted = rows[0][1]  # as only fastBPE does, to which words end as in 0.2
    return Codes(ranks, version or ("0.2" if counted else "0.1"))


def _merge(line: str, where: str) -> tuple[Merge, bool]:
    """Returns the pair of a line, and whether its count follows."""
    match line.strip("\r ").split(" "):
        case [left, right] if left and right:
            return (left, right), False
        case [left, right, count] if left and right and count.isdecimal():
            return (left, right), True
    raise DataError(
        f"{where}: must be two pieces, and a count if fastBPE wrote it, parted by spaces; "
        f"got {line[:80]!r}"
    )


def read_vocabulary(content: bytes, least: int, name: str) -> list[str]:
    """Reads the tokens of a vocabulary, called ``name`` in messages, that are counted so often.

    A token and its count stand in a line, as subword-nmt, fairseq (a space between) and OpenNMT-py
    (a tab) write them.

    Raises:
        DataError: A line is none of such a file, or no token is left.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(_lines(content, name), 1):
        token, *rest = re.split("[ \t]", line.strip("\r "))
        if not token and not rest:
            continue
        if not (token and rest and rest[0].isdecimal()):
            raise DataError(
                f"{name}: line {number:,}: must be a token and its count, got {line[:80]!r}"
            )
        if int(rest[0]) >= least:
            found[token] = None
    if not found:
        raise DataError(f"{name}: has no token that is counted {least:,} times; one is needed")
    return list(found)


def _lines(content: bytes, name: str) -> list[str]:
    try:
        return content.decode().rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}: line {line:,}: is not UTF-8; convert it with iconv") from None
