"""Search for texts in which given phrases stand."""

from collections.abc import Sequence
from dataclasses import replace

from seq2seq.search.banks import bank_search
from seq2seq.search.beam import beam_search
from seq2seq.search.config import SearchConfig
from seq2seq.search.stepper import Hypothesis, MemoryT, Start, StateT, Stepper
from seq2seq.search.watch import Watch
from seq2seq.symbols import BOS, EOS


def constrained_search(
    stepper: Stepper[MemoryT, StateT],
    start: Start[MemoryT, StateT],
    config: SearchConfig,
    n_best: int | None = None,
) -> list[list[Hypothesis]]:
    """Returns each sentence's hypotheses, best first, as :func:`beam_search` does.

    Where terms are ``hard`` all stand in each hypothesis, whatever the rules say of their tokens;
    where they are ``soft`` each that is missing takes ``term_bonus`` from its log-probability.

    A text whose terms stand where beam search puts them anyway is left as it is. Only the others
    are searched for by terms, too, and the best is taken of both.
    """
    count = min(n_best or config.beam_size, config.beam_size)
    watches = [Watch(one) for one in start.asked]
    plain = beam_search(stepper, start, config)
    found = [
        _judged(hypotheses, watch, config) if watch.terms else hypotheses
        for hypotheses, watch in zip(plain, watches, strict=True)
    ]
    rows = [
        row
        for row, (hypotheses, watch) in enumerate(zip(plain, watches, strict=True))
        if watch.terms and (_lacking(hypotheses[0], watch) or len(found[row]) < count)
    ]
    if rows:
        some = start.select(start.bounds.limits.new_tensor(rows))
        again = bank_search(stepper, some, config, [watches[row] for row in rows])
        for row, hypotheses in zip(rows, again, strict=True):
            found[row] = _best([*found[row], *hypotheses])
    return [hypotheses[:count] for hypotheses in found]


def _lacking(hypothesis: Hypothesis, watch: Watch) -> int:
    """Returns how many terms a text lacks."""
    text = (BOS, *hypothesis.ids)
    return watch.lacking(watch.after(watch.progress(text), text[-1], EOS))


def _judged(
    hypotheses: Sequence[Hypothesis], watch: Watch, config: SearchConfig
) -> list[Hypothesis]:
    """Returns the hypotheses that are as asked for, or all, less what their missing terms cost."""
    lacking = [(one, _lacking(one, watch)) for one in hypotheses]
    if config.terms == "hard":
        return [one for one, missing in lacking if not missing]
    return _best(
        [replace(one, score=one.score - _lost(one, missing, config)) for one, missing in lacking]
    )


def _lost(hypothesis: Hypothesis, missing: int, config: SearchConfig) -> float:
    """Returns what the terms that a text lacks take from its score."""
    length = len(hypothesis.ids) + 1
    return config.term_bonus * missing / float(length**config.length_penalty)


def _best(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Returns hypotheses, each once, best first."""
    ranked = sorted(hypotheses, key=lambda one: -one.score)
    found: dict[tuple[int, ...], Hypothesis] = {}
    for one in ranked:
        found.setdefault(one.ids, one)
    return list(found.values())
