"""Functions of tensors, recorded and replayed: on a processor, run again in the same memory."""

import logging
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from seq2seq.tensors import graphs
from seq2seq.tensors.graphs import Graphs


@dataclass(frozen=True)
class Two:
    first: Tensor
    second: Tensor | None = None


def doubled(value: Two, factor: Tensor) -> Two:
    return Two(2 * value.first * factor, value.second)


def test_results_are_those_of_the_function() -> None:
    made = Graphs(doubled)
    for number in (1.0, 2.0, 5.0):
        found = made(Two(torch.full((3,), number)), torch.tensor(10.0))
        assert found.first.tolist() == [20 * number] * 3
        assert found.second is None
    assert len(made.recordings) == 1


def test_each_layout_has_a_recording() -> None:
    made = Graphs(doubled)
    factor = torch.tensor(1.0)
    for value in (torch.ones(3), torch.ones(4), torch.ones(3, dtype=torch.double), torch.ones(3)):
        assert made(Two(value), factor).first.equal(2 * value)
    assert made(Two(torch.ones(3), torch.ones(1)), factor).second is not None
    assert len(made.recordings) == 4


def test_the_next_call_writes_over_what_was_returned() -> None:
    made = Graphs(doubled)
    first = made(Two(torch.ones(2)), torch.tensor(1.0)).first
    made(Two(torch.ones(2)), torch.tensor(3.0))
    assert first.tolist() == [6, 6]


def test_a_recording_serves_fewer_rows() -> None:
    made = Graphs(doubled)

    for rows in (3, 4, 1):
        value = torch.arange(2.0 * rows)  # two numbers a row
        found = made(Two(value), torch.ones(2 * rows), rows=rows, room=4)
        assert found.first.equal(2 * value)
    assert len(made.recordings) == 1


def test_steady_arguments_are_copied_when_another_is_given() -> None:
    made = Graphs(lambda memory, value: memory + value, steady=1)
    memories = torch.zeros(2), torch.ones(2)
    for memory, value in ((0, 1.0), (0, 2.0), (1, 3.0), (1, 4.0), (0, 5.0)):
        found = made(memories[memory], torch.full((2,), value))
        assert found.tolist() == [memory + value] * 2


def test_random_numbers_are_those_of_the_function_alone() -> None:
    def noisy(value: Tensor) -> Tensor:
        return value + torch.rand(value.shape)

    torch.manual_seed(3)
    expected = [noisy(torch.zeros(4)) for _ in range(3)]
    torch.manual_seed(3)
    made = Graphs(noisy)
    for wanted in expected:
        assert made(torch.zeros(4)).equal(wanted)


def test_what_cannot_be_recorded_is_called_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(self: object, arguments: object) -> None:
        raise RuntimeError("CUDA error: operation not permitted\nmore of it")

    monkeypatch.setattr(Graphs, "rerun", refused)
    made = Graphs(doubled)
    with caplog.at_level(logging.WARNING, "seq2seq"):
        for size in (1, 2, 1):
            assert made(Two(torch.ones(size)), torch.tensor(1.0)).first.equal(2 * torch.ones(size))
    reason = "CUDA error: operation not permitted; this goes on without"
    assert caplog.messages == [f"no CUDA graph: {reason}"]


def test_only_so_many_recordings_are_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(graphs, "MOST", 2)
    made = Graphs(doubled)
    with caplog.at_level(logging.INFO, "seq2seq"):
        for size in (1, 2, 3, 1, 3):
            assert made(Two(torch.ones(size)), torch.tensor(1.0)).first.equal(2 * torch.ones(size))
    assert len(made.recordings) == 2
    assert caplog.messages == ["2 CUDA graphs are kept; other shapes go without"]
