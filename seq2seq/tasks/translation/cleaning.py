"""What `data clean` does."""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seq2seq.data.files import STANDARD_INPUT, suffix_of
from seq2seq.data.pairs.cleaning import Counts, Settings, clean, look_over
from seq2seq.data.pairs.corpus import (
    Corpus,
    CorpusConfig,
    Pair,
    described_files,
    format_of,
    open_corpus,
)
from seq2seq.data.pairs.rules import RULES
from seq2seq.data.pairs.scripts import require_script
from seq2seq.errors import ConfigError, nearest, require
from seq2seq.tasks.console import as_options, given, output
from seq2seq.tasks.translation.commands import COLUMNS, configured

APART = re.compile(r"[\t\r\n]")
"""What would part the columns or lines of a file."""
YAML = (".yaml", ".yml")


def _tsv(pair: Pair) -> str:
    return "\t".join(APART.sub(" ", text) for text in pair)


def _jsonl(pair: Pair) -> str:
    return json.dumps(dict(zip(("source", "target"), pair, strict=True)), ensure_ascii=False)


WRITERS: dict[str, Callable[[Pair], str]] = {".tsv": _tsv, ".jsonl": _jsonl}
"""Makes a line of a pair, by how the file's name ends (.gz may follow)."""


def data_clean(options: Namespace) -> None:
    """Writes a corpus without what is odd about it, or only counts that."""
    settings = {name: getattr(options, name.replace("-", "_")) for name in RULES}
    writers = _writers(options)
    for side in ("source", "target"):
        script = getattr(options, f"{side}_script")
        if script is not None:
            require_script(script, f"--{side}-script")
    corpus, held_out = _corpora(options)
    survey = look_over(corpus, settings, held_out, (options.source_script, options.target_script))
    counts = Counts()
    with ExitStack() as stack:
        files = [(stack.enter_context(output(path)), line) for path, line in writers]
        rejected = stack.enter_context(output(options.rejected)) if options.rejected else None
        bar = tqdm(
            corpus.pairs(), f"clean {corpus.name}", survey.pairs, disable=None, unit=" pairs"
        )
        for one in clean(bar, settings, survey, counts):
            if one.left_out is None:
                for file, line in files:
                    file.write(f"{line(one.pair)}\n")
            elif rejected is not None:
                rejected.write(f"{one.left_out}\t{_tsv(one.pair)}\n")
    _print(options, counts, settings)


def _print(options: Namespace, counts: Counts, settings: Settings) -> None:
    """Prints the counts where no pairs go."""
    told = {**counts.as_dict(settings), "settings": settings}
    table = options.format == "table"
    text = counts.table(settings) if table else json.dumps(told, ensure_ascii=False)
    print(text, file=sys.stderr if "-" in (options.rejected, *options.output) else sys.stdout)


def _writers(options: Namespace) -> list[tuple[str, Callable[[Pair], str]]]:
    """Returns the files to write, and what makes a line of a pair for each."""
    paths: Sequence[str] = options.output
    same = [Path(path).resolve() for path in (*paths, *filter(None, [options.rejected]))]
    if len(set(same)) < len(same):
        raise ConfigError(f"--output, --rejected: must be different files, got {same[-1]} twice")
    if len(paths) == 2:
        return [
            (path, lambda pair, at=at: APART.sub(" ", pair[at]))  # type: ignore[misc]
            for at, path in enumerate(paths)
        ]
    if not paths:
        return []
    suffix = ".tsv" if paths == ["-"] else suffix_of(paths[0])
    named = ", ".join(f"*{known}" for known in WRITERS)
    fits = len(paths) == 1 and suffix in WRITERS
    require(fits, "--output", f"a file named {named} (.gz too), or two files of lines", paths)
    return [(paths[0], WRITERS[suffix])]


def _corpora(options: Namespace) -> tuple[Corpus, list[Corpus]]:
    """Opens what is to be cleaned, and what is held out."""
    files: Sequence[str] = options.files
    others = _held_out(options)
    if files and suffix_of(files[0]) in YAML:
        if len(files) > 1:
            raise ConfigError(f"{files[1]}: unexpected argument; a configuration stands alone")
        corpora, _ = configured(Path(files[0]), options.keys)
        if "train" not in corpora:
            raise ConfigError(f"{files[0]}: data.train: is required")
        return corpora.pop("train"), [*corpora.values(), *others]
    if options.keys:
        key = options.keys[0]
        close = nearest(key, [f"--{name}" for name in RULES])
        raise ConfigError(f"{key}: unexpected argument without a configuration{close}")
    return _opened(files, options, "FILE", given(options, COLUMNS)), others


def _held_out(options: Namespace) -> list[Corpus]:
    """Opens the pairs that are held out: files of pairs, or two of lines."""
    files: Sequence[str] = options.held_out
    lines = len(files) == 2 and not any(format_of(file, Path()) for file in files)
    each = [files] if lines else [[file] for file in files]
    return [_opened(some, options, "--held-out", {}) for some in each]


def _opened(
    files: Sequence[str], options: Namespace, key: str, columns: Mapping[str, Any]
) -> Corpus:
    """Opens a file or folder of pairs, or two files of lines."""
    if len(files) == 2:
        for name in columns:
            raise ConfigError(f"--{name.replace('_', '-')}: must be left out with files of lines")
        return open_corpus(CorpusConfig(source=files[0], target=files[1]), Path())
    accepted = f"a configuration, two files of lines, or one {described_files()}"
    known = len(files) == 1 and (files[0] == STANDARD_INPUT or format_of(files[0], Path()))
    require(bool(known), key, accepted, list(files))
    form = "tsv" if files[0] == STANDARD_INPUT else "auto"
    with as_options(options):
        return open_corpus(CorpusConfig(path=files[0], format=form, **columns), Path())
