"""Attention: where to look in the memory.

Keys are made once a memory; queries of all steps (or of all beams) are answered together.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.nn.folding import folds
from seq2seq.nn.linear import SearchPrecision, linear
from seq2seq.nn.rows import RowLinear

Keys: TypeAlias = Callable[[Float[Tensor, "B S H"]], Float[Tensor, "B S A"]]
"""Makes the keys of a memory."""


def _product(left: Float[Tensor, "B T F"], right: Float[Tensor, "B F S"]) -> Float[Tensor, "B T S"]:
    """Multiplies, on a CPU in float32 at least.

    These small products have another shape in almost every batch, and a kernel for bfloat16 would
    be compiled and kept for each (see :mod:`seq2seq.nn.rows`).
    """
    if left.is_cuda:
        return torch.bmm(left, right)
    exact = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        return torch.bmm(left.to(exact), right.to(exact))


class Attention(nn.Module):
    """Averages the memory with weights that a scoring function gives; dot scores here.

    ``score(q, m) = q · m`` (Luong et al. 2015, section 3.1); needs ``D == H``. Another attention
    overrides :meth:`keys`, :meth:`scores`, or both; search uses them as they are.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()

    def keys(self, memory: Float[Tensor, "B S H"]) -> Float[Tensor, "B S A"]:
        """Returns what queries are compared with; here, the memory itself."""
        return memory

    def scores(
        self, query: Float[Tensor, "B T D"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """Returns how well each step of the memory answers each query."""
        return _product(query, keys.transpose(1, 2))

    def forward(
        self,
        query: Float[Tensor, "B T D"],
        keys: Float[Tensor, "B S A"],
        memory: Float[Tensor, "B S H"],
        valid: Bool[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B T S"]]:
        """Returns the contexts and the weights: each row sums to 1 and is 0 where not valid."""
        scores = self.scores(query, keys).masked_fill(~valid[:, None], -torch.inf)  # [B, T, S]
        weights = scores.softmax(dim=2)  # [B, T, S]
        return _product(weights, memory), weights


class ProjectedAttention(Attention):
    """An attention whose keys are a linear projection of the memory."""

    key_projection: nn.Linear

    def keys(self, memory: Float[Tensor, "B S H"]) -> Float[Tensor, "B S A"]:
        """Returns the projected memory."""
        keys: Tensor = self.key_projection(memory)
        return keys

    def fold(self, precision: SearchPrecision) -> Keys:
        """Returns :meth:`keys` with packed weights."""
        packed = linear(self.key_projection.weight, precision)
        size = self.key_projection.out_features

        def keys(memory: Float[Tensor, "B S H"]) -> Float[Tensor, "B S A"]:
            rows = memory.flatten(0, 1)  # [B*S, H]
            return packed(rows, rows.new_zeros(size)).view(*memory.shape[:2], -1)

        return keys


class GeneralAttention(ProjectedAttention):
    """Scores with ``q · W m`` (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key_projection = RowLinear(memory_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.key_projection.weight)


class AdditiveAttention(ProjectedAttention):
    """Scores with ``v · tanh(W q + U m)`` (Bahdanau et al. 2015, A.1.2), as wide as the query.

    All steps together hold ``B*T*S*A`` numbers while training: a gigabyte at 32 pairs of 100
    steps and 512 features.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.query = RowLinear(query_size, query_size)
        self.key_projection = RowLinear(memory_size, query_size, bias=False)
        self.score = RowLinear(query_size, 1, bias=False)
        for layer in (self.query, self.key_projection, self.score):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.query.bias)

    def scores(
        self, query: Float[Tensor, "B T D"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """Returns how well each step of the memory answers each query."""
        hidden = torch.tanh(self.query(query)[:, :, None] + keys[:, None])  # [B, T, S, A]
        scores: Tensor = self.score(hidden)  # [B, T, S, 1]
        return scores[..., 0]


ATTENTIONS: dict[str, Callable[[int, int], Attention | None]] = {
    "additive": AdditiveAttention,
    "dot": Attention,
    "general": GeneralAttention,
    "none": lambda query_size, memory_size: None,
}
"""Makes each attention, or none, from the widths of queries and memory."""


def fold_keys(attention: Attention | None, precision: SearchPrecision) -> Keys:
    """Returns what makes the keys of a memory in search: folded, or the attention's own method."""
    if attention is None:
        return lambda memory: memory
    if not folds(attention, "keys"):
        return attention.keys
    keys: Keys = attention.fold(precision)  # type: ignore[operator]
    return keys
