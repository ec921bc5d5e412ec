"""How likely given targets are to translators, given their sources."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.data.files import is_blank
from seq2seq.data.layout import flatten, make_batch
from seq2seq.data.pairs.corpus import Pair
from seq2seq.errors import require, require_kind
from seq2seq.search.memory import alike, halving
from seq2seq.search.stepper import Reader
from seq2seq.symbols import UNK
from seq2seq.tensors import Batch
from seq2seq.text.pipeline import Pipeline

REMEDY = "leave out the longest pairs"
LogProbs: TypeAlias = Callable[[Batch], Float[Tensor, "R"]]
"""Returns the log-probability of each real target token of a batch, one pair after the other."""


@dataclass(frozen=True)
class PairScore:
    """How likely a translator finds a target, given its source."""

    log_probability: float
    """In nats, the end symbol included. A blank source is translated by nothing: 0 for a blank
    target, ``-inf`` for any other."""
    tokens: tuple[str, ...] = field(repr=False, default=())
    """The target's tokens; the end symbol is the last. None for a blank source."""
    log_probabilities: tuple[float, ...] = field(repr=False, default=())
    """That of each token, given the source and all tokens before it."""
    unknown: int = 0
    """How many tokens of the target the vocabulary lacks; such a token is as likely as the unknown
    symbol."""
    source: str = field(repr=False, default="")
    target: str = field(repr=False, default="")

    def normalized(self, penalty: float = 1.0) -> float:
        """Returns the log-probability over length to ``penalty``: what a search calls a score.

        Raises:
            ConfigError: The penalty makes no sense.
        """
        require_kind(penalty, float, "penalty")
        require(penalty >= 0, "penalty", "at least 0", penalty)
        return self.log_probability / math.pow(max(1, len(self.tokens)), penalty)

    def record(self) -> dict[str, Any]:
        """Returns what ``--format jsonl`` prints; JSON has no infinity, None stands for it."""
        possible = self.log_probability > -math.inf
        return {
            "source": self.source,
            "target": self.target,
            "log_probability": self.log_probability if possible else None,
            "tokens": self.tokens,
            "log_probabilities": self.log_probabilities,
            "unknown": self.unknown,
        }


def score_pairs(
    pairs: Sequence[Pair],
    sources: Sequence[Sequence[int]],
    target: Pipeline,
    log_probs: LogProbs,
    batch_size: int,
    spread: Callable[..., Iterable[Any]] = map,
) -> list[PairScore]:
    """Scores pairs, whose sources are given as ids as well; those without ids are blank.

    Targets are scored as the pipeline cuts them: a search that found the same text may have spelt
    it otherwise. No target is cut off. ``spread`` maps the work over batches.

    Raises:
        OutOfMemory: A pair is so long that memory is full with it alone.
    """
    texts = ["" if is_blank(text) else text for _, text in pairs]
    targets = [ids if text else [] for ids, text in zip(target.encode(texts), texts, strict=True)]

    def score(batch: Sequence[int]) -> list[Sequence[float]]:
        both = [flatten([rows[index] for index in batch]) for rows in (sources, targets)]
        values = log_probs(make_batch(*both[0], *both[1]))
        ends = [len(targets[index]) + 1 for index in batch]
        return [part.tolist() for part in torch.split(values, ends)]

    lengths = [
        max(len(ids), len(others) + 1) if ids else 0
        for ids, others in zip(sources, targets, strict=True)
    ]
    batches = list(alike(lengths, range(len(pairs)), batch_size))[
        ::-1
    ]  # the longest first, as in search
    found: list[Sequence[float]] = [()] * len(pairs)
    results = spread(partial(halving, score, remedy=REMEDY), batches)
    for batch, scores in zip(batches, results, strict=True):
        for index, values in zip(batch, scores, strict=True):
            found[index] = values
    return [
        _scored(pair, ids, values, target)
        for pair, ids, values in zip(pairs, targets, found, strict=True)
    ]


def _scored(pair: Pair, ids: Sequence[int], values: Sequence[float], target: Pipeline) -> PairScore:
    if not values:  # the source is blank
        return PairScore(-math.inf if ids else 0.0, source=pair[0], target=pair[1])
    tokens = (*target.tokens(ids), "<eos>")
    return PairScore(sum(values), tokens, tuple(values), ids.count(UNK), *pair)


@torch.inference_mode()
def log_probs_of(
    stepper: Reader[Any, Any], device: torch.device, batch: Batch
) -> Float[Tensor, "R"]:
    """Returns the log-probability of each real target token of a batch, one pair after the other.

    What searches reads them token by token, in its precision, and as an ensemble does; on a
    processor it is no slower than the model that reads whole targets at once.
    """
    batch = batch.to(device)
    memory, state = stepper.start(batch.source)
    found = []
    for token, after in zip(
        batch.target_in.values.unbind(1), batch.target_out.values.unbind(1), strict=True
    ):
        step = stepper.step(memory, state, token[:, None])
        found.append(step.log_probs[:, 0].gather(1, after[:, None]))  # [B, 1]
        state = step.state
    log_probs = torch.cat(found, dim=1).flatten()  # [B*T]
    return log_probs.index_select(0, batch.target_out.real).double()
