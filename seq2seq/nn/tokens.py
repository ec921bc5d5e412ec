"""The two seams of a token model: ids to vectors, and vectors to a distribution over ids."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.nn.rows import filled
from seq2seq.tensors import Padded


class TokenInput(nn.Module):
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
        nn.init.normal_(self.weight, std=size**-0.5)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Returns the vectors of ``ids``."""
        vectors = functional.embedding(ids, self.weight)
        if not self.training or self.dropout == 0:
            return vectors
        if self.by_type:
            kept = (torch.rand(len(self.weight), device=ids.device) >= self.dropout)[ids]
        else:
            kept = torch.rand(ids.shape, device=ids.device) >= self.dropout
        return vectors * (kept / (1 - self.dropout))[..., None].to(vectors.dtype)


class TokenHead(nn.Module):
    """A softmax over the vocabulary, with its loss; can share its weights with a ``TokenInput``.

    Sharing: Press & Wolf 2017; Inan et al. 2017.
    """

    def __init__(self, vocab_size: int, size: int, tied: TokenInput | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, size)) if tied is None else tied.weight
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        if tied is None:
            nn.init.normal_(self.weight, std=size**-0.5)

    def forward(self, features: Float[Tensor, "*B O"]) -> Float[Tensor, "*B V"]:
        """Returns the log-probabilities of all tokens."""
        return functional.linear(features, self.weight, self.bias).log_softmax(dim=-1)

    def loss(
        self, features: Float[Tensor, "B T O"], targets: Padded, smoothing: float = 0.0
    ) -> Float[Tensor, ""]:
        """Returns the summed cross-entropy of the real target steps, in nats."""
        real = targets.real
        seen = features.flatten(0, 1).index_select(0, real)
        wanted = targets.values.flatten().index_select(0, real)
        return smoothed_cross_entropy(seen, self.weight, self.bias, wanted, smoothing)


def smoothed_cross_entropy(
    features: Float[Tensor, "R O"],
    weight: Float[Tensor, "V O"],
    bias: Float[Tensor, "V"],
    targets: Int[Tensor, "R"],
    smoothing: float,
) -> Float[Tensor, ""]:
    """Returns the summed label-smoothed cross-entropy of a linear layer's softmax, in nats.

    The target has ``1 - smoothing`` of the mass, all tokens share the rest equally (Szegedy et
    al. 2016, section 7). Logits are made a few hundred rows at a time and never kept.
    """
    # Asked here: inside, no gradient is ever wanted, and the inputs' flags say nothing of no_grad.
    learning = torch.is_grad_enabled()
    total: Tensor = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, targets, smoothing, learning
    )
    return total


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Computes loss and gradients together, chunk by chunk: the logits never exist as a whole.

    Matrix products follow autocast; everything else is as precise as the features' and weights'
    own type.
    """

    ROWS = 512

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        learning: bool,
    ) -> Tensor:
        """Sums the loss; keeps the gradients for :meth:`backward`, if there will be one."""
        wanted = learning and any(ctx.needs_input_grad)
        exact, fast = weight.dtype, features.dtype
        d_features = torch.empty_like(features)
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        rounded, shift = weight.to(fast), bias.to(fast)
        share = smoothing / weight.shape[0]
        total = weight.new_zeros(())
        for start in range(0, features.shape[0], _SmoothedCrossEntropy.ROWS):
            rows = slice(start, start + _SmoothedCrossEntropy.ROWS)
            picked = targets[rows, None]
            some = filled(features[rows])
            logits = torch.addmm(shift, some, rounded.t())[: len(picked)]
            log_probs = logits.log_softmax(dim=1, dtype=exact)
            total -= (1 - smoothing) * log_probs.gather(1, picked).sum()
            if smoothing:
                total -= share * log_probs.sum()
            if wanted:
                grad = log_probs.exp_().sub_(share)
                grad.scatter_add_(1, picked, grad.new_full(picked.shape, smoothing - 1))
                d_bias += grad.sum(dim=0)
                grad = filled(grad.to(fast))
                d_features[rows] = torch.mm(grad, rounded)[: len(picked)]
                d_weight += torch.mm(grad.t(), some)
        ctx.save_for_backward(*((d_features, d_weight, d_bias) if wanted else ()))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Scales the gradients that :meth:`forward` made; a rounded scale would be off for all."""
        features, weight, bias = ctx.saved_tensors
        scaled = (features.to(grad.dtype) * grad).to(features.dtype)
        return scaled, weight * grad, bias * grad, None, None, None
