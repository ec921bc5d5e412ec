"""What the verb ``compare`` does: runs translate, files are read, and all are compared."""

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from seq2seq.data.references import all_texts
from seq2seq.errors import ConfigError, DataError, as_texts, require
from seq2seq.evaluation.analysis import (
    Curves,
    Scoring,
    Systems,
    by_document,
    by_length,
    differences,
    faults,
    lines_of,
)
from seq2seq.evaluation.bleu_tokenizer import pick_tokenizer
from seq2seq.evaluation.comparison import compare, comparison_json, comparison_table
from seq2seq.evaluation.plots.curves import plot_curves
from seq2seq.evaluation.word_frequency import Cut, by_frequency, words_of
from seq2seq.measures import AUTO, require_ready, take_sources, take_tokenizer
from seq2seq.tasks.console import LOADING, as_options, given, output, use_threads
from seq2seq.tasks.task import read_config_of
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import EvaluationConfig, suited
from seq2seq.tasks.translation.tested import (
    Tested,
    is_run,
    read_systems,
    read_test_set,
    training_texts,
)
from seq2seq.tasks.translation.translator import Translator

log = logging.getLogger("seq2seq")
FILES = ("bleu", "chrf")
"""The scores where no run is compared and none are named."""


def compare_systems(options: Namespace) -> None:
    """Compares runs and files of translations with the first of them."""
    use_threads(options)
    _refuse(options)
    run = next(filter(is_run, options.systems), None)
    config = read_config_of(TranslationConfig, Path(run)) if run else TranslationConfig()
    with output(options.output) as file, as_options(options):
        settings = _settings(options, config, run)
        require_ready(settings.metrics)
        found = read_systems(options)
        tests = read_test_set(options, found, config, bool(settings.group_sources))
        if take_tokenizer(settings.metrics) or _analyses(options):
            tokenizer = pick_tokenizer(settings.bleu_tokenizer or AUTO, all_texts(tests.references))
            settings = replace(settings, bleu_tokenizer=tokenizer)
        systems = _translated(options, found, tests, settings.batch_size)
        print(_compared(options, settings, tests, systems), file=file)
        if _analyses(options):
            lines = _lines(systems, tests)
            print(*_analysed(options, config, tests, lines, settings), sep="", end="", file=file)


def _refuse(options: Namespace) -> None:
    """Raises a :class:`ConfigError` if options do not go together."""
    if options.analysis is not None:
        if options.format == "json":
            raise ConfigError("--analysis: must be left out where --format is json")
        require(options.analysis >= 0, "--analysis", "at least 0", options.analysis)


def _analyses(options: Namespace) -> bool:
    """Tells whether there is more to do than to score."""
    return options.analysis is not None or bool(options.plot)


def _compared(
    options: Namespace,
    settings: EvaluationConfig,
    tests: Tested,
    systems: Mapping[str, Sequence[str]],
) -> str:
    """Returns the scores as text."""
    rows = compare(
        systems,
        tests.references,
        settings.metrics,
        options.test,
        trials=options.trials,
        lowercase=settings.lowercase,
        tokenize=settings.bleu_tokenizer or AUTO,
        sources=tests.sources,
    )
    return (
        comparison_json(rows)
        if options.format == "json"
        else comparison_table(rows, options.format)
    )


def _analysed(
    options: Namespace,
    config: TranslationConfig,
    tests: Tested,
    lines: Systems,
    settings: EvaluationConfig,
) -> Iterator[str]:
    """Yields the tables of an analysis that is asked for; draws what is to be drawn."""
    cheap = tuple(name for name in settings.metrics if not take_sources([name]))
    scoring = Scoring(cheap or ("chrf",), settings.lowercase, settings.bleu_tokenizer)
    curves = _curves(options, config, tests, lines, scoring)
    if options.plot:
        plot_curves(curves, Path(options.plot))
    if options.analysis is not None:
        documents = [by_document(lines, scoring)] if tests.documents else []
        tables = [faults(lines), *(one.table() for one in (*curves, *documents))]
        for table in (*tables, *differences(lines, options.analysis)):
            yield f"\n{table.text(options.format)}\n"


def _settings(options: Namespace, config: TranslationConfig, run: str | None) -> EvaluationConfig:
    """Returns how translations are scored: unless told, as the first run's are."""
    chosen = EvaluationConfig(
        metrics=tuple(options.metrics or (() if run else FILES)),
        lowercase=options.lowercase,
        **given(options, ["batch_size", "bleu_tokenizer"]),
    )
    return suited(chosen, config)


def _translated(
    options: Namespace, found: Mapping[str, Sequence[str] | None], tests: Tested, batch_size: int
) -> dict[str, list[str]]:
    """Returns the translations of each system; runs make them, each as it does by itself."""
    files = {name: tests.of(name, texts) for name, texts in found.items() if texts is not None}
    systems = {}
    for name in tqdm(found, "compare", disable=None, unit=" systems"):
        if name in files:
            systems[name] = files[name]
        else:
            translator = Translator.load(name, **given(options, LOADING))
            translations = translator(tests.sources or [], batch_size=batch_size)
            systems[name] = [translation.text for translation in translations]
    return systems


def _lines(systems: Mapping[str, Sequence[str]], tests: Tested) -> Systems:
    several = [tuple(as_texts(texts)) for texts in tests.references]
    return {
        name: lines_of(texts, several, tests.sources, tests.documents)
        for name, texts in systems.items()
    }


def _curves(
    options: Namespace, config: TranslationConfig, tests: Tested, lines: Systems, scoring: Scoring
) -> list[Curves]:
    """Returns the scores by length, and by how often words stand in training texts."""
    several = [tuple(as_texts(texts)) for texts in tests.references]
    cut = words_of(several, scoring.lowercase, scoring.tokenize)
    times, where = _times(options, config, tests, cut)
    return [by_length(lines, scoring), by_frequency(lines, times, cut, where)]


def _times(
    options: Namespace, config: TranslationConfig, tests: Tested, cut: Cut
) -> tuple[Counter[str], str]:
    """Returns how often words stand in texts, and what these are called."""
    run = next(filter(is_run, options.systems), None)
    try:
        if texts := training_texts(options, run, config):
            return _counted(texts, cut), "training texts"
    except DataError as error:
        if options.train:
            raise
        log.warning("%s; words are counted in the references instead", error)
    return _counted(all_texts(tests.references), cut), "references"


def _counted(texts: Iterable[str], cut: Cut) -> Counter[str]:
    every = tqdm(texts, "count words", disable=None, unit=" texts")
    return Counter(word for text in every for word in cut(text))
