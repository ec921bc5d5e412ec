from typing import Any

import pytest

from seq2seq import config as configuration
from seq2seq.errors import ConfigError
from seq2seq.tasks import TranslationConfig


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
