import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.normalizers import NORMALIZERS, Normalizers

NAMES = st.lists(st.sampled_from(sorted(NORMALIZERS))).map(tuple)


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        ((), " Ü  x", " Ü  x"),
        (("nfc",), "u\u0308", "ü"),
        (("nfkc",), "ｘ²", "x2"),
        (("nfd",), "ü", "u\u0308"),
        (("nfkd",), "ﬁü", "fiu\u0308"),
        (("lower",), "ÀB", "àb"),
        (("whitespace",), "\t a \u2028\n b\r\n", "a b"),
        (("nfkc", "lower", "whitespace"), " Ａ\u3000Ｂ ", "a b"),
    ],
)
def test_normalize(names: tuple[str, ...], text: str, expected: str) -> None:
    assert Normalizers(names).normalize(text) == expected


def test_decomposed_text_is_restored_as_composed() -> None:
    normalizers = Normalizers(("nfd", "lower"))
    assert normalizers.restore(normalizers.normalize("Ünï")) == "ünï"


def test_only_no_normalizer_is_reversible() -> None:
    assert Normalizers().reversible
    assert not any(Normalizers((name,)).reversible for name in NORMALIZERS)


@given(NAMES.filter(lambda names: "nfd" not in names and "nfkd" not in names), st.text())
def test_restore_changes_nothing_without_decomposition(names: tuple[str, ...], text: str) -> None:
    assert Normalizers(names).restore(text) == text


@given(st.sampled_from(sorted(NORMALIZERS)), st.text())
def test_normalizing_twice_is_normalizing_once(name: str, text: str) -> None:
    once = Normalizers((name,)).normalize(text)
    assert Normalizers((name,)).normalize(once) == once
