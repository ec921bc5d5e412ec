"""Searching in the way that the settings name."""

from collections.abc import Sequence

from seq2seq.lazy import imported
from seq2seq.search.config import STRATEGIES, SearchConfig
from seq2seq.search.stepper import Hypothesis, MemoryT, Reader, StateT, Strategy, begin
from seq2seq.tensors import Padded


def strategy_of(config: SearchConfig) -> Strategy:
    """Returns the strategy that a configuration names; a beam of 1 is searched greedily."""
    greedy = config.strategy == "beam" and config.beam_size == 1
    entry = STRATEGIES["greedy" if greedy else config.strategy]
    strategy: Strategy = imported(entry) if isinstance(entry, str) else entry
    return strategy


def search(
    reader: Reader[MemoryT, StateT],
    source: Padded,
    config: SearchConfig,
    n_best: int = 1,
    numbers: Sequence[int] | None = None,
) -> list[list[Hypothesis]]:
    """Returns for each source its hypotheses, best first, at most ``n_best``.

    ``numbers`` say which text of a request each source is: what is drawn depends on nothing else.
    """
    start = begin(reader, source, config, numbers)
    return strategy_of(config)(reader, start, config, n_best)
