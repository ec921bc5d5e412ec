"""Diverse beam search: several beams of one text, which avoid each other's tokens."""

from dataclasses import replace
from functools import partial
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.beam import continuations, settle
from seq2seq.search.beams import Beams, Ended, grow, joined, read
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import rules_of
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper, selected


def diverse_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses of all groups, best first (Vijayakumar et al. 2018).

    The beams are ``groups`` of ``beam_size / groups``, each a beam search of its own. At each step
    a token is worth ``diversity`` nats less in a group for each living hypothesis of the groups
    before that has just taken it; scores stay the model's own.
    """
    texts, groups = len(start.asked), config.groups
    own = replace(config, beam_size=config.beam_size // groups, groups=1)
    # Row g*B + b is group g of sentence b.
    rows = torch.arange(texts, device=start.bounds.limits.device).repeat(groups)
    many = Start(
        selected(start.memory, rows),
        start.state.select(rows),
        start.bounds.select(rows),
        [*start.asked] * groups,
    )
    step = partial(_advance, texts=texts, config=own)
    ended, trail = grow(stepper, many, own, step, rules_of(own))
    found = read(ended, trail, own.beam_size)
    all_groups = (chain.from_iterable(found[text::texts]) for text in range(texts))
    return [sorted(some, key=lambda one: -one.score)[:n_best] for some in all_groups]


def _advance(
    beams: Beams, log_probs: Float[Tensor, "R K V"], texts: int, config: SearchConfig
) -> tuple[Beams, Ended]:
    """Lets the groups grow one after the other, each seeing what those before it have taken."""
    taken = log_probs.new_zeros(texts, log_probs.shape[2])
    grown, ended = list[Beams](), list[Ended]()
    groups = beams.sentences // texts
    for group in sorted(set(groups.tolist())):
        rows = (groups == group).nonzero().flatten()
        own, scores = beams.select(rows), log_probs[rows]
        sentences = own.sentences % texts
        worth = scores - config.diversity * taken[sentences][:, None]
        _, parents, tokens = continuations(own.scores, worth, config.beam_size)
        totals = own.scores.gather(1, parents) + scores.flatten(1).gather(
            1, parents * scores.shape[2] + tokens
        )
        after, finished = settle(own, totals, parents, tokens, config)
        _count(taken, sentences, after)
        grown.append(after)
        ended.append(finished)
    return joined(grown), joined(ended)


def _count(taken: Float[Tensor, "B V"], sentences: Int[Tensor, "R"], beams: Beams) -> None:
    """Adds up, in place, how many living hypotheses of each sentence took a token."""
    living = (~beams.scores.isneginf()).to(taken)  # [R, K]
    places = sentences[:, None].expand_as(living)
    taken.index_put_((places, beams.prefix[..., -1]), living, accumulate=True)
