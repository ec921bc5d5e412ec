"""A translator that all tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from seq2seq.tasks.translation.translator import Translator
from tests.test_cli import forget_log
from tests.translation.toy import train_toy


@pytest.fixture(autouse=True)
def _untouched() -> Iterator[None]:
    """Takes back what the command line changes in the process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    forget_log()


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def translator(toy: Path) -> Translator:
    return Translator.load(toy, device="cpu")
