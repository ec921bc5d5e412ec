"""Matrix products with few different numbers of rows.

On a processor oneDNN compiles a kernel for each shape of a product, and never gives back those in
bfloat16: half a megabyte a shape, which batches of ever-changing sizes turn into gigabytes.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

ROWS = 64
"""Rows are filled up to a multiple of this."""


def filled(rows: Shaped[Tensor, "R *F"]) -> Shaped[Tensor, "Q *F"]:
    """Adds rows of zeros up to a multiple of :data:`ROWS`; on a GPU, none."""
    missing = 0 if rows.is_cuda else -len(rows) % ROWS
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])]) if missing else rows


def row_linear(
    inputs: Float[Tensor, "*B F"],
    weight: Float[Tensor, "G F"],
    bias: Float[Tensor, "G"] | None,
    *,
    few: bool,
) -> Float[Tensor, "*B G"]:
    """Returns ``x W^T + b``; ``few`` different numbers of rows are multiplied where asked for."""
    if not few:
        return functional.linear(inputs, weight, bias)
    rows = inputs.flatten(0, -2)
    outputs = functional.linear(filled(rows), weight, bias)
    return outputs[: len(rows)].view(*inputs.shape[:-1], -1)


class RowLinear(nn.Linear):
    """A linear layer that is trained on any number of rows, and multiplies only a few."""

    def forward(self, inputs: Float[Tensor, "*B F"]) -> Float[Tensor, "*B G"]:
        """Returns ``x W^T + b``."""
        return row_linear(inputs, self.weight, self.bias, few=self.training)
