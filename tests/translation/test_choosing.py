"""Translations that are drawn, and those that are most like all others."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sacrebleu

from seq2seq.cli import main
from seq2seq.errors import ConfigError
from seq2seq.search.config import UTILITIES, SamplingConfig, SearchConfig
from seq2seq.tasks.console import SAMPLING
from seq2seq.tasks.translation.mbr import most_alike
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator
from tests.translation.toy import KNOWN

TEXTS = [source for source, _ in KNOWN[:9]]
TEXTS.insert(3, "")
DRAWN = SearchConfig(
    strategy="sampling", seed=3, sampling=SamplingConfig(temperature=1.3), max_length=6
)
BEAM = SearchConfig(beam_size=2, max_length=6)
OWN: dict[str, Callable[[str, list[str]], Any]] = {
    "chrf": sacrebleu.sentence_chrf,
    "bleu": sacrebleu.sentence_bleu,
}
GIVEN = {"temperature": 2.0, "top_k": 3, "top_p": 0.7, "min_p": 0.1, "typical": 0.7}
GIVEN |= {"repetition_penalty": 1.5, "repetition_window": 1}


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def shown(found: Sequence[Translation]) -> list[list[tuple[str, float]]]:
    return [[(one.text, round(one.score, 5)) for one in each.alternatives] for each in found]


# --- sampling


def test_draws_depend_on_the_seed_and_the_place_alone(translator: Translator) -> None:
    expected = shown(translator(TEXTS, n_best=3, search=DRAWN))
    assert shown(translator(TEXTS, n_best=3, search=DRAWN, batch_size=2)) == expected
    later = translator(TEXTS[4:], n_best=3, search=DRAWN, first=4)
    assert shown(later) == expected[4:]
    assert shown(translator(TEXTS, n_best=3, search=replace(DRAWN, seed=4))) != expected
    assert [len(one) for one in expected] == [3, 3, 3, 1, *[3] * 6]
    assert {one.seed for one in translator(TEXTS[:3], search=DRAWN)} == {3}
    assert translator(TEXTS[:1])[0].seed is None


def test_the_verb_draws_what_python_draws(
    toy: Path, translator: Translator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    words = f"translate {toy} {source} --sample --max-length 6 --temperature 1.3 --device cpu"
    assert main([*words.split(), "--seed", "3", "--output", str(target)]) == 0
    expected = [one.text for one in translator(TEXTS, search=DRAWN)]
    assert target.read_text(encoding="utf-8").splitlines() == expected
    assert main([*words.split(), "--output", str(target)]) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seed ")]
    again = translator(TEXTS, search=replace(DRAWN, seed=int(told.removeprefix("seed "))))
    assert target.read_text(encoding="utf-8").splitlines() == [one.text for one in again]


def test_every_setting_of_sampling_is_an_option(
    toy: Path, translator: Translator, tmp_path: Path
) -> None:
    assert set(GIVEN) == set(SAMPLING)
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    words = [f"{option(name)} {value}" for name, value in GIVEN.items()]
    line = f"translate {toy} {source} --sample --seed 1 --device cpu {' '.join(words)}"
    assert main([*line.split(), "--output", str(target)]) == 0
    search = SearchConfig(strategy="sampling", sampling=SamplingConfig(**GIVEN))  # type: ignore[arg-type]
    expected = [one.text for one in translator(TEXTS, search=search)]
    assert target.read_text(encoding="utf-8").splitlines() == expected


@pytest.mark.parametrize("name", [*SAMPLING, "seed"])
@pytest.mark.parametrize("verb", ["translate", "evaluate"])
def test_settings_of_sampling_are_refused_without_it(
    verb: str, name: str, toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pairs.tsv").write_text("eins\tone\n")
    pairs = ["--pairs", str(tmp_path / "pairs.tsv")] if verb == "evaluate" else []
    assert main([verb, str(toy), option(name), "1", *pairs]) == 2
    message = f"{option(name)}: must be left out where --sample is not given"
    assert capsys.readouterr().err.splitlines()[-1] == f"seq2seq: {message}"


# --- minimum Bayes risk


def by_hand(found: Translation, metric: str, search: SearchConfig) -> list[tuple[str, float]]:
    """Compares every hypothesis with every one, as sacreBLEU scores sentences."""
    candidates = found.alternatives
    if search.strategy == "sampling":
        shares = [1 / len(candidates)] * len(candidates)
    else:
        likely = [np.exp(one.score * len(one.target_tokens)) for one in candidates]
        shares = [float(one / sum(likely)) for one in likely]
    utilities: dict[str, float] = {}
    for one in candidates:
        scores = [OWN[metric](one.text, [other.text]).score for other in candidates]
        utilities[one.text] = float(np.dot(scores, shares))
    return sorted(utilities.items(), key=lambda entry: -entry[1])


@pytest.mark.parametrize("metric", UTILITIES)
@pytest.mark.parametrize("search", [DRAWN, BEAM], ids=["sampling", "beam"])
def test_the_one_most_like_all_is_taken(
    metric: str, search: SearchConfig, translator: Translator
) -> None:
    alike = replace(search, mbr=metric, candidates=12)
    best = translator(TEXTS, search=alike)
    ranked = translator(TEXTS, search=alike, n_best=4)
    others = translator(TEXTS, search=search, n_best=12)
    for one, few, all_of_them in zip(best, ranked, others, strict=True):
        if not one.source:
            continue
        expected = by_hand(all_of_them, metric, search)
        assert one.text == expected[0][0]
        assert len(one.alternatives) == 1
        found: Any = [(each.text, each.utility) for each in few.alternatives]
        assert found == [(text, pytest.approx(value, abs=1e-6)) for text, value in expected[:4]]
        assert few.text == one.text
        known = {each.text: each for each in reversed(all_of_them.alternatives)}
        assert all(each.score == known[each.text].score for each in few.alternatives)


@pytest.mark.parametrize("search", [DRAWN, BEAM], ids=["sampling", "beam"])
def test_neighbours_change_nothing(search: SearchConfig, translator: Translator) -> None:
    alike = replace(search, mbr="chrf", candidates=6)
    expected = [(one.text, one.utility) for one in translator(TEXTS, search=alike)]
    for size in (1, 4):
        again = translator(TEXTS, search=alike, batch_size=size)
        for one, (text, utility) in zip(again, expected, strict=True):
            assert one.text == text
            assert one.utility == pytest.approx(utility, abs=1e-4)


def test_many_candidates_of_many_lengths() -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices("abcdefgh", k=draw.randrange(1, 30))) for _ in range(50)]
    found = Translation("", 0.0, alternatives=tuple(Translation(one, 0.0) for one in texts))
    chosen: Any = most_alike(found, replace(DRAWN, mbr="chrf"), 1)
    expected = by_hand(found, "chrf", DRAWN)[0]
    assert (chosen.text, chosen.utility) == (expected[0], pytest.approx(expected[1], abs=1e-6))


@pytest.mark.parametrize("metric", UTILITIES)
def test_impossible_hypotheses_weigh_the_same(metric: str, translator: Translator) -> None:
    found = Translation("", 0.0, alternatives=(Translation("", -np.inf),))
    assert most_alike(found, replace(BEAM, mbr=metric), 1).text == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mbr": "ter"}, "mbr: must be one of none, chrf, bleu, got 'ter'; did you mean"),
        ({"candidates": 1}, "candidates: must be 2 to 1,000, got 1"),
        ({"candidates": 1001}, "candidates: must be 2 to 1,000, got 1001"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SearchConfig(**settings)
    assert str(error.value).startswith(message.removesuffix("; did you mean"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--mbr chr", "--mbr: must be one of chrf, bleu, got 'chr'; did you mean 'chrf'?"),
        ("--mbr bleu --candidates 1", "--candidates: must be 2 to 1,000, got 1"),
        ("--candidates 5", "--candidates: must be left out where --mbr is not given"),
    ],
)
def test_options_that_make_no_sense(
    words: str, message: str, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", str(toy), *words.split()]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"seq2seq: {message}"
