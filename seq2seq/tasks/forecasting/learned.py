"""What a run keeps of the way between tables and tensors, and how new tables are read with it."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from seq2seq.data.series.config import Role
from seq2seq.data.series.panel import Columns, Panel
from seq2seq.data.series.read import open_panel
from seq2seq.data.series.windows import Window, inside, windows
from seq2seq.errors import CheckpointError, ConfigError, DataError, as_path, brief
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.network import transform_of
from seq2seq.tasks.forecasting.scaling import Transform
from seq2seq.tasks.task import open_own

FILE = "series.json"
Table: TypeAlias = pd.DataFrame | str | os.PathLike[str] | None
"""Where series are: in a frame, in a file, or, where there is none, in the run's own data."""


@dataclass(frozen=True)
class Learned:
    """What the training part has taught of the columns, and of the units of their numbers."""

    like: Panel
    """Columns, frequency, season and categories; no series."""
    transform: Transform

    @classmethod
    def of(cls, config: ForecastConfig, panel: Panel) -> "Learned":
        """Learns from the training part of a panel.

        Raises:
            DataError: A number does not suit the model's settings.
        """
        ranges = inside(panel, config.data.part("train"))
        return cls(replace(panel, series=[]), transform_of(config.model, panel, ranges))

    def save(self, folder: Path) -> None:
        """Writes it below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        like = {name: value for name, value in vars(self.like).items() if name != "series"}
        told = like | {"columns": asdict(self.like.columns), "transform": asdict(self.transform)}
        (folder / FILE).write_text(json.dumps(told, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Learned":
        """Reads what :meth:`save` has written.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        path = folder / FILE
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            columns = {role: tuple(names) for role, names in told["columns"].items()}
            categories = {name: tuple(values) for name, values in told["categories"].items()}
            facts = told["frequency"], told["season"], categories, told["written"]
            return cls(
                Panel([], Columns(**columns), *facts), Transform.from_json(told["transform"])
            )
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path}: is damaged ({error!r})") from error

    def read(self, config: ForecastConfig, table: pd.DataFrame | str | os.PathLike[str]) -> Panel:
        """Reads a frame or a file as the run's own table was read.

        Raises:
            DataError: It cannot be used.
        """
        data = replace(config.data, folder="")
        if isinstance(table, pd.DataFrame):
            return open_panel(data, table, like=self.like)
        own = replace(data.series, path=str(as_path(table, "table")), more=())
        return open_panel(replace(data, series=own), like=self.like)

    def read_own(self, config: ForecastConfig, run: Path) -> Panel:
        """Reads the table that a run has learned from, as it is now.

        Raises:
            ConfigError: The run has learned from frames.
            DataError: It cannot be used.
        """
        own = config.data.series
        if own.path is None:
            raise ConfigError(f"{run}: has learned from frames, so give it a table")
        data = replace(config.data, folder="")
        return open_own(
            config, run, own, lambda _, folder: open_panel(data, like=self.like, folder=folder)
        )


def require_table(table: object, key: str) -> None:
    """Raises a :class:`DataError` unless a value is a frame of pandas, or a path."""
    if isinstance(table, str | os.PathLike):
        as_path(table, key)
    elif not isinstance(table, pd.DataFrame):
        raise DataError(
            f"{key}: must be a frame of pandas with a row for each step, or the path of a table, "
            f"got {brief(table)}"
        )


def windows_of(config: ForecastConfig, panel: Panel, role: Role) -> list[Window]:
    """Returns the windows of a part.

    Raises:
        DataError: No series is long enough.
    """
    model = config.model
    return windows(panel, config.data.part(role), model.window, model.horizon)
