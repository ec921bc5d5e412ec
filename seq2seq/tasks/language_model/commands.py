"""What the verbs of language models do."""

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from seq2seq.data.documents.texts import TextConfig, Texts, open_texts
from seq2seq.errors import require_whole
from seq2seq.tasks.console import (
    LOADING,
    SAMPLING,
    as_options,
    given,
    output,
    print_scores,
    use_threads,
)
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.language_model.evaluation import EvaluationConfig, evaluate_text, test_text
from seq2seq.tasks.language_model.generator import Generator
from seq2seq.tasks.task import open_own, read_config_of


def generate(options: Namespace) -> None:
    """Generates text with a language model."""
    use_threads(options)
    with as_options(options):
        generator = Generator.load(options.run, **given(options, LOADING))
        settings = given(options, ("length", "stop", "unknown", "seed", *SAMPLING))
        settings["end"] = not options.no_end
        require_whole(options.samples, "samples", 1)
        streams = options.samples == 1 and options.format == "text"
        texts = (_as_it_comes if streams else _several)(generator, options, settings)
        with output(options.output) as file:
            for text in texts:
                print(text, end="", file=file, flush=True)


def _as_it_comes(
    generator: Generator, options: Namespace, settings: dict[str, Any]
) -> Iterator[str]:
    """Yields one text, each character as soon as it is certain."""
    pieces = generator.stream(options.prompt, **settings)
    yield options.prompt or ""
    with tqdm(desc="generate", unit=" characters", disable=None if options.output else True) as bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece))
    yield "\n"


def _several(generator: Generator, options: Namespace, settings: dict[str, Any]) -> Iterator[str]:
    """Yields several texts, parted by lines of dashes, or one record a line."""
    samples = generator.samples(options.prompt, options.samples, **settings)
    for number, sample in enumerate(tqdm(samples, "generate", options.samples, disable=None)):
        if options.format == "jsonl":
            yield json.dumps(asdict(sample), ensure_ascii=False) + "\n"
        else:
            between = "-" * 40 + "\n" if number else ""
            yield f"{between}{sample.prompt}{sample.text}\n"


def evaluate(options: Namespace) -> None:
    """Prints how well a language model predicts a text."""
    use_threads(options)
    config = read_config_of(LanguageModelTaskConfig, Path(options.run))
    with as_options(options):
        settings = EvaluationConfig(**given(options, ["window"]))
    generator = Generator.load(options.run, **given(options, LOADING))
    print_scores(evaluate_text(generator, _texts(options, config), settings), options.format)


def _texts(options: Namespace, config: LanguageModelTaskConfig) -> Texts:
    """Opens the text to score, cut into documents as those that the model has learned from."""
    data, run, chosen = config.data, Path(options.run), given(options, ["documents"])
    if not options.text:
        return open_own(config, run, replace(test_text(config, run), **chosen), open_texts)
    known = data.test or data.valid or data.train
    unit = known.documents if known else "file"
    where = TextConfig(files=tuple(options.text), documents=unit)
    return open_texts(replace(where, **chosen), Path())
