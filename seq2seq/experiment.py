"""One experiment, from a configuration to a run folder."""

import fcntl
import json
import logging
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from seq2seq import config as configuration
from seq2seq.data.batching import Batches, padding
from seq2seq.data.sources import Corpus, Pair, open_corpus
from seq2seq.data.store import FilterConfig, PairStore, clear_leftovers, describe, encode_corpus
from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.evaluation.metrics import METRICS, MetricName, Score
from seq2seq.evaluation.report import plot_learning_curve
from seq2seq.inference import CHECKPOINTS, CONFIG, MOST_TOKENS, PIPELINE, Translator, read_config
from seq2seq.models.seq2seq import Seq2Seq
from seq2seq.symbols import UNK
from seq2seq.tasks import Pipelines, Role, TranslationConfig, build_model, corpus_config
from seq2seq.training.checkpoint import Checkpoints, name_of
from seq2seq.training.journal import Row, log_to, read_history
from seq2seq.training.trainer import LIMITS, Trainer, pick_device, weights

PROVENANCE, LOCK = "provenance.json", ".lock"
FREE_TO_CHANGE = {"folder", "data.folder", "data.cache", *(f"train.{limit}" for limit in LIMITS)}
"""Keys that may differ when a run goes on."""
AVERAGE_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
log = logging.getLogger("seq2seq")

Pairs = Sequence[Pair]


@dataclass(frozen=True)
class Run:
    """A trained run."""

    folder: Path
    best: Row
    """The validation scores of the best checkpoint."""
    history: Sequence[Row]
    """The rows of ``metrics.jsonl``."""

    @property
    def scores(self) -> str:
        """The scores of :attr:`best` as text."""
        where = ("step", "epoch", "minutes")
        shown = [f"{key} {value:.3f}" for key, value in self.best.items() if key not in where]
        return ", ".join(shown)


def train(
    config: str | Path | TranslationConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    train_pairs: Pairs | None = None,
    valid_pairs: Pairs | None = None,
    dry_run: bool = False,
) -> Run:
    """Trains, or goes on where an earlier call stopped, and returns the run.

    Args:
        config: A YAML file, its content, or a configuration.
        overrides: ``{"model.encoder.cell": "gru"}`` or the words of a command line.
        train_pairs: Pairs to learn from, instead of ``data.train``.
        valid_pairs: Pairs to validate with, instead of ``data.valid``.
        dry_run: Do two updates of everything, saving and translating included, and leave nothing.

    Raises:
        Seq2SeqError: Something that the user can mend; see :mod:`seq2seq.errors`.
    """
    started = time.monotonic()
    resolved = _resolve(config, overrides)
    corpora = {
        "train": _corpus(resolved, "train", train_pairs),
        "valid": _corpus(resolved, "valid", valid_pairs),
    }
    if dry_run:
        return _dry_run(resolved, corpora)
    folder = Path(resolved.folder)
    with _owned(folder), log_to(folder):
        return _train(resolved, corpora, folder, started)


def _train(
    config: TranslationConfig, corpora: Mapping[str, Corpus], folder: Path, started: float
) -> Run:
    """Does the work of :func:`train` in a run folder that is ours."""
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    hashes = {role: corpus.fingerprint() for role, corpus in corpora.items()}
    pipelines = _prepare(config, corpora["train"], folder, hashes)
    cache = Path(config.data.cache).expanduser() if config.data.cache else _user_cache()
    keep_text = config.source.sampling > 0 or config.target.sampling > 0
    store = encode_corpus(
        corpora["train"], pipelines.source, pipelines.target, config.data.filters, cache,
        keep_text=keep_text,
    )  # fmt: skip
    batches = Batches(
        store,
        config.data.batch,
        config.train.seed,
        (pipelines.source, pipelines.target) if keep_text else None,
    )
    device = pick_device(config.train.device, "train.device")
    model = build_model(config, pipelines).to(device)
    validator = Validation(config, model, pipelines, corpora["valid"], folder)
    trainer = Trainer(model, config.train, folder, time.monotonic() - started)
    trainer.checkpoints.clear_leftovers()
    latest = trainer.checkpoints.latest()
    if latest is not None:
        trainer.resume(latest)
        log.info("%s: going on after %s", folder, latest.name)
    else:
        _introduce(config, model, pipelines, store, batches)
    trainer.fit(batches, validator)
    return finish(folder)


def finish(folder: Path) -> Run:
    """Draws the learning curve and returns the run."""
    latest = Checkpoints(folder / CHECKPOINTS).latest()
    run = _run(folder, latest.state["best_step"] if latest else None)
    picture = folder / "plots" / "learning_curve.png"
    picture.parent.mkdir(exist_ok=True)
    try:
        plot_learning_curve(run.history, picture)
    except ConfigError as error:
        log.info("no learning curve: %s", error)
    return run


def _run(folder: Path, best_step: int | None) -> Run:
    """Reads what a run folder tells of its training."""
    history = read_history(folder)
    validations = [row for row in history if "valid_loss" in row]
    best = next((row for row in validations if row["step"] == best_step), {})
    return Run(folder, best, history)


class Validation:
    """Measures a model on the validation pairs; the trainer calls it."""

    def __init__(
        self,
        config: TranslationConfig,
        model: Seq2Seq,
        pipelines: Pipelines,
        corpus: Corpus,
        folder: Path,
    ) -> None:
        self.config = config
        self.model = model
        self.folder = folder
        search = replace(config.search, beam_size=config.validation.beam_size)
        self.translator = Translator(model, pipelines, search)
        self.pairs = [pair for pair in corpus.pairs() if pair[0].strip() and pair[1].strip()]
        limits = FilterConfig(max_source_length=MOST_TOKENS, max_target_length=MOST_TOKENS)
        cache = folder / "valid"
        clear_leftovers(cache, age=0.0)  # nobody else writes into the run folder
        self.store = encode_corpus(corpus, pipelines.source, pipelines.target, limits, cache)
        self.batches = Batches(self.store, config.data.batch, seed=0)
        _warn_of_unknown(self.store, corpus.name)

    def __call__(self) -> dict[str, float]:
        """Returns loss (nats per token, without smoothing), perplexity and translation scores."""
        total, tokens = 0.0, 0
        with torch.inference_mode():
            for batch in self.batches.epoch(0):
                total += float(self.model(batch.to(self.model.device)))
                tokens += int(batch.target_out.lengths.sum())
        loss = total / tokens
        scores = {"loss": loss, "perplexity": float(torch.tensor(loss).exp())}
        pairs = self.pairs[: self.config.validation.sentences]
        if pairs:
            found = [one.text for one in self.translator([source for source, _ in pairs])]
            references = [target for _, target in pairs]
            scores |= {
                name: metric(found, references).value
                for name, metric in METRICS.items()
                if name in ("bleu", self.config.train.metric)
            }
            self._write_samples(pairs, found)
        return scores

    def _write_samples(self, pairs: Pairs, found: Sequence[str]) -> None:
        """Writes the first translations where a person can follow them."""
        count = self.config.validation.samples
        if not count:
            return
        blocks = [
            f"source:    {source}\nreference: {target}\nmodel:     {text}\n"
            for (source, target), text in list(zip(pairs, found, strict=True))[:count]
        ]
        path = self.folder / "samples" / "latest.txt"
        path.parent.mkdir(exist_ok=True)
        with path.with_name("all.txt").open("a", encoding="utf-8") as file:
            file.write("\n".join([*blocks, "-" * 40, ""]))
        path.write_text("\n".join(blocks), encoding="utf-8")


def _resolve(
    config: str | Path | TranslationConfig | Mapping[str, object],
    overrides: Mapping[str, object] | Sequence[str],
) -> TranslationConfig:
    """Returns the whole configuration, with the run folder named."""
    name = "run"
    if isinstance(config, TranslationConfig):
        mapping = yaml.safe_load(configuration.dump(config))
        resolved = configuration.from_mapping(TranslationConfig, mapping, overrides)
    elif isinstance(config, Mapping):
        resolved = configuration.from_mapping(TranslationConfig, config, overrides)
    else:
        path = Path(config).resolve()
        name = path.stem if path.stem != "config" else path.parent.name
        resolved = configuration.load(TranslationConfig, config, overrides)
    return resolved if resolved.folder else replace(resolved, folder=f"runs/{name}")


def _corpus(config: TranslationConfig, role: Role, pairs: Pairs | None) -> Corpus:
    """Returns a corpus from Python, or from where the configuration says."""
    if pairs is not None:
        pairs = list(pairs)
        if not pairs:
            raise DataError(f"{role} pairs: none given; at least one is needed")
        return Corpus.of(pairs, f"{role} pairs")
    return open_corpus(corpus_config(config, role), Path(config.data.folder))


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Holds the run folder's lock; removes the folder again if nothing came of it."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"folder: {folder} is a file; name a new or a run's folder")
    new = not folder.exists() or not any(folder.iterdir())
    # A start that was killed before the configuration was written leaves the lock's file.
    if not new and not any((folder / name).exists() for name in (CONFIG, LOCK)):
        raise ConfigError(
            f"folder: {folder} holds other things and no {CONFIG}; name a new or a run's folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"folder: {folder} cannot be made ({error.strerror})") from error
    with (folder / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise ConfigError(
                f"folder: {folder} is in use by {lock.read().strip() or 'another process'}; "
                "wait for it, or name another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        try:
            yield
        except BaseException:
            if new and not Checkpoints(folder / CHECKPOINTS).names():
                shutil.rmtree(folder)
            raise
    # The file stays: whoever unlinks it may take away the one that another process just locked.


def _prepare(
    config: TranslationConfig, corpus: Corpus, folder: Path, hashes: Mapping[str, str]
) -> Pipelines:
    """Loads the pipelines of a begun run after comparing it with this one, or makes them."""
    if (folder / CONFIG).exists():
        _refuse_change(config, folder, hashes)
        if (folder / PIPELINE).exists():
            return Pipelines.load(folder / PIPELINE)
    pipelines = Pipelines.train(config, corpus)
    pipelines.save(folder / PIPELINE)
    facts = {"data": dict(hashes), "versions": _versions(), "python": platform.python_version()}
    (folder / PROVENANCE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    _write_config(config, folder)
    return pipelines


def _write_config(config: TranslationConfig, folder: Path) -> None:
    """Writes the configuration at once: without it the folder is no run any more."""
    draft = folder / f".tmp-{CONFIG}"
    draft.write_text(configuration.dump(config), encoding="utf-8")
    draft.replace(folder / CONFIG)


def _refuse_change(config: TranslationConfig, folder: Path, hashes: Mapping[str, str]) -> None:
    """Raises unless the run in ``folder`` has the same configuration and data."""
    begun = read_config(folder)
    changed = configuration.differences(begun, config)
    frozen = [line for line in changed if line.split(":")[0] not in FREE_TO_CHANGE]
    before = _begun_hashes(folder)
    frozen += [f"data.{role}: other content" for role in hashes if hashes[role] != before.get(role)]
    if frozen:
        raise ConfigError(
            f"{folder} was begun with another configuration ({'; '.join(frozen)}); "
            "undo the change, or name a new folder with --folder"
        )
    for line in changed:
        log.info("changed: %s", line)
    _write_config(config, folder)


def _begun_hashes(folder: Path) -> dict[str, str]:
    """Returns the hashes of the corpora with which the run was begun."""
    path = folder / PROVENANCE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not the JSON that was written"
        raise CheckpointError(
            f"{path}: cannot be read ({why}), so the data cannot be compared; restore it, "
            "or name a new folder with --folder"
        ) from error


def _versions() -> dict[str, str]:
    """Returns the versions of what the outcome depends on."""
    names = ("seq2seq-toolkit", "torch", "sentencepiece", "datasets", "sacrebleu", "numpy")
    return {name: version(name) for name in names}


def _user_cache() -> Path:
    """Returns where encoded corpora are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "seq2seq"


def _warn_of_unknown(store: PairStore, name: str) -> None:
    """Warns where many tokens of a corpus are not in the vocabulary."""
    for side in ("source", "target"):
        share = store.share(side, UNK)
        if share > 0.05:
            log.warning("%s: %.1f %% of the %s tokens are unknown", name, 100 * share, side)


def _introduce(
    config: TranslationConfig,
    model: Seq2Seq,
    pipelines: Pipelines,
    store: PairStore,
    batches: Batches,
) -> None:
    """Says what is about to be trained on what."""
    plan = batches.plan(0)
    log.info(
        "data: %s pairs, %s; %s batches an epoch, %.1f %% padding; vocabulary: %s and %s",
        f"{len(store):,}", describe(store.dropped), f"{len(plan):,}", 100 * padding(plan, store),
        f"{len(pipelines.source):,}", f"{len(pipelines.target):,}",
    )  # fmt: skip
    for line in summary(model):
        log.info("%s", line)


def summary(model: Seq2Seq) -> list[str]:
    """Returns a table of the model's parts, shapes and parameters."""
    rows = [
        (name, "x".join(map(str, tensor.shape)), tensor.numel())
        for name, tensor in weights(model).items()
    ]
    total = sum(count for *_, count in rows)
    width = max(len(name) for name, *_ in rows)
    lines = [f"{name:{width}}  {shape:>12}  {count:>12,}" for name, shape, count in rows]
    return [*lines, f"{'parameters':{width}}  {'':>12}  {total:>12,}"]


def _dry_run(config: TranslationConfig, corpora: Mapping[str, Corpus]) -> Run:
    """Does two updates of everything in a folder that is removed again."""
    with tempfile.TemporaryDirectory(prefix="seq2seq-dry-run-") as place:
        folder = Path(place) / "run"
        short = replace(
            config,
            folder=str(folder),
            data=replace(config.data, cache=f"{place}/cache"),
            train=replace(config.train, steps=2, epochs=0, minutes=0.0, validate_every=0),
            validation=replace(config.validation, sentences=min(4, config.validation.sentences)),
        )
        folder.mkdir()
        run = _train(short, corpora, folder, time.monotonic())
        translator = Translator.load(folder)
        source, _ = next(corpora["valid"].pairs())
        translator([source])
        log.info("dry run: two updates, validation, save, load and translation work")
        return replace(run, folder=Path(config.folder))


def evaluate(
    translator: Translator,
    pairs: Pairs,
    names: Sequence[MetricName],
    *,
    lowercase: bool = False,
    batch_size: int = 64,
) -> tuple[list[Score], list[str]]:
    """Translates the sources of ``pairs`` and returns the scores and the translations."""
    sources, references = ([pair[side] for pair in pairs] for side in (0, 1))
    found = [one.text for one in translator(sources, batch_size=batch_size)]
    return [METRICS[name](found, references, lowercase=lowercase) for name in names], found


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
    pipelines = Pipelines.load(folder / PIPELINE)
    lines = [
        f"run          {folder}",
        f"task         {config.task}",
        f"vocabulary   {len(pipelines.source):,} source, {len(pipelines.target):,} target",
        f"parameters   {sum(one.numel() for one in latest.model.values()):,}" if latest else "",
        f"checkpoints  {', '.join(checkpoints.names()) or 'none'}",
    ]
    if latest:
        state = latest.state
        scores = _run(folder, state["best_step"]).scores
        lines += [
            f"trained      {state['step']:,} steps, {state['seconds'] / 60:.1f} minutes",
            f"best         {name_of(state['best_step'])}: {scores}" if scores else "",
        ]
    return "\n".join(line for line in lines if line)
