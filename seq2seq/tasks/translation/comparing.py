"""What the verb ``compare`` does: runs translate, files are read, and both are compared."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from seq2seq.data.files import read_lines
from seq2seq.data.references import Accepted, accepted, read_references
from seq2seq.errors import ConfigError, DataError, as_texts
from seq2seq.evaluation.analysis import differences, faults_table, lengths_table, lines_of
from seq2seq.evaluation.comparison import compare, comparison_json, comparison_table
from seq2seq.measures import AUTO
from seq2seq.runs.folder import CONFIG
from seq2seq.tasks.console import LOADING, as_options, given, output, use_threads
from seq2seq.tasks.task import read_config_of
from seq2seq.tasks.translation.cases import read_cases
from seq2seq.tasks.translation.config import TranslationConfig
from seq2seq.tasks.translation.evaluation import test_corpus
from seq2seq.tasks.translation.translator import Translator


def compare_systems(options: Namespace) -> None:
    """Compares runs and files of translations with the first of them."""
    use_threads(options)
    if options.analysis is not None and options.format == "json":
        raise ConfigError("--analysis: must be left out where --format is json")
    runs = [name for name in options.systems if (Path(name) / CONFIG).exists()]
    if len(set(options.systems)) < len(options.systems):
        raise ConfigError("SYSTEM: must be all different, got one twice")
    sources, references = _test_set(options, runs)
    systems = {}
    for name in tqdm(options.systems, "compare", disable=None, unit=" systems"):
        systems[name] = _translated(name, sources or [], options) if name in runs else _read(name)
    names = options.metrics or ("bleu", "chrf")
    with as_options(options):
        rows = compare(
            systems,
            references,
            names,
            options.test,
            trials=options.trials,
            lowercase=options.lowercase,
            tokenize=options.bleu_tokenizer or AUTO,
        )
    with output(options.output) as file:
        form = comparison_json if options.format == "json" else comparison_table
        print(form(rows), file=file)
        if options.analysis is not None:
            several = [tuple(as_texts(texts)) for texts in references]
            lines = {name: lines_of(texts, several, sources) for name, texts in systems.items()}
            tables = (faults_table(lines), lengths_table(lines))
            print("", *tables, differences(lines, options.analysis), sep="\n\n", file=file)


def _read(name: str) -> list[str]:
    """Reads a file of translations.

    Raises:
        DataError: There is no such file; a folder is no run.
    """
    if Path(name).is_dir():
        raise DataError(f"{name}: is a directory without {CONFIG}; a run or a file is needed")
    return list(read_lines(name))


def _test_set(options: Namespace, runs: Sequence[str]) -> tuple[list[str] | None, list[Accepted]]:
    """Returns the sources, None where they are not known, and the references.

    Raises:
        ConfigError: What is needed is not given.
    """
    if options.reference and options.source:
        cases = read_cases(options.source, options.reference)
        return [source for source, _ in cases], [texts for _, texts in cases]
    if options.source:
        raise ConfigError("--source: must come with --reference")
    if options.reference and runs:
        raise ConfigError("--reference: must come with --source where a run is compared")
    if options.reference:
        name = options.systems[0]
        return None, read_references(options.reference, name, len(_read(name)))
    if not runs:
        raise ConfigError("--reference: is required where only files are compared")
    run = Path(runs[0])
    pairs = list(test_corpus(read_config_of(TranslationConfig, run), run).pairs())
    return [source for source, _ in pairs], [accepted([target]) for _, target in pairs]


def _translated(run: str, sources: Sequence[str], options: Namespace) -> list[str]:
    """Translates the test set with a run, as it does by itself."""
    translator = Translator.load(run, **given(options, LOADING))
    size = 64 if options.batch_size is None else options.batch_size
    with as_options(options):
        return [found.text for found in translator(sources, batch_size=size)]
