"""What every beam search is made of: living hypotheses, those that ended, and the loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.search.asked import Bounds
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import Rule, constrain
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper, selected
from seq2seq.symbols import BOS
from seq2seq.tensors.tree import each, tensors_in

PartT = TypeVar("PartT", "Beams", "Ended")
UNSEEN = 1e-6
"""A source step that nothing looked at counts as looked at so much."""


@dataclass(frozen=True)
class Beams:
    """The living hypotheses of the sentences still searched, best first."""

    sentences: Int[Tensor, "B"]
    bounds: Bounds
    scores: Float[Tensor, "B K"]
    """Summed log-probability; ``-inf``: nothing lives in this place."""
    prefix: Int[Tensor, "B K T"]
    """The tokens so far, the start symbol first."""
    parents: Int[Tensor, "B K"]
    """Which hypothesis of the step before each came from."""
    finished: Int[Tensor, "B"]
    """How many hypotheses have ended."""
    best: Float[Tensor, "B"]
    """What the best of them scores."""
    looked: Float[Tensor, "B K S"] | None = None
    """How much each hypothesis has looked at each source step; None: it does not count."""

    def select(self, rows: Int[Tensor, "R"]) -> "Beams":
        """Returns the beams of the given sentences."""
        return each(self, lambda tensor: tensor[rows])

    def looking(self, attention: Float[Tensor, "B K S"]) -> "Beams":
        """Returns the same after another look at the source."""
        return replace(self, looked=attention if self.looked is None else self.looked + attention)


@dataclass(frozen=True)
class Ended:
    """Hypotheses that ended at one step."""

    sentences: Int[Tensor, "N"]
    places: Int[Tensor, "N"]
    """Where among the beams each stood."""
    scores: Float[Tensor, "N"]
    ids: Int[Tensor, "N T"]


class Trail:
    """Where every hypothesis came from and looked; always of all sentences, so none is moved."""

    def __init__(self, sentences: int) -> None:
        self.sentences = sentences
        self.steps: list[tuple[Int[Tensor, "B K"], Float[Tensor, "B K S"]]] = []

    def add(self, beams: Beams, looked: Float[Tensor, "R K S"]) -> None:
        """Remembers a step of the sentences that are still searched."""
        if len(beams.sentences) == self.sentences:
            self.steps.append((beams.parents, looked))
            return
        parents = beams.parents.new_zeros(self.sentences, *beams.parents.shape[1:])
        everywhere = looked.new_zeros(self.sentences, *looked.shape[1:])
        parents[beams.sentences], everywhere[beams.sentences] = beams.parents, looked
        self.steps.append((parents, everywhere))

    def follow(
        self, sentences: Int[Tensor, "N"], places: Int[Tensor, "N"], lengths: Int[Tensor, "N"]
    ) -> Float[Tensor, "N T S"]:
        """Returns where hypotheses looked, walking back from where they ended to their roots."""
        looked = self.steps[0][1]
        attention = looked.new_zeros(len(sentences), len(self.steps), looked.shape[2])
        for step in range(len(self.steps) - 1, -1, -1):
            parents, looked = self.steps[step]
            attention[:, step] = looked[sentences, places]
            places = torch.where(lengths > step, parents[sentences, places], places)
        return attention


def first(bounds: Bounds) -> Beams:
    """Returns the beams before the first step: one hypothesis a sentence, so ``K`` is 1."""
    batch, device = len(bounds.limits), bounds.limits.device
    # Sums of float32 log-probabilities in float64: order and neighbours do not show in them.
    scores = torch.zeros(batch, 1, dtype=torch.double, device=device)
    none = torch.zeros(batch, dtype=torch.long, device=device)
    return Beams(
        torch.arange(batch, device=device),
        bounds,
        scores,
        torch.full((*scores.shape, 1), BOS, device=device),
        none[:, None],
        none,
        torch.full_like(scores[:, 0], -torch.inf),
    )


def joined(parts: Sequence[PartT]) -> PartT:
    """Returns the beams, or what has ended, of several groups of sentences as one."""
    columns = zip(*map(tensors_in, parts), strict=True)
    return each(parts[0], lambda _: torch.cat(next(columns)))


Advance: TypeAlias = Callable[[Beams, Tensor], tuple[Beams, Ended]]
"""Lets every hypothesis grow by a token, of which the log-probabilities ``[B, K, V]`` are given;
returns those that live on, and those that ended."""


@torch.inference_mode()
def grow(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    advance: Advance,
    rules: Sequence[Rule],
) -> tuple[list[Ended], Trail]:
    """Lets hypotheses grow until all texts are done; returns those that ended, and their trail."""
    memory, state = start.memory, start.state
    beams = first(start.bounds)
    trail, ended = Trail(len(beams.sentences)), list[Ended]()
    while len(beams.sentences):
        width = beams.scores.shape[1]
        step = stepper.step(memory, state, beams.prefix[:, :, -1])
        trail.add(beams, step.attention)
        if config.coverage_penalty:
            beams = beams.looking(step.attention)
        log_probs = constrain(step.log_probs, beams.prefix[:, :, 1:], beams.bounds, rules)
        beams, finished = advance(beams, log_probs)
        ended.append(finished)
        rows = (~done(beams, config)).nonzero().flatten()
        if len(rows) < len(beams.sentences):
            beams, memory = beams.select(rows), selected(memory, rows)
        # Row b*K + k of the state belongs to hypothesis k of sentence b.
        state = step.state.select((beams.parents + rows[:, None] * width).flatten())
    return ended, trail


def final_scores(
    beams: Beams,
    totals: Float[Tensor, "B J"],
    parents: Int[Tensor, "B J"],
    config: SearchConfig,
) -> Float[Tensor, "B J"]:
    """Returns what continuations with these summed log-probabilities score if they end.

    That is the log-probability over length to the length penalty, and with a coverage penalty
    ``b`` the sum over source steps of ``b log(min(1, looked))`` (Wu et al. 2016, section 7).
    """
    scores: Tensor = totals / beams.prefix.shape[2] ** config.length_penalty
    if beams.looked is None:
        return scores
    steps = torch.arange(beams.looked.shape[2], device=scores.device)
    valid = steps < beams.bounds.sources[:, None]  # [B, S]
    seen = beams.looked.double().clamp(UNSEEN, 1).log().masked_fill(~valid[:, None], 0.0)
    missed = seen.sum(dim=2).gather(1, parents)  # [B, J]
    return torch.where(scores.isneginf(), scores, scores + config.coverage_penalty * missed)


def extended(
    beams: Beams,
    scores: Float[Tensor, "B K"],
    parents: Int[Tensor, "B K"],
    tokens: Int[Tensor, "B K"],
) -> Beams:
    """Returns the beams of which each hypothesis is a parent's, one token longer."""
    places = parents[..., None].expand(*parents.shape, beams.prefix.shape[2])  # [B, K, T]
    prefix = torch.cat([beams.prefix.gather(1, places), tokens[..., None]], dim=2)
    looked = beams.looked
    if looked is not None:
        looked = looked.gather(1, parents[..., None].expand(*parents.shape, looked.shape[2]))
    return replace(beams, scores=scores, prefix=prefix, parents=parents, looked=looked)


def done(beams: Beams, config: SearchConfig) -> Bool[Tensor, "B"]:
    """Returns which sentences need no further step."""
    over = beams.scores.isneginf().all(dim=1) | (beams.bounds.limits < beams.prefix.shape[2])
    # What the best living hypothesis scores so far.
    hopes = beams.scores[:, 0] / (beams.prefix.shape[2] - 1) ** config.length_penalty
    enough: Tensor = (beams.finished >= config.beam_size) & (beams.best >= hopes)
    return over | enough


def read(ended: list[Ended], trail: Trail, count: int) -> list[list[Hypothesis]]:
    """Returns the best hypotheses of each sentence; where nothing could follow, an empty text."""
    if not trail.steps:
        return []
    finished: list[list[tuple[float, list[int], int]]] = [[] for _ in range(trail.sentences)]
    for step in ended:
        parts = (step.sentences, step.scores, step.ids, step.places)
        for sentence, score, ids, place in zip(*(part.tolist() for part in parts), strict=True):
            finished[sentence].append((score, ids, place))
    # A stable sort: of equal scores, the one that ended first comes first.
    best = [sorted(entries, key=lambda entry: -entry[0])[:count] for entries in finished]
    flat = [
        (sentence, place, len(ids) + 1)
        for sentence, entries in enumerate(best)
        for _, ids, place in entries
    ]
    like = trail.steps[0][0]
    looked = trail.follow(*like.new_tensor(flat).reshape(-1, 3).unbind(1)).cpu()  # [N, T, S]
    # Copies, so that one kept hypothesis does not keep all.
    looks = iter(rows[:length].clone() for rows, (_, _, length) in zip(looked, flat, strict=True))
    nothing = Hypothesis((), -torch.inf, looked.new_zeros(0, looked.shape[2]))
    return [
        [Hypothesis(tuple(ids), score, next(looks)) for score, ids, _ in entries] or [nothing]
        for entries in best
    ]
