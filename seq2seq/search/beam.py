"""Batched beam search."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

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


@dataclass(frozen=True)
class _Beams:
    """The living hypotheses of the sentences still searched, best first."""

    sentences: Int[Tensor, "B"]
    limits: Int[Tensor, "B"]
    scores: Float[Tensor, "B K"]
    """Summed log-probability; ``-inf``: nothing lives in this place."""
    prefix: Int[Tensor, "B K T"]
    """The tokens so far, the start symbol first."""
    attention: Float[Tensor, "B K U S"]

    def select(self, rows: Int[Tensor, "R"]) -> "_Beams":
        """Returns the beams of the given sentences."""
        return _Beams(
            self.sentences[rows],
            self.limits[rows],
            self.scores[rows],
            self.prefix[rows],
            self.attention[rows],
        )

    def grow(
        self,
        scores: Float[Tensor, "B J"],
        parents: Int[Tensor, "B J"],
        tokens: Int[Tensor, "B J"],
        attention: Float[Tensor, "B K S"],
    ) -> "_Beams":
        """Returns beams that are one token longer than their parents."""
        trace = torch.cat([self.attention, attention[:, :, None]], dim=2)
        steps, width = trace.shape[2:]
        return replace(
            self,
            scores=scores,
            prefix=torch.cat([_pick(self.prefix, parents), tokens[..., None]], dim=2),
            attention=trace.gather(
                1, parents[..., None, None].expand(*parents.shape, steps, width)
            ),
        )


def _pick(values: Int[Tensor, "B K T"], index: Int[Tensor, "B J"]) -> Int[Tensor, "B J T"]:
    """Returns the given beams of each sentence."""
    return values.gather(1, index[..., None].expand(*index.shape, values.shape[2]))


def _first(source: Padded, config: SearchConfig) -> _Beams:
    """Returns the beams before the first step: one living hypothesis a sentence."""
    batch, device = source.lengths.shape[0], source.lengths.device
    # Sums of float32 log-probabilities in float64: order and neighbours do not show in them.
    scores = torch.full((batch, config.beam_size), -torch.inf, dtype=torch.double, device=device)
    scores[:, 0] = 0
    return _Beams(
        sentences=torch.arange(batch, device=device),
        limits=config.limits(source),
        scores=scores,
        prefix=torch.full((*scores.shape, 1), BOS, device=device),
        attention=torch.zeros(*scores.shape, 0, source.values.shape[1], device=device),
    )


@torch.inference_mode()
def beam_search(
    stepper: Stepper[MemoryT, StateT], source: Padded, config: SearchConfig
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses, best first: at least 1, at most ``beam_size``.

    At each step the ``K`` best continuations of the living hypotheses are looked at: those that
    end are finished, and the best ``K`` that do not end live on. A sentence is done when ``K``
    hypotheses are finished or its limit is reached.
    """
    size = config.beam_size
    memory, state = stepper.start(source)
    beams = _first(source, config)
    state = state.select(beams.sentences.repeat_interleave(size))
    found: list[list[Hypothesis]] = [[] for _ in beams.sentences]
    while len(beams.sentences):
        step = stepper.step(memory, state, beams.prefix[:, :, -1])
        log_probs = constrain(step.log_probs, beams.prefix[:, :, 1:], beams.limits, config)
        candidates = (beams.scores[..., None] + log_probs).flatten(1)
        scores, index = candidates.topk(min(2 * size, candidates.shape[1]), dim=1)
        parents, tokens = index // log_probs.shape[2], index % log_probs.shape[2]
        ended = tokens == EOS
        _finish(beams.grow(scores, parents, tokens, step.attention), ended, found, config)
        # A stable sort: those that do not end come first, and stay in order.
        living = ended.to(torch.uint8).argsort(dim=1, stable=True)[:, :size]
        scores = scores.masked_fill(ended, -torch.inf).gather(1, living)
        parents, tokens = parents.gather(1, living), tokens.gather(1, living)
        beams = beams.grow(scores, parents, tokens, step.attention)
        going = ~_done(beams, found, config)
        flat = parents + torch.arange(len(parents), device=parents.device)[:, None] * size
        rows = going.nonzero().flatten()
        beams, memory = beams.select(rows), memory.select(rows)
        state = step.state.select(flat[rows].flatten())
    return [sorted(some, key=lambda one: -one.score)[:size] for some in found]


def _finish(
    beams: _Beams, ended: Bool[Tensor, "B J"], found: list[list[Hypothesis]], config: SearchConfig
) -> None:
    """Adds the hypotheses that end among the first ``K`` candidates to ``found``."""
    length = beams.prefix.shape[2] - 1
    for row, place in (ended & ~beams.scores.isneginf()).nonzero().tolist():
        if place < config.beam_size:
            found[int(beams.sentences[row])].append(
                Hypothesis(
                    tuple(beams.prefix[row, place, 1:-1].tolist()),
                    float(beams.scores[row, place]) / length**config.length_penalty,
                    beams.attention[row, place].clone(),
                )
            )


def _done(beams: _Beams, found: list[list[Hypothesis]], config: SearchConfig) -> Bool[Tensor, "B"]:
    """Returns which sentences need no further step."""
    done = []
    dead = beams.scores.isneginf().all(dim=1) | (beams.limits < beams.prefix.shape[2])
    for sentence, over in zip(beams.sentences.tolist(), dead.tolist(), strict=True):
        if over and not found[sentence]:  # nothing may follow: say so with an empty text
            looked = torch.zeros(0, beams.attention.shape[3])
            found[sentence].append(Hypothesis((), -torch.inf, looked))
        done.append(over or len(found[sentence]) >= config.beam_size)
    return torch.tensor(done, dtype=torch.bool, device=beams.scores.device)
