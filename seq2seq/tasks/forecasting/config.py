"""The configuration of a forecaster's run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

from seq2seq.data.series.config import DataConfig, PartConfig
from seq2seq.errors import OneOf, PathText, require, require_name
from seq2seq.measures import FORECAST_METRICS
from seq2seq.tasks.forecasting.arima_orders import Choice
from seq2seq.tasks.forecasting.kinds import FITTED, RECURRENT
from seq2seq.tasks.forecasting.network import NetworkConfig
from seq2seq.training.config import TrainConfig
from seq2seq.training.optimisation import OptimizerConfig, ScheduleConfig


@dataclass(frozen=True, kw_only=True)
class ArimaConfig:
    """A model of the ARMA family; what is not given is searched for by AICc."""

    order: tuple[int, int, int] | None = None
    """Autoregression, differences, moving average: p, d, q."""
    seasonal_order: tuple[int, int, int] | None = None
    """The same at steps one season apart; none where only `order` is given."""
    season: int = 0
    """Steps; 0: data.season."""
    fourier: int | None = None
    """Pairs of sine and cosine that tell a long season."""
    trend: Literal["auto", "none", "constant"] = "auto"
    """Whether there is a mean, or after one difference a slope; auto: by AICc, or with given orders
    a mean where nothing is differenced."""
    start: Literal["diffuse", "zero"] = "diffuse"
    """What is believed of the time before the first step: nothing; or that all was zero."""

    def __post_init__(self) -> None:
        self.choice()

    def choice(self, *, logarithm: bool = False) -> Choice:
        """Returns what is given, and what is to be searched for; of logarithms or numbers."""
        return Choice(
            order=self.order,
            seasonal=self.seasonal_order,
            season=self.season,
            fourier=self.fourier,
            trend=self.trend,
            start=self.start,
            logarithm=logarithm,
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig(NetworkConfig):
    """What forecasts: a recurrent network, or a model that needs no training by gradients."""

    kind: Annotated[str, OneOf(FITTED, RECURRENT)] = RECURRENT
    """`recurrent`; `linear`, least squares on the window; `arima`, the ARMA family; `naive`, the
    last value; `seasonal-naive`, the last season; `drift`, a line through first and last value. For
    those that read a whole series, `window` only says from where on it is forecast."""
    arima: ArimaConfig = field(default_factory=ArimaConfig)
    """The orders, where kind is arima."""

    def __post_init__(self) -> None:
        require_name(self.kind, "kind", (RECURRENT, *FITTED))
        super().__post_init__()

    @property
    def choice(self) -> Choice:
        """What is given of the orders, and what is to be searched for."""
        return self.arima.choice(logarithm=self.logarithm)


@dataclass(frozen=True, kw_only=True)
class SeriesBatchConfig:
    """How windows become batches."""

    rows: int = 32
    """Windows of a batch."""
    stride: int = 1
    """Steps from one window to learn from to the next."""

    def __post_init__(self) -> None:
        require(self.rows >= 1, "rows", "at least 1", self.rows)
        require(self.stride >= 1, "stride", "at least 1", self.stride)


@dataclass(frozen=True, kw_only=True)
class SeriesDataConfig(DataConfig):
    """The series, their parts, and how windows of them become batches."""

    train: PartConfig | None = field(default_factory=PartConfig)
    """The time to learn from; without bounds, all before the next part."""
    batch: SeriesBatchConfig = field(default_factory=SeriesBatchConfig)
    """How windows become batches."""


@dataclass(frozen=True, kw_only=True)
class ForecastTrainConfig(TrainConfig):
    """The training loop. It ends at the first limit met: steps, epochs, minutes or patience."""

    scores: ClassVar[Mapping[str, Any]] = FORECAST_METRICS

    metric: Annotated[str, OneOf(FORECAST_METRICS, "loss")] = "loss"
    """The validation score that tells which checkpoint is best."""
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            learning_rate=3e-3, schedule=ScheduleConfig(warmup=50)
        )
    )
    """Optimiser and learning rate."""
    label_smoothing: float = 0.0
    """Unused: numbers are not smoothed."""
    refit: bool = False
    """Fit again on training and validation part together, with as many updates as the best
    checkpoint has, and use that model, with the intervals that validation calibrated before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.label_smoothing == 0, "label_smoothing", "0", self.label_smoothing)


@dataclass(frozen=True, kw_only=True)
class ForecastConfig:
    """Numbers in time: forecasts with intervals, by recurrent networks or classical models."""

    task: Literal["forecasting"] = "forecasting"
    """What the run is for."""
    folder: PathText = ""
    """The run folder; empty: `runs/` and the configuration file's name."""
    data: SeriesDataConfig = field(default_factory=SeriesDataConfig)
    """The series."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """What forecasts."""
    train: ForecastTrainConfig = field(default_factory=lambda: ForecastTrainConfig(epochs=40))
    """The training loop; models that need none only use `refit`."""
    intervals: Literal["adaptive", "conformal", "model"] = "adaptive"
    """Where intervals come from: from the validation part, by `conformal` calibration; `adaptive`
    goes on from there by how they have done since; or as the `model` has them."""

    def settled(self) -> "ForecastConfig":
        """Returns the same with what depends on other keys written out, as a run keeps it."""
        return self

    def shortened(self, folder: str, cache: str) -> "ForecastConfig":
        """Returns the same for two updates in another folder."""
        return replace(
            self,
            folder=folder,
            data=replace(self.data, cache=cache),
            train=replace(self.train.shortened(), patience=0),
        )
