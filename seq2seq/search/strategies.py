"""Searching in the way that the settings name."""

from collections.abc import Sequence

from seq2seq.errors import require
from seq2seq.lazy import imported
from seq2seq.search.asked import Asked
from seq2seq.search.config import STRATEGIES, SearchConfig
from seq2seq.search.constrained import constrained_search
from seq2seq.search.stepper import Hypothesis, MemoryT, Reader, StateT, Strategy, begin
from seq2seq.tensors import Padded


def strategy_of(config: SearchConfig) -> Strategy:
    """Returns the strategy that a configuration names; a beam of 1 is searched greedily."""
    plain = config.strategy == "beam" and not config.coverage_penalty
    greedy = plain and config.beam_size == 1
    entry = STRATEGIES["greedy" if greedy else config.strategy]
    strategy: Strategy = imported(entry) if isinstance(entry, str) else entry
    return strategy


def search(
    reader: Reader[MemoryT, StateT],
    source: Padded,
    config: SearchConfig,
    n_best: int = 1,
    asked: Sequence[Asked] | None = None,
) -> list[list[Hypothesis]]:
    """Returns for each source its hypotheses, best first, at most ``n_best``."""
    start = begin(reader, source, config, asked)
    if any(one.terms for one in start.asked):
        known = config.strategy in ("beam", "greedy")
        require(known, "strategy", "beam where terms are asked for", config.strategy)
        return constrained_search(reader, start, config, n_best)
    return strategy_of(config)(reader, start, config, n_best)
