"""Corpora cleaned as streams: what does not fit is left out, and counted by the rule that says so.

Memory does not grow with the corpus, but for the hashes of the rules that find duplicates.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
from tqdm import tqdm

from seq2seq.data.files import is_blank
from seq2seq.data.pairs.corpus import Corpus, Pair
from seq2seq.data.pairs.hashes import Hashes
from seq2seq.data.pairs.repeats import keys_of
from seq2seq.data.pairs.rules import RULES, Finder, Setting, Survey
from seq2seq.data.pairs.scripts import main_script
from seq2seq.lists import aligned, chunks
from seq2seq.text.learning import sample

AT_ONCE = 4096
SAMPLE = 10_000
"""Pairs, drawn from the whole corpus, that tell its scripts and its ratio of lengths."""
HELD = ("pair", "source", "target")
Settings = Mapping[str, Setting]
"""What each rule goes by; those that are left out are off."""


def usual_settings() -> dict[str, Setting]:
    """Returns what the rules go by unless told otherwise."""
    return {name: rule.default for name, rule in RULES.items()}


def changed(pair: Pair, settings: Settings) -> tuple[Pair, list[str]]:
    """Returns a pair as the rules change it, and which ones did."""
    told = []
    for name, rule in RULES.items():
        if rule.change is not None and settings.get(name):
            before = pair
            pair = rule.change(pair[0]), rule.change(pair[1])
            if pair != before:
                told.append(name)
    return pair, told


def finders(settings: Settings, survey: Survey) -> dict[str, Finder]:
    """Returns what finds the pairs to leave out, rule by rule; none has seen any yet."""
    return {
        name: rule.finder(setting, survey)
        for name, rule in RULES.items()
        if rule.finder is not None and (setting := settings.get(name)) is not None
    }


def look_over(
    corpus: Corpus,
    settings: Settings,
    held_out: Iterable[Corpus] = (),
    scripts: tuple[str | None, str | None] = (None, None),
) -> Survey:
    """Reads a corpus once for what its pairs are compared with; ``scripts`` that are told count.

    Raises:
        DataError: A corpus cannot be read.
    """
    bar = tqdm(corpus.pairs(), f"look over {corpus.name}", disable=None, unit=" pairs")
    drawn = [changed(pair, settings)[0] for pair in sample(bar, SAMPLE)]
    filled = [pair for pair in drawn if not (is_blank(pair[0]) or is_blank(pair[1]))]
    ratios = [len(target) / len(source) for source, target in filled]
    sides = list(zip(*filled, strict=True)) or [(), ()]
    source, target = (
        main_script(side) if name is None else name
        for side, name in zip(sides, scripts, strict=True)
    )
    hashes = {side: Hashes() for side in HELD}
    for other in held_out:
        for chunk in chunks((changed(pair, settings)[0] for pair in other.pairs()), AT_ONCE):
            for side, those in hashes.items():
                those.add(next(keys_of(chunk, side)))
    return Survey(int(bar.n), float(np.median(ratios)) if ratios else 1.0, (source, target), hashes)


@dataclass
class Counts:
    """What became of the pairs that were read."""

    read: int = 0
    kept: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    """Pairs by the rule that changed them; several may have."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Pairs by the first rule that left them out."""

    def as_dict(self, settings: Settings) -> dict[str, object]:
        """Returns the counts of all rules that were on."""
        on = [name for name in RULES if settings.get(name) is not None]
        return {
            "read": self.read,
            "changed": {name: self.changed[name] for name in on if RULES[name].change},
            "left_out": {name: self.left_out[name] for name in on if RULES[name].finder},
            "kept": self.kept,
        }

    def table(self, settings: Settings) -> str:
        """Returns the same as aligned text."""
        rows = [("pairs read", f"{self.read:,}", "")]
        for kind, verb in (("changed", "changed"), ("left_out", "left out")):
            counts = self.as_dict(settings)[kind]
            assert isinstance(counts, dict)
            for name, count in counts.items():
                rows.append((f"{verb}: {RULES[name].label}", f"{count:,}", _shown(name, settings)))
        share = f"{100 * self.kept / max(self.read, 1):.1f} %"
        return aligned("<><", [*rows, ("pairs kept", f"{self.kept:,}", share)])


def _shown(name: str, settings: Settings) -> str:
    setting = settings[name]
    shown = f"{setting:g}" if isinstance(setting, float) else setting
    return f"--{name}" if setting is True else f"--{name} {shown}"


@dataclass(frozen=True)
class Cleaned:
    """A pair as it was changed."""

    pair: Pair
    left_out: str | None
    """The rule that leaves it out, or None."""


def clean(
    pairs: Iterable[Pair], settings: Settings, survey: Survey, counts: Counts
) -> Iterator[Cleaned]:
    """Yields each pair as it is changed, and the rule that leaves it out; counts both.

    >>> counts, settings = Counts(), usual_settings()
    >>> pairs = [("ein  Hund", "a dog"), ("ein Hund", "a dog"), ("eine Katze", "")]
    >>> survey = look_over(Corpus.of(pairs), settings)
    >>> [one.left_out for one in clean(pairs, settings, survey, counts)]
    [None, 'duplicates', 'blank']
    """
    own = finders(settings, survey)
    for chunk in chunks(pairs, AT_ONCE):
        texts = []
        for pair in chunk:
            text, told = changed(pair, settings)
            texts.append(text)
            counts.changed.update(told)
        reasons = _reasons(texts, own)
        counts.read += len(texts)
        counts.left_out.update(reason for reason in reasons if reason)
        counts.kept += reasons.count(None)
        yield from map(Cleaned, texts, reasons)


def _reasons(pairs: Sequence[Pair], own: Mapping[str, Finder]) -> list[str | None]:
    """Returns the first rule that leaves out each pair; later ones do not see it."""
    reasons: list[str | None] = [None] * len(pairs)
    left = list(range(len(pairs)))
    for name, finder in own.items():
        found = finder([pairs[place] for place in left])
        for place in compress(left, found):
            reasons[place] = name
        left = [place for place in left if reasons[place] is None]
    return reasons
