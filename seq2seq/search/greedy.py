"""One token after the other: the likeliest each time, or another choice."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import constrain, rules_of
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper, selected
from seq2seq.symbols import BOS, EOS

Choose: TypeAlias = Callable[
    [Float[Tensor, "R V"], Int[Tensor, "R T"], Int[Tensor, "R"]],
    tuple[Float[Tensor, "R"], Int[Tensor, "R"]],
]
"""Takes log-probabilities, the tokens so far, and which texts the rows are; returns the chosen
tokens' log-probabilities and ids."""


def _likeliest(
    log_probs: Float[Tensor, "R V"], prefix: Int[Tensor, "R T"], texts: Int[Tensor, "R"]
) -> tuple[Float[Tensor, "R"], Int[Tensor, "R"]]:
    best, ids = log_probs.max(dim=1)
    return best, ids


def greedy_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Returns one hypothesis a text, as :func:`beam_search` does with a beam of 1."""
    return [[hypothesis] for hypothesis in token_by_token(stepper, start, config, _likeliest)]


@torch.inference_mode()
def token_by_token(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    choose: Choose,
) -> list[Hypothesis]:
    """Returns one hypothesis a text, each token as ``choose`` says."""
    memory, state, bounds, rules = start.memory, start.state, start.bounds, rules_of(config)
    count, device = len(bounds.limits), bounds.limits.device
    texts = torch.arange(count, device=device)  # those still going on
    prefix = torch.full((count, 1, 1), BOS, device=device)  # [R, 1, T]
    total = torch.zeros(count, dtype=torch.double, device=device)
    trail: list[Tensor] = []
    ended: dict[int, tuple[tuple[int, ...], float, int]] = {}
    while len(texts):
        step = stepper.step(memory, state, prefix[:, :, -1])
        log_probs = constrain(step.log_probs, prefix[:, :, 1:], bounds, rules)  # [R, 1, V]
        best, token = choose(log_probs[:, 0], prefix[:, 0], texts)
        total = total + best
        looked = step.attention.new_zeros(count, step.attention.shape[2])  # [B, S]
        trail.append(looked.index_copy(0, texts, step.attention[:, 0]))
        over = (token == EOS) | best.isneginf()
        done = over.nonzero().flatten()
        before, state = prefix, step.state
        prefix = torch.cat([prefix, token[:, None, None]], dim=2)
        if len(done):
            parts = (texts[done], before[done, 0, 1:], total[done])
            for text, ids, score in zip(*(part.tolist() for part in parts), strict=True):
                # Where nothing may follow, an empty text says so.
                length = 0 if math.isinf(score) else len(trail)
                share = score / max(1, length) ** config.length_penalty
                ended[text] = tuple(ids[:length]), share, length
            rows = (~over).nonzero().flatten()
            texts, prefix, total = texts[rows], prefix[rows], total[rows]
            bounds, memory = bounds.select(rows), selected(memory, rows)
            state = state.select(rows)
    looks = torch.stack(trail, dim=1).cpu() if trail else torch.zeros(0)  # [B, T, S]
    return [
        Hypothesis(ids, score, looks[text, :length].clone())
        for text, (ids, score, length) in sorted(ended.items())
    ]
