"""Searches from sources, for tests."""

from typing import Any

from seq2seq.search.beam import beam_search
from seq2seq.search.config import SearchConfig
from seq2seq.search.greedy import greedy_search
from seq2seq.search.stepper import Hypothesis, Reader, begin
from seq2seq.tensors import Padded


def greedily(reader: Reader[Any, Any], source: Padded, config: SearchConfig) -> list[Hypothesis]:
    """Returns the hypothesis of each source."""
    found = greedy_search(reader, begin(reader, source, config), config)
    return [hypothesis for [hypothesis] in found]


def by_beam(
    reader: Reader[Any, Any], source: Padded, config: SearchConfig, n_best: int | None = None
) -> list[list[Hypothesis]]:
    """Returns the hypotheses of each source, best first."""
    return beam_search(reader, begin(reader, source, config), config, n_best)
