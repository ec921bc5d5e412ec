"""Several training corpora, of which an epoch takes in as much as each weighs."""

import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain, compress, count
from pathlib import Path

import numpy as np

from seq2seq.data.pairs.batches import Shares
from seq2seq.data.pairs.corpus import Corpus, CorpusConfig, Pair, files_of, open_corpus, usable
from seq2seq.data.pairs.store import FilterConfig, PairStore, describe, encode_corpus
from seq2seq.errors import require
from seq2seq.text.pipeline import Pipeline

log = logging.getLogger("seq2seq")


@dataclass(frozen=True, kw_only=True)
class TrainingCorpusConfig(CorpusConfig):
    """Where training pairs come from, and how much they weigh beside others."""

    weight: float = 1.0
    """How often an epoch passes through it: 2.5 is twice, and a half that is drawn anew for each
    epoch."""
    filters: FilterConfig | None = None
    """Pairs of it to leave out, in place of data.filters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight > 0, "weight", "above 0", self.weight)


@dataclass(frozen=True)
class Part:
    """One corpus of a mixture."""

    corpus: Corpus
    weight: float = 1.0
    filters: FilterConfig | None = None
    """Its own; None: those of all."""
    label: str = ""
    """What it is called where many stand side by side."""


@dataclass(frozen=True)
class Mixture(Corpus):
    """Training corpora as one. Its pairs are what vocabularies learn from: all passes of an epoch
    through each corpus, but each at least once, for what is drawn differs from epoch to epoch.

    >>> parts = [Part(Corpus.of([("a", "x"), ("b", "y")])), Part(Corpus.of([("c", "z")]), 2.0)]
    >>> list(Mixture.mix(parts).sources())
    ['a', 'b', 'c', 'c']
    """  # noqa: D205

    parts: tuple[Part, ...] = ()
    temperature: float | None = None

    @classmethod
    def mix(cls, parts: Sequence[Part], temperature: float | None = None) -> "Mixture":
        """Joins corpora; one alone that weighs 1 is what it is without.

        With a temperature an epoch is as large as all corpora together, and their shares of it are
        in proportion to size^(1 / temperature) (Arivazhagan et al. 2019, section 4.2).
        """
        (first, *others), corpora = parts, tuple(parts)
        whole = Corpus.joined([part.corpus for part in parts])
        if not others and first.weight == 1 and first.filters is None:
            own = first.corpus
            return cls(own.name, own.read, own.digest, own.limit, own.tag, corpora)

        @cache  # corpora are counted only if they are to be read
        def weights() -> list[float]:
            sizes = [sum(1 for _ in usable(part.corpus.pairs(), Counter())) for part in parts]
            counts = passes(sizes, [part.weight for part in parts], temperature)
            return [rows / max(1, size) for rows, size in zip(counts, sizes, strict=True)]

        def read() -> Iterator[Pair]:
            found = weights() if temperature else [part.weight for part in parts]
            each = (
                _passed(part.corpus, max(1.0, weight))
                for part, weight in zip(parts, found, strict=True)
            )
            return chain.from_iterable(each)

        return cls(whole.name, read, lambda: _digest(parts), 0, "", corpora, temperature)


def _digest(parts: Iterable[Part]) -> str:
    facts = [
        [part.corpus.fingerprint(), part.weight, part.filters and asdict(part.filters)]
        for part in parts
    ]
    return json.dumps(facts)


def _passed(corpus: Corpus, weight: float) -> Iterator[Pair]:
    """Yields the pairs of all passes through a corpus; of the last one, evenly spaced ones."""
    whole, rest = divmod(weight, 1)
    for _ in range(int(whole)):
        yield from corpus.pairs()
    if rest:
        chosen = (int((n + 1) * rest) > int(n * rest) for n in count())
        yield from compress(corpus.pairs(), chosen)


def passes(
    sizes: Sequence[int], weights: Sequence[float], temperature: float | None = None
) -> list[int]:
    """Returns how many pairs of each corpus an epoch has, at least one of each.

    >>> passes([100, 50], [1.0, 2.5]), passes([900, 100], [1.0, 1.0], 2.0)
    ([100, 125], [750, 250])
    """
    if temperature is None:
        counts = [round(size * weight) for size, weight in zip(sizes, weights, strict=True)]
    else:
        shares = np.cumsum(np.array(sizes, np.float64) ** (1 / temperature))
        ends = np.rint(shares / shares[-1] * sum(sizes))  # so that they add up
        counts = np.diff(ends.astype(np.int64), prepend=0).tolist()
    return [max(1, rows) for rows in counts]


@dataclass(frozen=True)
class Encoded:
    """The encoded pairs of a mixture."""

    store: PairStore
    shares: Shares | None
    """None: an epoch is all pairs once."""
    facts: str
    """How many pairs there are, and of what."""


def encode_mixture(
    mixture: Mixture,
    source: Pipeline,
    target: Pipeline,
    filters: FilterConfig,
    cache: Path,
    *,
    keep_text: bool = False,
) -> Encoded:
    """Encodes each corpus of a mixture, or finds it encoded, as :func:`encode_corpus` does."""
    stores = [
        encode_corpus(
            part.corpus, source, target, part.filters or filters, cache, keep_text=keep_text
        )
        for part in mixture.parts
    ]
    sizes = tuple(map(len, stores))
    weights = [part.weight for part in mixture.parts]
    counts = tuple(passes(sizes, weights, mixture.temperature))
    shares = Shares(sizes, counts) if counts != sizes else None
    store = PairStore.joined(stores)
    if len(stores) == 1 and shares is None:
        return Encoded(store, None, f"{len(store):,} pairs, {describe(store.dropped)}")
    each = [
        f"{part.label}: {len(store):,}, {describe(store.dropped)}, × {rows / len(store):.3g}"
        for part, store, rows in zip(mixture.parts, stores, counts, strict=True)
    ]
    return Encoded(store, shares, f"{sum(counts):,} pairs an epoch ({'; '.join(each)})")


def open_mixture(
    configs: Sequence[TrainingCorpusConfig],
    temperature: float | None,
    folder: Path,
    held_out: Collection[Path] = (),
    commits: dict[str, str] | None = None,
) -> Mixture:
    """Opens training corpora as :func:`open_corpus` does.

    Raises:
        ConfigError: The format of a path cannot be told from its name.
        DataError: A corpus is missing, empty or unreadable, or lacks a column.
    """
    files = Counter(path for one in configs for path in files_of(one, folder) - set(held_out))
    if several := sorted(path.name for path, times in files.items() if times > 1):
        log.info("data.train: %s in several corpora", ", ".join(several))
    parts = [
        Part(open_corpus(one, folder, held_out, commits), one.weight, one.filters, one.named)
        for one in configs
    ]
    return Mixture.mix(parts, temperature)
