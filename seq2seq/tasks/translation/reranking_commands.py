"""What the verb does that reranks n-best lists."""

import json
import logging
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from seq2seq.data.arriving import read_arriving
from seq2seq.data.files import name_of, object_of
from seq2seq.data.references import read_references
from seq2seq.errors import ConfigError, as_texts
from seq2seq.evaluation.counted import counted
from seq2seq.lists import chunks
from seq2seq.tasks.console import one_line, output, use_threads
from seq2seq.tasks.translation.features import Feature, NBest
from seq2seq.tasks.translation.reranking import Reranker, as_json, read_features, usual_features
from seq2seq.tasks.translation.scorers import SCORERS
from seq2seq.tasks.translation.tuning import Choices, beginnings, tune

LISTS_AT_ONCE = 100
log = logging.getLogger("seq2seq")


def rerank(options: Namespace) -> None:
    """Prints the best hypothesis of each n-best list, or writes weights that choose it well."""
    features = _features(options)
    use_threads(options)
    reranker = Reranker.load(features, options.device)
    with output(options.output) as file:
        for line in _tuned(reranker, options) if options.tune else _reranked(reranker, options):
            print(line, file=file, flush=True)


def _features(options: Namespace) -> list[Feature]:
    """Returns the features that the options name, or those of a file of weights."""
    runs: Mapping[str, Sequence[str]] = {
        kind: getattr(options, kind.replace("-", "_"))
        for kind, scorer in SCORERS.items()
        if scorer.load is not None
    }
    if options.metric and not options.tune:
        raise ConfigError("--metric: must be left out where --tune is not given")
    if options.tune and options.format != "text":
        raise ConfigError("--format: must be text where --tune is given: weights come out")
    if options.weights is None:
        return usual_features(runs)
    for option, found in (*runs.items(), ("tune", options.tune)):
        if found:
            raise ConfigError(
                f"--{option}: must be left out where --weights is given; its file names the runs"
            )
    return read_features(options.weights)


def _reranked(reranker: Reranker, options: Namespace) -> Iterator[str]:
    """Yields a line for each list."""
    with tqdm(desc="rerank", unit=" lists", disable=None) as bar:
        for lists in _lists(options.lists):
            for record in reranker(lists):
                if options.format == "jsonl":
                    yield json.dumps(record, ensure_ascii=False)
                else:
                    yield one_line(record["hypotheses"][0]["text"])
            bar.update(len(lists))


def _lists(file: str) -> Iterator[list[NBest]]:
    """Yields the n-best lists of a file, or of a pipe as they arrive."""
    numbers = count(1)
    for lines in read_arriving([file], most=LISTS_AT_ONCE):
        places = [f"{name_of(file)}: line {next(numbers):,}" for _ in lines]
        yield [
            NBest.of(object_of(line, where), where)
            for line, where in zip(lines, places, strict=True)
        ]


def _tuned(reranker: Reranker, options: Namespace) -> Iterator[str]:
    """Yields the file of weights with which what comes first scores best by references."""
    lists = [one for some in _lists(options.lists) for one in some]
    references = read_references(options.tune, name_of(options.lists), len(lists))
    metric = options.metric or "bleu"
    counts = counted(
        metric,
        [[candidate.text for candidate in one.candidates] for one in lists],
        [as_texts(accepted) for accepted in references],
    )
    values = list[Float[np.ndarray, "_ M"]]()
    with tqdm(desc="rerank", unit=" lists", total=len(lists), disable=None) as bar:
        for some in chunks(lists, LISTS_AT_ONCE):
            values += reranker.measure(some)
            bar.update(len(some))
    rows = Choices.of(values, counts.of_texts, counts.score)
    starts = beginnings(rows, reranker.weights)
    weights = tune(rows, tqdm(starts, "tune", disable=None))
    facts = {"metric": metric, "lists": len(lists)}
    facts |= {"before": round(rows.value(starts[0]), 2), "after": round(rows.value(weights), 2)}
    log.info("%(metric)s of %(lists)d lists: %(before).2f before, %(after).2f after", facts)
    yield as_json(reranker.weighing(weights).features, facts)
