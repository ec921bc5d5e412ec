"""Batched beam search."""

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.beams import Beams, Ended, extended, final_scores, grow, read
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import rules_of
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper
from seq2seq.symbols import EOS

BLOCK = 32
"""Tokens whose best score stands for all of them when the best of a vocabulary are looked for."""


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
    step = partial(advance, config=config)
    ended, trail = grow(stepper, start, config, step, rules_of(config))
    return read(ended, trail, min(n_best or config.beam_size, config.beam_size))


def advance(
    beams: Beams, log_probs: Float[Tensor, "B K V"], config: SearchConfig
) -> tuple[Beams, Ended]:
    """Lets every hypothesis grow by a token; returns those that live on, and those that ended."""
    best = continuations(beams.scores, log_probs, config.beam_size)  # each [B, 2K]
    return settle(beams, *best, config)


def settle(
    beams: Beams,
    scores: Float[Tensor, "B J"],
    parents: Int[Tensor, "B J"],
    tokens: Int[Tensor, "B J"],
    config: SearchConfig,
) -> tuple[Beams, Ended]:
    """Lets the first ``K`` of some continuations that do not end live on; the first come first.

    Those among the first ``K`` that end are finished.
    """
    size = config.beam_size
    over = tokens == EOS
    first = (over & ~scores.isneginf())[:, :size]  # [B, K]: those that end among the best
    final = final_scores(beams, scores[:, :size], parents[:, :size], config)  # [B, K]
    rows, ranks = first.nonzero(as_tuple=True)  # each [N]
    roots = parents[rows, ranks]
    ended = Ended(beams.sentences[rows], roots, final[rows, ranks], beams.prefix[rows, roots, 1:])
    # A stable sort: those that do not end come first, and stay in order.
    living = over.to(torch.uint8).argsort(dim=1, stable=True)[:, :size]  # [B, K]
    parents, tokens = parents.gather(1, living), tokens.gather(1, living)
    scores = scores.masked_fill(over, -torch.inf).gather(1, living)
    best = final.masked_fill(~first, -torch.inf).amax(dim=1)
    return replace(
        extended(beams, scores, parents, tokens),
        finished=beams.finished + first.sum(dim=1),
        best=torch.maximum(beams.best, best),
    ), ended


def continuations(
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
