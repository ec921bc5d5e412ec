from typing import Any

import pytest

from seq2seq import config as configuration
from seq2seq.errors import ConfigError
from seq2seq.tasks.forecasting.config import ForecastConfig
from seq2seq.tasks.language_model.config import LanguageModelTaskConfig
from seq2seq.tasks.registry import TASKS
from seq2seq.tasks.task import task_of
from seq2seq.tasks.transduction import TransductionConfig
from seq2seq.tasks.translation.config import TranslationConfig


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (
            {"joint_tokenizer": True, "target.tokenizer": "char"},
            "joint_tokenizer: must be false unless source.tokenizer and target.tokenizer "
            "are the same subwords, got True",
        ),
        (
            {"train.metric": "bleu", "validation.sentences": 0},
            "validation.sentences: must be above 0 where train.metric is bleu, got 0",
        ),
        ({"validation.beam_size": 0}, "validation.beam_size: must be at least 1, got 0"),
        ({"validation.sentences": -1}, "validation.sentences: must be at least 0, got -1"),
        ({"validation.samples": -1}, "validation.samples: must be at least 0, got -1"),
    ],
)
def test_refused_settings(overrides: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        configuration.from_mapping(TranslationConfig, {}, overrides)
    assert str(error.value).endswith(text)


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        ({"train.metric": "bleu"}, "train.metric: must be loss for a language model, got 'bleu'"),
        (
            {"text.normalizers": ["nfc", "nfd"]},
            "text.normalizers: must be without nfd and nfkd, got ['nfc', 'nfd']",
        ),
        (
            {"text.normalizers": ["nfkd"]},
            "text.normalizers: must be without nfd and nfkd, got ['nfkd']",
        ),
        (
            {"text.tokenizer": "bpe", "text.vocab_size": 300, "text.sampling": 0.1},
            "text.sampling: must be 0, got 0.1",
        ),
        ({"text.reversed": True}, "text.reversed: must be false, got True"),
        ({"validation.rows": 0}, "validation.rows: must be at least 1, got 0"),
        ({"validation.window": -1}, "validation.window: must be at least 0, got -1"),
        ({"validation.sample": -1}, "validation.sample: must be at least 0, got -1"),
        (
            {"model.layers.weight_drop": 1.0},
            "model.layers.weight_drop: must be in [0, 1), got 1.0",
        ),
    ],
)
def test_refused_settings_of_a_language_model(overrides: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        configuration.from_mapping(LanguageModelTaskConfig, {}, overrides)
    assert str(error.value).endswith(text)


@pytest.mark.parametrize(
    ("task", "overrides", "size"),
    [
        (TranslationConfig, {}, 8000),
        (TranslationConfig, {"source.tokenizer": "word"}, 8000),
        (TranslationConfig, {"source.tokenizer": "space"}, 0),
        (TransductionConfig, {}, 0),
        (TransductionConfig, {"source.tokenizer": "bpe"}, 8000),
        (TransductionConfig, {"source.tokenizer": "bpe", "source.vocab_size": 300}, 300),
        (LanguageModelTaskConfig, {}, 0),
        (LanguageModelTaskConfig, {"text.tokenizer": "bpe"}, 8000),
        (LanguageModelTaskConfig, {"text.tokenizer": "word", "text.vocab_size": 9}, 9),
    ],
)
def test_the_usual_vocabulary_is_the_tokenizer_s(
    task: type[TranslationConfig | LanguageModelTaskConfig], overrides: dict[str, Any], size: int
) -> None:
    config = configuration.from_mapping(task, {}, overrides).settled()
    side = config.text if isinstance(config, LanguageModelTaskConfig) else config.source
    assert (side.vocab_size, side.size) == (size, size)
    assert config.settled() == config


@pytest.mark.parametrize(
    ("task", "overrides", "usual", "validation"),
    [
        (TranslationConfig, {}, ("bleu", "chrf", "exact"), ("bleu",)),
        (TransductionConfig, {}, ("wer", "cer"), ("wer", "cer")),
        (TransductionConfig, {"target.tokenizer": "space"}, ("wer", "per"), ("wer", "per")),
        (TransductionConfig, {"validation.metrics": ()}, ("wer", "cer"), ()),
        (
            TranslationConfig,
            {"validation.metrics": None},
            ("bleu", "chrf", "exact"),
            ("bleu", "chrf", "exact"),
        ),
    ],
)
def test_the_usual_metrics_are_the_task_s(
    task: type[TranslationConfig],
    overrides: dict[str, Any],
    usual: tuple[str, ...],
    validation: tuple[str, ...],
) -> None:
    config = configuration.from_mapping(task, {}, overrides)
    assert (config.usual_metrics, config.validation_metrics) == (usual, validation)
    assert config.settled().validation.metrics == validation


def test_tasks_by_name() -> None:
    assert task_of({}).config is TranslationConfig
    assert task_of({"task": "transduction"}).config is TransductionConfig
    assert task_of({"task": "language-model"}).config is LanguageModelTaskConfig
    assert task_of({"task": "forecasting"}).config is ForecastConfig
    with pytest.raises(ConfigError) as error:
        task_of({"task": "transductoin"}, "mine.yaml")
    assert str(error.value) == (
        f"mine.yaml: task: must be one of {', '.join(TASKS)}, "
        "got 'transductoin'; did you mean 'transduction'?"
    )


def test_texts_that_are_not_named() -> None:
    with pytest.raises(ConfigError) as error:
        LanguageModelTaskConfig().data.text("test")
    assert str(error.value) == ("data.test: is required; give data.test.files or data.test.path")
    with pytest.raises(ConfigError, match=r"^data.valid: is required; give data.valid.source and"):
        TranslationConfig().data.corpora("valid")
