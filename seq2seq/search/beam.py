"""Batched beam search."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import constrain, rules_of
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper, selected
from seq2seq.symbols import BOS, EOS

BLOCK = 32
"""Tokens whose best score stands for all of them when the best of a vocabulary are looked for."""


@dataclass(frozen=True)
class _Beams:
    """The living hypotheses of the sentences still searched, best first."""

    sentences: Int[Tensor, "B"]
    limits: Int[Tensor, "B"]
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

    def select(self, rows: Int[Tensor, "R"]) -> "_Beams":
        """Returns the beams of the given sentences."""
        return _Beams(
            self.sentences[rows],
            self.limits[rows],
            self.scores[rows],
            self.prefix[rows],
            self.parents[rows],
            self.finished[rows],
            self.best[rows],
        )


@dataclass(frozen=True)
class _Ended:
    """Hypotheses that ended at one step."""

    sentences: Int[Tensor, "N"]
    places: Int[Tensor, "N"]
    """Where among the beams each stood."""
    scores: Float[Tensor, "N"]
    ids: Int[Tensor, "N T"]


class _Trail:
    """Where every hypothesis came from and looked; always of all sentences, so none is moved."""

    def __init__(self, sentences: int) -> None:
        self.sentences = sentences
        self.steps: list[tuple[Int[Tensor, "B K"], Float[Tensor, "B K S"]]] = []

    def add(self, beams: _Beams, looked: Float[Tensor, "R K S"]) -> None:
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


def _first(limits: Int[Tensor, "B"]) -> _Beams:
    """Returns the beams before the first step: one hypothesis a sentence, so ``K`` is 1."""
    batch, device = len(limits), limits.device
    # Sums of float32 log-probabilities in float64: order and neighbours do not show in them.
    scores = torch.zeros(batch, 1, dtype=torch.double, device=device)
    none = torch.zeros(batch, dtype=torch.long, device=device)
    return _Beams(
        torch.arange(batch, device=device),
        limits,
        scores,
        torch.full((*scores.shape, 1), BOS, device=device),
        none[:, None],
        none,
        torch.full_like(scores[:, 0], -torch.inf),
    )


@torch.inference_mode()
def beam_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses, best first: at least 1, at most ``n_best``.

    No more than ``beam_size`` are to be had, and so many are given unless fewer are asked for.

    At each step the ``K`` best continuations of the living hypotheses are looked at: those that
    end are finished, and the best ``K`` that do not end live on. A sentence is done when ``K``
    hypotheses are finished and none that lives scores better than the best of them, or when its
    limit is reached.
    """
    memory, state, rules = start.memory, start.state, rules_of(config)
    beams = _first(start.limits)
    trail, ended = _Trail(len(beams.sentences)), list[_Ended]()
    while len(beams.sentences):
        width = beams.scores.shape[1]
        step = stepper.step(memory, state, beams.prefix[:, :, -1])
        trail.add(beams, step.attention)
        log_probs = constrain(step.log_probs, beams.prefix[:, :, 1:], beams.limits, rules)
        beams, finished = _advance(beams, log_probs, config)
        ended.append(finished)
        rows = (~_done(beams, config)).nonzero().flatten()
        if len(rows) < len(beams.sentences):
            beams, memory = beams.select(rows), selected(memory, rows)
        # Row b*K + k of the state belongs to hypothesis k of sentence b.
        state = step.state.select((beams.parents + rows[:, None] * width).flatten())
    return _read(ended, trail, min(n_best or config.beam_size, config.beam_size))


def _advance(
    beams: _Beams, log_probs: Float[Tensor, "B K V"], config: SearchConfig
) -> tuple[_Beams, _Ended]:
    """Lets every hypothesis grow by a token; returns those that live on, and those that ended."""
    size = config.beam_size
    scores, parents, tokens = _continuations(beams.scores, log_probs, size)  # each [B, 2K]
    over = tokens == EOS
    first = (over & ~scores.isneginf())[:, :size]  # [B, K]: those that end among the best
    final = scores[:, :size] / beams.prefix.shape[2] ** config.length_penalty  # [B, K]
    rows, ranks = first.nonzero(as_tuple=True)  # each [N]
    roots = parents[rows, ranks]
    ended = _Ended(beams.sentences[rows], roots, final[rows, ranks], beams.prefix[rows, roots, 1:])
    # A stable sort: those that do not end come first, and stay in order.
    living = over.to(torch.uint8).argsort(dim=1, stable=True)[:, :size]  # [B, K]
    parents, tokens = parents.gather(1, living), tokens.gather(1, living)
    places = parents[..., None].expand(*parents.shape, beams.prefix.shape[2])  # [B, K, T]
    prefix = beams.prefix.gather(1, places)
    return replace(
        beams,
        scores=scores.masked_fill(over, -torch.inf).gather(1, living),
        prefix=torch.cat([prefix, tokens[..., None]], dim=2),
        parents=parents,
        finished=beams.finished + first.sum(dim=1),
        best=torch.maximum(beams.best, final.masked_fill(~first, -torch.inf).amax(dim=1)),
    ), ended


def _continuations(
    totals: Float[Tensor, "B K"], log_probs: Float[Tensor, "B K V"], size: int
) -> tuple[Float[Tensor, "B J"], Int[Tensor, "B J"], Int[Tensor, "B J"]]:
    """Returns the best ``2 * size`` continuations: their scores, parents and last tokens.

    So many, because one of each hypothesis may be its end.
    """
    beams, tokens = log_probs.shape[1:]
    scores, index = largest(totals, log_probs, min(2 * size, beams * tokens))
    return scores, index // tokens, index % tokens


def largest(
    totals: Float[Tensor, "B K"], values: Float[Tensor, "B K V"], count: int
) -> tuple[Float[Tensor, "B J"], Int[Tensor, "B J"]]:
    """Returns the ``count`` largest sums of a total and one of its values, and where they are.

    Largest first; places count on from one total's values to the next one's; no NaN among them.
    As ``topk`` over all sums, but several times faster: all that are wanted are in the ``count``
    blocks with the largest maxima, and only what is in those is added up.
    """
    beams, tokens = values.shape[1:]
    blocks = tokens // BLOCK
    body = values[..., : blocks * BLOCK].view(len(values), beams, blocks, BLOCK)
    most = (totals[..., None] + body.amax(dim=3)).flatten(1)  # [B, K*blocks]
    chosen = most.topk(min(count, most.shape[1]), dim=1, sorted=False).indices  # [B, C]
    parents = chosen // blocks if blocks else chosen
    starts = chosen * BLOCK + parents * (tokens - blocks * BLOCK)  # where each block begins in K*V
    inside = starts[..., None] + torch.arange(BLOCK, device=values.device)  # [B, C, BLOCK]
    near = values.flatten(1).gather(1, inside.flatten(1)).view_as(inside)
    rest = values[..., blocks * BLOCK :]  # [B, K, V - blocks*BLOCK]: what fills no block
    beyond = torch.arange(beams * tokens, device=values.device).view(beams, tokens)
    sums = [
        (near + totals.gather(1, parents)[..., None]).flatten(1),
        (rest + totals[..., None]).flatten(1),
    ]
    places = [inside.flatten(1), beyond[:, blocks * BLOCK :].flatten().expand(len(values), -1)]
    best, order = torch.cat(sums, dim=1).topk(count, dim=1)
    return best, torch.cat(places, dim=1).gather(1, order)


def _done(beams: _Beams, config: SearchConfig) -> Bool[Tensor, "B"]:
    """Returns which sentences need no further step."""
    over = beams.scores.isneginf().all(dim=1) | (beams.limits < beams.prefix.shape[2])
    # What the best living hypothesis scores so far.
    hopes = beams.scores[:, 0] / (beams.prefix.shape[2] - 1) ** config.length_penalty
    enough: Tensor = (beams.finished >= config.beam_size) & (beams.best >= hopes)
    return over | enough


def _read(ended: list[_Ended], trail: _Trail, count: int) -> list[list[Hypothesis]]:
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
