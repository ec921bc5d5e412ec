"""Runs side by side on data that they have not learned from."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from seq2seq import config as configuration
from seq2seq.data.series.config import Role
from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import inside, windows
from seq2seq.errors import ConfigError, require, require_name
from seq2seq.evaluation.metrics import Score
from seq2seq.measures import FORECAST_METRICS
from seq2seq.runs.folder import PIPELINE
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.evaluation import USUAL, Setting, chosen_origins, compare
from seq2seq.tasks.forecasting.forecasts import PERCENTS, require_levels
from seq2seq.tasks.forecasting.kinds import RECURRENT
from seq2seq.tasks.forecasting.learned import Learned, Table, require_table
from seq2seq.tasks.forecasting.report import Report
from seq2seq.tasks.forecasting.scaling import Units
from seq2seq.tasks.forecasting.trained import load_trained
from seq2seq.tasks.task import read_config_of

log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How runs are compared."""

    part: Literal["test", "valid"] = "test"
    """The part of the data that is forecast."""
    origins: int = 0
    """Origins of each series, evenly spaced; 0: all."""
    stride: int = 1
    """Steps from one origin to the next."""
    refit: int = 0
    """Origins after which models that are fitted, not trained, are fitted again to all before; 0:
    never."""
    levels: tuple[float, ...] = tuple(map(float, PERCENTS))
    """The intervals, in per cent."""
    metrics: tuple[str, ...] = USUAL
    """The scores."""
    target: tuple[str, ...] = ()
    """The columns that are scored; none: all that are forecast."""
    scaled: bool = False
    """Whether numbers are scaled by the training part's mean and deviation, as in tables where
    columns have different units."""

    def __post_init__(self) -> None:
        for key, least in (("origins", 0), ("stride", 1), ("refit", 0)):
            require(getattr(self, key) >= least, key, f"at least {least}", getattr(self, key))
        require_levels(self.levels)
        require(bool(self.metrics), "metrics", f"some of {', '.join(FORECAST_METRICS)}", [])
        for name in self.metrics:
            require_name(name, "metrics", FORECAST_METRICS)


@dataclass(frozen=True)
class Opened:
    """A run whose model is to be compared."""

    folder: Path
    config: ForecastConfig
    learned: Learned

    @classmethod
    def of(cls, folder: Path) -> "Opened":
        """Reads a run folder.

        Raises:
            CheckpointError: It is no run folder of a forecaster.
        """
        config = read_config_of(ForecastConfig, folder)
        return cls(folder, config, Learned.load(folder / PIPELINE))

    def panel(self, table: Table) -> Panel:
        """Reads a table, or the run's own data."""
        if table is not None:
            require_table(table, "data")
            return self.learned.read(self.config, table)
        return self.learned.read_own(self.config, self.folder)

    @property
    def refittable(self) -> bool:
        """Whether the model is fitted, and not trained."""
        return self.config.model.kind != RECURRENT


def compare_runs(
    runs: Sequence[Path],
    settings: EvaluationConfig,
    table: Table = None,
    *,
    checkpoint: str = "best",
    device: str = "auto",
) -> Report:
    """Measures runs, and what needs no training, on the same origins of the first run's data.

    A window counts where the longest of their windows lies inside the part.

    Raises:
        ConfigError: The runs forecast different columns or horizons.
        DataError: There is nothing to forecast.
    """
    opened = [Opened.of(folder) for folder in runs]
    for other in opened[1:]:
        _require_alike(opened[0], other)
    loaded = [  # before the data, which are read as the run has learned: if it is its own
        load_trained(one.config, one.learned, one.folder, checkpoint, device) for one in opened
    ]
    setting = _setting(opened, settings, opened[0].panel(table))
    loaded[0].check(settings.levels, setting.horizon)
    names = _names(runs)
    if settings.refit:
        fixed = [name for name, one in zip(names, opened, strict=True) if not one.refittable]
        if fixed:
            log.info("not fitted again, as networks are trained: %s", ", ".join(fixed))
    return compare(setting, {name: one.predictor for name, one in zip(names, loaded, strict=True)})


def evaluate(
    run: Path,
    data: Iterable[Any] | None,
    settings: Mapping[str, object],
    *,
    checkpoint: str,
    device: str,
) -> list[Score]:
    """Scores a run on a frame, or on the test part that its configuration names."""
    chosen = configuration.from_mapping(EvaluationConfig, settings, where="settings")
    if data is not None:
        require_table(data, "data")
    table = cast(Table, data)
    report = compare_runs([run], chosen, table, checkpoint=checkpoint, device=device)
    model = report.models[0]
    return [tally.score for tally in (*model.scores.values(), *model.coverage.values())]


def _setting(opened: Sequence[Opened], settings: EvaluationConfig, panel: Panel) -> Setting:
    """Returns what is measured, on the first run's data."""
    config = opened[0].config
    for name in settings.target:
        require_name(name, "target", panel.columns.targets)
    part = config.data.part(_role(opened[0], settings))
    if part.name == "valid" and any(one.config.train.refit for one in opened):
        log.warning("runs with train.refit have learned from data.valid, too")
    longest = max(one.config.model.window for one in opened)
    found = windows(panel, part, longest, config.model.horizon, settings.stride)
    training = inside(panel, config.data.part("train"))
    return Setting(
        panel,
        chosen_origins(found, settings.origins),
        config.model.horizon,
        settings.levels,
        settings.metrics,
        training,
        settings.refit,
        settings.target,
        Units.of(_rows(panel, training)) if settings.scaled else None,
    )


def _role(first: Opened, settings: EvaluationConfig) -> Role:
    """Returns the part to forecast: of a run without test part, the validation part."""
    if settings.part == "test" and first.config.data.test is None:
        log.info("no data.test: this is data.valid, which chose the checkpoint")
        return "valid"
    return settings.part


def _require_alike(first: Opened, other: Opened) -> None:
    """Raises a :class:`ConfigError` where two runs cannot stand in one table."""
    for what, one, two in (
        ("model.horizon", first.config.model.horizon, other.config.model.horizon),
        ("targets", first.learned.like.columns.targets, other.learned.like.columns.targets),
        ("frequency", first.learned.like.frequency, other.learned.like.frequency),
    ):
        if one != two:
            raise ConfigError(
                f"{other.folder}: its {what} is {two}, that of {first.folder} is {one}; only runs "
                "that forecast the same stand in one table"
            )


def _names(runs: Sequence[Path]) -> list[str]:
    """Returns what the table calls runs: the names of their folders, if these differ."""
    short = [run.resolve().name for run in runs]
    return short if len(set(short)) == len(short) else [str(run) for run in runs]


def _rows(panel: Panel, ranges: Sequence[tuple[int, int]]) -> Any:  # noqa: ANN401
    """Returns the targets of a range of steps of each series, one below the other."""
    pairs = zip(panel.series, ranges, strict=True)
    return np.concatenate([series.targets[slice(*steps)] for series, steps in pairs])
