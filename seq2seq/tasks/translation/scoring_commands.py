"""What the verb does that scores given pairs."""

import json
import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from seq2seq.data.arriving import LINES_AT_ONCE, read_arriving
from seq2seq.data.files import name_of
from seq2seq.data.pairs.corpus import CorpusConfig, Pair, open_corpus
from seq2seq.errors import ConfigError, DataError, brief
from seq2seq.lists import chunks
from seq2seq.tasks.console import LOADING, as_options, given, one_line, output, use_threads
from seq2seq.tasks.task import read_config_of
from seq2seq.tasks.translation.commands import pairs_config, refuse_columns
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.scoring import PairScore
from seq2seq.tasks.translation.translator import Translator

DIGITS = 6
log = logging.getLogger("seq2seq")


def score_pairs(options: Namespace) -> None:
    """Prints how likely each pair of texts is."""
    arriving = _pairs(options, read_config_of(TranslationConfig, Path(options.run)))
    use_threads(options)
    translator = Translator.load(options.run, *options.ensemble, **given(options, LOADING))
    penalty = translator.search.length_penalty if options.normalize else 0.0
    odd, done = Counter[str](), 0
    with (
        as_options(options),
        output(options.output) as file,
        tqdm(desc="score-pairs", unit=" pairs", disable=None) as bar,
    ):
        for pairs in arriving:
            for score in translator.score(pairs, **given(options, ["batch_size"])):
                print(_rendered(score, penalty, options.format), file=file)
                odd.update(_odd(score))
            file.flush()
            bar.update(len(pairs))
            done += len(pairs)
    for problem, count in odd.items():
        log.warning("%s of %s pairs: %s", f"{count:,}", f"{done:,}", problem)


def _pairs(options: Namespace, config: TranslationConfig) -> Iterator[list[Pair]]:
    """Opens the pairs, and yields some at a time."""
    if (options.source is None) != (options.target is None):
        raise ConfigError("--source: must come with --target, and the other way round")
    if options.source is not None and options.pairs is not None:
        raise ConfigError("--pairs: must be left out where --source and --target are given")
    if options.pairs is not None:
        where = pairs_config(options, config)
    else:
        refuse_columns(options)
        if options.source is None:
            return _lines(options.files)
        where = CorpusConfig(source=options.source, target=options.target)
    if options.files != ["-"]:
        option = "--source" if options.pairs is None else "--pairs"
        raise ConfigError(f"{option}: must be left out where files are named: {options.files[0]}")
    return chunks(open_corpus(where, Path()).pairs(), LINES_AT_ONCE)


def _lines(files: list[str]) -> Iterator[list[Pair]]:
    """Yields the pairs of files, and of pipes as they arrive: each line has one, around a tab."""
    for file in files:
        number = 0
        for lines in read_arriving([file]):
            yield [_pair(line, file, number) for number, line in enumerate(lines, number + 1)]
            number += len(lines)


def _pair(line: str, file: str, number: int) -> Pair:
    if not line:
        return "", ""
    source, *targets = line.split("\t")
    if not targets:
        raise DataError(
            f"{name_of(file)}: line {number:,}: must be a source, a tab and a target, got "
            f"{brief(line)}; `paste` joins two files, and --source and --target name them"
        )
    return source, targets[0]


def _odd(score: PairScore) -> Iterator[str]:
    """Yields what whoever reads a score should know."""
    if not score.tokens:
        yield "the source is blank; 0 stands for a blank target, -inf for any other"
    elif len(score.tokens) == 1:
        yield "the target is blank: scored is that nothing follows"
    if score.unknown:
        yield "tokens that the model does not know count as its unknown symbol"


def _rendered(score: PairScore, penalty: float, form: str) -> str:
    """Returns a score as one line of output; a ``penalty`` of 0 is none."""
    value = score.normalized(penalty)
    if form == "jsonl":
        normalized = {"score": value} if penalty and score.tokens else {}
        return json.dumps({**score.record(), **normalized}, ensure_ascii=False)
    shown = f"{value:.{DIGITS}f}"
    texts = (score.source, score.target) if form == "tsv" else ()
    return "\t".join((shown, *(one_line(text).replace("\t", " ") for text in texts)))
