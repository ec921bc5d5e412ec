"""Optimisers and learning-rate schedules."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from seq2seq.errors import require

SLOTS = {
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
}
"""What optimisers keep of each of the weights, by torch's names."""
OptimizerName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "inverse_sqrt", "cosine", "plateau", "trapezoid"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate moves; all schedules warm up linearly first."""

    name: ScheduleName = "cosine"
    """`cosine` falls to `floor` over the run; `inverse_sqrt` falls from the end of the warm-up;
    `plateau` falls when validation stands still; `trapezoid` stays, and falls to `floor` in a
    straight line in the last part of the run (Zhai et al. 2022, section 3.5)."""
    warmup: int = 100
    """Updates until the full learning rate."""
    floor: float = 0.0
    """Least share of the learning rate (cosine, plateau, trapezoid)."""
    cooldown: float = 0.25
    """The part of the run in which a trapezoid falls."""
    factor: float = 0.5
    """What a plateau multiplies the rate with."""
    patience: int = 2
    """Validations without a gain that make a plateau."""

    def __post_init__(self) -> None:
        require(self.warmup >= 0, "warmup", "at least 0", self.warmup)
        require(0 <= self.floor <= 1, "floor", "in [0, 1]", self.floor)
        require(0 < self.cooldown <= 1, "cooldown", "in (0, 1]", self.cooldown)
        require(0 < self.factor < 1, "factor", "in (0, 1)", self.factor)
        require(self.patience >= 1, "patience", "at least 1", self.patience)

    def share(self, step: int, progress: float, plateaus: int) -> float:
        """Returns the share of the learning rate for update ``step`` (the first is 0).

        ``progress`` is the part of the run that is over, in [0, 1]; ``plateaus`` counts those met.
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        match self.name:
            case "constant":
                return 1.0
            case "inverse_sqrt":
                return math.sqrt(max(1, self.warmup) / (step + 1))
            case "cosine":
                return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
            case "trapezoid":
                return self.floor + (1 - self.floor) * min(1.0, (1 - progress) / self.cooldown)
            case "plateau":
                return max(self.floor, self.factor**plateaus)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights follow gradients."""

    name: OptimizerName = "adam"
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or plain SGD."""
    learning_rate: float = 1e-3
    """Step size at its highest."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's averages."""
    momentum: float = 0.0
    """SGD's momentum."""
    weight_decay: float = 0.0
    """Pull towards zero; decoupled with adamw."""
    clip: float = 1.0
    """Largest norm of all gradients together; 0: no clipping."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How the learning rate moves."""

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "learning_rate", "above 0", self.learning_rate)
        require(all(0 <= beta < 1 for beta in self.betas), "betas", "in [0, 1)", self.betas)
        require(0 <= self.momentum < 1, "momentum", "in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "weight_decay", "at least 0", self.weight_decay)
        require(self.clip >= 0, "clip", "at least 0", self.clip)


OF_TEXT = OptimizerConfig(learning_rate=2e-3, schedule=ScheduleConfig(name="trapezoid"))
"""What the tasks of text go by unless told otherwise; recipes/multi30k has measured it."""


def make_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Returns the optimiser; torch's fused kernels, one pass over all weights."""
    rate, decay = config.learning_rate, config.weight_decay
    match config.name:
        case "adam":
            return torch.optim.Adam(
                parameters, rate, betas=config.betas, weight_decay=decay, fused=True
            )
        case "adamw":
            return torch.optim.AdamW(
                parameters, rate, betas=config.betas, weight_decay=decay, fused=True
            )
        case "sgd":
            return torch.optim.SGD(
                parameters, rate, momentum=config.momentum, weight_decay=decay, fused=True
            )
