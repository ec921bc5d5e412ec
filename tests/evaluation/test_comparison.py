"""Comparisons: sacreBLEU's own command, and what it cannot do."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import ConfigError, DataError
from seq2seq.evaluation.comparison import TESTS, compare, comparison_json, comparison_table
from seq2seq.evaluation.metrics import RATES
from seq2seq.measures import METRICS

WORDS = [
    "a",
    "the",
    "dog",
    "cat",
    "runs",
    "sits",
    "on",
    "under",
    "big",
    "small",
    "red",
    "table",
    ",",
    ".",
]


def texts(seed: int, count: int = 30) -> list[str]:
    numbers = random.Random(seed)
    return [" ".join(numbers.choices(WORDS, k=numbers.randint(3, 9))) for _ in range(count)]


def changed(lines: Sequence[str], seed: int, rate: float) -> list[str]:
    numbers = random.Random(seed)
    return [
        " ".join(
            numbers.choice(WORDS) if numbers.random() < rate else word for word in line.split()
        )
        for line in lines
    ]


REFERENCE = texts(1)
SYSTEMS = {"one": changed(REFERENCE, 2, 0.2), "other": changed(REFERENCE, 3, 0.4)}
SHOWN = {
    "bleu": ("BLEU", []),
    "chrf": ("chrF2", []),
    "chrf++": ("chrF2++", ["--chrf-word-order", "2"]),
}


def by_sacrebleu(place: Path, test: str, metric: str) -> list[tuple[str, ...]]:
    """Returns the scores, means, intervals and p-values that sacreBLEU's command prints."""
    for name, lines in {"ref": REFERENCE, **SYSTEMS}.items():
        (place / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    mode = (
        ["--paired-bs", "--paired-bs-n"]
        if test == "bootstrap"
        else ["--paired-ar", "--paired-ar-n"]
    )
    command = [
        sys.executable,
        "-m",
        "sacrebleu",
        "ref",
        "-i",
        *SYSTEMS,
        *mode,
        "50",
        "-w",
        "6",
        "-f",
        "text",
    ]
    command += ["-m", metric.removesuffix("++"), *SHOWN[metric][1]]
    told = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout
    return re.findall(r"│ +(\d+\.\d{6})(?: \((\d+\.\d{6}) ± (\d+\.\d{6})\))?|p = (\d\.\d{4})", told)


@pytest.mark.parametrize("test", TESTS)
def test_it_is_what_sacrebleus_command_prints(test: str, tmp_path: Path) -> None:
    for metric in SHOWN if test == "bootstrap" else ["bleu"]:
        found = compare(SYSTEMS, REFERENCE, [metric], test, trials=50)
        shown = by_sacrebleu(tmp_path, test, metric)
        scores = [row for row in shown if row[0]]
        (chance,) = [row[3] for row in shown if row[3]]
        for one, row in zip(found, scores, strict=True):
            assert one.metric == SHOWN[metric][0]
            assert f"{one.value:.6f}" == row[0]
            if test == "bootstrap":
                assert (f"{one.mean:.6f}", f"{one.interval:.6f}") == row[1:3]
        assert [one.p_value is None for one in found] == [True, False]
        assert f"{found[1].p_value:.4f}" == chance


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_the_metric(metric: str, comet: None) -> None:
    found = compare(SYSTEMS, REFERENCE, [metric], trials=20, sources=REFERENCE[::-1])
    for one, lines in zip(found, SYSTEMS.values(), strict=True):
        score = METRICS[metric](lines, REFERENCE, sources=REFERENCE[::-1])
        assert one.digits == score.digits
        assert one.metric == score.name
        assert one.value == pytest.approx(score.value)
        assert one.value == pytest.approx(one.mean, abs=12)
    twins = {"one": SYSTEMS["one"], "twin": SYSTEMS["one"]}
    same = compare(twins, REFERENCE, [metric], trials=20, sources=REFERENCE[::-1])
    assert "*" not in comparison_table(same).split("\n\n")[0]
    (alone,) = compare(
        {"one": SYSTEMS["one"]}, REFERENCE, [metric], trials=20, sources=REFERENCE[::-1]
    )
    assert alone == found[0]
    assert "p-value" not in comparison_table([alone])


@pytest.mark.parametrize("rate", RATES)
def test_rates_take_several_references(rate: str) -> None:
    several = [(line, f"{line} !") for line in REFERENCE]
    found = compare(SYSTEMS, several, [rate], trials=20)
    assert found[0].value == METRICS[rate](SYSTEMS["one"], several).value
    assert found[0].signature.endswith("|seed:12345|bs:20")


def test_a_table_and_json() -> None:
    rows = compare(SYSTEMS, REFERENCE, ["wer"], trials=20)
    first, second = comparison_table(rows).splitlines()[1:3]
    assert first.split() == ["one", f"{rows[0].value:.2f}", "±", f"{rows[0].interval:.2f}"]
    assert second.startswith("other")
    assert f"({rows[1].difference:+.2f}, p = {rows[1].p_value:.4f})" in second
    assert rows[1].difference == rows[1].value - rows[0].value
    assert json.loads(comparison_json(rows))[1]["p_value"] == rows[1].p_value


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match=r"^cannot compare: there are no systems$"):
        compare({}, REFERENCE)
    with pytest.raises(DataError, match="cannot score: 29 hypotheses, 30 references"):
        compare({**SYSTEMS, "short": SYSTEMS["one"][1:]}, REFERENCE)
    with pytest.raises(ConfigError, match=r"^metrics: must be one of bleu, chrf, .* got 'blue'"):
        compare(SYSTEMS, REFERENCE, ["blue"])
    with pytest.raises(ConfigError, match="trials: must be at least 0, got -3"):
        compare(SYSTEMS, REFERENCE, trials=-3)


def test_one_system_gets_the_interval_of_sacrebleus_command() -> None:
    (alone,) = compare({"one": SYSTEMS["one"]}, REFERENCE, ["chrf"], trials=50)
    expected = CHRF().corpus_score(SYSTEMS["one"], [REFERENCE], n_bootstrap=50)
    assert (alone.value, alone.mean, alone.interval) == pytest.approx(
        (expected.score, expected._mean, expected._ci)
    )
