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
    history: tuple[tuple[Int[Tensor, "B K"], Float[Tensor, "B K S"]], ...]
    """For each step, which hypothesis of the step before each came from, and where it looked."""

    def select(self, rows: Int[Tensor, "R"]) -> "_Beams":
        """Returns the beams of the given sentences."""
        return _Beams(
            self.sentences[rows],
            self.limits[rows],
            self.scores[rows],
            self.prefix[rows],
            tuple((parents[rows], looked[rows]) for parents, looked in self.history),
        )

    def trace(self, rows: Int[Tensor, "N"], places: Int[Tensor, "N"]) -> Float[Tensor, "N T S"]:
        """Returns where the given hypotheses looked, step by step, walking back to their roots."""
        trace = []
        for parents, looked in reversed(self.history):
            trace.append(looked[rows, places])
            places = parents[rows, places]
        return torch.stack(trace[::-1], dim=1)


def _first(source: Padded, config: SearchConfig) -> _Beams:
    """Returns the beams before the first step: one living hypothesis a sentence."""
    batch, device = source.lengths.shape[0], source.lengths.device
    # Sums of float32 log-probabilities in float64: order and neighbours do not show in them.
    scores = torch.full((batch, config.beam_size), -torch.inf, dtype=torch.double, device=device)
    scores[:, 0] = 0
    prefix = torch.full((*scores.shape, 1), BOS, device=device)
    return _Beams(torch.arange(batch, device=device), config.limits(source), scores, prefix, ())


@torch.inference_mode()
def beam_search(
    stepper: Stepper[MemoryT, StateT], source: Padded, config: SearchConfig
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses, best first: at least 1, at most ``beam_size``.

    At each step the ``K`` best continuations of the living hypotheses are looked at: those that
    end are finished, and the best ``K`` that do not end live on. A sentence is done when ``K``
    hypotheses are finished and none that lives scores better than the best of them, or when its
    limit is reached.
    """
    size = config.beam_size
    memory, state = stepper.start(source)
    beams = _first(source, config)
    state = state.select(beams.sentences.repeat_interleave(size))
    parents = torch.zeros_like(beams.prefix[..., 0])
    found: list[list[Hypothesis]] = [[] for _ in beams.sentences]
    while len(beams.sentences):
        step = stepper.step(memory, state, beams.prefix[:, :, -1])
        beams = replace(beams, history=(*beams.history, (parents, step.attention)))
        log_probs = constrain(step.log_probs, beams.prefix[:, :, 1:], beams.limits, config)
        candidates = (beams.scores[..., None] + log_probs).flatten(1)
        scores, index = candidates.topk(min(2 * size, candidates.shape[1]), dim=1)
        parents, tokens = index // log_probs.shape[2], index % log_probs.shape[2]
        ended = tokens == EOS
        _finish(beams, scores, parents, ended, found, config)
        # A stable sort: those that do not end come first, and stay in order.
        living = ended.to(torch.uint8).argsort(dim=1, stable=True)[:, :size]
        scores = scores.masked_fill(ended, -torch.inf).gather(1, living)
        parents, tokens = parents.gather(1, living), tokens.gather(1, living)
        prefix = beams.prefix.gather(1, parents[..., None].expand_as(beams.prefix))
        prefix = torch.cat([prefix, tokens[..., None]], dim=2)
        beams = replace(beams, scores=scores, prefix=prefix)
        going = ~_done(beams, found, config)
        flat = parents + torch.arange(len(parents), device=parents.device)[:, None] * size
        if not going.all():
            rows = going.nonzero().flatten()
            beams, memory = beams.select(rows), memory.select(rows)
            parents, flat = parents[rows], flat[rows]
        state = step.state.select(flat.flatten())
    return [sorted(some, key=lambda one: -one.score)[:size] for some in found]


def _finish(
    beams: _Beams,
    scores: Float[Tensor, "B J"],
    parents: Int[Tensor, "B J"],
    ended: Bool[Tensor, "B J"],
    found: list[list[Hypothesis]],
    config: SearchConfig,
) -> None:
    """Adds the hypotheses that end among the first ``K`` candidates to ``found``."""
    first = (ended & ~scores.isneginf())[:, : config.beam_size]
    rows, ranks = first.nonzero(as_tuple=True)
    if not len(rows):
        return
    places = parents[rows, ranks]
    lengths = beams.prefix.shape[2] ** config.length_penalty
    for sentence, ids, score, looked in zip(
        beams.sentences[rows].tolist(),
        beams.prefix[rows, places, 1:].tolist(),
        (scores[rows, ranks] / lengths).tolist(),
        beams.trace(rows, places),
        strict=True,
    ):
        found[sentence].append(Hypothesis(tuple(ids), score, looked))


def _done(beams: _Beams, found: list[list[Hypothesis]], config: SearchConfig) -> Bool[Tensor, "B"]:
    """Returns which sentences need no further step."""
    done = []
    dead = beams.scores.isneginf().all(dim=1) | (beams.limits < beams.prefix.shape[2])
    # What the best living hypothesis scores so far.
    hopes = beams.scores[:, 0] / (beams.prefix.shape[2] - 1) ** config.length_penalty
    sentences = beams.sentences.tolist()
    for sentence, over, hope in zip(sentences, dead.tolist(), hopes.tolist(), strict=True):
        if over and not found[sentence]:  # nothing may follow: say so with an empty text
            looked = beams.history[0][1][:0, 0]
            found[sentence].append(Hypothesis((), -torch.inf, looked))
        enough = len(found[sentence]) >= config.beam_size
        done.append(over or (enough and max(one.score for one in found[sentence]) >= hope))
    return torch.tensor(done, dtype=torch.bool, device=beams.scores.device)
