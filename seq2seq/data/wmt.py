"""Test sets in files with markup, as those of WMT are: sources, references and systems' outputs.

XML, since 2021, holds all of them, and is read by sacreBLEU's own code. SGML, of before, holds one
side a file; sacreBLEU takes lines that begin with ``<seg``, and so do we, wherever in a line it
stands. As there, white space is a space, and entities such as ``&amp;`` stay in SGML.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

from seq2seq.data.files import read_lines, read_text, suffix_of
from seq2seq.errors import ConfigError, DataError, require_name

Role = Literal["source", "reference", "system"]


class Side(NamedTuple):
    """One side of a test set: a column of texts, or several with the same lines."""

    columns: Mapping[str, Sequence[str]]
    """Texts by the name of the system, or of the translator; the only one may have none."""
    documents: Sequence[str] = ()
    """The name of the document of each text, where the file tells them."""

    @property
    def named(self) -> bool:
        """Whether the columns have names."""
        return set(self.columns) != {""}

    @property
    def texts(self) -> Sequence[str]:
        """The first column."""
        return next(iter(self.columns.values()))


TAG = re.compile(
    r"<seg\b[^>]*>(?P<text>(?:(?!<seg\b).)*?)</seg>"
    r"|<(?P<tag>srcset|refset|tstset|doc)\b(?P<attributes>[^>]*)>|(?P<open><seg\b)",
    re.DOTALL | re.IGNORECASE,
)
NAME = re.compile(
    r"""\b(sysid|refid|docid)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE
)


def read_sgml(path: str, role: Role) -> Side:
    """Reads SGML; systems, or references, are parted by what sets or documents name.

    Raises:
        DataError: The file cannot be read, or a segment does not end.
    """
    text = "".join(read_text(Path(path)))
    columns: dict[str, list[str]] = {}
    documents: dict[str, list[str]] = {}
    of_set = name = document = ""
    for found in TAG.finditer(text):
        if found["open"]:
            line = text.count("\n", 0, found.start()) + 1
            raise DataError(f"{path}: line {line:,}: <seg> has no </seg>")
        if found["tag"]:
            named = _attributes(found["attributes"])
            name, document = named.get("sysid", named.get("refid", of_set)), named.get("docid", "")
            of_set = of_set if found["tag"].lower() == "doc" else name
        else:
            columns.setdefault(name, []).append(_clean(found["text"]))
            documents.setdefault(name, []).append(document)
    return Side(columns, next(iter(documents.values()), []))


def _attributes(text: str) -> dict[str, str]:
    """Returns those attributes of a tag that name something."""
    return {name.lower(): "".join(value) for name, *value in NAME.findall(text)}


def read_xml(path: str, role: Role) -> Side:
    """Reads one side of XML. As in sacreBLEU, segments without a reference are left out.

    Raises:
        DataError: The file cannot be read, or is not as WMT's are.
    """
    fields = _fields("".join(read_text(Path(path))), path)
    references = {name for name in fields if name == "ref" or name.startswith("ref:")}
    columns = {
        "source": {"": fields["src"]},
        "reference": {name[len("ref:") :]: fields[name] for name in sorted(references)},
        "system": {name: fields[name] for name in fields if name not in references | OTHERS},
    }[role]
    return Side(
        {name: list(map(_clean, texts)) for name, texts in columns.items()}, fields["docid"]
    )


def _fields(text: str, name: str) -> dict[str, list[str]]:
    """Returns what sacreBLEU reads."""
    from sacrebleu.dataset.wmt_xml import WMTXMLDataset

    unwrap: Callable[[BytesIO], dict[str, list[str]]] = WMTXMLDataset._unwrap_wmt21_or_later
    try:
        return unwrap(BytesIO(text.encode()))
    except SyntaxError as error:
        raise DataError(f"{name}: is not XML ({error})") from error
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: is not as the XML of WMT's test sets is: <doc id origlang> with <src lang> "
            f"and <ref lang translator>, and in each <hyp> all of its segments ({error})"
        ) from error


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())


OTHERS = {"src", "docid", "origlang", "domain"}
"""What sacreBLEU reads besides references and systems."""
MARKED: dict[str, Callable[[str, Role], Side]] = {
    ".xml": read_xml,
    ".sgm": read_sgml,
    ".sgml": read_sgml,
}
"""What reads a file with markup, by how its name ends."""


def is_marked(path: str) -> bool:
    """Tells whether a file has markup, by its name."""
    return suffix_of(path).lower() in MARKED


def with_sources(files: Sequence[str]) -> str | None:
    """Returns the first of some files of references that holds sources as well, if there is one."""
    return next((file for file in files if suffix_of(file).lower() == ".xml"), None)


def read_side(path: str, role: Role) -> Side:
    """Reads one side of a test set: a file with markup, or one text a line; ``-`` is a pipe.

    Raises:
        DataError: The file cannot be read, or holds no such texts.
    """
    if not is_marked(path):
        return Side({"": list(read_lines(path))})
    side = MARKED[suffix_of(path).lower()](path, role)
    if not side.columns:
        raise DataError(f"{path}: holds no segments, <seg>, of a {role}")
    lengths = {name: len(texts) for name, texts in side.columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in lengths.items())
        raise DataError(f"{path}: must have as many segments of each {role}, got {found}")
    return side


def chosen(side: Side, names: Sequence[str], option: str) -> dict[str, Sequence[str]]:
    """Returns the columns of these names in their order, or all; ``option`` is how one asks.

    Raises:
        ConfigError: There is no such column.
    """
    for name in names:
        require_name(name, option, side.columns)
    return {name: side.columns[name] for name in names or side.columns}


def read_one(path: str, role: Role, name: str | None = None, option: str = "") -> Side:
    """Reads one side that must be one column; ``option`` is how one of several is asked for.

    Raises:
        DataError: The file cannot be read, or holds several such.
        ConfigError: There is none of this name.
    """
    side = read_side(path, role)
    if name is not None and not side.named:
        raise ConfigError(f"{option}: must be left out where a file names none, as {path}")
    columns = chosen(side, [] if name is None else [name], option)
    if len(columns) > 1:
        how = f"; choose one by --{option}" if option else ""
        raise DataError(f"{path}: holds several {role}s: {', '.join(columns)}{how}")
    return Side(columns, side.documents)
