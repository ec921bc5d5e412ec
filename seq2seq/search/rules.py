"""Rules of a search: what may follow a text so far.

A rule makes the log-probabilities of what may not follow ``-inf``, in place.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seq2seq.search.asked import Bounds
from seq2seq.search.config import SearchConfig
from seq2seq.symbols import EOS, PAD, UNK

Rule: TypeAlias = Callable[[Tensor, Tensor, Tensor], None]
"""Takes log-probabilities ``[B, K, V]``, the tokens so far ``[B, K, T]``, and the most tokens of
each text ``[B]``."""
SPECIALS = tuple(range(EOS))
"""The ids of padding, the unknown and the start symbol: no text is made of them (but see
`replace_unknown`)."""


def never(ids: Sequence[int]) -> Rule:
    """Makes the rule by which some tokens never follow."""

    @cache
    def never_follow(device: torch.device) -> Int[Tensor, "N"]:
        return torch.tensor(ids, dtype=torch.long, device=device)

    def rule(
        log_probs: Float[Tensor, "B K V"], prefix: Int[Tensor, "B K T"], limits: Int[Tensor, "B"]
    ) -> None:
        log_probs.index_fill_(2, never_follow(log_probs.device), -torch.inf)

    return rule


def _specials(config: SearchConfig) -> Rule:
    if config.replace_unknown:
        return never([token for token in SPECIALS if token != UNK])
    first = slice(len(SPECIALS))

    def rule(
        log_probs: Float[Tensor, "B K V"], prefix: Int[Tensor, "B K T"], limits: Int[Tensor, "B"]
    ) -> None:
        log_probs[..., first] = -torch.inf

    return rule


def _min_length(config: SearchConfig) -> Rule | None:
    if not config.min_length:
        return None

    def rule(
        log_probs: Float[Tensor, "B K V"], prefix: Int[Tensor, "B K T"], limits: Int[Tensor, "B"]
    ) -> None:
        if prefix.shape[2] < config.min_length:
            log_probs[..., EOS] = -torch.inf

    return rule


def _no_repeat_ngram(config: SearchConfig) -> Rule | None:
    size = config.no_repeat_ngram
    if not size:
        return None

    def rule(
        log_probs: Float[Tensor, "B K V"], prefix: Int[Tensor, "B K T"], limits: Int[Tensor, "B"]
    ) -> None:
        if prefix.shape[2] < size:
            return
        windows = prefix.unfold(2, size, 1)  # [B, K, T-n+1, n]
        tail = prefix[:, :, prefix.shape[2] - size + 1 :]  # [B, K, n-1]
        repeats = (windows[..., :-1] == tail[:, :, None]).all(dim=3)  # [B, K, T-n+1]
        log_probs.scatter_(2, torch.where(repeats, windows[..., -1], PAD), -torch.inf)

    return rule


def _limit(config: SearchConfig) -> Rule:
    def rule(
        log_probs: Float[Tensor, "B K V"], prefix: Int[Tensor, "B K T"], limits: Int[Tensor, "B"]
    ) -> None:
        over = limits <= prefix.shape[2] + 1  # [B]
        if log_probs.is_cuda:  # to ask which would be to wait for it
            others = torch.ones_like(log_probs[0, 0], dtype=torch.bool)
            others[EOS] = False
            log_probs.masked_fill_(over[:, None, None] & others, -torch.inf)
            return
        last = over.nonzero().flatten()
        if len(last):
            end = log_probs[last][..., EOS]
            log_probs[last] = -torch.inf
            log_probs[last, :, EOS] = end

    return rule


RULES: dict[str, Callable[[SearchConfig], Rule | None]] = {
    "specials": _specials,
    "min_length": _min_length,
    "no_repeat_ngram": _no_repeat_ngram,
    "limit": _limit,
}
"""Makes each rule from the settings of a search; None: these settings do not ask for it."""


def rules_of(config: SearchConfig) -> list[Rule]:
    """Returns the rules that a search follows, in the order of the table."""
    made = (make(config) for make in RULES.values())
    return [rule for rule in made if rule is not None]


def constrain(
    log_probs: Float[Tensor, "B K V"],
    prefix: Int[Tensor, "B K T"],
    bounds: Bounds,
    rules: Sequence[Rule],
) -> Float[Tensor, "B K V"]:
    """Applies rules, in place; what is no number is impossible, too.

    Where a text must begin with a token, that alone may follow, whatever the rules say; one that
    the model takes for impossible, or that no text is made of, costs nothing.
    """
    log_probs.nan_to_num_(nan=-torch.inf, neginf=-torch.inf)
    place = prefix.shape[2]
    given = bounds.prefix[:, place] if place < bounds.prefix.shape[1] else None  # [B]
    raw = None if given is None else log_probs.gather(2, _spread(given, log_probs))  # [B, K, 1]
    for rule in rules:
        rule(log_probs, prefix, bounds.limits)
    if given is not None and raw is not None:
        forced = torch.full_like(log_probs, -torch.inf)
        forced.scatter_(2, _spread(given, log_probs), raw.nan_to_num(neginf=0.0))
        log_probs.copy_(torch.where((given == PAD)[:, None, None], log_probs, forced))
    return log_probs


def _spread(tokens: Int[Tensor, "B"], over: Float[Tensor, "B K V"]) -> Int[Tensor, "B K 1"]:
    """Returns each text's token once for each of its beams."""
    return tokens[:, None, None].expand(-1, over.shape[1], 1)
