"""The way between text and ids, and the model that fits it."""

from collections.abc import Iterator
from itertools import chain

from seq2seq.data.documents.texts import Texts, pieces
from seq2seq.device.memory import build
from seq2seq.models.language_model import LanguageModel, build_language_model
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.text.pipeline import Pipeline
from seq2seq.text.tokenizer import TextSource


def train_pipeline(config: LanguageModelTaskConfig, texts: Texts) -> Pipeline:
    """Learns the tokenizer and vocabulary of a language model from a training text."""
    return Pipeline.train(config.text, read_from(config, texts), key="text")


def read_from(config: LanguageModelTaskConfig, texts: Texts) -> TextSource:
    """Returns what a tokenizer and its vocabulary are learned from."""

    def blocks() -> Iterator[str]:
        return chain.from_iterable(texts.documents())

    def lines() -> Iterator[str]:  # no piece of a word reaches over a line's end
        return chain.from_iterable(block.split("\n") for block in blocks())

    def whole() -> Iterator[str]:  # no symbol reaches over a block's end
        return chain.from_iterable(pieces(document, True) for document in texts.documents())

    if config.text.subword_kind is not None:
        return lines
    return whole if config.text.symbols else blocks


def build_model(config: LanguageModelTaskConfig, pipeline: Pipeline) -> LanguageModel:
    """Returns a model with fresh weights, drawn from the seed."""
    return build(lambda: build_language_model(config.model, len(pipeline)), config.train.seed)
