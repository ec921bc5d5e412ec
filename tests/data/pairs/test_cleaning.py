"""Cleaning: each rule by what it meets and what it does not, and how rules work together."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.data.pairs.check import check
from seq2seq.data.pairs.cleaning import Counts, Settings, clean, look_over, usual_settings
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.rules import RULES, Setting
from seq2seq.data.pairs.scripts import script_of
from seq2seq.errors import ConfigError

HELD = [("gehalten", "held")]
USUAL = [("ein kleiner Hund läuft", "a little dog is running")] * 20


class Meets(NamedTuple):
    """What a rule meets, and what it leaves as it is; of changes also what comes out."""

    met: Sequence[Pair]
    not_met: Sequence[Pair]
    out: Sequence[Pair] = ()
    setting: Setting = None


MEETS = {
    "entities": Meets(
        [("a &amp; b", "x"), ("x", "&#228;&#xE4;")],
        [("a &notify; b", "&copyright; & &; &#99999999;")],
        [("a & b", "x"), ("x", "ää")],
    ),
    "controls": Meets(
        [("a\x00b", "x"), ("x", "\ufeffy")], [("a\tb", "é")], [("ab", "x"), ("x", "y")]
    ),
    "nfc": Meets([("e\u0301", "x")], [("é", "ﬁ")], [("é", "x")]),
    "whitespace": Meets(
        [(" a  b ", "x"), ("a\tb", "x"), ("a", "x\u2028y")],
        [("a b\u00a0c", "x")],
        [("a b", "x"), ("a b", "x"), ("a", "x y")],
    ),
    "blank": Meets([("", "x"), ("x", " \t"), ("\u200b", "x"), ("x", "\ufeff")], [("a", ".")]),
    "broken": Meets([("a\ufffdb", "x")], [("a?b", "x")]),
    "characters": Meets([("a" * 11, "x"), ("x", "b" * 11)], [("a" * 10, "x")], setting=10),
    "words": Meets([("a b c d", "x")], [("a b c", "x")], setting=3),
    "ratio": Meets(
        [("ein kleiner Hund", "a"), ("der", "a little dog is running in a very large park today")],
        [("ein kleiner Hund", "a little dog"), ("ja", "indeed!!!")],
    ),
    "script": Meets(
        [("ein привет мир", "x y z"), ("ein", "привет")], [("ein π", "dog 漢 is fine")]
    ),
    "repeated": Meets([("a" + "!" * 10, "x"), ("x", "no " * 10)], [("1" * 20, "no " * 9)]),
    "copied": Meets([("OK", "OK")], [("OK", "ok")]),
    "wordless": Meets(
        [("123 , !", "12"), ("x", "http://a.b/c"), ("me@a.b", "x")], [("a1", "x@y"), ("me@ab", "c")]
    ),
    "numbers": Meets([("am 3. Mai", "on 4 May")], [("3,5 kg", "3.5 kg"), ("a", "1")]),
    "overlap": Meets([("gehalten", "other")], [("other", "held")]),
    "duplicates": Meets([("gleich", "same")], [("gleich", "other")]),
    "near-duplicates": Meets([("Gleich!", "SAME 2")], [("gleich", "different")]),
}


def cleaned(pairs: Sequence[Pair], chosen: Settings) -> list[tuple[Pair, str | None]]:
    survey = look_over(Corpus.of([*USUAL, *pairs]), chosen, [Corpus.of(HELD)])
    found = list(clean([*USUAL, *pairs], chosen, survey, Counts()))
    return [(one.pair, one.left_out) for one in found[len(USUAL) :]]


def test_there_is_an_example_for_each_rule() -> None:
    assert set(MEETS) == set(RULES)


@pytest.mark.parametrize("name", MEETS)
def test_a_rule_meets_what_it_is_for_and_nothing_else(name: str) -> None:
    rule, example = RULES[name], MEETS[name]
    setting = rule.usual if example.setting is None else example.setting
    before = [("gleich", "same")] if "duplicates" in name else []
    found = cleaned([*before, *example.met, *example.not_met], {name: setting})[len(before) :]
    met, others = found[: len(example.met)], found[len(example.met) :]
    if rule.change is not None:
        assert [pair for pair, _ in met] == list(example.out)
    else:
        assert [left_out for _, left_out in met] == [name] * len(met)
    assert others == [(pair, None) for pair in example.not_met]


@pytest.mark.parametrize("name", MEETS)
def test_check_counts_what_cleaning_meets(name: str) -> None:
    example = MEETS[name]
    if example.setting is not None:
        return  # check goes by the usual settings
    before = [("gleich", "same")] if "duplicates" in name else []
    pairs = [*USUAL, *before, *example.met]
    report = check({"train": Corpus.of(pairs), "valid": Corpus.of(HELD)})
    cells = {label: cell for label, cell, *_ in report.rows}
    repeats = len(USUAL) - 1 if "duplicates" in name else 0
    assert cells[RULES[name].label] == str(len(example.met) + repeats)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=8))
def test_what_is_cleaned_needs_no_cleaning(pairs: list[Pair]) -> None:
    usual = usual_settings()
    once = [pair for pair, left_out in cleaned(pairs, usual) if left_out is None]
    usual["duplicates"] = usual["ratio"] = usual["script"] = None  # they go by the other pairs
    assert cleaned(once, usual) == [(pair, None) for pair in once]


def test_the_first_rule_counts_and_memory_is_of_hashes_alone() -> None:
    counts, chosen = Counts(), usual_settings()
    pairs = ((f"satz {n % 3000}", "" if n % 2 else f"sentence {n % 3000}") for n in range(9000))
    survey = look_over(Corpus.of(USUAL), chosen)
    kept = sum(one.left_out is None for one in clean(pairs, chosen, survey, counts))
    assert (counts.read, counts.kept, kept) == (9000, 1500, 1500)
    assert counts.left_out == {"blank": 4500, "duplicates": 3000}


@pytest.mark.parametrize(
    ("letters", "script"),
    [("スーパーえ漢", "CJK"), ("ˈː\u0301", ""), ("aé", "LATIN"), ("ж", "CYRILLIC")],
)
def test_letters_of_several_scripts_are_of_none(letters: str, script: str) -> None:
    assert {script_of(letter) for letter in letters} == {script}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("text", ["", "x", "-1", "nan"])
def test_a_setting_that_means_nothing_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{name}: must be "):
        RULES[name].parse(text, f"--{name}")


@pytest.mark.parametrize("name", RULES)
def test_the_largest_setting_can_be_used(name: str) -> None:
    rule = RULES[name]
    largest = rule.usual if isinstance(rule.usual, bool | str) else min(rule.most, 99999999999)
    setting = rule.parse(
        "on" if rule.usual is True else f"{largest:.0f}" if not rule.choices else str(largest), name
    )
    assert cleaned([("a", "b")], {name: setting}) == [(("a", "b"), None)]


def test_very_long_texts_take_linear_time() -> None:
    pair = ("a" * 100_000, "b@" * 50_000)
    everything = {name: rule.usual for name, rule in RULES.items()}
    ((_, left_out),) = cleaned([pair], everything)
    assert left_out == "characters"
    assert cleaned([pair], {"wordless": True}) == [(pair, None)]
