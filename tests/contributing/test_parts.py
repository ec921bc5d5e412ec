"""One of everything that can be added, from this one file: no file of the package is changed.

Each entry goes into its table; a translator is then trained with all of them through a
configuration, saved, loaded, searched in float32 and int8, and evaluated from the command line.
CONTRIBUTING.md shows the same steps.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import seq2seq
from seq2seq.cli import main
from seq2seq.data.pairs.corpus import FORMATS, CorpusConfig, Format, Pair, of_file
from seq2seq.data.pairs.separated import read_separated
from seq2seq.errors import ConfigError
from seq2seq.evaluation.metrics import Score
from seq2seq.measures import METRICS, Metric
from seq2seq.nn.attention import ATTENTIONS, Attention
from seq2seq.nn.cells import CELLS
from seq2seq.nn.kernel_cells import KernelCell
from seq2seq.nn.linear import has_int8
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import RULES, Rule
from seq2seq.tensors import Outcome
from seq2seq.training.objective import OBJECTIVES, CrossEntropy, Featured


class Relu(KernelCell):
    """A simple layer with ReLU in place of tanh: its outputs have no bound, and it has no fold."""

    gates = 1
    sequence_kernel = staticmethod(torch.rnn_relu)
    step_kernel = staticmethod(torch.rnn_relu_cell)


class Cosine(Attention):
    """Scores with the cosine of query and projected memory, times a learned scale."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.project = nn.Linear(memory_size, query_size, bias=False)
        self.scale = nn.Parameter(torch.tensor(5.0))

    def keys(self, memory: Tensor) -> Tensor:
        return functional.normalize(self.project(memory), dim=2)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return self.scale * functional.normalize(query, dim=2) @ keys.transpose(1, 2)


class Confident:
    """Cross-entropy, less for steps that are right already: twice the loss of half the features."""

    def __init__(self, smoothing: float) -> None:
        self.plain = CrossEntropy(smoothing)

    def __call__(self, model: Featured, batch: Any, carried: Tensor | None) -> Outcome:
        outcome = self.plain(model, batch, carried)
        features = model.features(batch, carried)
        again = model.head.loss(0.5 * features.vectors, features.targets)
        return replace(outcome, nats=(outcome.nats + again) / 2)


def no_echo(config: SearchConfig) -> Rule:
    """A token never follows itself."""

    def rule(log_probs: Tensor, prefix: Tensor, limits: Tensor) -> None:
        if prefix.shape[2]:
            log_probs.scatter_(2, prefix[:, :, -1:], -torch.inf)

    return rule


def read_bars(path: Path, config: CorpusConfig) -> Iterator[Pair]:
    return read_separated(path, config.columns, "|")


def vowels(hypotheses: Sequence[str], references: Sequence[str], *, lowercase: bool) -> Score:
    """The share of lines with as many vowels as their reference."""
    counts = [[sum(text.count(v) for v in "aeiou") for text in side]
              for side in (hypotheses, references)]  # fmt: skip
    same = sum(one == other for one, other in zip(*counts, strict=True))
    return Score("vowels", 100 * same / len(references), f"n:{len(references)}")


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "relu", Relu)
    monkeypatch.setitem(ATTENTIONS, "cosine", Cosine)
    monkeypatch.setitem(OBJECTIVES, "confident", lambda config: Confident(config.label_smoothing))
    monkeypatch.setitem(RULES, "no_echo", no_echo)
    monkeypatch.setitem(FORMATS, "bars", Format(of_file("bars", read_bars), (".psv",)))
    monkeypatch.setitem(METRICS, "vowels", Metric(vowels))


WORDS = ("ba", "do", "ke", "mi", "su", "ra", "to", "li")


def pairs(count: int, first: int) -> list[tuple[str, str]]:
    """Returns words in some order, and the same in the opposite one."""
    rows = [[WORDS[(first + row * step) % 8] for step in range(1, 4)] for row in range(count)]
    rows = [[word for at, word in enumerate(row) if word not in row[:at]] for row in rows]
    return [(" ".join(row), " ".join(row[::-1])) for row in rows]


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("".join(f"{source}|{target}\n" for source, target in rows), encoding="utf-8")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "train.psv", [pair for first in range(8) for pair in pairs(8, first)])
    write(tmp_path / "valid.psv", pairs(8, 1))
    return {
        "folder": "run",
        "data": {
            "cache": "cache",
            "train": {"path": "train.psv"},
            "valid": {"path": "valid.psv", "format": "bars"},
            "test": {"path": "valid.psv"},
            "batch": {"tokens": 60},
        },
        "source": {"tokenizer": "space"},
        "target": {"tokenizer": "space"},
        "model": {
            "embedding_size": 16,
            "output_dropout": 0.0,
            "encoder": {"cell": "relu", "layers": 2, "hidden_size": 24, "dropout": 0.0},
            "decoder": {
                "cell": "relu",
                "layers": 2,
                "hidden_size": 24,
                "dropout": 0.0,
                "attention": "cosine",
            },
        },
        "train": {
            "steps": 120,
            "validate_every": 60,
            "objective": "confident",
            "metric": "vowels",
            "device": "cpu",
            "precision": "float32",
            "optimizer": {"learning_rate": 1e-2},
        },
        "validation": {"metrics": ["vowels", "exact"]},
        "search": {"beam_size": 3},
    }


def test_one_of_everything_from_training_to_scores(
    config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run = seq2seq.train(config)
    assert run.best["vowels"] > 60
    saved = seq2seq.load(run.folder)
    assert isinstance(saved, seq2seq.Translator)
    model = saved.models[0]
    assert isinstance(model.decoder.attention, Cosine)
    assert {type(cells[0]) for cells in model.decoder.layers.directions} == {Relu}
    sources = [source for source, _ in pairs(8, 1)]
    expected = [translation.text for translation in saved(sources)]
    # Nothing stands in for a part that has no fold: the same texts as by the model's own steps.
    by_steps = seq2seq.Translator([model], saved.pipelines, saved.search)
    by_steps.stepper = model
    assert [translation.text for translation in by_steps(sources)] == expected
    assert not any(f" {word} {word} " in f" {text} " for text in expected for word in WORDS)
    assert main(["evaluate", "run", "--metrics", "vowels", "exact", "--format", "json"]) == 0
    scores = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert scores["vowels"] > 60
    assert main(["evaluate", "run", "--metrics", "vowls"]) == 2
    assert "did you mean 'vowels'?" in capsys.readouterr().err
    if has_int8("cpu"):
        rounded = seq2seq.Translator.load(run.folder, precision="int8")(sources)
        found = saved(sources)
        same = sum(one.text == other.text for one, other in zip(found, rounded, strict=True))
        assert same >= 7
        assert all(
            abs(one.score - other.score) < 0.2 for one, other in zip(found, rounded, strict=True)
        )


def test_a_key_lists_the_new_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "translation", "model.decoder"]) == 0
    listed = capsys.readouterr().out
    assert "lstm|gru|rnn|sru|mingru|lstm-ln|rnn-ln|relu" in listed
    assert "additive|dot|general|none|cosine" in listed


def test_a_misspelt_name_is_told_the_new_ones(config: dict[str, Any]) -> None:
    accepted = (
        "lstm, gru, rnn, sru, mingru, lstm-ln, rnn-ln, relu, got 'relo'; did you mean 'relu'?"
    )
    with pytest.raises(ConfigError, match=f"overrides: model.encoder.cell: must be .*{accepted}"):
        seq2seq.train(config, {"model.encoder.cell": "relo"})
