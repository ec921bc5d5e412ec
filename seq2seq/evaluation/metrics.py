"""Scores of hypotheses against references, each with the signature that makes it comparable.

BLEU, chrF and TER are sacreBLEU's (Post 2018, "A Call for Clarity in Reporting BLEU Scores"). The
error rates of transduction are those of the SIGMORPHON 2020 shared task on grapheme-to-phoneme
conversion (Gorman et al. 2020), where each line is a word; their distances are rapidfuzz's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import rapidfuzz
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.errors import DataError, as_texts

Texts: TypeAlias = str | Iterable[str]
"""Texts of a corpus; a plain string is one text."""
BleuTokenizer = Literal["13a", "intl", "zh", "char", "none"]
Unit = Literal["symbol", "character"]
"""What edits are counted in: symbols parted by spaces, or characters."""


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
    hypotheses: Texts,
    references: Texts,
    *,
    lowercase: bool = False,
    tokenize: BleuTokenizer = "13a",
) -> Score:
    """Scores by the precision of word n-grams (Papineni et al. 2002).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(BLEU(lowercase=lowercase, tokenize=tokenize), hypotheses, references)


def chrf(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Scores by the F-score of character n-grams (Popović 2015).

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(CHRF(lowercase=lowercase), hypotheses, references)


def ter(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Returns the edits, shifts included, per 100 reference words (Snover et al. 2006).

    Less is better. As everywhere here, case counts unless ``lowercase``; sacreBLEU's own TER
    lowercases by default.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _sacrebleu(TER(case_sensitive=not lowercase), hypotheses, references)


def exact_match(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Returns the percentage of hypotheses that equal their reference.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    wrong, lines = _differing(hypotheses, references, lowercase)
    return Score("exact", 100 * (lines - wrong) / lines, _signature(lines, lowercase))


def wer(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Returns the percentage of lines, each a word, that are not their reference; less is better.

    Not the word error rate of speech recognition, which counts edits of words inside a line.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    wrong, lines = _differing(hypotheses, references, lowercase)
    return Score("WER", 100 * wrong / lines, _signature(lines, lowercase, "unit:line"))


def per(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Returns the edits per 100 reference symbols, which spaces part; less is better.

    Edits and symbols are summed over the corpus first, so that long lines weigh more.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _error_rate("PER", "symbol", hypotheses, references, lowercase)


def cer(hypotheses: Texts, references: Texts, *, lowercase: bool = False) -> Score:
    """Returns the edits per 100 reference characters, as :func:`per` does; less is better.

    Characters are Unicode's code points as they stand: a composed letter is not a decomposed one.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    return _error_rate("CER", "character", hypotheses, references, lowercase)


def split_line(line: str, unit: Unit) -> list[str]:
    """Returns a line's units; none of them is empty, however many spaces stand together."""
    return [symbol for symbol in line.split(" ") if symbol] if unit == "symbol" else list(line)


def _sacrebleu(metric: BLEU | CHRF | TER, hypotheses: Texts, references: Texts) -> Score:
    hypotheses, references = require_pairs(hypotheses, references)
    result = metric.corpus_score(hypotheses, [references])
    return Score(result.name, result.score, metric.get_signature().format())


def _differing(hypotheses: Texts, references: Texts, lowercase: bool) -> tuple[int, int]:
    """Returns how many hypotheses are not their reference, and how many there are."""
    hypotheses, references = require_pairs(hypotheses, references)
    pairs = zip(_fold(hypotheses, lowercase), _fold(references, lowercase), strict=True)
    return sum(hypothesis != reference for hypothesis, reference in pairs), len(references)


def _error_rate(
    name: str, unit: Unit, hypotheses: Texts, references: Texts, lowercase: bool
) -> Score:
    hypotheses, references = require_pairs(hypotheses, references)
    found, expected = (
        [split_line(line, unit) for line in _fold(side, lowercase)]
        for side in (hypotheses, references)
    )
    edits = sum(map(Levenshtein.distance, expected, found))
    length = sum(map(len, expected))
    # As sacreBLEU's TER: where all references are empty, any output is all wrong.
    value = 100 * edits / length if length else 100.0 * bool(edits)
    details = (f"unit:{unit}", f"rapidfuzz:{rapidfuzz.__version__}")
    return Score(name, value, _signature(len(references), lowercase, *details))


def _fold(lines: Sequence[str], lowercase: bool) -> list[str]:
    return [line.lower() for line in lines] if lowercase else list(lines)


def _signature(lines: int, lowercase: bool, *details: str) -> str:
    case = "lc" if lowercase else "mixed"
    return "|".join((f"n:{lines}", f"case:{case}", *details))


def require_pairs(hypotheses: Texts, references: Texts) -> tuple[Sequence[str], Sequence[str]]:
    """Returns both sides as lists of texts.

    Raises:
        DataError: The two sides differ in number, or are empty.
    """
    hypotheses = as_texts(hypotheses, "hypotheses")
    references = as_texts(references, "references")
    if len(hypotheses) != len(references):
        raise DataError(
            f"cannot score: {len(hypotheses):,} hypotheses, {len(references):,} references; "
            "each hypothesis needs the reference of the same line"
        )
    if not references:
        raise DataError("cannot score: there are no hypotheses")
    return hypotheses, references
