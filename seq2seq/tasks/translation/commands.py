"""What the verbs of translation and transduction do."""

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from seq2seq import config as configuration
from seq2seq.data.arriving import read_arriving
from seq2seq.data.files import suffix_of
from seq2seq.data.pairs.check import check
from seq2seq.data.pairs.corpus import CorpusConfig, described_files, format_of, open_corpus
from seq2seq.errors import ConfigError
from seq2seq.evaluation.metrics import Unit
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.tasks.console import (
    LOADING,
    as_options,
    given,
    one_line,
    output,
    print_scores,
    use_threads,
)
from seq2seq.tasks.task import data_folder, read_config_of, task_of
from seq2seq.tasks.translation.cases import Case, read_cases
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import (
    EvaluationConfig,
    evaluate_pairs,
    suited,
    test_corpus,
)
from seq2seq.tasks.translation.glossary import Glossary
from seq2seq.tasks.translation.translation import Translation
from seq2seq.tasks.translation.translator import Translator
from seq2seq.tasks.translation.wish_files import WishFiles
from seq2seq.tasks.translation.wishes import Wishes
from seq2seq.text.sentences import splitter

SEARCH = (
    "length_penalty",
    "coverage_penalty",
    "min_length",
    "max_length",
    "no_repeat_ngram",
    "groups",
    "diversity",
    "terms",
    "term_bonus",
)
"""Options that are settings of the search, besides the width of the beam."""
COLUMNS = ("source_column", "target_column")
"""Options that say how ``--pairs`` is read."""


def translate(options: Namespace) -> None:
    """Translates files or standard input, one line out for each line in."""
    if options.n_best < 1:
        raise ConfigError(f"--n-best: must be at least 1, got {options.n_best}")
    if options.n_best > 1 and options.format == "text":
        raise ConfigError("--n-best: must be 1 where --format is text, or use --format jsonl")
    if options.language and not options.split:
        raise ConfigError("--language: must be left out where --split is not given")
    if options.split:
        with as_options(options):
            splitter("")  # before the run is loaded
    translator = _translator(options)
    piped = sys.stdin is None or not sys.stdin.isatty()
    interactive = options.files == ["-"] and not piped
    settings = given(options, ["n_best", "batch_size", "split", "language"])
    wishes = WishFiles(options.prefix, options.require, _glossary(options))
    done = 0
    with (
        output(options.output) as file,
        tqdm(desc="translate", unit=" lines", disable=True if interactive else None) as bar,
    ):
        for batch in read_arriving(options.files, options.errors):
            asked = wishes.of(len(batch))
            for translation in translator(batch, first=done, wishes=asked, **settings):
                print(_rendered(translation, options.format), file=file)
            file.flush()
            bar.update(len(batch))
            done += len(batch)


def evaluate(options: Namespace) -> None:
    """Translates a test set and prints scores."""
    if options.mistakes < 0:
        raise ConfigError(f"--mistakes: must be at least 0, got {options.mistakes}")
    if options.mistakes and options.format == "json":
        raise ConfigError("--mistakes: must be 0 where --format is json, or use --format table")
    if options.mistakes and options.lowercase:
        raise ConfigError("--mistakes: must be 0 where --lowercase is given; they count case")
    config = read_config_of(TranslationConfig, Path(options.run))
    cases = _cases(options, config)
    translator = _translator(options)
    with as_options(options):
        chosen = EvaluationConfig(
            metrics=tuple(options.metrics),
            lowercase=options.lowercase,
            **given(options, ["batch_size", "bleu_tokenizer", "group_sources"]),
        )
    with output(options.output) as file, as_options(options):
        wishes = Wishes(glossary=_glossary(options))
        evaluation = evaluate_pairs(translator, cases, suited(chosen, config), wishes)
        if options.output:
            file.writelines(f"{one_line(text)}\n" for text in evaluation.of_each(cases))
    print_scores(evaluation.scores, options.format)
    if options.mistakes:
        unit: Unit = "symbol" if config.target.tokenizer == "space" else "character"
        mistakes = find_mistakes(
            evaluation.sources, evaluation.translations, evaluation.references, unit
        )
        print("\n" + mistakes.table(options.mistakes))


def data_check(options: Namespace) -> None:
    """Reports what is odd about the corpora of a configuration."""
    mapping = configuration.read(options.config) if options.config else {}
    task = task_of(mapping, str(options.config))
    config = configuration.from_mapping(task.config, mapping, options.keys, str(options.config))
    settings = config.data
    corpora = {
        role: open_corpus(where, Path(settings.folder))
        for role in ("train", "valid", "test")
        if (where := getattr(settings, role)) is not None
    }
    if not corpora:
        raise ConfigError(
            "data.train: is required; name a CONFIG, or give --data.train.source and .target"
        )
    report = check(corpora)
    print(report.table())
    for problem in report.problems:
        print(f"- {problem}")


def _cases(options: Namespace, config: TranslationConfig) -> list[Case]:
    """Reads what to measure on."""
    if (options.source is None) != (options.reference is None):
        raise ConfigError("--source: must come with --reference, and the other way round")
    if options.pairs is not None:
        if options.source is not None:
            raise ConfigError("--pairs: must be left out where --source and --reference are given")
        return list(open_corpus(pairs_config(options, config), Path()).pairs())
    refuse_columns(options)
    if options.source is None:
        return list(test_corpus(config, Path(options.run)).pairs())
    if len(options.reference) > 1:
        return read_cases(options.source, options.reference)
    files = CorpusConfig(source=options.source, target=options.reference[0])
    return list(open_corpus(files, Path()).pairs())


def refuse_columns(options: Namespace) -> None:
    """Raises a :class:`ConfigError` if columns are named where there is no ``--pairs``."""
    for name in COLUMNS:
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option}: must be left out where --pairs is not given")


def pairs_config(options: Namespace, config: TranslationConfig) -> CorpusConfig:
    """Returns how ``--pairs`` is read: with the columns that the run's own files have.

    Raises:
        ConfigError: Its format cannot be told.
    """
    own = [
        (_format(one, config, Path(options.run)), one)
        for one in (config.data.test, config.data.valid, config.data.train)
        if one is not None and one.path is not None
    ]
    form = format_of(options.pairs, Path())
    if form is None and not suffix_of(options.pairs):  # as of a pipe
        form = next((form for form, _ in own), None)
    if form is None:
        raise ConfigError(f"--pairs: must be {described_files()}, got {options.pairs!r}")
    read = next((one for kind, one in own if kind == form), CorpusConfig(path=options.pairs))
    return replace(read, path=options.pairs, format=form, limit=0, **given(options, COLUMNS))


def _format(corpus: CorpusConfig, config: TranslationConfig, run: Path) -> str | None:
    """Returns the format of one of the run's own corpora under one path."""
    if corpus.format != "auto":
        return corpus.format
    return format_of(corpus.path or "", data_folder(config, run, corpus))


def _translator(options: Namespace) -> Translator:
    """Loads the run, with the search that the options ask for."""
    use_threads(options)
    if options.batch_size is not None and options.batch_size < 1:
        raise ConfigError(f"--batch-size: must be at least 1, got {options.batch_size}")
    translator = Translator.load(options.run, *options.ensemble, **given(options, LOADING))
    n_best = getattr(options, "n_best", 1)
    settings = given(options, SEARCH)
    if options.groups is not None:
        settings["strategy"] = "diverse"
    wide = translator.search.beam_size if options.beam_size is None else options.beam_size
    with as_options(options):
        search = replace(translator.search, **settings, beam_size=wide)
    translator.search = replace(search, beam_size=max(wide, n_best))
    return translator


def _glossary(options: Namespace) -> Glossary | None:
    """Reads the glossary that is named, if one is."""
    if options.glossary is None:
        if options.ignore_case:
            raise ConfigError("--ignore-case: must be left out where --glossary is not given")
        return None
    return Glossary.read(options.glossary, ignore_case=options.ignore_case)


def _rendered(translation: Translation, form: str) -> str:
    """Returns a translation as one line of output."""
    if form == "text":
        return one_line(translation.text)
    return json.dumps(translation.record(), ensure_ascii=False)
