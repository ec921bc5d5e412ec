"""Beam search that is led by the phrases that must stand in texts.

Dynamic beam allocation (Post & Vilar 2018): hypotheses share the beam by how far they have come
with their phrases, so that those that have begun one are not crowded out by likelier ones that have
not. Here one is also kept, always, that has room for what it still lacks: so the phrases stand in
every text that comes out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.beam import continuations
from seq2seq.search.beams import Beams, Ended, extended, final_scores, grow, read
from seq2seq.search.config import SearchConfig
from seq2seq.search.rules import constrain, rules_of
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper
from seq2seq.search.watch import Watch
from seq2seq.symbols import EOS, PAD


class Choice(NamedTuple):
    """A continuation of a hypothesis."""

    score: float
    parent: int
    token: int
    left: int = 0
    """Tokens that are enough for the terms it lacks: those that lack as many compete."""
    safe: bool = True
    """Whether there is room for so many."""


NOTHING = Choice(-torch.inf, 0, PAD)
"""Fills the beam where nothing lives."""


def bank_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    watches: Sequence[Watch],
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses, best first; the watches know their terms."""
    step = partial(_advance, watches=watches, config=config)
    ended, trail = grow(stepper, start, config, step, ())
    return read(ended, trail, config.beam_size)


def _advance(
    beams: Beams, log_probs: Float[Tensor, "B K V"], watches: Sequence[Watch], config: SearchConfig
) -> tuple[Beams, Ended]:
    """Lets every hypothesis grow by a token; returns those that live on, and those that ended."""
    rows = [
        _Row(watches[sentence], [tuple(ids) for ids in prefixes], limit, config)
        for sentence, prefixes, limit in zip(
            beams.sentences.tolist(),
            beams.prefix.tolist(),
            beams.bounds.limits.tolist(),
            strict=True,
        )
    ]
    ruled = constrain(log_probs.clone(), beams.prefix[..., 1:], beams.bounds, rules_of(config))
    free = log_probs if config.terms == "hard" else ruled
    looked_at = _looked_at(beams, ruled, free, rows, config)
    chosen = [row.chosen(choices) for row, choices in zip(rows, looked_at, strict=True)]
    return _settled(beams, chosen, config)


def _looked_at(
    beams: Beams,
    ruled: Float[Tensor, "B K V"],
    free: Float[Tensor, "B K V"],
    rows: Sequence["_Row"],
    config: SearchConfig,
) -> Iterator[list[Choice]]:
    """Yields the continuations that are looked at for each sentence, each once.

    The best of all and the best of each hypothesis, by the ``ruled`` log-probabilities, and the
    tokens that bring it nearer to its terms, by the ``free`` ones.
    """
    best = continuations(beams.scores, ruled, config.beam_size)[1:]  # each [B, 2K]
    parts = (part.tolist() for part in (*best, ruled.argmax(dim=2)))
    looked_at = [
        dict.fromkeys((*zip(parents, tokens, strict=True), *enumerate(likeliest)), 0)
        | dict.fromkeys(row.wanted(scores), 1)
        for row, parents, tokens, likeliest, scores in zip(rows, *parts, free, strict=True)
    ]
    places = [
        (number, *place, wanted)
        for number, some in enumerate(looked_at)
        for place, wanted in sorted(some.items())
    ]
    number, parent, token, wanted = torch.tensor(places, device=ruled.device).view(-1, 4).unbind(1)
    gains = ruled[number, parent, token].where(wanted == 0, free[number, parent, token])
    sums = beams.scores[number, parent] + gains
    choices = map(Choice, sums.tolist(), parent.tolist(), token.tolist())
    for some in looked_at:
        yield [one for one in islice(choices, len(some)) if one.score > -torch.inf]


@dataclass(frozen=True)
class _Row:
    """One sentence at one step."""

    watch: Watch
    prefixes: Sequence[tuple[int, ...]]
    """The hypotheses, the start symbol first."""
    limit: int
    config: SearchConfig

    def wanted(self, log_probs: Float[Tensor, "K V"]) -> Iterator[tuple[int, int]]:
        """Yields hypotheses and tokens that bring them nearer to their terms.

        Where a word has to end first, the likeliest token that neither goes on with it nor begins
        another.
        """
        for parent, prefix in enumerate(self.prefixes):
            progress = self.watch.progress(prefix)
            yield from ((parent, token) for token in self.watch.nearer(progress, prefix[-1]))
            if self.watch.separators and not self.watch.ready(progress, prefix[-1]):
                between = log_probs[parent, list(self.watch.separators)].argmax()
                yield parent, self.watch.separators[int(between)]

    def chosen(self, choices: Sequence[Choice]) -> tuple[list[Choice], list[Choice]]:
        """Returns the continuations that live on, best first, and those that end."""
        judged = [one for choice in choices if (one := self._judged(choice)) is not None]
        judged.sort(key=lambda one: (-one.score, one.parent, one.token))
        size = self.config.beam_size
        # Those that end compete with those that need nothing more.
        free = [one for one in judged if one.left == 0][:size]
        living = _shared([one for one in judged if one.token != EOS], size)
        return living, [one for one in free if one.token == EOS]

    def _judged(self, choice: Choice) -> Choice | None:
        """Returns a continuation with what it needs, or lacks at its end; None if it cannot be."""
        watch, prefix = self.watch, self.prefixes[choice.parent]
        before = watch.progress(prefix)
        after = watch.after(before, prefix[-1], choice.token)
        soft = self.config.terms == "soft"
        if choice.token == EOS:
            lost = self.config.term_bonus * watch.lacking(after)
            whole = soft or watch.lacking(after) == 0
            return choice._replace(score=choice.score - lost) if whole else None
        left = watch.left(after, choice.token)
        room = self.limit - 1 - len(prefix)  # tokens that may follow, the end symbol left out
        if room < 0:
            return None
        return choice._replace(left=left, safe=soft or left <= room)


def _shared(choices: Sequence[Choice], size: int) -> list[Choice]:
    """Returns the best of each bank, the second best, and so on until the beam is full."""
    banks: dict[int, int] = {}
    ranked = []
    for choice in choices:  # best first
        rank = banks[choice.left] = banks.get(choice.left, -1) + 1
        ranked.append((rank, choice.left, choice))
    kept = [choice for _, _, choice in sorted(ranked, key=lambda one: one[:2])[:size]]
    if not any(choice.safe for choice in kept):
        kept[-1:] = [choice for choice in choices if choice.safe][:1] or kept[-1:]
    return sorted(kept, key=lambda one: (-one.score, one.parent, one.token))


def _settled(
    beams: Beams, chosen: Sequence[tuple[list[Choice], list[Choice]]], config: SearchConfig
) -> tuple[Beams, Ended]:
    """Returns the beams of those that live on, and those that ended."""
    size = config.beam_size
    living = _tensors([alive for alive, _ in chosen], size, beams.scores)
    over = max(1, max(len(ended) for _, ended in chosen))
    totals, parents, _ = _tensors([ended for _, ended in chosen], over, beams.scores)
    final = final_scores(beams, totals, parents, config)  # [B, J]
    rows, ranks = (~totals.isneginf()).nonzero(as_tuple=True)
    roots = parents[rows, ranks]
    ended = Ended(beams.sentences[rows], roots, final[rows, ranks], beams.prefix[rows, roots, 1:])
    return replace(
        extended(beams, *living),
        finished=beams.finished + (~totals.isneginf()).sum(dim=1),
        best=torch.maximum(beams.best, final.amax(dim=1)),
    ), ended


def _tensors(
    rows: Sequence[Sequence[Choice]], size: int, like: Float[Tensor, "B K"]
) -> tuple[Float[Tensor, "B J"], Int[Tensor, "B J"], Int[Tensor, "B J"]]:
    """Returns the scores, parents and tokens of choices, as many for each sentence."""
    filled = [[*row, *[NOTHING] * (size - len(row))] for row in rows]
    scores = like.new_tensor([[one.score for one in row] for row in filled])
    parents, tokens = (
        torch.tensor([[one[place] for one in row] for row in filled], device=like.device)
        for place in (1, 2)
    )
    return scores, parents, tokens
