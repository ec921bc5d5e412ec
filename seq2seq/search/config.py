"""How a text is searched for, and how tokens are drawn: settings, and the table of strategies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from jaxtyping import Int
from torch import Tensor

from seq2seq.errors import OneOf, require, require_kinds, require_name
from seq2seq.tensors import Padded

TERMS = ("hard", "soft")
"""Whether terms that are asked for must stand in a text, or are worth something."""
MOST_BEAMS = 10_000
"""More would fill the memory of a usual machine with a single text."""
STRATEGIES: dict[str, str | Callable[..., Any]] = {
    "beam": "seq2seq.search.beam:beam_search",
    "greedy": "seq2seq.search.greedy:greedy_search",
    "diverse": "seq2seq.search.diverse:diverse_search",
    "sampling": "seq2seq.search.sampling:sampled_search",
}
"""Ways to search, by name: a :data:`seq2seq.search.stepper.Strategy`, or ``module:name`` of it."""

UTILITIES: dict[str, str | Callable[..., Any]] = {
    "chrf": "seq2seq.evaluation.likeness:chrf_of_pairs",
    "bleu": "seq2seq.evaluation.likeness:bleu_of_pairs",
}
"""Measures of how much two texts are alike, by name: takes ``N`` texts, returns ``[N, N]``, row by
row what each scores if another is its reference; or ``module:name`` of it."""
MOST_CANDIDATES = 1000
"""Each is compared with each."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the next token is drawn: first the repetition penalty, then the others in this order."""

    temperature: float = 1.0
    """Log-probabilities are divided by it: below 1 bolder, above 1 wilder; 0: the likeliest."""
    top_k: int = 0
    """Only so many likeliest tokens; 0: all."""
    top_p: float = 1.0
    """Only the fewest likeliest tokens that reach this probability together; 1: all."""
    min_p: float = 0.0
    """Only tokens with at least this share of the likeliest one's probability; 0: all."""
    typical: float = 1.0
    """Only the fewest tokens that reach this probability together, those whose information is
    nearest to the entropy first; 1: all."""
    repetition_penalty: float = 1.0
    """The log-probability of recent tokens is multiplied by it; 1: off."""
    repetition_window: int = 64
    """Tokens that count as recent."""

    def __post_init__(self) -> None:
        require_kinds(self)
        for key, least in (("temperature", 0), ("repetition_penalty", 1)):
            require(getattr(self, key) >= least, key, f"at least {least}", getattr(self, key))
        require(self.top_k >= 0, "top_k", "at least 0", self.top_k)
        require(0 < self.top_p <= 1, "top_p", "in (0, 1]", self.top_p)
        require(0 <= self.min_p < 1, "min_p", "in [0, 1)", self.min_p)
        require(0 < self.typical <= 1, "typical", "in (0, 1]", self.typical)
        window = self.repetition_window
        require(window >= 1, "repetition_window", "at least 1", window)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How a text is searched for; what `translate` and `evaluate` do unless told otherwise."""

    strategy: Annotated[str, OneOf(STRATEGIES)] = "beam"
    """`beam`: the best of the hypotheses that are kept at each step (`greedy`: of one);
    `diverse`: beams in `groups` that avoid each other's tokens; `sampling`: tokens drawn by the
    settings below `sampling`."""
    beam_size: int = 5
    """Hypotheses kept at each step; 1 is greedy search."""
    length_penalty: float = 1.0
    """A hypothesis scores its log-probability divided by its length to this power."""
    coverage_penalty: float = 0.0
    """How much a hypothesis that ends loses for source tokens that it has hardly looked at: this
    times the sum of `log(min(1, attention))` is added (Wu et al. 2016, section 7); 0: off."""
    groups: int = 1
    """Of `diverse`: beams of one text, each `beam_size / groups` wide."""
    diversity: float = 0.5
    """Of `diverse`: nats that a token is worth less for each time that an earlier group has just
    taken it (Vijayakumar et al. 2018)."""
    terms: Annotated[str, OneOf(TERMS)] = "hard"
    """Whether terms that are asked for must stand in a text, or are worth `term_bonus`."""
    term_bonus: float = 5.0
    """Where `terms` is `soft`: nats that a text loses for each term that it lacks."""
    min_length: int = 0
    """Least tokens of a hypothesis."""
    max_length: int = 0
    """Most tokens of a hypothesis; 0: twice the source's, plus 20."""
    no_repeat_ngram: int = 0
    """Never generate the same n tokens in a row twice; 0: off."""
    seed: int = 1
    """Where the randomness of sampling begins: the same seed, the same texts."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How tokens are drawn, where `strategy` is `sampling`."""
    mbr: Annotated[str, OneOf(UTILITIES, "none")] = "none"
    """Minimum Bayes risk (Kumar and Byrne 2004): of several hypotheses that one is taken which this
    measure finds most like all of them; none: the likeliest."""
    candidates: int = 32
    """Hypotheses that are found, or drawn, for `mbr`."""
    replace_unknown: bool = False
    """Let the unknown symbol be generated, and copy what the source has in its place."""

    def __post_init__(self) -> None:
        require_kinds(self)
        require_name(self.strategy, "strategy", STRATEGIES)
        require(self.seed >= 0, "seed", "at least 0", self.seed)
        require(self.beam_size >= 1, "beam_size", "at least 1", self.beam_size)
        fits = self.beam_size <= MOST_BEAMS
        require(fits, "beam_size", f"at most {MOST_BEAMS:,}", self.beam_size)
        require(self.length_penalty >= 0, "length_penalty", "at least 0", self.length_penalty)
        require(self.coverage_penalty >= 0, "coverage_penalty", "at least 0", self.coverage_penalty)
        whole = self.groups >= 1 and self.beam_size % self.groups == 0
        require(whole, "groups", f"a divisor of beam_size ({self.beam_size})", self.groups)
        require(self.diversity >= 0, "diversity", "at least 0", self.diversity)
        require_name(self.terms, "terms", TERMS)
        require(self.term_bonus >= 0, "term_bonus", "at least 0", self.term_bonus)
        require(self.min_length >= 0, "min_length", "at least 0", self.min_length)
        fits = self.max_length == 0 or self.max_length >= max(1, self.min_length)
        require(fits, "max_length", "0, or at least 1 and min_length", self.max_length)
        require(self.no_repeat_ngram >= 0, "no_repeat_ngram", "at least 0", self.no_repeat_ngram)
        require_name(self.mbr, "mbr", ("none", *UTILITIES))
        fits = 2 <= self.candidates <= MOST_CANDIDATES
        require(fits, "candidates", f"2 to {MOST_CANDIDATES:,}", self.candidates)

    def wanted(self, n_best: int) -> int:
        """Returns how many hypotheses are to be found where so many are asked for."""
        return n_best if self.mbr == "none" else max(n_best, self.candidates)

    def limits(self, source: Padded) -> Int[Tensor, "B"]:
        """Returns the most tokens, the end symbol included, of each sentence's hypotheses.

        A function of the sentence alone: neighbours in the batch change nothing.
        """
        usual = 2 * source.lengths + 20
        most = torch.full_like(usual, self.max_length) if self.max_length else usual
        return most.clamp(min=self.min_length) + 1
