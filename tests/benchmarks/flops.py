"""How much work a model is: floating-point operations, counted from its weights.

Only matrix products count, a multiplication and an addition each: all else grows with widths, not
with their products, and a lookup of embeddings is none. While training, backward makes two products
for each of forward.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from seq2seq.nn.attention import AdditiveAttention, Attention, ProjectedAttention

TRAINING = 3
"""Forward and backward, in units of forward."""


@dataclass(frozen=True)
class PairFlops:
    """The forward pass of an encoder-decoder."""

    source_step: int
    """For each source token: the encoder, and the key that attention makes of its output."""
    target_step: int
    """For each target token, the end symbol counted: the decoder and the output layer."""
    looks: int
    """For each target token and each source token that it looks at."""
    pair: int
    """Once: the decoder's first state."""

    def forward(self, source: int, target: int) -> int:
        """Returns the operations of a pair with so many steps."""
        steps = source * self.source_step + target * self.target_step
        return steps + source * target * self.looks + self.pair


def pair_flops(model: Any) -> PairFlops:
    """Counts the operations of an encoder-decoder."""
    key, query, look = _attention_flops(model.decoder.attention, model.encoder.config.hidden_size)
    decoder = (
        _flops(model.decoder.layers)
        + _flops(model.decoder.output_projection)
        + 2 * model.head.weight.numel()
    )
    return PairFlops(_flops(model.encoder) + key, decoder + query, look, _flops(model.bridge))


def token_flops(model: Any) -> int:
    """Returns the operations of a language model's forward pass for each token."""
    decoder = _flops(model.decoder.layers) + _flops(model.decoder.output_projection)
    return decoder + 2 * int(model.head.weight.numel())


def _flops(module: nn.Module | None) -> int:
    """Returns the operations of multiplying all weights of a module with a vector, once."""
    weights = [] if module is None else list(module.parameters())
    return 2 * sum(weight.numel() for weight in weights if weight.dim() == 2)


def _attention_flops(attention: nn.Module | None, width: int) -> tuple[int, int, int]:
    """Returns the operations for each source step, for each target step, and for each of both."""
    if attention is None:
        return 0, 0, 0
    assert isinstance(attention, Attention)
    if isinstance(attention, AdditiveAttention):
        look = 2 * (attention.score.in_features + width)
        return _flops(attention.key_projection), _flops(attention.query), look
    if isinstance(attention, ProjectedAttention):
        wide = attention.key_projection.out_features
        return _flops(attention.key_projection), 0, 2 * (wide + width)
    return 0, 0, 4 * width
