"""One experiment, from a configuration to a run folder."""

import logging
import re
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from seq2seq import config as configuration
from seq2seq.data.streams import encode_texts
from seq2seq.data.texts import Texts
from seq2seq.errors import ConfigError, require
from seq2seq.evaluation.metrics import METRICS, Score
from seq2seq.evaluation.report import plot_learning_curve
from seq2seq.evaluation.text_loss import text_scores
from seq2seq.generation import Generator
from seq2seq.inference import Translator
from seq2seq.materials import (
    Material,
    PairMaterial,
    Pairs,
    PipelineT,
    TextMaterial,
    measure_text,
    warn_of_unknown_text,
)
from seq2seq.measures import MetricName
from seq2seq.runs import (
    CHECKPOINTS,
    CONFIG,
    PIPELINE,
    Run,
    begin,
    owned,
    read_config,
    refuse_change,
)
from seq2seq.symbols import UNK
from seq2seq.tasks import LanguageModelTaskConfig, Pipelines, TaskConfig, TranslationConfig, task_of
from seq2seq.text.pipeline import Pipeline
from seq2seq.training.checkpoint import Checkpoints, name_of
from seq2seq.training.journal import log_to
from seq2seq.training.trainer import Trainer, weights

AVERAGE_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
log = logging.getLogger("seq2seq")


def train(
    config: str | Path | TaskConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    train_pairs: Pairs | None = None,
    valid_pairs: Pairs | None = None,
    train_texts: Iterable[str] | None = None,
    valid_texts: Iterable[str] | None = None,
    dry_run: bool = False,
) -> Run:
    """Trains, or goes on where an earlier call stopped, and returns the run.

    Args:
        config: A YAML file, its content, or a configuration.
        overrides: ``{"model.encoder.cell": "gru"}`` or the words of a command line.
        train_pairs: Pairs to learn from, instead of ``data.train``.
        valid_pairs: Pairs to validate with, instead of ``data.valid``.
        train_texts: For a language model: documents to learn from, instead of ``data.train``.
        valid_texts: For a language model: documents to validate with, instead of ``data.valid``.
        dry_run: Do two updates of everything, saving and use included, and leave nothing.

    Raises:
        Seq2SeqError: Something that the user can mend; see :mod:`seq2seq.errors`.
    """
    started = time.monotonic()
    resolved = resolve(config, overrides)
    text = isinstance(resolved, LanguageModelTaskConfig)
    strange = (train_pairs, valid_pairs) if text else (train_texts, valid_texts)
    if any(given is not None for given in strange):
        accepted = ("texts", "pairs") if text else ("pairs", "texts")
        raise ConfigError(
            f"train_{accepted[1]}, valid_{accepted[1]}: must be left out where the task is "
            f"{resolved.task}; give train_{accepted[0]} and valid_{accepted[0]}"
        )
    material: PairMaterial | TextMaterial
    if isinstance(resolved, LanguageModelTaskConfig):
        material = TextMaterial.open(resolved, train_texts, valid_texts)
    else:
        material = PairMaterial.open(resolved, train_pairs, valid_pairs)
    if dry_run:
        return _dry_run(material)
    folder = Path(resolved.folder)
    with owned(folder), log_to(folder):
        return _train(material, folder, started)


def _train(material: Material[Any], folder: Path, started: float) -> Run:
    """Does the work of :func:`train` in a run folder that is ours."""
    config = material.config
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    ready = material.ready(_prepare(material, folder), folder)
    trainer = Trainer(ready.model, config.train, folder, time.monotonic() - started)
    trainer.checkpoints.clear_leftovers()
    latest = trainer.checkpoints.latest()
    if latest is not None:
        trainer.resume(latest)
        log.info("%s: going on after %s", folder, latest.name)
    else:
        log.info("data: %s", ready.facts)
        for line in summary(ready.model):
            log.info("%s", line)
    trainer.fit(ready.batches, ready.validate)
    return finish(folder)


def _prepare(material: Material[PipelineT], folder: Path) -> PipelineT:
    """Loads the pipelines of a begun run after comparing it with this one, or makes them."""
    hashes = material.fingerprints()
    if (folder / CONFIG).exists():
        refuse_change(material.config, folder, hashes)
        if (folder / PIPELINE).exists():
            return material.load(folder / PIPELINE)
    pipelines = material.learn()
    pipelines.save(folder / PIPELINE)
    begin(material.config, folder, hashes)
    return pipelines


def finish(folder: Path) -> Run:
    """Draws the learning curve and returns the run."""
    latest = Checkpoints(folder / CHECKPOINTS).latest()
    run = Run.read(folder, latest.state["best_step"] if latest else None)
    picture = folder / "plots" / "learning_curve.png"
    picture.parent.mkdir(exist_ok=True)
    try:
        plot_learning_curve(run.history, picture)
    except ConfigError as error:
        log.info("no learning curve: %s", error)
    return run


def resolve(
    config: str | Path | TaskConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str],
) -> TaskConfig:
    """Returns the whole configuration, with the run folder named and nothing left open."""
    name, where = "run", "config"
    if isinstance(config, TranslationConfig | LanguageModelTaskConfig):
        mapping = yaml.safe_load(configuration.dump(config))
    elif isinstance(config, Mapping):
        mapping = config
    else:
        path = Path(config).resolve()
        name = path.stem if path.stem != "config" else path.parent.name
        mapping, where = configuration.read(Path(config)), str(config)
    given = dict(overrides) if isinstance(overrides, Mapping) else _options(overrides)
    task = task_of({**mapping, **{key: given[key] for key in ("task",) if key in given}}, where)
    resolved = configuration.from_mapping(task, mapping, overrides, where).settled()
    ends = resolved.train.steps or resolved.train.minutes
    if ends and "epochs" not in _chosen(mapping) | _chosen(given):
        # The task's usual number of epochs is for want of another end.
        resolved = replace(resolved, train=replace(resolved.train, epochs=0))
    return resolved if resolved.folder else replace(resolved, folder=f"runs/{name}")


def _chosen(mapping: Mapping[str, object]) -> set[str]:
    """Returns the keys of the section `train` that a configuration names."""
    section = mapping.get("train")
    below = set(section) if isinstance(section, Mapping) else set()
    return below | {key.removeprefix("train.") for key in map(str, mapping) if key[:6] == "train."}


def _options(words: Sequence[str]) -> dict[str, object]:
    """Returns the words of a command line as keys and values."""
    found: dict[str, object] = {}
    for word, after in pairwise([*words, ""]):
        key, equals, value = word.partition("=")
        found[key.removeprefix("--")] = value if equals else after
    return found


def summary(model: nn.Module) -> list[str]:
    """Returns a table of the model's parts, shapes and parameters."""
    rows = [
        (name, "x".join(map(str, tensor.shape)), tensor.numel())
        for name, tensor in weights(model).items()
    ]
    total = sum(count for *_, count in rows)
    width = max(len(name) for name, *_ in rows)
    lines = [f"{name:{width}}  {shape:>12}  {count:>12,}" for name, shape, count in rows]
    return [*lines, f"{'parameters':{width}}  {'':>12}  {total:>12,}"]


def _dry_run(material: PairMaterial | TextMaterial) -> Run:
    """Does two updates of everything in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="seq2seq-dry-run-") as place:
        folder = Path(place) / "run"
        folder.mkdir()
        run = _train(material.shortened(folder, f"{place}/cache"), folder, time.monotonic())
        material.try_out(folder)
        log.info("dry run: two updates, validation, save, load and use work")
        return replace(run, folder=Path(material.config.folder))


def evaluate(
    translator: Translator,
    pairs: Pairs,
    names: Sequence[MetricName],
    *,
    lowercase: bool = False,
    batch_size: int = 64,
) -> tuple[list[Score], list[str]]:
    """Translates the sources of ``pairs`` and returns the scores and the translations.

    Where the target's normalisers decompose, references are composed as translations are.
    """
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    references = translator.pipelines.target.restored(targets)
    found = [one.text for one in translator(sources, batch_size=batch_size)]
    return [METRICS[name](found, references, lowercase=lowercase) for name in names], found


def evaluate_text(
    generator: Generator, texts: Texts, cache: Path, window: int = 256
) -> list[Score]:
    """Scores a text: read as a whole with carried state, and in independent windows.

    ``cache`` is where the encoded text is kept; ``window`` 0 leaves the windows out.
    """
    require(window >= 0, "window", "at least 0", window)
    store = encode_texts(texts, generator.pipeline, cache)
    warn_of_unknown_text(store, texts.name)
    carried, parts = measure_text(generator.model, store, window)
    return text_scores(
        carried,
        parts,
        window,
        store.characters,
        unknown=store.share(UNK),
        lossless=generator.pipeline.lossless,
    )


def average(folder: Path, last: int, name: str = "average") -> Path:
    """Averages the weights of the last checkpoints into a new one (Junczys-Dowmunt et al. 2016).

    Raises:
        ConfigError: The run has fewer checkpoints, or the name cannot be used.
    """
    checkpoints = Checkpoints(folder / CHECKPOINTS, read_config(folder).train.keep)
    if not AVERAGE_NAME.fullmatch(name) or name in ("best", "last") or name.startswith("step-"):
        raise ConfigError(
            "--name: must be letters, digits, dots and dashes, begin with a letter, "
            f"and be none of best, last and step-..., got {name!r}"
        )
    names = checkpoints.names()[: max(0, last)]
    if not 1 <= last <= len(names):
        raise ConfigError(
            f"--last: must be at least 1 and at most {len(checkpoints.names())}, the checkpoints "
            f"that train.keep left, got {last}"
        )
    loaded = [checkpoints.load(one) for one in names]
    mean = {
        key: torch.stack([one.model[key].double() for one in loaded]).mean(0).to(tensor.dtype)
        for key, tensor in loaded[0].model.items()
    }
    return checkpoints.save(name, mean, {}, {**loaded[0].state, "averaged": names})


def describe_run(folder: Path) -> str:
    """Returns what a run folder holds, as text."""
    config = read_config(folder)
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    latest = checkpoints.latest()
    lines = [
        f"run          {folder}",
        f"task         {config.task}",
        f"vocabulary   {_vocabulary(config, folder / PIPELINE)}",
        f"parameters   {sum(one.numel() for one in latest.model.values()):,}" if latest else "",
        f"checkpoints  {', '.join(checkpoints.names()) or 'none'}",
    ]
    if latest:
        state = latest.state
        scores = Run.read(folder, state["best_step"]).scores
        lines += [
            f"trained      {state['step']:,} steps, {state['seconds'] / 60:.1f} minutes",
            f"best         {name_of(state['best_step'])}: {scores}" if scores else "",
        ]
    return "\n".join(line for line in lines if line)


def _vocabulary(config: TaskConfig, folder: Path) -> str:
    """Returns the sizes of a run's vocabularies."""
    if isinstance(config, LanguageModelTaskConfig):
        return f"{len(Pipeline.load(folder)):,}"
    pipelines = Pipelines.load(folder)
    return f"{len(pipelines.source):,} source, {len(pipelines.target):,} target"
