"""Texts as they are given, before and after tokens: read more than once, checked, tagged."""

from collections.abc import Container, Iterable, Iterator

from seq2seq.errors import DataError, as_list, require_text
from seq2seq.text.tokenizer import TextSource


def as_source(texts: str | Iterable[str] | TextSource) -> TextSource:
    """Returns a function which gives the texts from the beginning at each call."""
    if callable(texts):
        return texts
    if isinstance(texts, str):
        return lambda: [texts]
    listed = as_list(texts, "texts")  # they are read more than once
    return lambda: listed


def checked(texts: Iterable[str]) -> Iterator[str]:
    """Gives back ``texts``, which must be text, and Unicode: half a surrogate pair has no UTF-8."""
    for number, text in enumerate(texts, 1):
        require_text(text, f"text {number}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            place = f"U+{ord(text[error.start]):04X} at character {error.start + 1}"
            raise DataError(
                f"text {number}: {place} is half a surrogate pair; only Unicode text is accepted"
            ) from error
        yield text


def weight(text: str) -> int:
    """Returns what a text adds to a chunk: its characters, and 1 for itself."""
    return len(text) + 1


def cut_tag(text: str, tags: Container[str]) -> tuple[str | None, str]:
    """Returns the language tag that ``text`` begins with, if any, and the rest.

    A tag counts only if it is the whole text, or if a space and more text follow: no two texts
    then have the same tag and rest.
    """
    head, _, rest = text.partition(" ")
    return (head, rest) if head in tags and (rest or head == text) else (None, text)


def join_tag(tag: str | None, text: str, has_tokens: bool) -> str:
    """Undoes :func:`cut_tag`."""
    if tag is None:
        return text
    return f"{tag} {text}" if has_tokens else tag
