"""The contract of a task: all that the course of an experiment and the command line know of it.

A task is one folder. It brings its configuration, its material (what the data are made into, and
how a model learns from it), its use (what a trained run does), its evaluation, and its verbs.
"""

import glob
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from torch import nn

from seq2seq import config as configuration
from seq2seq.device import (
    GRAPHS,
    limit_kernels,
    pick_device,
    pick_precision,
    use_deterministic_kernels,
)
from seq2seq.device.cores import Watch, use_threads
from seq2seq.errors import CheckpointError, ConfigError, DataError, require, require_name
from seq2seq.evaluation.metrics import Score
from seq2seq.lazy import imported
from seq2seq.runs.folder import CONFIG, PIPELINE, read_mapping, trained_in, user_cache
from seq2seq.runs.loading import load_start, own_checkpoints
from seq2seq.runs.start import Start
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.start import TokenRows, begin_from, fill_from_files, tell_the_beginning
from seq2seq.training.config import TrainConfig
from seq2seq.training.journal import report_to
from seq2seq.training.loader import BatchOrder
from seq2seq.training.start import Moments, give_moments
from seq2seq.training.trainer import Trainer, Validator

Data: TypeAlias = Mapping[str, Iterable[Any]]
"""What Python hands in instead of files: by role (``train``, ``valid``), whatever a task reads."""
ROLES: tuple[Literal["train", "valid"], ...] = ("train", "valid")
"""The roles that data from Python may have in training."""
MOST_UNKNOWN = 0.05
"""The share of unknown tokens above which a warning tells of them."""
log = logging.getLogger("seq2seq")


@runtime_checkable
class DataPlaces(Protocol):
    """The part of every task's ``data`` section that all share."""

    @property
    def folder(self) -> str:
        """Where relative paths begin."""
        ...

    @property
    def cache(self) -> str:
        """Where encoded data are kept; empty: the user's cache."""
        ...


@runtime_checkable
class TaskConfig(Protocol):
    """The configuration of a run: a frozen dataclass with these fields, and the task's own.

    Texts in it that are paths are annotated with :data:`seq2seq.errors.PathText`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def task(self) -> str:
        """The task's name in :data:`seq2seq.tasks.registry.TASKS`."""
        ...

    @property
    def folder(self) -> str:
        """The run folder."""
        ...

    @property
    def data(self) -> DataPlaces:
        """Where the data are."""
        ...

    @property
    def train(self) -> TrainConfig:
        """The training loop."""
        ...

    def settled(self) -> "TaskConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        ...


@runtime_checkable
class Saved(Protocol):
    """What a run folder keeps of the way between data and tensors: tokenizers, vocabularies."""

    def save(self, folder: Path) -> None:
        """Writes it below ``folder``."""
        ...


@runtime_checkable
class Use(Protocol):
    """A trained run, ready for use: a translator, a generator, whatever the task is for.

    It can be copied and pickled, and answers afterwards as before.
    """

    @property
    def models(self) -> Sequence[nn.Module]:
        """The networks inside: one, or those of an ensemble; none where there is no network."""
        ...


ConfigT = TypeVar("ConfigT", bound=TaskConfig)
PipelineT = TypeVar("PipelineT", bound=Saved)
KindT = TypeVar("KindT")
SectionT = TypeVar("SectionT")
OpenedT = TypeVar("OpenedT")


@dataclass(frozen=True)
class Ready:
    """All that a trainer works with."""

    batches: BatchOrder[Any]
    model: nn.Module
    validate: Validator
    facts: str
    """What is about to be learned from, in one line."""


@dataclass(frozen=True)
class Material(ABC, Generic[ConfigT, PipelineT]):
    """The data of one experiment, and what is made of them."""

    config: ConfigT

    def settled(self, begun: object) -> "Material[ConfigT, PipelineT]":
        """Returns the same with what the data decide about written into the configuration.

        ``begun`` is the configuration with which a run goes on, or None where it begins.
        """
        return self

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """Returns a hash of the content of each part of the data, by role."""

    def origins(self) -> Mapping[str, str]:
        """Returns what names in the configuration stood for when the data were opened, such as the
        commits of data sets of the hub; a run that goes on takes them from its provenance.
        """  # noqa: D205
        return {}

    @abstractmethod
    def learn(self) -> PipelineT:
        """Learns from the training data what turns data into tensors: tokenizers, vocabularies."""

    @abstractmethod
    def load(self, folder: Path) -> PipelineT:
        """Reads what was learned earlier."""

    def keep(self, earlier: PipelineT, *, grow: bool) -> PipelineT:
        """Returns what another run has learned, for this one that begins from it: as it is, or
        grown by what the data need.

        Raises:
            ConfigError: The configuration says something else, or it cannot grow.
        """  # noqa: D205
        require(not grow, "train.start_vocabulary", "kept or replaced for this task", "grown")
        return earlier

    def token_rows(self, pipelines: PipelineT) -> Sequence[TokenRows]:
        """Returns the parts of the model that have a row for each token of a vocabulary.

        A run that begins from another one takes these by the tokens' text, all others by name.
        """
        return ()

    @abstractmethod
    def ready(self, pipelines: PipelineT, folder: Path, device: torch.device) -> Ready:
        """Encodes the data, and makes the model, on ``device``, and its validation.

        ``folder`` is the run's.
        """

    @abstractmethod
    def shortened(self, folder: Path, cache: str) -> "Material[ConfigT, PipelineT]":
        """Returns the same for two updates in another folder."""

    @abstractmethod
    def try_out(self, folder: Path) -> None:
        """Uses the run in ``folder`` once."""

    def first(self, start: Start | None) -> PipelineT:
        """Returns what a run begins with: what it learns, or what another run has learned."""
        vocabulary = self.config.train.start_vocabulary
        if start is None or vocabulary == "replaced":
            return self.learn()
        return self.keep(self._learned_in(Path(start.run)), grow=vocabulary == "grown")

    def _learned_in(self, run: Path) -> PipelineT:
        """Reads what another run has learned.

        Raises:
            ConfigError: Its task learns something else.
        """
        try:
            return self.load(run / PIPELINE)
        except CheckpointError as error:
            other = task_in(run)
            if other == self.config.task:
                raise
            raise ConfigError(
                f"train.start: {run} is a run of {other}, whose vocabulary is of no use for "
                f"{self.config.task}; write train.start_vocabulary: replaced"
            ) from error

    def _begin(self, model: nn.Module, pipelines: PipelineT, folder: Path) -> Moments:
        """Gives a model what it begins with, and returns what its optimiser begins with."""
        config, parts = self.config.train, self.token_rows(pipelines)
        if not config.start:
            fill_from_files(model, parts, {})
            return {}
        run, goes_on = Path(config.start), config.start_optimizer == "kept"
        checkpoint = load_start(folder, config.start, training=goes_on)
        try:
            earlier = self.token_rows(self._learned_in(run))
        except ConfigError:  # of another task
            earlier = ()
        matches, moments = begin_from(checkpoint, run, model, parts, earlier, config)
        fill_from_files(model, parts, matches.taken)
        return moments

    def fit(self, pipelines: PipelineT, folder: Path, elapsed: Callable[[], float]) -> None:
        """Trains, or goes on where the last checkpoint was saved.

        ``elapsed`` tells how many seconds the run has already used for its preparation. A model
        that is fitted in another way than by gradients does it here.
        """
        config, watch = self.config.train, Watch()
        limit_kernels()
        device = pick_device(config.device, "train.device")
        if config.deterministic and device.type == "cuda":
            use_deterministic_kernels()
        # First, since all that follows is made with what the checkpoints may not belong to.
        checkpoints, latest = own_checkpoints(folder, config.keep)
        # Fixed when a run begins: the last bits of sums depend on it, those in which weights are
        # drawn among them, and must not on the load.
        before = int(latest.state.get("threads", 0)) if latest is not None else 0
        threads = use_threads(config.threads or before, "train.threads")
        ready = self.ready(pipelines, folder, device)
        dtype = pick_precision(config.precision, device)
        moments: Moments = {}
        if latest is None:
            tell_the_beginning(folder, ready.facts, ready.model, config.freeze)
            moments = self._begin(ready.model, pipelines, folder)
        trainer: Trainer[Any] = Trainer(
            ready.model,
            config,
            folder,
            dtype=dtype,
            elapsed=elapsed(),
            replay=config.device == GRAPHS,
        )
        trainer.checkpoints = checkpoints
        if latest is not None:
            trainer.resume(latest)
            log.info("%s: going on after %s", folder, latest.name)
        else:
            give_moments(trainer.optimizer, ready.model, moments)
        trainer.progress.threads = threads
        watch.look(threads)
        trainer.fit(ready.batches, ready.validate, lambda: watch.look(threads))

    @property
    def cache(self) -> Path:
        """Where encoded data are kept."""
        named = self.config.data.cache
        return Path(named) if named else user_cache()


@runtime_checkable
class Load(Protocol):
    """Loads a trained run."""

    def __call__(self, run: Path, *, checkpoint: str, device: str) -> Use:
        """Returns the run in use."""
        ...


@runtime_checkable
class Evaluate(Protocol):
    """Measures a trained run."""

    def __call__(
        self,
        run: Path,
        data: Iterable[Any] | None,
        settings: Mapping[str, object],
        *,
        checkpoint: str,
        device: str,
    ) -> list[Score]:
        """Returns the scores on ``data``, or on the test data that the configuration names."""
        ...


@dataclass(frozen=True)
class Task:
    """What a task brings to the course of an experiment."""

    config: type[Any]
    """The class of its configuration, a :class:`TaskConfig`; every field is a key."""
    open: Callable[[Any, Data], Material[Any, Any]]
    """Opens the data: those from Python, for the other roles those that the configuration names."""
    load: Load
    evaluate: Evaluate


def named(name: str, where: str = "") -> Task:
    """Returns a task by its name; ``where`` stands before the message if there is none.

    Raises:
        ConfigError: There is no such task.
    """
    require_name(name, f"{where}task", TASKS)
    task = imported(TASKS[name].task)
    assert isinstance(task, Task)
    return task


def task_of(mapping: Mapping[Any, object], where: str = "config") -> Task:
    """Returns the task that a configuration, called ``where`` in messages, names.

    Raises:
        ConfigError: There is no such task.
    """
    return named(str(mapping.get("task", next(iter(TASKS)))), f"{where}: ")


def task_in(folder: Path) -> str:
    """Returns the name of a run's task.

    Raises:
        CheckpointError: The folder is no run folder, or its configuration names no task.
    """
    name = str(read_mapping(folder).get("task"))
    try:
        require_name(name, f"{folder / CONFIG}: task", TASKS)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    return name


def read_config(folder: Path) -> TaskConfig:
    """Reads the configuration of a run.

    Raises:
        CheckpointError: The folder is no run folder, or its configuration is damaged.
    """
    task = named(task_in(folder))
    config: TaskConfig = configuration.load(task.config, folder / CONFIG)
    return config


def read_config_of(kind: type[KindT], folder: Path) -> KindT:
    """Reads the configuration of a run whose task must be of one kind.

    Raises:
        CheckpointError: The folder is no run folder, or its task is another.
    """
    config = read_config(folder)
    if not isinstance(config, kind):
        raise CheckpointError(
            f"{folder}: its task is {config.task}, which cannot be used here; seq2seq.load loads "
            "any run"
        )
    return config


def data_folder(config: TaskConfig, run: Path, where: object) -> Path:
    """Returns the folder in which a run's relative paths of some data, ``where``, begin.

    Where the run was trained, from wherever it is used; if none of them is there, as after the
    project has moved, where it is used.
    """
    here = Path(config.data.folder)
    then = trained_in(run) / here
    if then == Path.cwd() / here:
        return here
    paths = configuration.paths_of(where)
    return here if _any_in(here, paths) and not _any_in(then, paths) else then


def _any_in(folder: Path, paths: Sequence[str]) -> bool:
    """Tells whether a folder has one of some files, which may be patterns."""
    return any(
        (folder / path).exists() or any(glob.iglob(path, root_dir=folder, recursive=True))
        for path in paths
    )


def open_own(
    config: TaskConfig, run: Path, where: SectionT, opener: Callable[[SectionT, Path], OpenedT]
) -> OpenedT:
    """Opens data that a run's configuration names; from another directory, says where they are.

    Raises:
        DataError: They cannot be used; says, too, where else they were looked for.
    """
    folder, named_folder = data_folder(config, run, where), config.data.folder
    here, then = Path.cwd() / named_folder, trained_in(run) / named_folder
    if folder == then != here:
        log.info("relative paths of data begin in %s, where %s was trained", then, run)
    elif here != then:
        log.info("%s was trained with data in %s, which are read in %s now", run, then, here)
    try:
        return opener(where, folder)
    except DataError as error:
        if _any_in(folder, configuration.paths_of(where)):
            raise
        looked = dict.fromkeys(map(str, (then, here)))
        raise DataError(f"{error}; looked in {' and '.join(looked)}") from error


def write_samples(folder: Path, text: str) -> None:
    """Writes what the model makes now, and keeps what it made before."""
    path = folder / "samples" / "latest.txt"
    with report_to(path.parent):
        path.parent.mkdir(exist_ok=True)
        with path.with_name("all.txt").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n{'-' * 40}\n")
        path.write_text(text, encoding="utf-8")


def warn_of_unknown(share: float, name: str, tokens: str = "tokens") -> None:
    """Warns where a large share of the tokens of a corpus or text is not in the vocabulary."""
    if share > MOST_UNKNOWN:
        log.warning("%s: %.1f %% of the %s are unknown", name, 100 * share, tokens)
