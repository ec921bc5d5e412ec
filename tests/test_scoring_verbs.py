"""The verbs that score given texts: each way in and out, and what is refused."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seq2seq import Generator, Translator
from seq2seq.cli.main import main
from seq2seq.tasks.translation.features import LEAST, Feature, NBest
from seq2seq.tasks.translation.reranking import Reranker, as_json, read_features
from seq2seq.tasks.translation.scorers import SCORERS
from tests.test_cli import forget_log
from tests.tiny import PAIRS, TEXTS, train_tiny

ODD_PAIRS = [("satz 1", "sentence 1"), ("", ""), ("", "x"), ("satz 2", ""), ("satz 3", "n€")]
LISTS = 4
CANDIDATES = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs, pairs in all their forms, n-best lists and references."""
    place = tmp_path_factory.mktemp("verbs")
    train_tiny("translation", place / "run")
    train_tiny("translation", place / "r2l", **{"target.reversed": True})
    train_tiny("language-model", place / "lm")
    rows = [{"source": source, "target": target} for source, target in ODD_PAIRS]
    sources, targets = zip(*ODD_PAIRS, strict=True)
    found = Translator.load(place / "run", device="cpu")(TEXTS[:LISTS], n_best=CANDIDATES)
    records = [*(one.record() for one in found)]
    files = {
        # A blank line is a pair of blank texts, and what stands after a second tab is left out.
        "pairs.tsv": ["satz 1\tsentence 1", "", "\tx", "satz 2\t", "satz 3\tn€\tmore"],
        "pairs.jsonl": map(json.dumps, rows),
        "source.txt": sources,
        "target.txt": targets,
        "n-best.jsonl": map(json.dumps, records),
        "valid.en": [target for _, target in PAIRS[:LISTS]],
    }
    for name, lines in files.items():
        (place / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return place


@pytest.fixture(autouse=True)
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(place)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    forget_log()


def printed(capsys: pytest.CaptureFixture[str], words: str) -> list[str]:
    assert main(words.split()) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], words: str) -> str:
    assert main(words.split()) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("seq2seq: ")


def lists(place: Path = Path()) -> list[NBest]:
    lines = (place / "n-best.jsonl").read_text(encoding="utf-8").splitlines()
    return [NBest.of(json.loads(line), "here") for line in lines]


@pytest.mark.parametrize(
    "where",
    ["pairs.tsv", "--pairs pairs.jsonl", "--pairs pairs.tsv --source-column 0 --target-column 1",
     "--source source.txt --target target.txt", ""],
)  # fmt: skip
def test_pairs_may_stand_anywhere(
    where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("pairs.tsv").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        found = printed(capsys, f"score-pairs run {where}")
    expected = Translator.load("run", device="cpu").score(ODD_PAIRS)
    numbers = [score.log_probability for score in expected]
    assert [float(line) for line in found] == pytest.approx(numbers, abs=1e-5)


def test_forms_of_scores(capsys: pytest.CaptureFixture[str]) -> None:
    expected = Translator.load("run", device="cpu").score(ODD_PAIRS)
    normalized = [score.normalized() for score in expected]
    words = "score-pairs run pairs.tsv --batch-size 2 --normalize --format"
    assert main([*words.split(), "tsv"]) == 0
    told = capsys.readouterr()
    shown = [line.split("\t") for line in told.out.splitlines()]
    assert [tuple(texts) for _, *texts in shown] == ODD_PAIRS
    assert [float(number) for number, *_ in shown] == pytest.approx(normalized, abs=1e-5)
    assert [line for line in told.err.splitlines() if "of 5 pairs" in line] == [
        "2 of 5 pairs: the source is blank; 0 stands for a blank target, -inf for any other",
        "1 of 5 pairs: the target is blank: scored is that nothing follows",
        "1 of 5 pairs: tokens that the model does not know count as its unknown symbol",
    ]
    read = [json.loads(line) for line in printed(capsys, f"{words} jsonl")]
    for row, score in zip(read, expected, strict=True):
        record = score.record()
        assert row["log_probabilities"] == pytest.approx(record["log_probabilities"], abs=1e-6)
        assert row["log_probability"] == pytest.approx(record["log_probability"], abs=1e-5)
        assert ("score" in row) == bool(score.tokens)
        assert row.get("score") in (None, pytest.approx(score.normalized(), abs=1e-6))
        assert {key: row[key] for key in ("source", "target", "unknown")} == {
            key: record[key] for key in ("source", "target", "unknown")
        }
    assert read[4]["tokens"] == ["n", "<unk>", "<eos>"]


def test_pairs_are_scored_by_an_ensemble(capsys: pytest.CaptureFixture[str]) -> None:
    alone = printed(capsys, "score-pairs run pairs.tsv")
    assert printed(capsys, "score-pairs run pairs.tsv --ensemble run") == alone


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --source source.txt", "--source: must come with --target, and the other way round"),
        (
            "run --source source.txt --target target.txt --pairs pairs.tsv",
            "--pairs: must be left out where --source and --target are given",
        ),
        (
            "run pairs.tsv --pairs pairs.tsv",
            "--pairs: must be left out where files are named: pairs.tsv",
        ),
        (
            "run pairs.tsv --source source.txt --target target.txt",
            "--source: must be left out where files are named: pairs.tsv",
        ),
        (
            "run pairs.tsv --source-column 1",
            "--source-column: must be left out where --pairs is not given",
        ),
        (
            "run source.txt",
            "source.txt: line 1: must be a source, a tab and a target, got 'satz 1'; `paste` joins "
            "two files, and --source and --target name them",
        ),
        ("run pairs.tsv --batch-size 0", "--batch-size: must be at least 1, got 0"),
        ("run pair.tsv", "pair.tsv does not exist; did you mean 'pairs.tsv'?"),
        (
            "lm pairs.tsv",
            "lm: its task is language-model, which has no `score-pairs`; it has evaluate, generate",
        ),
    ],
)
def test_score_pairs_refuses(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, f"score-pairs {words}") == message


# --- reranking


@pytest.fixture(scope="module")
def expected(place: Path) -> dict[str, list[list[float]]]:
    """Returns each kind's features of all lists, one hypothesis after the other."""
    forward, backward = (Translator.load(place / name, device="cpu") for name in ("run", "r2l"))
    model = Generator.load(place / "lm", device="cpu")
    found: dict[str, list[list[float]]] = {kind: [] for kind in SCORERS}

    def scores(one: Translator, pairs: list[tuple[str, str]]) -> list[float]:
        return [score.normalized() for score in one.score(pairs)]

    for one in lists(place):
        texts, source = [candidate.text for candidate in one.candidates], one.record["source"]
        found["score"].append(scores(forward, [(source, text) for text in texts]))
        found["length"].append([len(text) / 100 for text in texts])
        found["direct"].append(scores(backward, [(source, text) for text in texts]))
        found["reverse"].append(scores(forward, [(text, source) for text in texts]))
        bits = [model.score(text, unknown="replace").bits_per_character for text in texts]
        found["language-model"].append([-one * math.log(2) for one in bits])
    return found


RUNS = {"direct": "r2l", "reverse": "run", "language-model": "lm"}


@pytest.mark.parametrize("kind", SCORERS)
def test_with_one_feature_lists_are_sorted_by_it(
    kind: str, expected: dict[str, list[list[float]]]
) -> None:
    assert set(RUNS) == {name for name, scorer in SCORERS.items() if scorer.load is not None}
    feature = Feature(kind=kind, run=RUNS.get(kind, ""), weight=1.0)
    loaded = Reranker.load([feature], "cpu")
    for weight in (1.0, -2.0):
        found = list(loaded.weighing(np.array([weight]))(lists()))
        for record, one, values in zip(found, lists(), expected[kind], strict=True):
            measured = [each["features"][feature.name] for each in record["hypotheses"]]
            best_first = sorted(values, reverse=weight > 0)
            assert measured == pytest.approx(best_first, abs=1e-5)
            totals = [each["total"] for each in record["hypotheses"]]
            assert totals == pytest.approx([weight * value for value in measured])
            kept = [without(each, "total", "features") for each in record["hypotheses"]]
            assert sorted(map(str, kept)) == sorted(map(str, one.record["hypotheses"]))
            assert without(record, "hypotheses") == without(one.record, "hypotheses")


def without(record: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


def test_what_is_equal_keeps_its_order() -> None:
    same = Reranker.load([Feature(kind="length", weight=0.0)], "cpu")
    for record, one in zip(same(lists()), lists(), strict=True):
        assert [each["text"] for each in record["hypotheses"]] == [
            each.text for each in one.candidates
        ]


def test_without_weights_all_runs_weigh_the_same(
    expected: dict[str, list[list[float]]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--direct r2l --reverse run --language-model lm --device cpu"
    out = printed(capsys, f"rerank n-best.jsonl {options} --format jsonl")
    for place, line in enumerate(out):
        record = json.loads(line)
        sums = np.sum([expected[kind][place] for kind in SCORERS if kind != "length"], axis=0)
        assert [one["total"] for one in record["hypotheses"]] == pytest.approx(
            sorted(sums)[::-1], abs=1e-5
        )


@pytest.mark.parametrize(("metric", "runs"), [("bleu", ""), ("chrf", "--direct r2l run")])
def test_weights_are_tuned_written_and_applied(
    metric: str, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"rerank n-best.jsonl {runs} --tune valid.en --metric {metric} --output {metric}.json"
    assert main(words.split()) == 0
    said = capsys.readouterr().err
    saved = json.loads(Path(f"{metric}.json").read_text(encoding="utf-8"))
    tuned = saved["tuned"]
    assert (tuned["metric"], tuned["lists"]) == (metric, LISTS)
    assert tuned["after"] >= tuned["before"]
    assert f"{metric} of 4 lists: {tuned['before']:.2f} before, {tuned['after']:.2f} after" in said
    named = [f"{entry['kind']} {entry.get('run', '')}" for entry in saved["features"]]
    assert named == ["score ", "length ", *(f"direct {run}" for run in runs.split()[1:])]
    assert sum(abs(entry["weight"]) for entry in saved["features"]) == pytest.approx(1, abs=1e-5)
    best = printed(capsys, f"rerank n-best.jsonl --weights {metric}.json --device cpu")
    Path("best.en").write_text("".join(f"{text}\n" for text in best), encoding="utf-8")
    score = printed(capsys, f"score best.en --reference valid.en --metrics {metric} --format json")
    assert json.loads("".join(score))[0]["value"] == pytest.approx(tuned["after"], abs=0.01)


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    features = [
        Feature(kind="score", weight=-0.5),
        Feature(kind="length", weight=1e-6),
        Feature(kind="direct", run='runs/a "b" ü', weight=3.0),
    ]
    path = tmp_path / "weights.json"
    path.write_text(as_json(features, {"metric": "bleu"}), encoding="utf-8")
    assert read_features(str(path)) == features
    assert json.loads(path.read_text(encoding="utf-8"))["tuned"] == {"metric": "bleu"}


def test_what_is_impossible_weighs_no_more_than_the_least() -> None:
    hypotheses = [{"text": "", "score": -math.inf}, {"text": "x", "score": -3.0}]
    odd = [NBest.of({"source": "satz", "hypotheses": hypotheses}, "here")]
    features = [Feature(kind=kind, run=RUNS.get(kind, ""), weight=0.0) for kind in SCORERS]
    (values,) = Reranker.load(features, "cpu").measure(odd)
    assert np.isfinite(values).all()
    kinds = list(SCORERS)
    assert [values[0, kinds.index(kind)] for kind in ("score", "reverse", "language-model")] == [
        LEAST
    ] * 3


def records(*lines: object) -> str:
    """Writes n-best lists, and returns the file's name."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    Path("bad.jsonl").write_text(text, encoding="utf-8")
    return "bad.jsonl"


HINT = "`seq2seq translate --format jsonl --n-best N` writes what is needed"
GOOD: dict[str, Any] = {"source": "a", "hypotheses": [{"text": "b", "score": -1.0}]}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("", f"is blank; {HINT}"),
        ("[]", "must be a JSON object, got []"),
        ({"hypotheses": []}, "has no column source; found hypotheses"),
        ({"source": "a"}, f"hypotheses: must be a list of them; {HINT}"),
        ({"source": "a", "hypotheses": []}, f"hypotheses: must be a list of them; {HINT}"),
        (
            {"source": "a", "hypotheses": ["b"]},
            f"hypothesis 1: must be an object, got 'b'; {HINT}",
        ),
        (
            {"source": "a", "hypotheses": [*GOOD["hypotheses"], {"text": "b"}]},
            f"hypothesis 2: score: must be a number, got None; {HINT}",
        ),
        (
            {"source": "a", "hypotheses": [{"text": 3, "score": 1}]},
            "hypothesis 1: text must be text, got 3",
        ),
    ],
)
def test_lists_that_are_none(
    second: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = refused(capsys, f"rerank {records(GOOD, second)}")
    assert found == f"bad.jsonl: line 2: {message}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("n-best.jsonl --metric chrf", "--metric: must be left out where --tune is not given"),
        (
            "n-best.jsonl --tune valid.en --metric ter",
            "--metric: must be one of bleu, chrf, got 'ter'",
        ),
        (
            "n-best.jsonl --tune valid.en --format jsonl",
            "--format: must be text where --tune is given: weights come out",
        ),
        (
            "n-best.jsonl --direct r2l --weights w.json",
            "--direct: must be left out where --weights is given; its file names the runs",
        ),
        (
            "n-best.jsonl --tune valid.en --weights w.json",
            "--tune: must be left out where --weights is given; its file names the runs",
        ),
        ("n-best.jsonl --weights wieghts.json", "wieghts.json: no such file"),
        (
            "n-best.jsonl --tune source.txt --tune pairs.jsonl --tune n-best.jsonl --tune bad.en",
            "n-best.jsonl has 4 lines, source.txt 5, pairs.jsonl 5, n-best.jsonl 4, bad.en 1; each "
            "line needs its references",
        ),
        (
            "n-best.jsonl --language-model run",
            "run: its task is translation; language-model is needed here",
        ),
        (
            "n-best.jsonl --direct lm",
            "lm: its task is language-model, which cannot be used here; seq2seq.load loads any run",
        ),
        ("n-bset.jsonl", "n-bset.jsonl does not exist; did you mean 'n-best.jsonl'?"),
    ],
)
def test_rerank_refuses(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.en").write_text("a\n", encoding="utf-8")
    assert refused(capsys, f"rerank {words}") == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "features: must be a list of kind, run and weight, got None"),
        ('{"features": []}', "features: must be a list of kind, run and weight, got []"),
        (
            '{"features": [3]}',
            "features: entry 1: must have kind, run and weight, got 3",
        ),
        (
            '{"features": [{"kind": "score", "weight": 1}, {"kind": "drect", "weight": 1}]}',
            "features: entry 2: kind: must be one of score, length, direct, reverse, "
            "language-model, got 'drect'; did you mean 'direct'?",
        ),
        (
            '{"features": [{"kind": "direct", "weight": 1}]}',
            "features: entry 1: run: must be the folder of a run, got ''",
        ),
        (
            '{"features": [{"kind": "score", "run": "r2l", "weight": 1}]}',
            "features: entry 1: run: must be left out where kind is score, got 'r2l'",
        ),
        (
            '{"features": [{"kind": "score", "weight": .inf}]}',
            "features: entry 1: weight: must be finite, got inf",
        ),
        ('{"features": [{"kind": "score"}]}', "features: entry 1: weight: is required"),
        (
            '{"features": [{"kind": "score", "wieght": 1}]}',
            "features: entry 1: wieght: unknown key; did you mean 'weight'?",
        ),
    ],
)
def test_weights_that_are_none(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("w.json").write_text(text, encoding="utf-8")
    assert refused(capsys, "rerank n-best.jsonl --weights w.json") == f"w.json: {message}"
