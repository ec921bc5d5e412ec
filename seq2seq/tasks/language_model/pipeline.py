"""The way between text and ids, and the model that fits it."""

from collections.abc import Iterator
from itertools import chain

from seq2seq.data.documents.texts import Texts
from seq2seq.device.memory import build
from seq2seq.models.language_model import LanguageModel, build_language_model
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.text.pipeline import Pipeline


def train_pipeline(config: LanguageModelTaskConfig, texts: Texts) -> Pipeline:
    """Learns the tokenizer and vocabulary of a language model from a training text."""

    def blocks() -> Iterator[str]:
        return chain.from_iterable(texts.documents())

    def lines() -> Iterator[str]:  # no piece of a word reaches over a line's end
        return chain.from_iterable(block.split("\n") for block in blocks())

    subwords = config.text.subword_kind is not None
    return Pipeline.train(config.text, lines if subwords else blocks, key="text")


def build_model(config: LanguageModelTaskConfig, pipeline: Pipeline) -> LanguageModel:
    """Returns a model with fresh weights, drawn from the seed."""
    return build(lambda: build_language_model(config.model, len(pipeline)), config.train.seed)
