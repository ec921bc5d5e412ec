"""What one step of a model gives to a search."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from seq2seq.nn.decoder import DecoderState


@dataclass(frozen=True)
class Step:
    """The scores of all that may follow, and the state in which it would."""

    log_probs: Float[Tensor, "B K V"]
    state: DecoderState
    attention: Float[Tensor, "B K S"]
    """Where each beam looked; no columns where there is nothing to look at."""
