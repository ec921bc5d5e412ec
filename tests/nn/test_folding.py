"""A fold stands for a part only where it knows all of it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.nn.attention import ATTENTIONS, Attention, GeneralAttention, fold_keys
from seq2seq.nn.cell import Cell, fold_cell
from seq2seq.nn.cells import CELLS
from seq2seq.nn.folding import folds
from seq2seq.nn.heads import TokenHead, fold_head
from seq2seq.nn.kernel_cells import Gru, Lstm


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_of_the_table_folds(name: str) -> None:
    assert folds(CELLS[name](3, 4), "forward", "step")


class Doubled(Gru):
    """Overrides what the fold of its base class stands for."""

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        return super().step(2 * inputs, state)


class Renamed(Lstm):
    """Overrides nothing that matters."""

    def extra_repr(self) -> str:
        return "renamed"


def test_a_fold_is_left_alone_below_a_changed_step() -> None:
    assert not folds(Doubled(3, 4), "forward", "step")
    assert folds(Renamed(3, 4), "forward", "step")
    cell = Doubled(3, 4)
    inputs, state = torch.randn(2, 3), torch.randn(2, 4)
    folded = fold_cell(cell, None, "int8", bounded=False)
    assert folded.step(None, inputs, state).equal(cell.step(inputs, state))
    sequence, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    outputs, final = folded.read(None, sequence, state, lengths)
    expected, end = cell(sequence, state, lengths)
    assert outputs.equal(expected)
    assert final.equal(end)


@pytest.mark.parametrize("name", CELLS)
@torch.inference_mode()
def test_a_folded_cell_is_the_cell_with_and_without_ids(name: str) -> None:
    torch.manual_seed(1)
    cell: Cell = CELLS[name](3, 4).double()
    vectors, ids = torch.randn(7, 3).double(), torch.tensor([[1, 6, 2], [3, 3, 0]])
    inputs = vectors[ids]
    state = torch.zeros(2, cell.states * 4).double()
    lengths = torch.tensor([3, 2])
    expected, end = cell(inputs, state, lengths)
    for table, seen in ((vectors, ids), (None, ids), (None, None)):
        folded = fold_cell(cell, table, "float32", bounded=False)
        outputs, final = folded.read(seen, inputs, state.clone(), lengths)
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(outputs[row, :length], expected[row, :length])
        torch.testing.assert_close(final, end)
        first = folded.step(None if seen is None else seen[:, 0], inputs[:, 0], state.clone())
        torch.testing.assert_close(first, cell.step(inputs[:, 0], state))


class Shifted(GeneralAttention):
    """Overrides the keys below the class that folds them."""

    def keys(self, memory: Tensor) -> Tensor:
        return super().keys(memory) + 1


@pytest.mark.parametrize("made", [*ATTENTIONS.values(), Shifted])
@torch.inference_mode()
def test_the_keys_of_a_search_are_those_of_the_attention(made: Any) -> None:
    attention: Attention | None = made(4, 4)
    memory = torch.randn(2, 3, 4)
    expected = memory if attention is None else attention.keys(memory)
    torch.testing.assert_close(fold_keys(attention, "float32")(memory), expected)


class Flat(TokenHead):
    def forward(self, features: Tensor) -> Tensor:
        return torch.zeros(*features.shape[:-1], len(self.bias))


def test_a_head_of_another_kind_is_used_as_it_is() -> None:
    assert fold_head(Flat(5, 3), "int8", bounded=False)(torch.randn(2, 3)).eq(0).all()
