"""The recurrent cells: a cell is one entry of one table."""

from seq2seq.nn.cell import Cell
from seq2seq.nn.kernel_cells import Gru, Lstm, Simple
from seq2seq.nn.norm_cells import NormLstm, NormSimple
from seq2seq.nn.scan_cells import MinGru, Sru

CELLS: dict[str, type[Cell]] = {
    "lstm": Lstm,
    "gru": Gru,
    "rnn": Simple,
    "sru": Sru,
    "mingru": MinGru,
    "lstm-ln": NormLstm,
    "rnn-ln": NormSimple,
}
"""Cells by the name that ``cell:`` gives them in a configuration."""
