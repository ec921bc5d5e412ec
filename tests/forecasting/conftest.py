"""Where the tiny runs of forecasters are: in a folder that all processes of a test run share."""

import os

import pytest

from tests.forecasting.runs import PLACE


@pytest.fixture(autouse=True, scope="session")
def _place(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    (shared / "forecasters").mkdir(exist_ok=True)
    os.environ[PLACE] = str(shared / "forecasters")
