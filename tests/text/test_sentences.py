import re
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seq2seq.errors import ConfigError
from seq2seq.text.sentences import (
    MOST_MEASURED,
    Sentences,
    holds_several,
    in_sentences,
    share_of_several,
    splitter,
)

SEVERAL = {
    "Hello. How are you?": True,
    "Stop! Now.": True,
    "I like it. You do not.": True,
    "Really? Yes.": True,
    "“Come in.” He sat down.": True,
    "¿Qué? ¡Nada!": True,
    "Wait... What": True,
    "He left in 1990. She stayed.": True,
    "我今天早上买苹果。你呢？": True,
    "「そうですか。」と言った": False,
    "नमस्ते। आप कैसे हैं?": True,
    "مرحبا؟ نعم": True,
    "the cat sat . the dog ran .": True,
    "two lines\nof text": True,
    "one\r\n\r\ntwo": True,
    "one line\n": False,
    "\n": False,
    "": False,
    "   ": False,
    "no sign at all": False,
    "One sentence.": False,
    "Mr. Smith and Dr. No": False,
    "Prof. Smith met the U.S. Army": False,
    "Er kommt z. B. am 3. Mai": False,
    "version 3.5 of a.b.c": False,
    "see https://a.b/c?d=e for more": False,
    "“Why?” he asked": False,
    "1. A list": False,
    "家。": False,
}


@pytest.mark.parametrize("text", SEVERAL)
def test_several_sentences_are_seen(text: str) -> None:
    assert holds_several(text) == SEVERAL[text]


@pytest.mark.parametrize("sign", [".", ". ", '."', "。", "?!", "a. ", "\n", "a", '"', " "])
def test_repetitive_texts_take_no_longer(sign: str) -> None:
    started = time.monotonic()
    holds_several(sign * 100_000)
    assert time.monotonic() - started < 5


def test_the_share_is_that_of_the_first_texts() -> None:
    assert share_of_several([]) == 0
    assert share_of_several(["First. Second.", "one", "two", "three"]) == 0.25
    texts = ["one"] * MOST_MEASURED + ["First. Second."] * MOST_MEASURED
    assert share_of_several(iter(texts)) == 0


def periods(text: str) -> list[str]:
    """Cuts after each period, as a stand-in for a library."""
    return re.findall(r"[^.]*\. *|[^.]+", text)


TABLE = {
    "A b. C d.": (["A b.", "C d."], ["", " ", ""]),
    "  A.  B.  ": (["A.", "B."], ["  ", "  ", "  "]),
    "A.B.": (["A.", "B."], ["", "", ""]),
    "A.\nB. C.": (["A.", "B.", "C."], ["", "\n", " ", ""]),
    "A.\r\n\r\n  B.\n": (["A.", "B."], ["", "\r\n\r\n  ", "\n"]),
    "A.\u2028B.": (["A.", "B."], ["", "\u2028", ""]),
    "One line\n": (["One line"], ["", "\n"]),
    "\n\tOne line": (["One line"], ["\n\t", ""]),
    " One sentence. ": ([" One sentence. "], ["", ""]),
    "": ([""], ["", ""]),
    "  \n ": (["  \n "], ["", ""]),
    "...": ([".", ".", "."], ["", "", "", ""]),
}


@pytest.mark.parametrize("text", TABLE)
def test_a_text_is_cut_at_line_breaks_and_between_sentences(text: str) -> None:
    pieces, gaps = TABLE[text]
    assert in_sentences(text, periods) == Sentences(tuple(pieces), tuple(gaps))


def whole(sentences: Sentences) -> str:
    between = zip(sentences.pieces, sentences.gaps[1:], strict=True)
    return sentences.gaps[0] + "".join(piece + gap for piece, gap in between)


@given(st.text(st.sampled_from("aB.。!? \t\n\r\u2028“”…")))
def test_pieces_and_gaps_are_the_text(text: str) -> None:
    sentences = in_sentences(text, periods)
    assert whole(sentences) == text
    if len(sentences.pieces) > 1:
        assert all(piece == piece.strip() != "" for piece in sentences.pieces)
    if len(sentences.gaps) > 2:
        assert not any(gap.strip() for gap in sentences.gaps)


def test_a_space_stands_where_one_is_needed() -> None:
    chinese = Sentences(("你。", "我。"), ("", "", ""))
    assert chinese.join(["You.", "Me."]) == "You. Me."
    assert chinese.join(["君。", "僕。"]) == "君。僕。"
    assert chinese.join(["", "Me."]) == "Me."
    lines = Sentences(("A.", "B.", "C."), ("", "\n\n", " ", "\n"))
    assert lines.join("abc") == "a\n\nb c\n"


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencex", None)
    message = r"^split: sentences need sentencex: pip install 'seq2seq-toolkit\[sentences\]'$"
    with pytest.raises(ConfigError, match=message):
        splitter("en")


LIBRARY = {
    ("en", "Mr. Smith went to Washington. He liked it."): 2,
    ("en", '"Stop!" he cried. "Why?"'): 2,
    ("en", "Version 3.5 is out. See https://a.b/c.d?e=f. Done."): 3,
    ("en", "Wait... What? No."): 3,
    ("de", "Er kommt z. B. am 3. Mai. Danke!"): 2,
    ("zh", "我今天早上买苹果。你呢？好！"): 3,
    ("ja", "こんにちは。元気ですか？"): 2,
    ("hi", "नमस्ते। आप कैसे हैं?"): 2,
    ("en", "no sign at all"): 1,
    ("en", "A b c.\n\nD e f.\n"): 2,
    ("xx", "An unknown language. It has usual rules."): 2,
}


@pytest.mark.parametrize(("language", "text"), LIBRARY)
def test_the_library_cuts(language: str, text: str) -> None:
    pytest.importorskip("sentencex", reason="the extra `sentences` is not installed")
    assert len(in_sentences(text, splitter(language)).pieces) == LIBRARY[language, text]


@given(st.text() | st.text(st.sampled_from("aB.。!? \t\n\r\u2028“”…(){}é漢\U0001f600")))
@example("Dr. A. B. “C.” (D. E.)  F?\u200b G")
def test_the_library_loses_nothing(text: str) -> None:
    pytest.importorskip("sentencex", reason="the extra `sentences` is not installed")
    assert whole(in_sentences(text, splitter("en"))) == text
