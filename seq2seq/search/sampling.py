"""Sampling: the next token of a text, drawn by chance."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seq2seq.errors import require
from seq2seq.search.asked import Bounds
from seq2seq.search.config import SamplingConfig, SearchConfig
from seq2seq.search.greedy import token_by_token
from seq2seq.search.rules import Rule, constrain
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper, selected
from seq2seq.symbols import PAD

ROLLS_AT_ONCE = 256


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
    if temperature == 1:  # the same bits as below, in fewer steps
        return scores.softmax(dim=1)
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


def _cumulative(numbers: Float[Tensor, "R V"]) -> Float[Tensor, "R V"]:
    """Returns cumulative sums; torch has none for a GPU where kernels must be repeatable."""
    if numbers.is_cuda and torch.are_deterministic_algorithms_enabled():
        return numbers.cpu().cumsum(dim=1).to(numbers.device)
    return numbers.cumsum(dim=1)


def _reaching(
    probabilities: Float[Tensor, "R V"], order: Int[Tensor, "R V"], share: float
) -> Float[Tensor, "R V"]:
    """Returns the fewest tokens, the first of ``order``, whose sum reaches ``share``."""
    sums = _cumulative(probabilities.gather(1, order))
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
    sums = _cumulative(exact)
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


def fresh_seed() -> int:
    """Returns a seed that nobody has chosen; whoever uses one tells it."""
    return int(np.random.SeedSequence().generate_state(1)[0])


class Dice:
    """One independent stream of uniform numbers a sample.

    A stream is a function of the seed and the sample's number (or numbers) alone: a sample comes
    out the same however many are made together.
    """

    def __init__(self, seed: int, samples: Sequence[int | tuple[int, ...]]) -> None:
        require(seed >= 0, "seed", "at least 0", seed)
        numbers = ((sample,) if isinstance(sample, int) else sample for sample in samples)
        self._streams = [np.random.Generator(np.random.PCG64((seed, *key))) for key in numbers]
        self._next_rolls: Iterator[Tensor] = iter(())

    def roll(self) -> Float[Tensor, "R"]:
        """Returns each stream's next number in [0, 1), in float64."""
        for numbers in self._next_rolls:
            return numbers
        rolls = np.stack([stream.random(ROLLS_AT_ONCE) for stream in self._streams], axis=1)
        self._next_rolls = iter(torch.from_numpy(rolls).unbind())
        return next(self._next_rolls)


def sample(
    stepper: Stepper[MemoryT, StateT],
    memory: MemoryT,
    state: StateT,
    tokens: Int[Tensor, "R P"],
    config: SamplingConfig,
    dice: Dice,
    rules: Sequence[Rule],
) -> Iterator[Int[Tensor, "R"]]:
    """Yields the next token of each row, without end and in constant memory.

    The repetition penalty looks back at the given tokens too. A row of a model that leaves nothing
    possible gives padding.

    Args:
        stepper: What scores the tokens.
        memory: What it looks at; None for a language model.
        state: The state before the last of ``tokens``.
        tokens: The tokens so far of each row, of which all but the last are read.
        config: How to draw.
        dice: As many streams as there are rows.
        rules: What may not be drawn; they see the recent tokens only, and no limit.
    """
    free = Bounds.none(torch.full((len(tokens),), sys.maxsize, device=tokens.device))
    room = tokens.new_full((len(tokens), config.repetition_window), PAD)
    recent = torch.cat([room, tokens[:, :-1]], dim=1)[:, -config.repetition_window :]  # [R, W]
    tokens = tokens[:, -1:]
    while True:
        # Only the step: whoever takes a token goes on in a mode of their own.
        with torch.inference_mode():
            step = stepper.step(memory, state, tokens)
            log_probs = constrain(step.log_probs, recent[:, None], free, rules)[:, 0]  # [R, V]
        state = step.state
        if config.repetition_penalty != 1:
            recent = torch.cat([recent[:, 1:], tokens], dim=1)
        if config.temperature == 0:
            ids = likeliest(log_probs, recent, config)
        else:
            ids = draw(filtered(log_probs, recent, config), dice.roll())
        yield ids
        tokens = ids[:, None]


def sampled_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Returns ``n_best`` drawn hypotheses a text, the likeliest first.

    What is drawn is a function of the seed and the text's number in the request: neither the batch
    nor its order changes it.
    """
    places = torch.arange(len(start.asked), device=start.bounds.limits.device)
    rows = places.repeat_interleave(n_best)  # [B*N]
    memory, state = selected(start.memory, rows), start.state.select(rows)
    many = Start(memory, state, start.bounds.select(rows), start.asked)
    keys = [(one.number, draw) for one in start.asked for draw in range(n_best)]
    dice, settings = Dice(config.seed, keys), config.sampling

    def choose(
        log_probs: Float[Tensor, "R V"], prefix: Int[Tensor, "R T"], texts: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, "R"], Int[Tensor, "R"]]:
        recent = prefix[:, -settings.repetition_window :]
        rolls = dice.roll()[texts.cpu()]
        if settings.temperature == 0:
            ids = likeliest(log_probs, recent, settings)
        else:
            ids = draw(filtered(log_probs, recent, settings), rolls)
        return log_probs.gather(1, ids[:, None])[:, 0], ids

    hypotheses = token_by_token(stepper, many, config, choose)
    groups = (hypotheses[at : at + n_best] for at in range(0, len(hypotheses), n_best))
    return [sorted(group, key=lambda hypothesis: -hypothesis.score) for group in groups]
