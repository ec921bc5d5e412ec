"""The script that draws a glossary from a run's alignments, on the toy translator."""

from pathlib import Path

import pytest

from recipes.multi30k import glossary as recipe
from seq2seq import Glossary, Translator
from seq2seq.tasks.translation.translation import Translation
from tests.translation.toy import KNOWN

PAIRS = KNOWN[:60]


@pytest.fixture(autouse=True)
def common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "OFTEN", 1.0)
    monkeypatch.setattr(recipe, "AGREEING", 0.6)
    monkeypatch.setattr(recipe, "TOGETHER", 0.5)


def test_terms_are_those_that_alignments_and_references_agree_on(translator: Translator) -> None:
    found = translator([source for source, _ in PAIRS])
    drawn = recipe.draw(found, PAIRS)
    assert drawn.terms
    assert set(drawn.terms) <= {"eins", "zwei", "drei"}
    for source, terms in drawn.terms.items():
        met, asked = recipe.counted(Glossary({source: terms}), PAIRS)
        assert 0.6 * asked <= met <= asked == sum(source in one.split() for one, _ in PAIRS)


def test_words_are_linked_without_their_punctuation() -> None:
    one = Translation("„one“ 2 three.", 0.0, source="eins, zwei (drei)")
    object.__setattr__(one, "alignment", lambda unit: [0, 1, 2])
    assert list(recipe.links([one])) == [("one", "eins"), ("three", "drei")]


def test_all_terms_are_met(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = {"eins": ("three",), "zwei": ("two", "one one")}
    monkeypatch.setattr(recipe, "draw", lambda *_: Glossary(terms))
    output = tmp_path / "terms.tsv"
    table = recipe.measure(str(toy), PAIRS, PAIRS, output, 1000.0)
    assert Glossary.read(output).terms == terms
    _, hard, soft = table.splitlines()[-3:]
    assert "(100.0 %)" in hard
    assert "(100.0 %)" in soft
    assert table.startswith("2 words, in ")
