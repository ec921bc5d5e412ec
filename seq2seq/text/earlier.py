"""The pipeline of an earlier run, for one that begins from it: as it is, or grown."""

from dataclasses import replace
from pathlib import Path

from seq2seq.errors import require
from seq2seq.text.marks import MOST
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.settings import PipelineConfig
from seq2seq.text.subword import SubwordTokenizer
from seq2seq.text.tokenizer import TextSource

REMEDY = "as in the run that train.start names (or write train.start_vocabulary: {})"


def kept(earlier: Pipeline, config: PipelineConfig, key: str) -> Pipeline:
    """Returns a pipeline as it is; ``key`` is the section of the settings, for messages.

    Raises:
        ConfigError: The settings say something else.
        DataError: The user's own model cannot be read.
    """
    _require_same(earlier, config, key, "replaced")
    sampling = getattr(earlier.tokenizer, "sampling", 0.0)
    remedy = REMEDY.format("grown")
    for name, there, wanted in (
        ("tags", list(earlier.vocabulary.tag_ids), list(config.tags)),
        ("symbols", list(earlier.symbols), list(config.symbols)),
    ):
        require(set(wanted) == set(there), f"{key}.{name}", f"{there}, {remedy}", wanted)
    require(
        config.sampling == sampling, f"{key}.sampling", f"{sampling}, {remedy}", config.sampling
    )
    return earlier


def grown(
    earlier: Pipeline,
    config: PipelineConfig,
    texts: TextSource,
    *,
    key: str,
    trim: bool = False,
) -> Pipeline:
    """Returns a pipeline whose vocabulary goes on with what it lacks and new texts need.

    That is what a vocabulary would hold that were made from these texts alone, by the same
    tokenizer; ``trim`` as in :meth:`Pipeline.train`.

    Raises:
        ConfigError: The settings are those of another tokenizer.
        DataError: There is no text, or the user's own model cannot be read.
    """
    _require_same(earlier, config, key, "replaced")
    alone = Pipeline.train(config, texts, key=key, trim=trim, tokenizer=earlier.tokenizer)
    vocabulary = earlier.vocabulary.grown(alone.vocabulary)
    count = len(vocabulary.symbol_ids)
    require(count <= MOST, f"{key}.symbols", f"at most {MOST}, those of before among them", count)
    return replace(alone, vocabulary=vocabulary)


def _require_same(earlier: Pipeline, config: PipelineConfig, key: str, other: str) -> None:
    """Raises a :class:`ConfigError` where settings are not those of the earlier tokenizer."""
    remedy = REMEDY.format(other)
    for name, there, meant in (
        ("tokenizer", earlier.tokenizer.kind, config.tokenizer),
        ("normalizers", list(earlier.normalizers.names), list(config.normalizers)),
        ("reversed", earlier.reversed, config.reversed),
    ):
        require(meant == there, f"{key}.{name}", f"{there}, {remedy}", meant)
    if config.model_file is not None and isinstance(earlier.tokenizer, SubwordTokenizer):
        named = SubwordTokenizer.from_file(Path(config.model_file), earlier.tokenizer.kind)
        same = named.model == earlier.tokenizer.model
        require(same, f"{key}.model_file", f"the same model, {remedy}", config.model_file)
