"""Greedy search: the likeliest token, each time."""

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
    sentences = torch.arange(len(limits), device=limits.device)
    prefix = torch.full((len(limits), 1, 1), BOS, device=limits.device)
    total = torch.zeros(len(limits), dtype=torch.double, device=limits.device)
    attention: list[torch.Tensor] = []
    found: dict[int, Hypothesis] = {}
    while len(sentences):
        step = stepper.step(memory, state, prefix[:, :, -1])
        log_probs = constrain(step.log_probs, prefix[:, :, 1:], limits, config)
        best, token = log_probs[:, 0].max(dim=1)
        total = total + best
        attention.append(step.attention[:, 0])
        prefix = torch.cat([prefix, token[:, None, None]], dim=2)
        for row in ((token == EOS) | best.isneginf()).nonzero().flatten().tolist():
            # Where nothing may follow, an empty text says so.
            length = 0 if best[row].isneginf() else len(attention)
            ids = tuple(prefix[row, 0, 1:length].tolist())
            score = float(total[row]) / max(1, length) ** config.length_penalty
            looked = torch.stack([weights[row] for weights in attention])[:length]
            found[int(sentences[row])] = Hypothesis(ids, score, looked)
        rows = ((token != EOS) & ~best.isneginf()).nonzero().flatten()
        sentences, prefix, limits, total = sentences[rows], prefix[rows], limits[rows], total[rows]
        attention = [weights[rows] for weights in attention]
        memory, state = memory.select(rows), step.state.select(rows)
    return [found[sentence] for sentence in range(len(found))]
