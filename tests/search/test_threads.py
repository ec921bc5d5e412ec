"""Work side by side gives what it gives one after the other, and leaves torch's threads alone."""

import threading
from collections.abc import Iterator

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
