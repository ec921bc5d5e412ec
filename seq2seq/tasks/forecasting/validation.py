"""What is measured on the validation part while a forecaster is trained."""

from collections.abc import Mapping, Sequence

import torch

from seq2seq.data.series.panel import Panel
from seq2seq.data.series.windows import Window, inside
from seq2seq.lists import chunks
from seq2seq.tasks.forecasting.batches import SeriesStore, as_rows
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.forecasting.evaluation import Setting, measured
from seq2seq.tasks.forecasting.prediction import Predictor
from seq2seq.tasks.forecasting.recurrent import AT_ONCE, RecurrentPredictor

SHOWN = ("mae", "rmse", "mase")
PROBABILISTIC = ("wql", "msis")
"""Scores that look at quantiles."""
PERCENTS = (50, 80, 95)
"""The intervals that they look at."""


def scores_of(
    config: ForecastConfig, model: Predictor, panel: Panel, windows: Sequence[Window]
) -> dict[str, float]:
    """Returns a model's scores on some windows, in the units of the data."""
    metric = config.train.metric
    metrics = dict.fromkeys((*SHOWN, metric))
    metrics.pop("loss", None)
    setting = Setting(
        panel,
        windows,
        config.model.horizon,
        PERCENTS if metric in PROBABILISTIC else (),
        tuple(metrics),
        inside(panel, config.data.part("train")),
    )
    scores = measured(model.name, model, setting).scores
    return {name: tally.value for name, tally in scores.items()}


class SeriesValidation:
    """Measures a network on the validation windows; the trainer calls it."""

    def __init__(
        self,
        config: ForecastConfig,
        predictor: RecurrentPredictor,
        store: SeriesStore,
        windows: Sequence[Window],
    ) -> None:
        self.config, self.predictor = config, predictor
        self.store, self.windows = store, windows

    def __call__(self) -> Mapping[str, float]:
        """Returns the head's loss of a number, and scores in the units of the data."""
        scores = scores_of(self.config, self.predictor, self.store.panel, self.windows)
        return {"loss": self._loss(), **scores}

    @torch.inference_mode()
    def _loss(self) -> float:
        model = self.predictor.model
        device = next(model.parameters()).device
        total, count = 0.0, 0
        for windows in chunks(self.windows, AT_ONCE):
            batch = self.store.gather(as_rows(windows), model.mode.arrange)[0].to(device)
            features = model.features(batch)
            total += float(model.head.loss(features.vectors, features.targets))
            count += batch.predictions
        return total / count
