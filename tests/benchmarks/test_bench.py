"""The benchmarks themselves, tiny: that both sides do the same work, and what is made of rates."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq.errors import ConfigError
from seq2seq.tasks.translation.pipelines import Pipelines
from seq2seq.text.pipeline import Pipeline, train_tokenizer
from seq2seq.text.settings import PipelineConfig
from tests.benchmarks import baseline, parts, scaling, trees
from tests.benchmarks.bench import chosen, here, smaller, written
from tests.benchmarks.compare import compared, differences, read, verdict
from tests.benchmarks.shares import REST, kind_of
from tests.benchmarks.timing import PROBE, Part, Rate, Work, part_table, rates, rounds, turn

FROZEN = "f649498e9dad94b792a937b8817e2dc23c7c0563fd0f874d80ecc37e217bd462"
TINY = parts.Options(
    data="nowhere",
    repetitions=1,
    sentences=6,
    vocabulary=300,
    embedding=8,
    hidden=16,
    tokens=100,
    rows=3,
    steps=6,
    length=12,
    streams=3,
    lines=20,
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.timing.GEMM", (4, 4, 4))
    monkeypatch.setattr(rounds, "__defaults__", (0.0,))
    torch.manual_seed(1)


def rate(median: float, least: float, most: float) -> Rate:
    return Rate(unit="tokens", median=median, least=least, most=most)


def test_variants_take_turns_after_a_round_of_warming_up() -> None:
    seen: list[tuple[str, int]] = []

    def noting(name: str) -> Work:
        def work(number: int) -> float:
            seen.append((name, number))
            return 1.0

        return work

    found = rounds({"a": noting("a"), "b": noting("b")}, 2)
    assert seen == [("a", 2), ("b", 2), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert {name: len(own) for name, own in found.items()} == {"a": 2, "b": 2}


def test_short_work_is_repeated_until_its_turn_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 0.2, 0.4])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert turn(lambda number: 2.0, 0, 0.3) == 6.0 / 0.4


def test_ratios_and_shares_are_medians_over_the_rounds() -> None:
    found = {PROBE: [1.0, 2.0, 1.0], "plain": [10.0, 20.0, 5.0], "ours": [20.0, 20.0, 20.0]}
    made = rates(found, "tokens", "plain", {"ours": 1e7})
    assert made["ours"] == Rate(
        unit="tokens", median=20.0, least=20.0, most=20.0, ratio=2.0, share=0.2
    )
    assert made["plain"].ratio == 1.0
    assert made[PROBE].unit == "GFLOP"
    assert made[PROBE].ratio is None


def test_a_table_shows_medians_spreads_ratios_and_notes() -> None:
    one = Rate(unit="tokens", median=1234.5, least=1000, most=2000, ratio=1.5, share=0.25)
    assert part_table("part", Part(rates={"ours": one}, notes=["a note"], peak=12.0)) == [
        "",
        "| part | unit     | median | least to most  | ratio | of the probe |",
        "|------|----------|--------|----------------|-------|--------------|",
        "| ours | tokens/s | 1,234  | 1,000 to 2,000 | x1.50 | 25 %         |",
        "",
        "- a note",
        "- peak memory of the whole part: 12 MB",
    ]


@pytest.mark.parametrize(
    ("new", "expected"),
    [(rate(12, 11, 13), "faster"), (rate(8, 7, 8.5), "slower"), (rate(10.5, 9, 12), "")],
)
def test_only_what_lies_outside_both_spreads_is_marked(new: Rate, expected: str) -> None:
    assert verdict(rate(10, 9, 11), new) == expected


def test_files_are_compared_variant_by_variant(tmp_path: Path) -> None:
    for name, median, peak in (("old", 10.0, 100.0), ("new", 20.0, 50.0)):
        found = Part(rates={"ours": rate(median, median, median)}, notes=[], peak=peak)
        options = replace(TINY, sentences=int(median), threads=1)
        (tmp_path / name).write_text(written({"training": found}, options), encoding="utf-8")
    (before, old), (after, new) = read(tmp_path / "old"), read(tmp_path / "new")
    assert list(differences(before, after)) == ["NOT THE SAME sentences: 10 and 20"]
    assert not list(differences(after, after))
    assert list(compared(old, new)) == [
        ("training", "ours", "tokens/s", "10", "20", "x2.00", "faster"),
        ("training", "peak memory", "MB", "100", "50", "x0.50", ""),
    ]


@pytest.mark.parametrize("name", ["training", "characters", "tokenization", "decoding", "probe"])
def test_a_part_comes_back_whole(name: str) -> None:
    part = Part.from_json(json.loads(here(name, json.dumps(asdict(TINY)))))
    assert all(rate.least > 0 for rate in part.rates.values())
    assert part.peak > 0


@pytest.mark.parametrize("name", ["beam", "greedy"])
def test_both_sides_of_a_search_find_the_same_of_the_forced_length(name: str) -> None:
    part = parts.PARTS[name](TINY)
    assert list(part.rates) == ["baseline", "float32", "int8"]
    assert part.notes[1] == "float32: 6 of 6 are the baseline's"


def test_both_sides_generate_the_same() -> None:
    assert parts.generation(TINY).notes == [
        "one text: float32 and the baseline agree",
        "3 texts: float32 and the baseline agree",
    ]


def test_the_baseline_is_frozen() -> None:
    text = Path(baseline.__file__).read_bytes()
    assert hashlib.sha256(text).hexdigest() == FROZEN


def test_kinds_of_operations() -> None:
    kinds = {name: kind_of(name) for name in ("aten::expand", "aten::exp_", "aten::uniform_")}
    assert list(kinds.values()) == [REST, "softmax, choice", "elementwise"]
    assert kind_of("onednn::qlinear_pointwise") == kind_of("aten::mm") == "products"
    assert kind_of("mkldnn::_linear_pointwise") == "products"


def test_the_baseline_reads_the_same_pieces_in_the_joint_vocabulary() -> None:
    config = PipelineConfig(tokenizer="bpe", vocab_size=300)
    texts = ["ein Hund läuft", "a dog is running"]
    joint = train_tokenizer(config, texts)
    source = Pipeline.train(config, texts, tokenizer=joint)
    target = Pipeline.train(config, texts[1:], tokenizer=joint, trim=True)
    table = parts.joint_ids(Pipelines(source, target))
    ids = torch.tensor(target.encode(texts[1:])[0])
    assert table[ids].tolist() == source.encode(texts[1:])[0]
    assert table[:4].tolist() == [0, 1, 2, 3]


def test_differences_tell_how_much_likelier_the_new_text_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "score", lambda translator, source, target: -float(len(target)))
    pipeline = Pipeline.train(PipelineConfig(tokenizer="char", vocab_size=0), ["ab"])

    class Stub:
        pipelines = Pipelines(pipeline, pipeline)

    old = [parts.Found("a", [4]), parts.Found("b", [5])]
    new = [parts.Found("a", [4]), parts.Found("bb", [5, 5])]
    stub: Any = Stub()
    assert parts.differences(stub, ["a", "b"], old, new, "int8") == [
        "int8: 1 of 2 texts are the baseline's; gaps of the others, in nats a token: "
        "median 1.00000, most 1.00000",
        "int8: gap -1.00000: 'b' became 'bb'",
    ]


def test_a_run_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "task: translation\nmodel: {decoder: {input_feeding: true}}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="is not a model of the baseline's kind; accepted: a tra"):
        parts.run_config(str(tmp_path))


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"PART: must be one of training, .*, got 'trainin'"):
        chosen(["trainin"])


def test_the_probe_comes_first_and_last() -> None:
    assert chosen(["greedy", "beam"]) == ["probe", "beam", "greedy", "probe after"]
    assert chosen([])[1:-1] == [name for name in parts.PARTS if name != "probe"]


def test_quick_measures_the_same_models() -> None:
    less = smaller(parts.Options(), None)
    assert (less.hidden, less.repetitions) == (512, 5)
    assert smaller(parts.Options(), 3).repetitions == 3


def test_every_size_of_the_scaling_is_measured() -> None:
    sizes = dict.fromkeys(("hidden size", "layers", "vocabulary", "length"), (3, 5))
    sizes |= {"hidden size": (4, 6), "vocabulary": (20, 30), "pairs of a batch": (2, 3)}
    found = dict(scaling.measured({**sizes, "corpus": (50, 60)}, replace(TINY, vocabulary=40)))
    assert list(found)[4:] == [
        "pairs of a batch",
        "corpus, opening",
        "corpus, planning an epoch",
        "corpus, reading",
    ]
    assert list(found["vocabulary"].rates) == [PROBE, "20", "30"]
    assert all(rate.least > 0 for part in found.values() for rate in part.rates.values())


def test_trees_are_compared_by_the_ratios_of_their_rounds() -> None:
    rates = {
        ("beam", "ours"): {"old": [10.0, 20.0, 10.0], "new": [9.0, 18.0, 9.0]},
        ("beam", "new only"): {"old": [], "new": [1.0]},
        ("greedy", "ours"): {"old": [10.0, 10.0, 10.0], "new": [9.0, 10.0, 11.0]},
    }
    slow, same = trees.rows(rates)
    assert slow == ("beam", "ours", "10", "9", "0.900", "0.900 to 0.900", "SLOWER")
    assert same[4:] == ("1.000", "0.900 to 1.100", "")
