"""Work side by side gives what it gives one after the other, and leaves torch's threads alone."""

import os
import threading
from collections.abc import Iterator
from multiprocessing import get_context

import pytest
import torch

from seq2seq.search.threads import WORKERS, side_by_side


@pytest.fixture(params=[1, 2, 3, 9])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many threads of torch, for one test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_order_is_kept_and_threads_are_shared_out(threads: int, count: int) -> None:
    workers = min(threads, count, WORKERS)

    def work(item: int) -> tuple[int, int]:
        return item * item, torch.get_num_threads()

    share = threads if workers < 2 else threads // workers
    assert list(side_by_side(work, range(count))) == [(one * one, share) for one in range(count)]
    assert torch.get_num_threads() == threads


def test_pieces_run_at_the_same_time() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    meeting = threading.Barrier(2, timeout=60)  # one after the other, the first waits in vain
    try:
        assert sorted(side_by_side(lambda _: meeting.wait(), range(2))) == [0, 1]
    finally:
        torch.set_num_threads(before)


def test_an_error_comes_out_where_it_would_and_the_threads_are_put_back(threads: int) -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("the third")
        return item

    found = side_by_side(work, range(6))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(found)
    assert torch.get_num_threads() == threads


def test_a_new_thread_of_the_user_has_all_threads_afterwards(threads: int) -> None:
    list(side_by_side(lambda item: item, range(4)))
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert seen == [threads]


def test_other_threads_keep_their_number_while_a_search_works(threads: int) -> None:
    seen: list[int] = []

    def watch(item: int) -> int:
        if item == 1:
            other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
            other.start()
            other.join()
        return item

    list(side_by_side(watch, range(4)))  # starts the workers
    seen.clear()
    assert list(side_by_side(watch, range(4))) == [0, 1, 2, 3]
    assert seen == [threads]


def test_two_searches_at_once_do_not_disturb_each_other(threads: int) -> None:
    def work(item: int) -> tuple[int, int]:
        return item, torch.get_num_threads()

    found: dict[int, list[tuple[int, int]]] = {}

    def search(number: int) -> None:
        for _ in range(20):
            found[number] = list(side_by_side(work, range(number, number + 4)))

    searches = [threading.Thread(target=search, args=(number,)) for number in range(4)]
    for one in searches:
        one.start()
    for one in searches:
        one.join()
    workers = min(threads, 4, WORKERS)
    share = threads if workers < 2 else threads // workers
    for number in range(4):
        assert found[number] == [(item, share) for item in range(number, number + 4)]
    assert torch.get_num_threads() == threads


def squares(count: int) -> list[int]:
    torch.set_num_threads(2)
    return list(side_by_side(lambda item: item * item, range(count)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_its_own_workers() -> None:
    before = torch.get_num_threads()
    try:
        assert squares(4) == [0, 1, 4, 9]  # workers that will not live on in the child
        with get_context("fork").Pool(1) as children:
            assert children.apply_async(squares, (4,)).get(60) == [0, 1, 4, 9]
    finally:
        torch.set_num_threads(before)
