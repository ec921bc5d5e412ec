"""Padded tensors and batches, and the glossary of shape letters.

======  ==========================================  ======  =================================
letter  meaning                                     letter  meaning
======  ==========================================  ======  =================================
B       sequences of a batch                        E       width of an embedding
S       source steps                                H       width of the encoder's outputs
T       target steps (or any other time axis)       D       width of the decoder's layers
K       beams                                       L       layers
V       vocabulary                                  F       features, any width
N       state vectors of a cell: LSTM 2, others 1   A       width inside an attention
======  ==========================================  ======  =================================

Batch first everywhere. One mask convention everywhere: ``valid`` is True where a step is real.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from seq2seq.tensors.tree import each, moved

MovedT = TypeVar("MovedT", bound="Movable")
StateT = TypeVar("StateT")
ROWS, STEPS = 16, 4
"""Rows and steps of batches of few different shapes are multiples of these."""


class Movable:
    """A dataclass of tensors that can go to a device."""

    def to(self: MovedT, device: torch.device) -> MovedT:
        """Returns the same on ``device``."""
        return each(self, lambda tensor: moved(tensor, device))


@dataclass(frozen=True)
class Padded(Movable):
    """Sequences of different lengths in one tensor, padded at the end."""

    values: Shaped[Tensor, "B T *F"]
    lengths: Int[Tensor, "B"]
    count: int | None = None
    """How many steps are real, where that is known: nobody has to wait for a GPU to tell."""
    fixed: bool = False
    """Whether shapes must not depend on lengths: then padded steps are computed like real ones,
    and count nothing."""

    @property
    def valid(self) -> Bool[Tensor, "B T"]:
        """True where a step is real."""
        steps = torch.arange(self.values.shape[1], device=self.values.device)
        return steps < self.lengths[:, None]

    @property
    def real(self) -> Int[Tensor, "R"]:
        """The places of the real steps, one sequence after the other."""
        valid = self.valid.flatten()
        if self.count is not None:
            try:
                return torch.nonzero_static(valid, size=self.count)[:, 0]
            except NotImplementedError:  # on CUDA, before torch 2.7
                pass
        return valid.nonzero()[:, 0]

    @property
    def full(self) -> bool:
        """Whether all steps are known to be real."""
        return self.count == self.values.shape[0] * self.values.shape[1]

    @property
    def steps(self) -> int:
        """How many steps are real."""
        return int(self.lengths.sum()) if self.count is None else self.count

    def part(self, first: int, last: int) -> "Padded":
        """Returns the sequences from ``first`` on and before ``last``, padded as they are."""
        lengths = self.lengths[first:last]
        count = None if self.count is None else int(lengths.sum())
        return Padded(self.values[first:last], lengths, count, self.fixed)

    def filled(self, *, rows: int = 1, steps: int = STEPS, least: int = 0) -> "Padded":
        """Returns the same sequences with padding up to multiples of ``rows`` and ``steps``.

        ``least`` is the length of rows that are added.
        """
        more_rows, more_steps = (
            -size % multiple
            for size, multiple in zip(self.values.shape[:2], (rows, steps), strict=True)
        )
        room = (0, 0) * (self.values.dim() - 2) + (0, more_steps, 0, more_rows)
        lengths = functional.pad(self.lengths, (0, more_rows), value=least)
        return Padded(functional.pad(self.values, room), lengths, fixed=True)


@dataclass(frozen=True)
class Batch(Movable):
    """One step's worth of pairs for teacher forcing.

    ``target_in`` begins with the start symbol, ``target_out`` ends with the end symbol; both have
    the same lengths.
    """

    source: Padded
    target_in: Padded
    target_out: Padded

    @property
    def predictions(self) -> int:
        """How many tokens are to be predicted."""
        return self.target_out.steps

    @property
    def rows(self) -> int:
        """How many pairs there are."""
        return len(self.source.lengths)

    def part(self, first: int, last: int) -> "Batch":
        """Returns the pairs from ``first`` on and before ``last``."""
        return Batch(
            self.source.part(first, last),
            self.target_in.part(first, last),
            self.target_out.part(first, last),
        )

    def filled(self) -> "Batch":
        """Returns the same pairs in one of few shapes: one recording of an update serves many.

        Rows are added that read one token and predict nothing.
        """
        return Batch(
            self.source.filled(rows=ROWS, least=1),
            self.target_in.filled(rows=ROWS),
            self.target_out.filled(rows=ROWS),
        )


@dataclass(frozen=True)
class Features:
    """What a model makes of a batch, before any loss: the vectors that its head sees."""

    vectors: Float[Tensor, "B T O"]
    targets: Padded
    """What is to be predicted from them, step by step."""
    carried: Float[Tensor, "B L ND"] | None = None
    """The state in which the next batch of a continuous text begins; None: there is none."""
    penalty: Float[Tensor, ""] | None = None
    """What regularisation adds to the mean loss of a prediction."""


@dataclass(frozen=True)
class Outcome:
    """What an objective makes of a batch."""

    nats: Float[Tensor, ""]
    """The loss, summed over the predictions; for tokens, cross-entropy."""
    penalty: Float[Tensor, ""] | None = None
    """What is added to the mean loss of a prediction."""
    carried: Float[Tensor, "B L ND"] | None = None
    """The state in which the next batch of a continuous text begins; None: there is none."""


@dataclass(frozen=True)
class Step(Generic[StateT]):
    """What one step of a model gives to a search."""

    log_probs: Float[Tensor, "B K V"]
    """How likely each token is to follow; the search writes into it."""
    state: StateT
    """The state after the step; rows ``B*K``."""
    attention: Float[Tensor, "B K S"]
    """Where each beam looked; zero without attention, no columns where there is no memory."""


@dataclass(frozen=True)
class TextBatch(Movable):
    """One step's worth of text for a language model: stretches of documents, side by side.

    ``target_out`` is ``target_in`` one token on; both have the same lengths. A row whose part of
    the text is over has length 0, and is fresh.
    """

    target_in: Padded
    target_out: Padded
    fresh: Bool[Tensor, "B"]
    """True where a row begins anew: the carried state is not its own."""

    @property
    def predictions(self) -> int:
        """How many tokens are to be predicted."""
        return self.target_out.steps

    @property
    def rows(self) -> int:
        """How many stretches there are."""
        return len(self.fresh)

    def part(self, first: int, last: int) -> "TextBatch":
        """Returns the stretches from ``first`` on and before ``last``."""
        tokens, after = self.target_in.part(first, last), self.target_out.part(first, last)
        return TextBatch(tokens, after, self.fresh[first:last])

    def filled(self) -> "TextBatch":
        """Returns the same text in one of few shapes; no row is added, since rows carry a state."""
        return TextBatch(self.target_in.filled(), self.target_out.filled(), self.fresh)
