"""Values made of tensors, taken apart and put together."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from seq2seq.data.layout import flatten, make_batch
from seq2seq.tensors import ROWS, STEPS, Padded
from seq2seq.tensors.tree import each, layout, moved, tensors_in


@dataclass(frozen=True)
class Branch:
    name: str
    leaf: Tensor
    others: tuple[Tensor | None, ...] = ()


TREE = Branch("tree", torch.arange(4), (torch.ones(4, 2), None, torch.zeros(8)))


def test_tensors_come_in_the_order_of_the_fields() -> None:
    assert [tuple(one.shape) for one in tensors_in(TREE)] == [(4,), (4, 2), (8,)]
    assert list(tensors_in((None, 1, "text"))) == []


def test_only_tensors_are_changed() -> None:
    changed = each(TREE, lambda tensor: tensor + 1)
    assert (changed.name, changed.others[1]) == ("tree", None)
    for new, old in zip(tensors_in(changed), tensors_in(TREE), strict=True):
        assert new.equal(old + 1)
    assert each(None, torch.neg) is None


def test_layouts_are_equal_where_only_numbers_differ() -> None:
    other = each(TREE, torch.zeros_like)
    assert layout(other) == layout(TREE)
    assert hash(layout(other)) == hash(layout(TREE))
    for different in (
        Branch("other", TREE.leaf, TREE.others),
        Branch("tree", TREE.leaf.float(), TREE.others),
        Branch("tree", TREE.leaf[:3], TREE.others),
        Branch("tree", TREE.leaf, TREE.others[:2]),
    ):
        assert layout(different) != layout(TREE)


def test_layouts_of_other_numbers_of_rows() -> None:
    half = Branch("tree", TREE.leaf[:2], (torch.ones(2, 2), None, torch.zeros(4)))
    assert layout(half, rows=2) == layout(TREE, rows=4)
    assert layout(half, rows=1) != layout(TREE, rows=1)
    assert layout(torch.tensor(1.0), rows=7) == layout(torch.tensor(2.0), rows=3)


def test_what_goes_to_a_gpu_is_pinned_first(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def pin(tensor: Tensor) -> Tensor:
        calls.append("pin")
        return tensor

    def to(tensor: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        calls.append(f"to {device}, {'not ' if non_blocking else ''}waiting")
        return tensor

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", to)
    moved(torch.ones(2), torch.device("cuda"))
    moved(torch.ones(2), torch.device("cpu"))
    assert calls == ["pin", "to cuda, not waiting", "to cpu, not waiting"]


def test_filled_up_sequences_are_the_same_ones() -> None:
    rows = [[5, 6, 7], [8], [9, 4, 4, 4, 5]]
    batch = make_batch(*flatten(rows), *flatten(rows))
    filled = batch.filled()
    for one, other in ((filled.source, batch.source), (filled.target_out, batch.target_out)):
        assert one.values.shape[0] % ROWS == one.values.shape[1] % STEPS == 0
        assert one.values[:3, : other.values.shape[1]].equal(other.values)
        assert one.lengths[:3].equal(other.lengths)
        assert one.fixed
        assert not one.full
    assert filled.source.lengths[3:].eq(1).all()  # attention must have something to look at
    assert filled.predictions == batch.predictions


def test_features_are_filled_up_too() -> None:
    padded = Padded(torch.ones(2, 3, 5), torch.tensor([3, 2]), 5)
    assert padded.filled(rows=4, steps=2).values.shape == (4, 4, 5)
