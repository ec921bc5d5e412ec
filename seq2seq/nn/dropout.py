"""Dropout: features left out at random while training."""

import torch
from jaxtyping import Float
from torch import Tensor


def dropout_mask(like: Float[Tensor, "*B F"], rate: float, locked: bool) -> Tensor:
    """Returns what a dropout layer multiplies with: zeros and ``1 / (1 - rate)``.

    ``locked`` draws one mask a sequence, ``[B, T, F]``, and repeats it over time (Gal &
    Ghahramani 2016).
    """
    shape = (like[:, :1] if locked else like).shape
    # On a processor uniform numbers are drawn three times as fast as zeros and ones.
    kept = torch.rand(shape, device=like.device).lt_(1 - rate).div_(1 - rate)
    return kept.to(like.dtype).expand(like.shape)


def dropped(inputs: Tensor, mask: Tensor | None) -> Tensor:
    """Returns what a dropout mask leaves of the inputs; ``None`` leaves all."""
    return inputs if mask is None else inputs * mask


def dropout(
    inputs: Float[Tensor, "*B F"], rate: float, training: bool, *, locked: bool = False
) -> Float[Tensor, "*B F"]:
    """Drops features at a rate, while training."""
    return dropped(inputs, dropout_mask(inputs, rate, locked) if training and rate else None)
