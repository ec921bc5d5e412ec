"""Search steps replayed as CUDA graphs."""

from typing import Generic

from jaxtyping import Int
from torch import Tensor

from seq2seq.search.stepper import MemoryT, Reader, StateT, Stepper
from seq2seq.tensors import Padded, Step
from seq2seq.tensors.graphs import Graphs

STEPS = 8
"""Sources are padded to a multiple of so many steps, so that one recording serves many."""


def room_for(rows: int) -> int:
    """Returns the rows of the recording that serves so many: the next power of two.

    >>> [room_for(rows) for rows in (1, 2, 3, 33, 64)]
    [1, 2, 4, 64, 64]
    """
    return 1 << (rows - 1).bit_length()


class Replayed(Generic[MemoryT, StateT]):
    """A stepper whose steps are replayed; it reads sources, too, if the one inside does.

    Scores are those of the stepper inside, to the rounding that another number of rows brings.
    """

    batch_invariant = False
    """A row is computed among as many as a recording has room for."""

    def __init__(self, inside: Stepper[MemoryT, StateT]) -> None:
        self.inside = inside
        self._steps: Graphs[Step[StateT]] = Graphs(inside.step, steady=1)

    @property
    def recorded(self) -> int:
        """How many steps were recorded, each for other shapes; 0: none could be."""
        return len(self._steps.recordings)

    def start(self, source: Padded) -> tuple[MemoryT, StateT]:
        """Reads the sources, padded to one of a few lengths; the state's rows are ``B``."""
        assert isinstance(self.inside, Reader)
        memory, state = self.inside.start(source.filled(steps=STEPS))
        return memory, state

    def step(self, memory: MemoryT, state: StateT, tokens: Int[Tensor, "B K"]) -> Step[StateT]:
        """Reads one token of ``K`` beams a sequence, and scores all that may follow.

        State and scores are good until the next step; where the beams looked is a copy.
        """
        rows = len(tokens)
        step = self._steps(memory, state, tokens, rows=rows, room=room_for(rows))
        return Step(step.log_probs, step.state, step.attention.clone())
