"""The settings of the training loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from seq2seq.errors import OneOf, PathText, require, require_name
from seq2seq.measures import METRICS
from seq2seq.training.objective import OBJECTIVES
from seq2seq.training.optimisation import OptimizerConfig

ConfigT = TypeVar("ConfigT", bound="TrainConfig")
LIMITS = ("steps", "epochs", "minutes", "patience")
"""The keys that say where a run ends."""
START = {"start_checkpoint": "best", "start_vocabulary": "kept", "start_optimizer": "fresh"}
"""The keys that say how a run begins from another one, with their defaults."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The training loop. It ends at the first limit met: steps, epochs, minutes or patience."""

    scores: ClassVar[Mapping[str, Any]] = METRICS
    """The table that ``metric`` names an entry of; a task with other scores has another."""

    seed: int = 1
    """Where all randomness begins: weights, order of batches, dropout."""
    steps: int = 0
    """Most updates; 0: no limit."""
    epochs: int = 0
    """Most passes over the training text; 0: no limit, as where only steps or minutes are named."""
    minutes: float = 0.0
    """Most wall-clock time, tokenizer training and validation included; 0: no limit. A run that
    ends by the clock is not repeatable to the bit."""
    patience: int = 0
    """Validations without a gain after which training ends; 0: no limit."""
    objective: Annotated[str, OneOf(OBJECTIVES)] = "cross_entropy"
    """What is made small."""
    start: PathText = ""
    """The run with whose weights this one begins, matrices with a row for each token by the tokens'
    text; empty: all weights are drawn. Not needed any more once there is a checkpoint."""
    start_checkpoint: str = "best"
    """Which checkpoint of it: best, last, a step, or a name."""
    start_vocabulary: Literal["kept", "grown", "replaced"] = "kept"
    """`kept`: tokenizers and vocabularies are those of that run; `grown`: they are, and what the
    new data need is added; `replaced`: they are learned from the new data."""
    start_optimizer: Literal["fresh", "kept"] = "fresh"
    """Whether the optimiser's averages begin anew, or with those of that run, where its weights
    have the same names."""
    freeze: tuple[str, ...] = ()
    """Patterns of the names of weights that stay as they are at the beginning, such as
    `encoder.*`, in quotes where they begin with a star; the log tells the names when training
    begins."""
    label_smoothing: float = 0.1
    """Share of the target's mass that all tokens have in common."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimiser and learning rate."""
    average: float = 0.0
    """Share of itself that a running average of the weights keeps at each update, such as 0.999;
    validation, checkpoints and use then take the average. 0: no average."""
    accumulate: int = 1
    """Batches whose gradients make one update."""
    validate_every: int = 0
    """Updates between validations; 0: once an epoch."""
    metric: Annotated[str, OneOf(METRICS, "loss")] = "loss"
    """The validation score that tells which checkpoint is best."""
    keep: int = 3
    """Last checkpoints kept, besides the best."""
    log_every: int = 50
    """Updates between rows of the metrics."""
    threads: int = 0
    """CPU threads; 0: one for each core when the run begins, and as many whenever it goes on."""
    device: Literal["auto", "cpu", "cuda", "cuda-graphs"] = "auto"
    """Where the model trains; auto: cuda where there is one. `cuda-graphs`: on CUDA, with batches
    filled up to one of a few shapes and each shape's update replayed as a CUDA graph."""
    deterministic: bool = False
    """On CUDA, use only kernels that give the same bits each time, without which no run there can
    be repeated to the bit; a processor's always do."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numbers that matrix products use while training; weights are always float32. auto:
    bfloat16 where the device multiplies it faster, else float16 on a GPU that does so. float16
    gradients are scaled, and an update whose scale was too large is left out."""

    def __post_init__(self) -> None:
        require_name(self.objective, "objective", OBJECTIVES)
        require_name(self.metric, "metric", ("loss", *self.scores))
        for key in ("seed", "steps", "epochs", "minutes", "patience", "validate_every", "threads"):
            require(getattr(self, key) >= 0, key, "at least 0", getattr(self, key))
        for key in ("accumulate", "keep", "log_every"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        for key in ("label_smoothing", "average"):
            require(0 <= getattr(self, key) < 1, key, "in [0, 1)", getattr(self, key))
        start = {key: getattr(self, key) for key in START}
        unused = bool(self.start) or start == START
        require(unused, "start", f"the folder of a run where {' or '.join(START)} is given", "")
        ends = any(getattr(self, limit) for limit in LIMITS)
        require(ends, "steps", "above 0, or epochs, minutes or patience", self.steps)

    def shortened(self: ConfigT) -> ConfigT:
        """Returns the same settings for two updates."""
        return replace(self, steps=2, epochs=0, minutes=0.0, validate_every=0)
