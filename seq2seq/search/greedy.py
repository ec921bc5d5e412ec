"""Greedy search: the likeliest token, each time."""

import math

import torch

from seq2seq.search.stepper import (
    Hypothesis,
    MemoryT,
    SearchConfig,
    StateT,
    Stepper,
    constrain,
)
from seq2seq.symbols import BOS, EOS
from seq2seq.tensors import Padded


@torch.inference_mode()
def greedy_search(
    stepper: Stepper[MemoryT, StateT], source: Padded, config: SearchConfig
) -> list[Hypothesis]:
    """Returns one hypothesis a sentence, as :func:`beam_search` with a beam of 1."""
    memory, state = stepper.start(source)
    limits = config.limits(source)
    count = len(limits)
    sentences = torch.arange(count, device=limits.device)
    prefix = torch.full((count, 1, 1), BOS, device=limits.device)
    total = torch.zeros(count, dtype=torch.double, device=limits.device)
    trail: list[torch.Tensor] = []
    found: dict[int, tuple[tuple[int, ...], float, int]] = {}
    while len(sentences):
        step = stepper.step(memory, state, prefix[:, :, -1])
        log_probs = constrain(step.log_probs, prefix[:, :, 1:], limits, config)
        best, token = log_probs[:, 0].max(dim=1)
        total = total + best
        looked = step.attention.new_zeros(count, step.attention.shape[2])
        trail.append(looked.index_copy(0, sentences, step.attention[:, 0]))
        over = (token == EOS) | best.isneginf()
        rows, ended = (~over).nonzero().flatten(), over.nonzero().flatten()
        parts = (sentences[ended], prefix[ended, 0, 1:], total[ended])
        for sentence, ids, score in zip(*(part.tolist() for part in parts), strict=True):
            # Where nothing may follow, an empty text says so.
            length = 0 if math.isinf(score) else len(trail)
            share = score / max(1, length) ** config.length_penalty
            found[sentence] = tuple(ids[:length]), share, length
        prefix = torch.cat([prefix, token[:, None, None]], dim=2)
        state = step.state
        if len(ended):
            sentences, prefix, limits = sentences[rows], prefix[rows], limits[rows]
            total, memory, state = total[rows], memory.select(rows), state.select(rows)
    looks = torch.stack(trail, dim=1) if trail else torch.zeros(0)
    return [
        Hypothesis(ids, score, looks[row, :length].clone())
        for row, (ids, score, length) in sorted(found.items())
    ]
