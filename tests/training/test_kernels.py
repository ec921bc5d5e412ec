import os

import pytest

from seq2seq.training.trainer import limit_kernels

VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.mark.parametrize(("before", "after"), [(None, "32"), ("1024", "1024")])
def test_few_kernels_are_kept_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv(VARIABLE, "restored at the end")
    monkeypatch.delenv(VARIABLE) if before is None else monkeypatch.setenv(VARIABLE, before)
    limit_kernels()
    assert os.environ[VARIABLE] == after
