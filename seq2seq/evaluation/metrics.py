"""Scores of hypotheses against references, each with the signature that makes it comparable.

BLEU, chrF and TER are sacreBLEU's (Post 2018, "A Call for Clarity in Reporting BLEU Scores"). The
error rates of transduction are those of the SIGMORPHON 2020 shared task on grapheme-to-phoneme
conversion (Gorman et al. 2020), where each line is a word; their distances are rapidfuzz's.

A hypothesis has one reference, or several of which any is right. That task leaves out words with
several pronunciations, so it has no rule for them; ours is that a line is right if it equals any of
its references, and that edits, and the length they are divided by, are those of the nearest one.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

import rapidfuzz
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.errors import DataError, as_list, as_texts
from seq2seq.evaluation.bleu_tokenizer import pick_tokenizer
from seq2seq.evaluation.scripts import HAN, HANGUL, KANA, script_of
from seq2seq.measures import AUTO

Texts: TypeAlias = str | Iterable[str]
"""Texts of a corpus; a plain string is one text."""
References: TypeAlias = str | Iterable[str | Sequence[str]]
"""For each hypothesis its reference, or several of which any is right."""
Several: TypeAlias = Sequence[tuple[str, ...]]
"""For each hypothesis its references."""
Unit = Literal["symbol", "character"]
"""What edits are counted in: symbols parted by spaces, or characters."""
UNITS: dict[str, Unit] = {"per": "symbol", "cer": "character"}
"""The unit of each rate of edits."""
VERSION = rapidfuzz.__version__
log = logging.getLogger("seq2seq")


@dataclass(frozen=True)
class Score:
    """A number together with how it was computed."""

    name: str
    value: float
    signature: str
    digits: int = 2
    """Digits after the point that people are shown."""

    @property
    def shown(self) -> str:
        """The value for people to read."""
        return f"{self.value:.{self.digits}f}"

    def __str__(self) -> str:
        return f"{self.name} = {self.shown}  {self.signature}"


def bleu(
    hypotheses: Texts, references: References, *, lowercase: bool = False, tokenize: str = AUTO
) -> Score:
    """Scores by the precision of word n-grams (Papineni et al. 2002).

    Words are what ``tokenize``, one of sacreBLEU's tokenizers, makes of the texts; ``auto`` is 13a
    unless the references' script asks for another, which is told.

    Raises:
        DataError: The two sides differ in number, or are empty.
        ConfigError: There is no such tokenizer, or it cannot be used here.
    """
    hypotheses, expected = require_pairs(hypotheses, references)
    return _sacrebleu(bleu_of(expected, lowercase, tokenize), hypotheses, expected)


def chrf(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Scores by the F-score of character n-grams (Popović 2015).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(CHRF(lowercase=lowercase), hypotheses, references)


def chrf_plus(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Scores by chrF++, which counts words and pairs of words as well (Popović 2017).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(CHRF(lowercase=lowercase, word_order=2), hypotheses, references)


def ter(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Returns the edits, shifts included, per 100 reference words (Snover et al. 2006).

    Less is better. As everywhere here, case counts unless ``lowercase``; sacreBLEU's own TER
    lowercases by default. Of Chinese and Japanese references, Han characters are words (sacreBLEU's
    support of Asian languages, as the signature tells).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    hypotheses, expected = require_pairs(hypotheses, references)
    return _sacrebleu(ter_of(expected, lowercase), hypotheses, expected)


def exact_match(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Returns the percentage of hypotheses that equal their reference, or one of several.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _rate("exact", hypotheses, references, lowercase)


def wer(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Returns the percentage of lines, each a word, that are none of their references.

    Less is better.

    Not the word error rate of speech recognition, which counts edits of words inside a line.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _rate("wer", hypotheses, references, lowercase)


def per(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Returns the edits per 100 reference symbols, which spaces part; less is better.

    Edits and symbols are summed over the corpus first, so that long lines weigh more. Of several
    references the :func:`nearest` counts.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _rate("per", hypotheses, references, lowercase)


def cer(hypotheses: Texts, references: References, *, lowercase: bool = False) -> Score:
    """Returns the edits per 100 reference characters, as :func:`per` does; less is better.

    Characters are Unicode's code points as they stand: a composed letter is not a decomposed one.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _rate("cer", hypotheses, references, lowercase)


def split_line(line: str, unit: Unit) -> list[str]:
    """Returns a line's units; none of them is empty, however many spaces stand together."""
    return [symbol for symbol in line.split(" ") if symbol] if unit == "symbol" else list(line)


def nearest(hypothesis: str, references: Sequence[str], unit: Unit) -> str:
    """Returns the reference that is the fewest edits away; of such, the longest.

    The same text as the hypothesis comes before others that are no edits away.
    """
    if len(references) == 1:
        return references[0]
    found = split_line(hypothesis, unit)

    def distance(reference: str) -> tuple[int, bool, int]:
        expected = split_line(reference, unit)
        edits = Levenshtein.distance(expected, found)
        return edits, reference != hypothesis, -len(expected)

    return min(references, key=distance)


def bleu_of(references: Several, lowercase: bool, tokenize: str) -> BLEU:
    """Returns sacreBLEU's BLEU with the tokenizer that suits the references."""
    name = pick_tokenizer(tokenize, chain.from_iterable(references))
    return BLEU(lowercase=lowercase, tokenize=name)


def ter_of(references: Several, lowercase: bool) -> TER:
    """Returns sacreBLEU's TER with the words that suit the references."""
    script = script_of(chain.from_iterable(references))
    asian = script in (HAN, KANA)
    if script not in (None, HAN, KANA, HANGUL):
        _tell_of_long_words("TER", script)
    return TER(case_sensitive=not lowercase, normalized=asian, asian_support=asian)


def _sacrebleu(metric: BLEU | CHRF | TER, hypotheses: Texts, references: References) -> Score:
    hypotheses, expected = require_pairs(hypotheses, references)
    result = metric.corpus_score(hypotheses, by_rank(expected))
    return Score(result.name, result.score, metric.get_signature().format())


def by_rank(references: Several) -> Any:  # noqa: ANN401
    """Returns a list of the first references, one of the second ones; None where there is none."""
    return [list(texts) for texts in zip_longest(*references)]


@cache  # validation scores the same references again and again
def _tell_of_long_words(name: str, script: str) -> None:
    log.warning(
        "%s counts words between spaces, and %s script has hardly any spaces; chrF and CER count "
        "characters",
        *(name, script),
    )


def _edits(hypothesis: str, references: Sequence[str], unit: Unit) -> tuple[int, int]:
    """Returns the edits from the nearest reference, and its units."""
    expected = split_line(nearest(hypothesis, references, unit), unit)
    return Levenshtein.distance(expected, split_line(hypothesis, unit)), len(expected)


class Rate(NamedTuple):
    """A share of the lines, or of the units in them, in percent."""

    name: str
    tally: Callable[[str, tuple[str, ...]], tuple[int, int]]
    """What is counted in a line with these references, and out of how much."""
    details: tuple[str, ...] = ()


RATES = {
    "exact": Rate("exact", lambda text, references: (int(text in references), 1)),
    "wer": Rate("WER", lambda text, references: (int(text not in references), 1), ("unit:line",)),
    **{
        name: Rate(
            name.upper(), partial(_edits, unit=unit), (f"unit:{unit}", f"rapidfuzz:{VERSION}")
        )
        for name, unit in UNITS.items()
    },
}
"""The metrics that are rates."""


def tallies(
    name: str, hypotheses: Sequence[str], references: Several, lowercase: bool
) -> list[tuple[int, int]]:
    """Returns what a rate counts in each line, and out of how much."""
    tally = RATES[name].tally
    return [tally(*sides) for sides in _folded(hypotheses, references, lowercase)]


def rate_of(counted: float, total: float) -> float:
    """Returns a rate in percent; as in sacreBLEU's TER, any output for nothing is all wrong."""
    return 100 * counted / total if total else 100.0 * bool(counted)


def _rate(name: str, hypotheses: Texts, references: References, lowercase: bool) -> Score:
    hypotheses, expected = require_pairs(hypotheses, references)
    found = tallies(name, hypotheses, expected, lowercase)
    counted, total = (float(sum(column)) for column in zip(*found, strict=True))
    value = rate_of(counted, total)
    signature = rate_signature(name, expected, lowercase)
    return Score(RATES[name].name, value, signature)


def rate_signature(name: str, references: Several, lowercase: bool) -> str:
    """Returns how a rate is computed."""
    return signature_of(references, lowercase, *RATES[name].details)


def _folded(
    hypotheses: Sequence[str], references: Sequence[tuple[str, ...]], lowercase: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields each hypothesis with its references, without case if asked to."""
    for hypothesis, accepted in zip(hypotheses, references, strict=True):
        if lowercase:
            yield hypothesis.lower(), tuple(text.lower() for text in accepted)
        else:
            yield hypothesis, accepted


def signature_of(references: Several, lowercase: bool, *details: str) -> str:
    """Returns how a score was computed; the number of references as in sacreBLEU, unless one."""
    numbers = {len(accepted) for accepted in references}
    several = () if numbers == {1} else (f"nrefs:{'var' if len(numbers) > 1 else numbers.pop()}",)
    case = "lc" if lowercase else "mixed"
    return "|".join((f"n:{len(references)}", *several, f"case:{case}", *details))


def require_pairs(
    hypotheses: Texts, references: References
) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Returns hypotheses, and for each its references.

    Raises:
        DataError: The two sides differ in number, or are empty, or a hypothesis has no reference.
    """
    hypotheses = as_texts(hypotheses, "hypotheses")
    rows = as_list([references] if isinstance(references, str) else references, "references")
    expected = [
        tuple(as_texts(row, f"references: row {number:,}")) for number, row in enumerate(rows)
    ]
    if len(hypotheses) != len(expected):
        raise DataError(
            f"cannot score: {len(hypotheses):,} hypotheses, {len(expected):,} references; "
            "each hypothesis needs the reference of the same line"
        )
    if not expected:
        raise DataError("cannot score: there are no hypotheses")
    if () in expected:
        number = expected.index(()) + 1
        raise DataError(f"cannot score: hypothesis {number:,} has no reference; it needs one")
    return hypotheses, expected
