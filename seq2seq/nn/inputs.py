"""Inputs: what stands in a batch becomes vectors."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional


class Input(nn.Module):
    """Turns the values of a sequence, ids or features, into vectors."""

    @property
    def vectors(self) -> Float[Tensor, "V E"] | None:
        """The vector of each id, where values are ids: search looks them up."""
        return None

    def forward(self, values: Shaped[Tensor, "B T *F"]) -> Float[Tensor, "B T E"]:
        """Returns the vectors of all steps."""
        raise NotImplementedError


class TokenInput(Input):
    """Embeds ids; while training, ``dropout`` leaves out whole words (Gal & Ghahramani 2016).

    With ``by_type`` a word is left out wherever it stands in the batch, or nowhere: the embedding
    dropout of Merity et al. 2018, section 4.3.
    """

    def __init__(
        self, vocab_size: int, size: int, dropout: float = 0.0, *, by_type: bool = False
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.by_type = by_type
        self.weight = nn.Parameter(torch.empty(vocab_size, size))
        self.std = size**-0.5
        """Standard deviation of the embeddings as they are drawn; a vector is about 1 long."""
        nn.init.normal_(self.weight, std=self.std)

    @property
    def vectors(self) -> Float[Tensor, "V E"]:
        """The embeddings."""
        return self.weight

    def forward(self, values: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Returns the vectors of ids."""
        vectors = functional.embedding(values, self.weight)
        if not self.training or self.dropout == 0:
            return vectors
        if self.by_type:
            kept = (torch.rand(len(self.weight), device=values.device) >= self.dropout)[values]
        else:
            kept = torch.rand(values.shape, device=values.device) >= self.dropout
        return vectors * (kept / (1 - self.dropout))[..., None].to(vectors.dtype)


class FeatureInput(Input):
    """Takes numbers as they are; one that is missing, NaN, is nothing.

    Of the last ``flagged`` features it is told, by as many features more, whether they are there.
    """

    def __init__(self, features: int, flagged: int = 0) -> None:
        super().__init__()
        self.features = features
        self.flagged = flagged
        self.size = features + flagged
        """Features that come out."""

    def forward(self, values: Float[Tensor, "B T F"]) -> Float[Tensor, "B T E"]:
        """Returns the features without NaN, and which are there: 1, else 0."""
        there = ~values.isnan()
        known = values.masked_fill(~there, 0.0)
        flags = there[..., self.features - self.flagged :].to(known.dtype)
        return torch.cat([known, flags], dim=-1)
