"""Test sets with markup: what sacreBLEU reads of them, and what it cannot."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sacrebleu.dataset.fake_sgml import FakeSGMLDataset

from seq2seq.data.references import read_references
from seq2seq.data.wmt import MARKED, Role, chosen, is_marked, read_one, read_side, with_sources
from seq2seq.errors import ConfigError, DataError

XML = """<?xml version='1.0' encoding='utf-8'?>
<dataset id="test">
<doc origlang="en" id="d1">
<src lang="en"><p><seg id="1">A  dog &amp; a cat.</seg><seg id="2">Two.</seg></p></src>
<ref lang="de" translator="B"><p><seg id="1">Hund.</seg></p></ref>
<ref lang="de" translator="A"><p><seg id="1">Ein Hund.</seg><seg id="2"> Zwei. </seg></p></ref>
<hyp system="Y" language="de"><p><seg id="1">Katze.</seg><seg id="2">Zwei.</seg></p></hyp>
<hyp system="X" language="de"><p><seg id="1">Hunde.</seg><seg id="2">2.</seg></p></hyp>
</doc>
<doc origlang="en" id="d2">
<src lang="en"><p><seg id="1">Three.</seg><seg id="2">not translated</seg></p></src>
<ref lang="de" translator="A"><p><seg id="1">Drei.</seg></p></ref>
<hyp system="Y" language="de"><p><seg id="1">Drei.</seg><seg id="2">nicht</seg></p></hyp>
<hyp system="X" language="de"><p><seg id="1">3.</seg><seg id="2">n</seg></p></hyp>
</doc>
<doc origlang="en" id="suite" testsuite="x"><src lang="en"><seg id="1">left out</seg></src></doc>
</dataset>
"""
SGML = """<srcset setid="test" srclang="any">
<doc docid="d1" genre="news" origlang="en">
<p>
<seg id="1">A  dog &amp; a cat. </seg>
<seg id="2"></seg>
</p>
</doc>
<doc sysid="" docid="d2">
<seg id="1">Three: 1 < 2.</seg>
</doc>
</srcset>
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, content: str) -> str:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return str(tmp_path / name)

    return write


Written = Callable[[str, str], str]


def test_all_sides_of_xml(written: Written) -> None:
    path = written("test.xml", XML)
    source = read_side(path, "source")
    assert source.columns == {"": ["A dog & a cat.", "Two.", "Three."]}
    assert source.documents == ["d1", "d1", "d2"]
    assert not source.named
    references = read_side(path, "reference")
    assert list(references.columns.items()) == [
        ("A", ["Ein Hund.", "Zwei.", "Drei."]),
        ("B", ["Hund.", "", ""]),
    ]
    systems = read_side(path, "system")
    assert systems.columns == {"Y": ["Katze.", "Zwei.", "Drei."], "X": ["Hunde.", "2.", "3."]}
    assert list(chosen(systems, ["X", "Y"], "system")) == ["X", "Y"]
    assert list(chosen(systems, [], "system")) == ["Y", "X"]
    assert with_sources(["a.sgm", path]) == path
    assert with_sources(["a.sgm", "b.txt"]) is None


def test_sgml_is_what_sacrebleu_makes_of_it(written: Written, tmp_path: Path) -> None:
    path = written("test.sgm", SGML)
    FakeSGMLDataset("test")._convert_format(path, str(tmp_path / "plain"))  # type: ignore[no-untyped-call]
    side = read_side(path, "source")
    assert side.texts == (tmp_path / "plain").read_text(encoding="utf-8").splitlines()
    assert side.documents == ["d1", "d1", "d2"]
    assert not side.named


def test_sgml_as_others_write_it(written: Written) -> None:
    pretty = SGML.replace("<seg", "  <SEG").replace("</seg>", "\n  </SEG>").replace("  ", " ")
    assert read_side(written("pretty.sgml", pretty), "source").texts == [
        *("A dog &amp; a cat.", "", "Three: 1 < 2."),
    ]


def test_sgml_with_several_systems(written: Written) -> None:
    one = "<tstset><doc sysid='one' docid=d><seg id=1>a</seg></doc></tstset>"
    other = "<refset refid=other><doc docid=d><seg id=1>b</seg></doc></refset>"
    side = read_side(written("both.sgm", one + other), "system")
    assert side.columns == {"one": ["a"], "other": ["b"]}
    assert side.documents == ["d"]


@pytest.mark.parametrize("suffix", MARKED)
def test_it_is_told_by_the_name_and_may_be_packed(suffix: str, tmp_path: Path) -> None:
    content = XML if suffix == ".xml" else SGML
    packed = tmp_path / f"test{suffix.upper()}.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    assert is_marked(str(packed))
    assert not is_marked("test.txt")
    assert read_side(str(packed), "source").texts[-1].startswith("Three")


def test_one_text_a_line(written: Written) -> None:
    path = written("plain.txt", "a\nb\n")
    for role in ("source", "reference", "system"):
        side = read_side(path, role)
        assert (side.columns, side.named, side.documents) == ({"": ["a", "b"]}, False, ())


def test_references_of_several_translators(written: Written) -> None:
    path, plain = written("test.xml", XML), written("plain.txt", "x\ny\n\n")
    assert read_references([path], "out", 3) == [("Ein Hund.", "Hund."), "Zwei.", "Drei."]
    assert read_references([path], "out", 3, ["B"]) == ["Hund.", "", ""]
    assert read_references([path, plain], "out", 3, ["A"]) == [
        ("Ein Hund.", "x"),
        ("Zwei.", "y"),
        "Drei.",
    ]
    with pytest.raises(ConfigError, match=r"^translator: must be one of A, B, got 'C'$"):
        read_references([path], "out", 3, ["C"])
    with pytest.raises(ConfigError) as error:
        read_references([plain], "out", 3, ["A"])
    assert str(error.value) == (
        "translator: must be left out where no file of references names any"
    )
    with pytest.raises(DataError, match=r"^out has 2 lines, .*test\.xml 3, .*test\.xml 3; each"):
        read_references([path], "out", 2)


def test_one_system_of_several(written: Written) -> None:
    path = written("test.xml", XML)
    assert read_one(path, "system", "X", "system").texts == ["Hunde.", "2.", "3."]
    with pytest.raises(
        DataError, match=r"xml: holds several systems: Y, X; choose one by --system$"
    ):
        read_one(path, "system", None, "system")
    with pytest.raises(DataError, match=r"xml: holds several references: A, B$"):
        read_one(path, "reference")
    with pytest.raises(ConfigError, match=r"^system: must be one of Y, X, got 'Z'$"):
        read_one(path, "system", "Z", "system")
    plain = written("plain.txt", "a\n")
    with pytest.raises(ConfigError) as error:
        read_one(plain, "system", "X", "system")
    assert str(error.value) == f"system: must be left out where a file names none, as {plain}"


NO_XML = "is not XML (Opening and ending tag mismatch"
NO_SET = (
    "is not as the XML of WMT's test sets is: <doc id origlang> with <src lang> and <ref lang "
    "translator>, and in each <hyp> all of its segments ("
)
BROKEN: dict[str, tuple[str, str, Role, str]] = {
    "no XML": ("a.xml", "<dataset><doc></dataset>", "source", NO_XML),
    "no test set": ("a.xml", "<html/>", "source", NO_SET),
    "two languages": (
        "a.xml", XML.replace('lang="de" translator="B"', 'lang="fr"'), "source", NO_SET,
    ),
    "no number": ("a.xml", XML.replace('<seg id="1">A ', "<seg>A "), "source", NO_SET),
    "a number twice named": ("a.xml", XML.replace('id="1">A ', 'id="x">A '), "source", NO_SET),
    "a segment missing": (
        "a.xml", XML.replace('<seg id="1">Katze.</seg>', ""), "system", NO_SET,
    ),
    "no origin": ("a.xml", XML.replace('origlang="en" id="d1"', 'id="d1"'), "source", NO_SET),
    "a system missing": (
        "a.xml",
        re.sub("<hyp system=.X.*3..*</hyp>", "", XML),
        "system",
        "must have as many segments of each system, got Y 3, X 2",
    ),
    "no system": (
        "a.xml", XML.replace("<hyp", "<note").replace("</hyp", "</note"), "system",
        "holds no segments, <seg>, of a system",
    ),
    "no segment": ("a.sgm", "plain text", "reference", "holds no segments, <seg>, of a reference"),
    "no end": (
        "a.sgm", SGML.replace("cat. </seg>", "cat. "), "source", "line 4: <seg> has no </seg>",
    ),
    "no end at the end": ("a.sgm", f"{SGML}\n<seg id=9>", "source", "line 13: <seg> has no </seg>"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_in_one_line(what: str, written: Written) -> None:
    name, content, role, told = BROKEN[what]
    path = written(name, content)
    with pytest.raises(DataError) as error:
        read_side(path, role)
    assert str(error.value).startswith(f"{path}: {told}")
    assert "\n" not in str(error.value)
