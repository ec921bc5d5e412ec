"""Batches that a thread prepares ahead."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from seq2seq.training.loader import ahead, brought


def test_what_is_prepared_comes_in_order() -> None:
    assert list(ahead(iter(range(50)), lambda number: number * 10)) == list(range(0, 500, 10))
    assert list(ahead(iter(()), str)) == []
    assert list(ahead(iter([0, None, 1]), str)) == ["0"]  # None is no batch


@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_is_prepared_than_asked_for(most: int) -> None:
    taken = list[int]()

    def given() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    for seen in ahead(given(), lambda number: number, most):
        assert len(taken) <= seen + 1 + most


def test_it_is_prepared_in_another_thread() -> None:
    found = set(ahead(iter(range(3)), lambda number: threading.current_thread().name))
    assert found == {"loader_0"}


@pytest.mark.parametrize("where", ["given", "prepared"])
def test_an_error_is_raised_in_its_place(where: str) -> None:
    def given() -> Iterator[int]:
        yield from (1, 2)
        if where == "given":
            raise ValueError("no third")
        yield 3

    def prepare(number: int) -> int:
        if number == 3:
            raise ValueError("no third")
        return number

    found = ahead(given(), prepare)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="no third"):
        next(found)


def test_whoever_stops_early_leaves_no_thread() -> None:
    with closing(ahead(iter(range(100)), str)) as found:  # type: ignore[type-var]
        assert next(found) == "0"
    assert not [one for one in threading.enumerate() if one.name.startswith("loader")]


def test_on_a_processor_batches_stay_as_they_are() -> None:
    batches = [object(), object()]
    found = brought(iter(batches), torch.device("cpu"))  # type: ignore[type-var]
    assert all(one is other for one, other in zip(found, batches, strict=True))
