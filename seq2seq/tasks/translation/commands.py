"""What the verbs of translation and transduction do."""

import logging
import sys
from argparse import Namespace
from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seq2seq import config as configuration
from seq2seq.data.arriving import read_arriving
from seq2seq.data.files import suffix_of
from seq2seq.data.pairs.check import check
from seq2seq.data.pairs.corpus import (
    Corpus,
    CorpusConfig,
    described_files,
    format_of,
    open_corpora,
    open_corpus,
)
from seq2seq.data.wmt import is_marked, with_sources
from seq2seq.errors import ConfigError
from seq2seq.evaluation.metrics import Unit
from seq2seq.evaluation.mistakes import find_mistakes
from seq2seq.search.config import SearchConfig
from seq2seq.search.sampling import fresh_seed
from seq2seq.tasks.console import (
    LOADING,
    SAMPLING,
    as_options,
    given,
    one_line,
    output,
    print_scores,
    use_threads,
)
from seq2seq.tasks.task import data_folder, read_config_of, task_of
from seq2seq.tasks.translation.cases import Case, read_cases
from seq2seq.tasks.translation.config import ROLES, TranslationConfig, listed
from seq2seq.tasks.translation.copying import read_dictionary
from seq2seq.tasks.translation.evaluation import (
    EvaluationConfig,
    evaluate_pairs,
    suited,
    test_corpus,
)
from seq2seq.tasks.translation.glossary import Glossary
from seq2seq.tasks.translation.material import open_training
from seq2seq.tasks.translation.translator import Translator, require_attention
from seq2seq.tasks.translation.wish_files import WishFiles
from seq2seq.tasks.translation.wishes import Wishes
from seq2seq.tasks.translation.writing import lines
from seq2seq.text.sentences import splitter

log = logging.getLogger("seq2seq")
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
    "mbr",
    "candidates",
    "replace_unknown",
)
"""Options that are settings of the search, besides the width of the beam."""
TERMED = ("glossary", "require")
"""Options that say what must stand in texts."""
BESIDE = ("prefix", "require")
"""Options with a line for each text."""
COLUMNS = ("source_column", "target_column")
"""Options that say how ``--pairs`` is read."""


def translate(options: Namespace) -> None:
    """Translates files or standard input, one line out for each line in."""
    _refuse(options)
    translator = _translator(options)
    if options.alignments or options.plot:
        require_attention(translator, "--alignments" if options.alignments else "--plot")
    piped = sys.stdin is None or not sys.stdin.isatty()
    interactive = options.files == ["-"] and not piped
    settings = given(options, ["n_best", "batch_size", "split", "language"])
    wishes = WishFiles({name: getattr(options, name) for name in BESIDE}, _wishes(options))
    done, undrawn = 0, options.plot
    with (
        lines(options) as out,
        tqdm(desc="translate", unit=" lines", disable=True if interactive else None) as bar,
        as_options(options),
    ):
        for batch in read_arriving(options.files, options.errors):
            asked = wishes.of(len(batch))
            for translation in translator(batch, first=done, wishes=asked, **settings):
                if undrawn and translation.attention.size:
                    translation.plot_attention(undrawn)
                    undrawn = None
                out.write(translation)
            out.flush()
            bar.update(len(batch))
            done += len(batch)
        wishes.require_end()


def _refuse(options: Namespace) -> None:
    """Raises a :class:`ConfigError` where options of ``translate`` do not go together."""
    if options.n_best < 1:
        raise ConfigError(f"--n-best: must be at least 1, got {options.n_best}")
    if options.n_best > 1 and options.format == "text":
        raise ConfigError("--n-best: must be 1 where --format is text, or use --format jsonl")
    if not options.split:
        refuse(options, ["language"], "--split is not given")
    if options.split:
        refuse(options, BESIDE, "--split is given")
        with as_options(options):
            splitter("")  # before the run is loaded


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
        evaluation = evaluate_pairs(translator, cases, suited(chosen, config), _wishes(options))
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
    corpora, parts = configured(options.config, options.keys)
    report = check(corpora)
    print(report.table())
    problems = report.problems
    if len(parts) > 1:
        each = check(parts)
        print(f"\ntrain, corpus by corpus\n{each.table()}")
        others = [problem for problem in problems if not problem.startswith("train: ")]
        problems = (*each.problems, *others)
    for problem in problems:
        print(f"- {problem}")


def configured(
    path: Path | None, keys: Sequence[str]
) -> tuple[dict[str, Corpus], dict[str, Corpus]]:
    """Opens the corpora of a configuration, by their roles, and those of training one by one.

    Texts are without the tags that training puts before them.
    """
    mapping = configuration.read(path) if path else {}
    task = task_of(mapping, str(path))
    settings = configuration.from_mapping(task.config, mapping, keys, str(path)).data
    parts: dict[str, Corpus] = {}
    corpora: dict[str, Corpus] = {}
    if settings.train is not None:
        for part in open_training(settings).parts:
            parts[_free_name(part.label, parts)] = replace(part.corpus, tag="")
        corpora["train"] = Corpus.joined(list(parts.values()))
    for role in ROLES[1:]:
        if getattr(settings, role) is not None:
            bare = [replace(one, tag="") for one in settings.corpora(role)]
            corpora[role] = open_corpora(bare, Path(settings.folder))
    if not corpora:
        raise ConfigError(
            "data.train: is required; name a CONFIG, or give --data.train.source and .target"
        )
    return corpora, parts


def _free_name(name: str, taken: Container[str]) -> str:
    """Returns the name of a training corpus, with a number where it is taken or that of a role."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(one for one in names if one not in taken and one not in ROLES)


def _cases(options: Namespace, config: TranslationConfig) -> list[Case]:
    """Reads what to measure on."""
    source = options.source or with_sources(options.reference or ())
    if (source is None) != (options.reference is None):
        raise ConfigError("--source: must come with --reference, and the other way round")
    if options.pairs is not None:
        if source is not None:
            raise ConfigError("--pairs: must be left out where --source and --reference are given")
        return list(open_corpus(pairs_config(options, config), Path()).pairs())
    refuse_columns(options)
    if source is None:
        if options.translator:
            raise ConfigError("--translator: must be left out where --reference is not given")
        return list(test_corpus(config, Path(options.run)).pairs())
    if len(options.reference) > 1 or any(map(is_marked, [source, *options.reference])):
        with as_options(options):
            return read_cases(source, options.reference, options.translator)
    if options.translator:
        raise ConfigError("--translator: must be left out where no file of references names any")
    files = CorpusConfig(source=source, target=options.reference[0])
    return list(open_corpus(files, Path()).pairs())


def refuse_columns(options: Namespace) -> None:
    """Raises a :class:`ConfigError` if columns are named where there is no ``--pairs``."""
    refuse(options, COLUMNS, "--pairs is not given")


def refuse(options: Namespace, names: Sequence[str], where: str) -> None:
    """Raises a :class:`ConfigError` if one of the options is given."""
    for name in given(options, names):
        raise ConfigError(f"--{name.replace('_', '-')}: must be left out where {where}")


def pairs_config(options: Namespace, config: TranslationConfig) -> CorpusConfig:
    """Returns how ``--pairs`` is read: with the columns that the run's own files have.

    Raises:
        ConfigError: Its format cannot be told.
    """
    own = [
        (_format(one, config, Path(options.run)), one)
        for role in reversed(ROLES)
        for one in listed(getattr(config.data, role) or ())
        if one.path is not None
    ]
    form = format_of(options.pairs, Path())
    if form is None and not suffix_of(options.pairs):  # as of a pipe
        form = next((form for form, _ in own), None)
    if form is None:
        raise ConfigError(f"--pairs: must be {described_files()}, got {options.pairs!r}")
    read = next((one for kind, one in own if kind == form), CorpusConfig(path=options.pairs))
    plain = replace(read, path=options.pairs, format=form, limit=0, tag="")
    return replace(plain, **given(options, COLUMNS))


def _format(corpus: CorpusConfig, config: TranslationConfig, run: Path) -> str | None:
    """Returns the format of one of the run's own corpora under one path."""
    if corpus.format != "auto":
        return corpus.format
    return format_of(corpus.one_path, data_folder(config, run, corpus))


def _translator(options: Namespace) -> Translator:
    """Loads the run, with the search that the options ask for."""
    use_threads(options)
    if options.batch_size is not None and options.batch_size < 1:
        raise ConfigError(f"--batch-size: must be at least 1, got {options.batch_size}")
    _refuse_sampling(options)
    with as_options(options):
        loading = given(options, (*LOADING, "weights", "mean"))
        translator = Translator.load(options.run, *options.ensemble, **loading)
        search = _settings(options, translator.search)
    wide = max(search.beam_size, getattr(options, "n_best", 1))
    translator.search = replace(search, beam_size=wide)
    return translator


def _settings(options: Namespace, search: SearchConfig) -> SearchConfig:
    """Returns the settings of a search, with those that the options ask for."""
    settings = given(options, SEARCH)
    if options.groups is not None:
        settings["strategy"] = "diverse"
    wide = search.beam_size if options.beam_size is None else options.beam_size
    chosen = replace(search, **settings, **_drawing(options, search), beam_size=wide)
    if chosen.mbr == "none":
        refuse(options, ["candidates"], "--mbr is not given")
    if chosen.strategy != "diverse":
        refuse(options, ["diversity"], "--groups is not given")
    _refuse_terms(options, chosen)
    return chosen


def _refuse_terms(options: Namespace, search: SearchConfig) -> None:
    """Raises a :class:`ConfigError` if options of terms do not go with the search, or others."""
    if search.terms == "hard":
        refuse(options, ["term_bonus"], "--terms is not soft")
    if not given(options, TERMED):
        refuse(options, ["terms"], "there is no --glossary and no --require")
    for name in ("groups", "sample"):
        if getattr(options, name):
            refuse(options, TERMED, f"--{name} is given")


def _refuse_sampling(options: Namespace) -> None:
    """Raises a :class:`ConfigError` if it is said how to draw where nothing is drawn."""
    if options.sample:
        refuse(options, ["groups"], "--sample is given")
    if not options.sample:
        refuse(options, (*SAMPLING, "seed"), "--sample is not given")


def _drawing(options: Namespace, search: SearchConfig) -> dict[str, Any]:
    """Returns the settings of a search that draws, if it is to; a seed that is chosen is told."""
    if not options.sample:
        return {}
    sampling = replace(search.sampling, **given(options, SAMPLING))
    seed = options.seed
    if seed is None:
        seed = fresh_seed()
        log.info("seed %d", seed)
    return {"strategy": "sampling", "sampling": sampling, "seed": seed}


def _wishes(options: Namespace) -> Wishes:
    """Returns what is asked of all texts."""
    if not options.replace_unknown:
        refuse(options, ["dictionary"], "--replace-unknown is not given")
    return Wishes(
        glossary=_glossary(options),
        dictionary=read_dictionary(options.dictionary) if options.dictionary else None,
        placeholders=options.placeholders,
    )


def _glossary(options: Namespace) -> Glossary | None:
    """Reads the glossary that is named, if one is."""
    if options.glossary is None:
        refuse(options, ["ignore_case"], "--glossary is not given")
        return None
    return Glossary.read(options.glossary, ignore_case=bool(options.ignore_case))
