"""A whole task from one file: a label for a string. No file of the package is changed.

The registry gets one entry; training, exact resume, signals, checkpoints, dry run and the command
line are those of every task.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import seq2seq
from seq2seq import config as configuration
from seq2seq.cli import main
from seq2seq.data.layout import flatten, pad
from seq2seq.data.pairs.corpus import Corpus, CorpusConfig, given_pairs, open_corpus
from seq2seq.errors import ConfigError
from seq2seq.evaluation.metrics import Score
from seq2seq.nn.inputs import TokenInput
from seq2seq.nn.recurrent import Recurrent, RecurrentConfig
from seq2seq.runs.folder import PIPELINE
from seq2seq.runs.loading import load_model
from seq2seq.tasks.registry import TASKS, Entry
from seq2seq.tasks.task import Data, Material, Ready, Task, read_config_of
from seq2seq.tasks.verb import Verb
from seq2seq.tensors import Features, Padded
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.training.config import TrainConfig

# --- configuration


@dataclass(frozen=True, kw_only=True)
class LabelData:
    """Texts and their labels, as pairs."""

    folder: str = "."
    train: CorpusConfig | None = None
    valid: CorpusConfig | None = None
    test: CorpusConfig | None = None
    cache: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """A label for a string."""

    task: str = "labels"
    folder: str = ""
    data: LabelData = field(default_factory=LabelData)
    text: PipelineConfig = field(default_factory=lambda: PipelineConfig(tokenizer="char"))
    model: RecurrentConfig = field(default_factory=lambda: RecurrentConfig(hidden_size=16))
    train: TrainConfig = field(default_factory=lambda: TrainConfig(epochs=30, label_smoothing=0.0))

    def settled(self) -> "LabelConfig":
        return replace(self, text=self.text.settled())


# --- model and batches


@dataclass(frozen=True)
class LabelBatch:
    text: Padded
    labels: Tensor

    @property
    def predictions(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> "LabelBatch":
        return LabelBatch(self.text.to(device), self.labels.to(device))


class LabelHead(nn.Linear):
    """Vectors to labels; the objective calls :meth:`loss`."""

    def loss(self, vectors: Tensor, targets: Padded, smoothing: float = 0.0) -> Tensor:
        labels = targets.values[:, 0]
        return functional.cross_entropy(
            self(vectors[:, 0]), labels, reduction="sum", label_smoothing=smoothing
        )


class Labelling(nn.Module):
    def __init__(self, config: RecurrentConfig, vocabulary: int, labels: int) -> None:
        super().__init__()
        self.input = TokenInput(vocabulary, 8)
        self.encoder = Recurrent(config, 8, bidirectional=True)
        self.head = LabelHead(self.encoder.state_size, labels)

    def encoded(self, text: Padded) -> Tensor:
        """Returns the last state of the top layer, ``[B, 1, ND]``."""
        vectors = self.input(text.values)
        _, final = self.encoder(vectors, self.encoder.zero_state(vectors), text.lengths)
        last: Tensor = final[:, -1:]
        return last

    def features(self, batch: LabelBatch, carried: Tensor | None = None) -> Features:
        ones = torch.ones_like(batch.labels)
        return Features(self.encoded(batch.text), Padded(batch.labels[:, None], ones))


@dataclass(frozen=True)
class Labels:
    """The pipeline of the texts, and the names of the labels."""

    text: Pipeline
    names: tuple[str, ...]

    def save(self, folder: Path) -> None:
        self.text.save(folder)
        (folder / "labels.json").write_text(json.dumps(self.names), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Labels":
        names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        return cls(Pipeline.load(folder), tuple(names))


class LabelBatches:
    """Eight strings at a time, in an order that epoch and seed decide."""

    def __init__(self, corpus: Corpus, labels: Labels, seed: int) -> None:
        self.rows = labels.text.encode(list(corpus.sources()))
        self.labels = [labels.names.index(label) for label in corpus.targets()]
        self.seed = seed

    def size(self, epoch: int) -> int:
        return -(-len(self.rows) // 8)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[LabelBatch]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows)).tolist()
        for at in range(8 * start, len(order), 8):
            some = order[at : at + 8]
            text = pad(*flatten([self.rows[row] for row in some]))
            yield LabelBatch(text, torch.tensor([self.labels[row] for row in some]))


# --- material, use, evaluation


@dataclass(frozen=True)
class LabelMaterial(Material[LabelConfig, Labels]):
    train: Corpus
    valid: Corpus

    @classmethod
    def open(cls, config: LabelConfig, data: Data) -> "LabelMaterial":
        return cls(config, *(corpus(config, role, data.get(role)) for role in ("train", "valid")))

    def fingerprints(self) -> dict[str, str]:
        return {"train": self.train.fingerprint(), "valid": self.valid.fingerprint()}

    def learn(self) -> Labels:
        pipeline = Pipeline.train(self.config.text, self.train.sources, key="text")
        return Labels(pipeline, tuple(sorted(set(self.train.targets()))))

    def load(self, folder: Path) -> Labels:
        return Labels.load(folder)

    def ready(self, pipelines: Labels, folder: Path, device: torch.device) -> Ready:
        model = built(self.config, pipelines).to(device)
        use = Labeller(model, pipelines)
        pairs = list(self.valid.pairs())

        def validate() -> Mapping[str, float]:
            return {"loss": 1 - accuracy(use, pairs).value / 100}

        batches = LabelBatches(self.train, pipelines, self.config.train.seed)
        return Ready(batches, model, validate, f"{len(pipelines.names)} labels")

    def shortened(self, folder: Path, cache: str) -> "LabelMaterial":
        short = replace(self.config, folder=str(folder), train=self.config.train.shortened())
        return replace(self, config=short)

    def try_out(self, folder: Path) -> None:
        Labeller.load(folder)(["a"])


def corpus(config: LabelConfig, role: str, given: Iterable[Any] | None = None) -> Corpus:
    if given is not None:
        return given_pairs(given, f"{role} pairs")
    where = getattr(config.data, role)
    if where is None:
        raise ConfigError(f"data.{role}: is required")
    return open_corpus(where, Path(config.data.folder))


def built(config: LabelConfig, labels: Labels) -> Labelling:
    torch.manual_seed(config.train.seed)
    return Labelling(config.model, len(labels.text), len(labels.names))


class Labeller:
    def __init__(self, model: Labelling, labels: Labels) -> None:
        self.models = (model,)
        self.labels = labels

    @classmethod
    def load(cls, run: Path, *, checkpoint: str = "best", device: str = "auto") -> "Labeller":
        labels = Labels.load(Path(run) / PIPELINE)
        model = built(read_config_of(LabelConfig, Path(run)), labels)
        load_model(model, Path(run), checkpoint, device)
        return cls(model, labels)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[str]:
        (model,) = self.models
        text = pad(*flatten(self.labels.text.encode(texts)))
        best = model.head(model.encoded(text)[:, 0]).argmax(dim=1)
        return [self.labels.names[index] for index in best.tolist()]


def accuracy(use: Labeller, pairs: Sequence[tuple[str, str]]) -> Score:
    right = sum(found == label for found, (_, label) in
                zip(use([text for text, _ in pairs]), pairs, strict=True))  # fmt: skip
    return Score("accuracy", 100 * right / len(pairs), f"n:{len(pairs)}")


def evaluate(
    run: Path,
    data: Iterable[Any] | None,
    settings: Mapping[str, object],
    *,
    checkpoint: str,
    device: str,
) -> list[Score]:
    pairs = corpus(read_config_of(LabelConfig, run), "test", data).pairs()
    return [accuracy(Labeller.load(run, checkpoint=checkpoint, device=device), list(pairs))]


TASK = Task(LabelConfig, LabelMaterial.open, Labeller.load, evaluate)


# --- verbs


def label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="+", metavar="TEXT")


def label(options: argparse.Namespace) -> None:
    print(*Labeller.load(options.run)(options.texts), sep="\n")


def evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--digits", type=int, default=1, metavar="N", help="digits of the score")


def evaluate_verb(options: argparse.Namespace) -> None:
    (score,) = seq2seq.evaluate(options.run, checkpoint=options.checkpoint)
    print(f"accuracy {score.value:.{options.digits}f}")


VERBS = (
    Verb("label", f"{__name__}:label", label_options, "label strings", ("seq2seq label runs/x a",),
         subject="run"),
    Verb("evaluate", f"{__name__}:evaluate_verb", evaluate_options,
         examples=("seq2seq evaluate runs/x",), subject="run"),
)  # fmt: skip


# --- the tests


def strings(count: int, seed: int) -> list[tuple[str, str]]:
    """Returns strings, and which letter they hold more of."""
    rng = np.random.default_rng(seed)
    rows = ["".join(rng.choice(["a", "b"], size=5)) for _ in range(count)]
    return [(row, "mostly a" if row.count("a") > 2 else "mostly b") for row in rows]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TASKS, "labels", Entry(f"{__name__}:TASK", __name__))
    for role, rows in (("train", strings(80, 1)), ("valid", strings(30, 2))):
        text = "".join(f"{text}\t{label}\n" for text, label in rows)
        (tmp_path / f"{role}.tsv").write_text(text, encoding="utf-8")
    return {
        "task": "labels",
        "folder": "run",
        "data": {
            "train": {"path": "train.tsv"},
            "valid": {"path": "valid.tsv"},
            "test": {"path": "valid.tsv"},
        },
        "model": {"cell": "gru", "dropout": 0.0},
        "train": {
            "device": "cpu",
            "precision": "float32",
            "optimizer": {"learning_rate": 1e-2},
        },
    }


def test_a_task_from_one_file(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.yaml").write_text(json.dumps(config), encoding="utf-8")
    assert main(["train", "labels.yaml"]) == 0
    capsys.readouterr()
    assert main(["label", "run", "aaaaa", "bbbab"]) == 0
    assert capsys.readouterr().out.splitlines() == ["mostly a", "mostly b"]
    assert main(["evaluate", "run", "--digits", "2"]) == 0
    assert float(capsys.readouterr().out.split()[1]) >= 90
    assert isinstance(seq2seq.load("run"), Labeller)
    assert seq2seq.evaluate("run", [("aaaaa", "mostly a")])[0].value == 100
    assert main(["info", "run"]) == 0
    assert "task         labels" in capsys.readouterr().out


def test_what_every_task_has(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seq2seq.train({**config, "folder": "whole"}, {"train.epochs": 6})
    seq2seq.train(config, {"train.epochs": 3})
    seq2seq.train(config, {"train.epochs": 6})  # goes on, and ends bit for bit the same
    weights = [
        dict(seq2seq.load(run, checkpoint="last").models[0].named_parameters())
        for run in ("run", "whole")
    ]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
    again = {
        "folder": "again",
        "train.start": "run",
        "train.start_checkpoint": "last",
        "train.epochs": 1,
    }
    with pytest.raises(
        ConfigError, match=r"^train.start_vocabulary: must be kept or replaced for "
    ):
        seq2seq.train(config, {**again, "train.start_vocabulary": "grown"})
    seq2seq.train(config, {**again, "train.freeze": ["[!h]*"]})  # begins from the first, by name
    (model,) = seq2seq.load("again").models
    assert weights[0]["input.weight"].equal(dict(model.named_parameters())["input.weight"])
    assert not Path("dry").exists()
    seq2seq.train(config, {"folder": "dry"}, dry_run=True)
    assert not Path("dry").exists()
    assert main(["translate", "run"]) == 2
    refused = "run: its task is labels, which has no `translate`; it has evaluate, label"
    assert refused in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["evaluate", "run", "--help"])
    shown = capsys.readouterr().out
    assert "--digits" in shown
    assert "--mistakes" not in shown
    keys = {key for key, *_ in configuration.describe(LabelConfig)}
    assert main(["config", "labels"]) == 0
    assert keys == {line.split(":")[0] for line in capsys.readouterr().out.splitlines()[::2]}
