"""What ``torch.nn.LSTM`` gives on its own: the reference model with nothing stepwise in it.

The frozen baseline steps through its decoder, as input feeding asks for. This is its twin without
input feeding: two calls of ``nn.LSTM``, attention of all steps at once, and torch's cross-entropy.
"""

import torch
from torch import Tensor, nn


class WholeSequences(nn.Module):
    """An encoder-decoder of two ``nn.LSTM``; the baseline's ``Trainer`` trains it."""

    def __init__(
        self,
        source_vocab: int,
        target_vocab: int,
        embedding: int,
        hidden: int,
        layers: int,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.source = nn.Embedding(source_vocab, embedding)
        self.target = nn.Embedding(target_vocab, embedding)
        shared = {"batch_first": True, "dropout": dropout if layers > 1 else 0.0}
        self.encoder = nn.LSTM(embedding, hidden // 2, layers, bidirectional=True, **shared)
        self.bridge = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2 * layers))
        self.decoder = nn.LSTM(embedding, hidden, layers, **shared)
        self.keys = nn.Linear(hidden, hidden, bias=False)
        self.join = nn.Linear(2 * hidden, embedding)
        self.head = nn.Linear(embedding, target_vocab)
        self.head.weight = self.target.weight
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Returns the scores of all tokens at all steps of a teacher-forced target."""
        memory, finals = self.encoder(self.dropout(self.source(source)))
        both = torch.cat([one.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2) for one in finals])
        first = torch.stack([layer(one) for layer, one in zip(self.bridge, both, strict=True)])
        state = tuple(torch.tanh(first).contiguous().chunk(2))
        hidden, _ = self.decoder(self.dropout(self.target(target)), state)
        scores = hidden @ self.keys(memory).transpose(1, 2)
        padding = torch.arange(source.shape[1], device=source.device) >= lengths[:, None]
        looks = scores.masked_fill(padding[:, None], -torch.inf).softmax(dim=2)
        seen = torch.tanh(self.join(torch.cat([looks @ memory, hidden], dim=2)))
        logits: Tensor = self.head(self.dropout(seen))
        return logits
