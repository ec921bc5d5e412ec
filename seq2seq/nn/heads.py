"""Heads: vectors become a distribution, with its loss."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seq2seq.nn.folding import folds
from seq2seq.nn.inputs import TokenInput
from seq2seq.nn.linear import SearchPrecision, linear
from seq2seq.nn.rows import filled
from seq2seq.tensors import Padded

IGNORED = -1
"""Stands for the target of a row that is padding."""
Scores: TypeAlias = Callable[[Float[Tensor, "R O"]], Float[Tensor, "R V"]]
"""Gives the log-probabilities of all tokens for some rows of features."""


class Head(nn.Module):
    """Scores what may come next; a subclass says how, and what its loss is."""

    def forward(self, features: Float[Tensor, "*B O"]) -> Float[Tensor, "*B V"]:
        """Returns log-probabilities."""
        raise NotImplementedError

    def loss(
        self, features: Float[Tensor, "B T O"], targets: Padded, smoothing: float = 0.0
    ) -> Float[Tensor, ""]:
        """Returns the loss summed over the real target steps."""
        raise NotImplementedError


class TokenHead(Head):
    """A softmax over the vocabulary; can share its weights with a :class:`TokenInput`.

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
        seen, wanted = features.flatten(0, 1), targets.values.flatten()  # [B*T, O], [B*T]
        if targets.fixed:
            wanted = wanted.masked_fill(~targets.valid.flatten(), IGNORED)
        else:
            real = targets.real  # [R]: places of the real steps among B*T
            seen, wanted = seen.index_select(0, real), wanted.index_select(0, real)
        return smoothed_cross_entropy(
            seen, self.weight, self.bias, wanted, smoothing, ignoring=targets.fixed
        )

    def fold(self, precision: SearchPrecision, bounded: bool) -> "FoldedTokenHead":
        """Packs the weights; ``bounded`` says that features lie in [-1, 1]."""
        return FoldedTokenHead(self, precision, bounded)


class FoldedTokenHead:
    """A :class:`TokenHead` for search."""

    def __init__(self, head: TokenHead, precision: SearchPrecision, bounded: bool) -> None:
        self.linear = linear(head.weight, precision, bounded=bounded)
        self.bias = head.bias
        self.batch_invariant = self.linear.batch_invariant
        """Whether a row's scores are the same to the bit however many rows there are."""

    def __call__(self, features: Float[Tensor, "R O"]) -> Float[Tensor, "R V"]:
        """Returns the log-probabilities of all tokens."""
        return self.linear(features, self.bias).log_softmax(dim=1)


def fold_head(head: Head, precision: SearchPrecision, bounded: bool) -> Scores:
    """Returns a head for search: folded, or as it is."""
    if not folds(head, "forward"):
        return head
    folded: Scores = head.fold(precision, bounded)  # type: ignore[operator]
    return folded


def smoothed_cross_entropy(
    features: Float[Tensor, "R O"],
    weight: Float[Tensor, "V O"],
    bias: Float[Tensor, "V"],
    targets: Int[Tensor, "R"],
    smoothing: float,
    *,
    ignoring: bool = False,
) -> Float[Tensor, ""]:
    """Returns the summed label-smoothed cross-entropy of a linear layer's softmax, in nats.

    The target has ``1 - smoothing`` of the mass, all tokens share the rest equally (Szegedy et
    al. 2016, section 7). With ``ignoring``, rows whose target is :data:`IGNORED` count nothing.
    Logits are made a few hundred rows at a time (on a GPU, thousands) and never kept.
    """
    # Asked here: inside, no gradient is ever wanted, and the inputs' flags say nothing of no_grad.
    learning = torch.is_grad_enabled()
    total: Tensor = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, targets, smoothing, learning, ignoring
    )
    return total


def _add_at(values: Float[Tensor, "R V"], places: Int[Tensor, "R 1"], number: float) -> None:
    """Adds a number, in place, at one place of each row.

    As if all were a single row: for several, torch's repeatable kernels would wait for a GPU.
    """
    begins = torch.arange(0, values.numel(), values.shape[1], device=values.device)
    raised = values.gather(1, places)[:, 0] + number
    values.view(-1).scatter_(0, begins + places[:, 0], raised)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Computes loss and gradients together, chunk by chunk: the logits never exist as a whole.

    Matrix products follow autocast; everything else is as precise as the features' and weights'
    own type.
    """

    ROWS: ClassVar[dict[str, int]] = defaultdict(lambda: 8192, cpu=512)
    """Rows of a chunk, by device: as many as stay in a processor's cache, or as keep a GPU busy."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        learning: bool,
        ignoring: bool,
    ) -> Tensor:
        """Sums the loss; keeps the gradients for :meth:`backward`, if there will be one."""
        wanted = learning and any(ctx.needs_input_grad)
        exact, fast = weight.dtype, features.dtype
        d_features = torch.empty_like(features)
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        rounded, shift = weight.to(fast), bias.to(fast)
        share, total = smoothing / weight.shape[0], weight.new_zeros(())
        padding, targets = targets == IGNORED, targets.clamp(min=0)
        step = _SmoothedCrossEntropy.ROWS[features.device.type]
        for start in range(0, features.shape[0], step):
            rows = slice(start, start + step)
            picked = targets[rows, None]  # [R, 1]
            chunk = filled(features[rows])  # [Q, O]: the chunk's rows, and zeros
            logits = torch.addmm(shift, chunk, rounded.t())[: len(picked)]  # [R, V]
            log_probs = logits.log_softmax(dim=1, dtype=exact)  # [R, V]
            if ignoring:
                log_probs.masked_fill_(padding[rows, None], 0)
            total -= (1 - smoothing) * log_probs.gather(1, picked).sum()
            if smoothing:
                total -= share * log_probs.sum()
            if wanted:
                grad = log_probs.exp_().sub_(share)
                _add_at(grad, picked, smoothing - 1)
                if ignoring:
                    grad.masked_fill_(padding[rows, None], 0)
                d_bias += grad.sum(dim=0)
                grad = filled(grad.to(fast))
                d_features[rows] = torch.mm(grad, rounded)[: len(picked)]
                d_weight += torch.mm(grad.t(), chunk)  # [V, O]
        ctx.save_for_backward(*((d_features, d_weight, d_bias) if wanted else ()))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Scales the gradients that :meth:`forward` made; a rounded scale would be off for all."""
        features, weight, bias = ctx.saved_tensors
        scaled = (features.to(grad.dtype) * grad).to(features.dtype)
        return scaled, weight * grad, bias * grad, None, None, None, None
