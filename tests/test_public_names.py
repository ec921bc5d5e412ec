"""The names that programs may rely on: where they live, and that the README lists them."""

from pathlib import Path

import pytest

import seq2seq

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
LISTED = README.partition("### Public names")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", seq2seq.__all__)
def test_a_public_name_is_listed_and_is_where_it_is_said_to_be(name: str) -> None:
    assert getattr(seq2seq, name).__module__ == f"seq2seq.{seq2seq._HOMES[name]}"
    assert f"`{name}" in LISTED


def test_another_name_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'seq2seq' has no attribute 'Forecast'"):
        seq2seq.Forecast  # noqa: B018
