"""Rows of ids laid out as padded tensors, without a loop over tokens."""

from collections.abc import Sequence

import numpy as np
import torch

from seq2seq.symbols import BOS, EOS, PAD
from seq2seq.tensors import Batch, Padded


def flatten(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids of all rows in a row, and each row's length."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.fromiter((id_ for row in rows for id_ in row), np.int64, int(lengths.sum()))
    return flat, lengths


def pad(flat: np.ndarray, lengths: np.ndarray, *, before: int = 0, after: int = 0) -> Padded:
    """Lays rows of ids out as one padded tensor, with room at their beginning or end."""
    width = before + after + int(lengths.max(initial=0))
    values = np.full((len(lengths), width), PAD, np.int64)
    steps = np.arange(width)
    values[(steps >= before) & (steps < before + lengths[:, None])] = flat
    lengths = lengths.astype(np.int64) + before + after
    return Padded(torch.from_numpy(values), torch.from_numpy(lengths), int(lengths.sum()))


def make_batch(
    source: np.ndarray,
    source_lengths: np.ndarray,
    target: np.ndarray,
    target_lengths: np.ndarray,
) -> Batch:
    """Pads sources and targets; targets get the start symbol as input, the end symbol as output."""
    target_in = pad(target, target_lengths, before=1)
    target_out = pad(target, target_lengths, after=1)
    target_in.values[:, 0] = BOS
    target_out.values.scatter_(1, target_out.lengths[:, None] - 1, EOS)
    return Batch(pad(source, source_lengths), target_in, target_out)
