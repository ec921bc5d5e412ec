"""Windows of series as batches: gathered at once, in an order that seed, epoch and position make.

A window is ``W`` steps before its origin, and ``H`` steps from it on. Values are scaled differences
(:mod:`seq2seq.tasks.forecasting.scaling`); one that is not known is NaN. Shape letters beside those
of :mod:`seq2seq.tensors`: C targets, P past, F future and S static covariates, R steps before the
window that lags reach back.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window
from seq2seq.tasks.forecasting.scaling import Scale, Transform, differenced, going_on, levels
from seq2seq.tensors import Movable

Arrange: TypeAlias = Callable[[Float[Tensor, "B X C"]], Float[Tensor, "B N K"]]
"""What a network is to predict, of the values of window and horizon."""


@dataclass(frozen=True)
class SeriesBatch(Movable):
    """Some windows, and what is to be predicted of them."""

    history: Float[Tensor, "B RW C"]
    """The targets' values before the origin."""
    past: Float[Tensor, "B W P"]
    future: Float[Tensor, "B WH F"]
    """Of the window's steps and the horizon's."""
    static: Float[Tensor, "B S"]
    ahead: Float[Tensor, "B H C"]
    """The values from the origin on, for those who are taught by them."""
    scale: Float[Tensor, "B C"]
    """What values were divided by."""
    targets: Float[Tensor, "B N K"]
    """What is to be predicted; NaN counts nothing."""
    counts: tuple[int, ...] = ()
    """How many numbers are to be predicted of each window, where that is known: nobody has to wait
    for a GPU to tell."""

    @property
    def predictions(self) -> int:
        """How many numbers are to be predicted."""
        return sum(self.counts) if self.counts else int((~self.targets.isnan()).sum())

    @property
    def rows(self) -> int:
        """How many windows there are."""
        return len(self.history)

    def filled(self) -> "SeriesBatch":
        """Returns the same as a recording has it, that serves all batches of this shape."""
        return replace(self, counts=())

    def part(self, first: int, last: int) -> "SeriesBatch":
        """Returns the windows from ``first`` on and before ``last``."""
        rows = slice(first, last)
        return SeriesBatch(
            self.history[rows],
            self.past[rows],
            self.future[rows],
            self.static[rows],
            self.ahead[rows],
            self.scale[rows],
            self.targets[rows],
            self.counts[rows],
        )


class SeriesStore:
    """The series of a panel end to end, ready for windows to be gathered.

    Before and after each, there is room for windows that reach beyond it: nothing is known there.
    """

    def __init__(
        self, panel: Panel, transform: Transform, window: int, horizon: int, reach: int = 0
    ) -> None:
        """``reach`` is how many steps before the window lags look at."""
        self.panel, self.transform = panel, transform
        self.window, self.horizon, self.reach = window, horizon, reach
        self.before = max(window + reach, transform.reach)
        blocks, base = [], []
        for series in panel.series:
            known = levels(series, panel, logarithm=transform.logarithm)
            values = transform.targets(differenced(known, transform.difference))
            covariates = transform.past(series.past), transform.future(series.future)
            blocks.append(self._with_room(np.concatenate([values, *covariates], axis=1)))
            if transform.difference:
                base.append(self._with_room(known))
        self.rows = np.concatenate(blocks).astype(np.float32)  # [X, C+P+F]
        self.base = np.concatenate(base) if base else None  # [X, C]
        ends = np.cumsum([len(block) for block in blocks])
        self.starts = np.concatenate([[0], ends[:-1]]) + self.before
        self.static = transform.static(np.stack([series.static for series in panel.series]))
        sizes = blocks[0].shape[1], panel.series[0].past.shape[1], panel.series[0].future.shape[1]
        self.columns = sizes[0] - sizes[1] - sizes[2]
        self.cuts = self.columns, self.columns + sizes[1]

    def _with_room(self, rows: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "X C"]:
        room = ((self.before, self.horizon), (0, 0))
        return np.pad(rows, room, constant_values=np.nan)

    def gather(
        self, windows: Int[np.ndarray, "B 2"], arrange: Arrange, *, blind: bool = False
    ) -> tuple[SeriesBatch, Scale]:
        """Returns windows as a batch, and what their values were scaled with.

        Args:
            windows: The series and the origin of each.
            arrange: What is to be predicted, of the values of window and horizon.
            blind: Whether the batch must know nothing from the origin on but future covariates.
        """
        origins = self.starts[windows[:, 0]] + windows[:, 1]
        first = self.window + self.reach
        rows = self.rows[origins[:, None] + np.arange(-first, self.horizon)]  # [B, R+W+H, C+P+F]
        values, past, future = np.split(rows, self.cuts, axis=2)
        if blind:
            values[:, first:] = np.nan
        scale = self.transform.scale(values[:, self.reach : first].astype(np.float64))
        values = ((values - scale[0][:, None]) / scale[1][:, None]).astype(np.float32)
        known = torch.from_numpy(values)
        targets = arrange(known[:, self.reach :])
        counts = (~targets.isnan()).sum(dim=(1, 2)).tolist()
        batch = SeriesBatch(
            known[:, :first],
            torch.from_numpy(past[:, self.reach : first].copy()),
            torch.from_numpy(future[:, self.reach :].copy()),
            torch.from_numpy(self.static[windows[:, 0]].astype(np.float32)),
            known[:, first:],
            torch.from_numpy(scale[1].astype(np.float32)),
            targets,
            tuple(counts),
        )
        return batch, scale

    def going_on(self, windows: Int[np.ndarray, "B 2"]) -> Float[np.ndarray, "B H C"]:
        """Returns how the windows go on if all their differences are zero."""
        if self.base is None:
            return np.zeros((len(windows), self.horizon, self.columns))
        reach = self.transform.reach
        origins = self.starts[windows[:, 0]] + windows[:, 1]
        known = self.base[origins[:, None] + np.arange(-reach, 0)]
        return going_on(known, self.transform.difference, self.horizon)


def as_rows(windows: Sequence[Window]) -> Int[np.ndarray, "B 2"]:
    """Returns the series and the origin of each window."""
    return np.array([(window.series, window.origin) for window in windows], np.int64).reshape(-1, 2)


class SeriesBatches:
    """The windows of a training part, shuffled in each epoch."""

    def __init__(
        self,
        store: SeriesStore,
        windows: Sequence[Window],
        arrange: Arrange,
        rows: int,
        seed: int,
    ) -> None:
        """``rows`` are the windows of a batch. The order of the series in the panel is nothing."""
        self.store, self.arrange, self.rows, self.seed = store, arrange, rows, seed
        names = [series.name for series in store.panel.series]
        self.windows = as_rows(sorted(windows, key=lambda one: (names[one.series], one.origin)))

    def size(self, epoch: int) -> int:
        """Returns the number of batches of an epoch."""
        return -(-len(self.windows) // self.rows)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[SeriesBatch]:
        """Yields the batches of an epoch from position ``start`` on."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.windows))
        for first in range(start * self.rows, len(order), self.rows):
            chosen = self.windows[order[first : first + self.rows]]
            yield self.store.gather(chosen, self.arrange)[0]


def repeated(batch: SeriesBatch, times: int) -> SeriesBatch:
    """Returns each window so many times."""
    again = {
        name: getattr(batch, name).repeat_interleave(times, dim=0)
        for name in ("history", "past", "future", "static", "ahead", "scale", "targets")
    }
    return replace(batch, **again)
