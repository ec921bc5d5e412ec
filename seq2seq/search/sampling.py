"""Sampling: the next token of a text without an end, drawn by chance."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seq2seq.errors import require
from seq2seq.search.stepper import Scored, StateT
from seq2seq.symbols import PAD

ROLLS_AHEAD = 256


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the next token is drawn; the settings apply in the order of :func:`filtered`."""

    temperature: float = 1.0
    """Log-probabilities are divided by it: below 1 bolder, above 1 wilder; 0: the likeliest."""
    top_k: int = 0
    """Only so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Only the fewest likeliest tokens that reach this probability together; 1: all."""
    min_p: float = 0.0
    """Only tokens with at least this share of the likeliest one's probability; 0: all."""
    typical: float = 1.0
    """Only the fewest tokens that reach this probability together, those whose information is
    nearest to the entropy first; 1: all."""
    repetition_penalty: float = 1.0
    """The log-probability of recent tokens is multiplied by it; 1: off."""
    repetition_window: int = 64
    """Tokens that count as recent."""

    def __post_init__(self) -> None:
        for key, least in (("temperature", 0), ("repetition_penalty", 1)):
            require(getattr(self, key) >= least, key, f"at least {least}", getattr(self, key))
            require(math.isfinite(getattr(self, key)), key, "finite", getattr(self, key))
        require(self.top_k >= 0, "top_k", "at least 0", self.top_k)
        require(0 < self.top_p <= 1, "top_p", "in (0, 1]", self.top_p)
        require(0 <= self.min_p < 1, "min_p", "in [0, 1)", self.min_p)
        require(0 < self.typical <= 1, "typical", "in (0, 1]", self.typical)
        window = self.repetition_window
        require(window >= 1, "repetition_window", "at least 1", window)


def _penalised(
    log_probs: Float[Tensor, "R V"], recent: Int[Tensor, "R W"], penalty: float
) -> Float[Tensor, "R V"]:
    """Returns the log-probabilities, times ``penalty`` where the token is recent.

    Keskar et al. 2019 (CTRL): their rule for negative scores, which log-probabilities are.
    """
    seen = torch.zeros_like(log_probs, dtype=torch.bool).scatter(1, recent.long(), True)
    seen[:, PAD] = False
    # However large the penalty, what was possible stays so.
    worse = (log_probs * penalty).clamp(min=torch.finfo(log_probs.dtype).min)
    return torch.where(seen & ~log_probs.isneginf(), worse, log_probs)


def _tempered(scores: Float[Tensor, "R V"], temperature: float) -> Float[Tensor, "R V"]:
    """Returns the softmax at a temperature; at 0 all of it is the first best token's."""
    best, first = scores.max(dim=1, keepdim=True)
    if temperature == 0:
        others = torch.ones_like(scores, dtype=torch.bool).scatter(1, first, False)
        return scores.masked_fill(others, -torch.inf).softmax(dim=1)
    # The best stays 0, however low the temperature: it never overflows to impossible.
    return ((scores - best) / temperature).softmax(dim=1)


def _only(
    probabilities: Float[Tensor, "R V"], order: Int[Tensor, "R V"], places: Tensor
) -> Float[Tensor, "R V"]:
    """Returns the tokens at the ``places`` of ``order`` that are true, their sum 1 again."""
    kept = torch.zeros_like(order, dtype=torch.bool).scatter(1, order, places.expand_as(order))
    left = probabilities.masked_fill(~kept, 0)
    return left / left.sum(dim=1, keepdim=True)


def _reaching(
    probabilities: Float[Tensor, "R V"], order: Int[Tensor, "R V"], share: float
) -> Float[Tensor, "R V"]:
    """Returns the fewest tokens, the first of ``order``, whose sum reaches ``share``."""
    sums = probabilities.gather(1, order).cumsum(dim=1)
    before = functional.pad(sums[:, :-1], (1, 0))
    return _only(probabilities, order, before < share)


def keep_top_k(probabilities: Float[Tensor, "R V"], k: int) -> Float[Tensor, "R V"]:
    """Returns the ``k`` likeliest tokens of each row, renormalised; ties: the lower id first."""
    order = probabilities.argsort(dim=1, descending=True, stable=True)
    return _only(probabilities, order, torch.arange(order.shape[1], device=order.device) < k)


def keep_top_p(probabilities: Float[Tensor, "R V"], share: float) -> Float[Tensor, "R V"]:
    """Returns the nucleus of each row, renormalised; Holtzman et al. 2020.

    It is the smallest set of likeliest tokens whose sum reaches ``share``: the token that crosses
    it is in. Ties: the lower id first.
    """
    order = probabilities.argsort(dim=1, descending=True, stable=True)
    return _reaching(probabilities, order, share)


def keep_min_p(probabilities: Float[Tensor, "R V"], share: float) -> Float[Tensor, "R V"]:
    """Returns the tokens at least ``share`` as likely as the likeliest; Nguyen et al. 2024."""
    least = share * probabilities.amax(dim=1, keepdim=True)
    left = probabilities.masked_fill(probabilities < least, 0)
    return left / left.sum(dim=1, keepdim=True)


def keep_typical(probabilities: Float[Tensor, "R V"], share: float) -> Float[Tensor, "R V"]:
    """Returns the locally typical tokens of each row, renormalised; Meister et al. 2023.

    It is the smallest set whose sum reaches ``share``, beginning with the tokens whose information
    is nearest to the entropy. Ties: the lower id first.
    """
    # In bits: powers of 2, and so the ties among them, come out exactly.
    information = -probabilities.log2()
    expected = (probabilities * information).masked_fill(probabilities == 0, 0)
    distance = (information - expected.sum(dim=1, keepdim=True)).abs()
    return _reaching(probabilities, distance.argsort(dim=1, stable=True), share)


def filtered(
    log_probs: Float[Tensor, "R V"], recent: Int[Tensor, "R W"], config: SamplingConfig
) -> Float[Tensor, "R V"]:
    """Returns the probabilities of what may be drawn, in float64; each row sums to 1.

    First the repetition penalty, then the temperature, then top-k, top-p, min-p and typical, each
    on what the one before left, renormalised. What was impossible stays so, and at least one token
    of what was possible stays; a row where nothing was possible is not a number.

    Args:
        log_probs: Normalised or not; ``-inf``: impossible.
        recent: The tokens that the repetition penalty looks at, padding where there are fewer.
        config: The settings.
    """
    scores = log_probs.double()
    if config.repetition_penalty != 1:
        scores = _penalised(scores, recent, config.repetition_penalty)
    probabilities = _tempered(scores, config.temperature)
    if config.top_k > 0:
        probabilities = keep_top_k(probabilities, config.top_k)
    if config.top_p < 1:
        probabilities = keep_top_p(probabilities, config.top_p)
    if config.min_p > 0:
        probabilities = keep_min_p(probabilities, config.min_p)
    if config.typical < 1:
        probabilities = keep_typical(probabilities, config.typical)
    return probabilities


def draw(probabilities: Float[Tensor, "R V"], uniforms: Float[Tensor, "R"]) -> Int[Tensor, "R"]:
    """Returns one token a row, by the inverse of the cumulative distribution.

    It is the first whose cumulative sum exceeds the row's uniform number, in [0, 1), times the
    row's sum, and never one with probability 0; in a row that is not a number, padding.
    """
    exact = probabilities.double()
    sums = exact.cumsum(dim=1)
    if sums.is_cuda:
        # Parallel sums may waver in the last digit: without the mask, a token of probability 0
        # could be where they cross. One after the other, they never fall.
        sums = sums.masked_fill(exact == 0, 0)
    crossing = uniforms.to(exact)[:, None] * sums.amax(dim=1, keepdim=True)
    return (sums > crossing).to(torch.uint8).argmax(dim=1)


def likeliest(
    log_probs: Float[Tensor, "R V"], recent: Int[Tensor, "R W"], config: SamplingConfig
) -> Int[Tensor, "R"]:
    """Returns what :func:`draw` takes from :func:`filtered` at a temperature of 0, and faster.

    The first best token of each row, recent ones penalised; padding where nothing is possible.
    """
    if config.repetition_penalty != 1:
        log_probs = _penalised(log_probs.double(), recent, config.repetition_penalty)
    best, first = log_probs.max(dim=1)
    return first.masked_fill(best.isneginf(), PAD)


class Dice:
    """One independent stream of uniform numbers a sample.

    A stream is a function of the seed and the sample's index alone: a sample comes out the same
    however many are made together.
    """

    def __init__(self, seed: int, samples: Sequence[int]) -> None:
        require(seed >= 0, "seed", "at least 0", seed)
        keys = [(seed, sample) for sample in samples]
        self._streams = [np.random.Generator(np.random.PCG64(key)) for key in keys]
        self._ahead: Iterator[Tensor] = iter(())

    def roll(self) -> Float[Tensor, "R"]:
        """Returns each stream's next number in [0, 1), in float64."""
        for numbers in self._ahead:
            return numbers
        ahead = np.stack([stream.random(ROLLS_AHEAD) for stream in self._streams], axis=1)
        self._ahead = iter(torch.from_numpy(ahead).unbind())
        return next(self._ahead)


@runtime_checkable
class Continuer(Protocol[StateT]):
    """A model that continues texts."""

    def step(self, state: StateT, tokens: Int[Tensor, "R 1"]) -> Scored[StateT]:
        """Reads one token a row; the log-probabilities are ``[R, 1, V]``."""
        ...


def sample(
    model: Continuer[StateT],
    state: StateT,
    tokens: Int[Tensor, "R P"],
    config: SamplingConfig,
    dice: Dice,
    banned: Sequence[int],
) -> Iterator[Int[Tensor, "R"]]:
    """Yields the next token of each row, without end and in constant memory.

    The repetition penalty looks back at the given tokens too. A row of a model that leaves nothing
    possible gives padding.

    Args:
        model: What scores the tokens.
        state: The state before the last of ``tokens``.
        tokens: The tokens so far of each row, of which all but the last are read.
        config: How to draw.
        dice: As many streams as there are rows.
        banned: Tokens that never are drawn.
    """
    never = torch.tensor(banned, dtype=torch.long, device=tokens.device)
    room = tokens.new_full((len(tokens), config.repetition_window), PAD)
    recent = torch.cat([room, tokens[:, :-1]], dim=1)[:, -config.repetition_window :]
    tokens = tokens[:, -1:]
    while True:
        # Only the step: whoever takes a token goes on in a mode of their own.
        with torch.inference_mode():
            step = model.step(state, tokens)
        state = step.state
        if config.repetition_penalty != 1:
            recent = torch.cat([recent[:, 1:], tokens], dim=1)
        log_probs = step.log_probs[:, 0].nan_to_num(nan=-torch.inf, neginf=-torch.inf)
        log_probs = log_probs.index_fill(1, never, -torch.inf)
        if config.temperature == 0:
            ids = likeliest(log_probs, recent, config)
        else:
            ids = draw(filtered(log_probs, recent, config), dice.roll())
        yield ids
        tokens = ids[:, None]
