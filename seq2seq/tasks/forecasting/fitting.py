"""Models that are fitted and not trained, and intervals: from data into a run folder."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window, inside
from seq2seq.errors import CheckpointError
from seq2seq.lists import evenly
from seq2seq.runs.loading import own_checkpoints
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.intervals import Offsets, calibrate, units_of
from seq2seq.tasks.forecasting.kinds import FITTED, RECURRENT, Learning
from seq2seq.tasks.forecasting.learned import Learned, windows_of
from seq2seq.tasks.forecasting.trained import FACTS, bare, best_of, calibration, restored
from seq2seq.tasks.forecasting.validation import scores_of
from seq2seq.training.checkpoint import name_of
from seq2seq.training.disk import put
from seq2seq.training.journal import open_journal
from seq2seq.training.state import Progress

STEP = 1
"""That of the only checkpoint of a model that is fitted."""
MOST_TOLD = 8
"""Models of single series that the log tells of."""
MOST_CALIBRATED = 2000
"""Validation windows that intervals are calibrated on, evenly spaced where there are more."""
log = logging.getLogger("seq2seq")


def fit_and_keep(
    config: ForecastConfig,
    learning: Learning,
    valid: Sequence[Window],
    folder: Path,
    elapsed: Callable[[], float],
) -> None:
    """Fits a model, measures it on validation windows, and saves it; once for each run folder.

    ``elapsed`` tells how many seconds the run has used.
    """
    checkpoints, latest = own_checkpoints(folder, config.train.keep)
    if latest is not None:
        return
    kept = FITTED[config.model.kind].fit(learning)
    for line in kept.told[:MOST_TOLD]:
        log.info("%s", line)
    if len(kept.told) > MOST_TOLD:
        log.info("and %s more", f"{len(kept.told) - MOST_TOLD:,}")
    scores = scores_of(config, restored(config, kept.arrays, kept.facts), learning.panel, valid)
    log.info("%s", ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    progress = _progress(config, scores, elapsed())
    with open_journal(folder) as journal:
        journal.row(progress.best_row)
    arrays = {name: torch.from_numpy(array.copy()) for name, array in kept.arrays.items()}
    state = asdict(progress) | {FACTS: dict(kept.facts)}
    checkpoints.save(name_of(STEP), arrays, {}, state)


def _progress(config: ForecastConfig, scores: Mapping[str, float], seconds: float) -> Progress:
    """Returns where a run stands whose model is fitted: the validation's row is its best."""
    metric = "mae" if config.train.metric == "loss" else config.train.metric
    row = {"step": STEP, "epoch": 0, "valid_loss": scores[metric], **scores}
    row = {name: value for name, value in row.items() if math.isfinite(value)}
    return Progress(
        step=STEP,
        seconds=seconds,
        validated=STEP,
        best=scores[metric],
        best_step=STEP,
        best_row=row | {"minutes": seconds / 60},
    )


def calibrate_best(config: ForecastConfig, learned: Learned, panel: Panel, folder: Path) -> None:
    """Calibrates the intervals of a run's best checkpoint on validation, unless that is done."""
    name = best_of(folder).name
    path = calibration(folder, name)
    if _calibrated(path):
        return
    windows = evenly(windows_of(config, panel, "valid"), MOST_CALIBRATED)
    model = bare(config, learned, folder, name, config.train.device).predictor
    units = units_of(panel, inside(panel, config.data.part("train")))
    offsets = calibrate(
        model,
        panel,
        windows,
        config.model.horizon,
        units,
        logarithm=config.model.logarithm,
        narrows=config.model.kind != RECURRENT,
    )
    _write(offsets, path)
    log.info("intervals: calibrated on %s validation windows", f"{len(windows):,}")


def _write(offsets: Offsets, path: Path) -> None:
    """Writes offsets at once, in place of those of another best checkpoint."""
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("*.json"):
        old.unlink()
    draft = path.with_name(f".tmp-{path.name}")
    try:
        put(draft, offsets.to_json().encode())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)  # where a signal came between


def _calibrated(path: Path) -> bool:
    """Tells whether there are offsets; says so where they are damaged."""
    if not path.exists():
        return False
    try:
        Offsets.read(path)
    except CheckpointError as error:
        log.warning("%s; calibrating again", error)
        return False
    return True
