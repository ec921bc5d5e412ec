"""Attention: where to look in the memory.

Keys are made once a memory; queries of all steps (or of all beams) are answered together.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seq2seq.nn.rows import RowLinear

AttentionName = Literal["additive", "dot", "general", "none"]


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

    ``score(q, m) = q · m`` (Luong et al. 2015, section 3.1); needs ``D == H``.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.memory: nn.Linear | None = None

    def keys(self, memory: Float[Tensor, "B S H"]) -> Float[Tensor, "B S A"]:
        """Returns what queries are compared with: projections of the memory, or itself."""
        return memory if self.memory is None else self.memory(memory)

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
        scores = self.scores(query, keys).masked_fill(~valid[:, None], -torch.inf)
        weights = scores.softmax(dim=2)
        return _product(weights, memory), weights


class GeneralAttention(Attention):
    """Scores with ``q · W m`` (Luong et al. 2015, section 3.1)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.memory = RowLinear(memory_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.memory.weight)


class AdditiveAttention(Attention):
    """Scores with ``v · tanh(W q + U m)`` (Bahdanau et al. 2015, A.1.2), as wide as the query.

    All steps together hold ``B*T*S*A`` numbers while training: a gigabyte at 32 pairs of 100
    steps and 512 features.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.query = RowLinear(query_size, query_size)
        self.memory = RowLinear(memory_size, query_size, bias=False)
        self.score = RowLinear(query_size, 1, bias=False)
        for layer in (self.query, self.memory, self.score):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.query.bias)

    def scores(
        self, query: Float[Tensor, "B T D"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """Returns how well each step of the memory answers each query."""
        hidden = torch.tanh(self.query(query)[:, :, None] + keys[:, None])
        scores: Tensor = self.score(hidden)
        return scores[..., 0]


ATTENTIONS: dict[AttentionName, Callable[[int, int], Attention | None]] = {
    "additive": AdditiveAttention,
    "dot": Attention,
    "general": GeneralAttention,
    "none": lambda query_size, memory_size: None,
}
