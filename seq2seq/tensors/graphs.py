"""CUDA graphs: a function of tensors, recorded once for each layout of them and then replayed.

A step of a recurrent network is many small kernels, and on a GPU starting one takes longer than
most of them run. A graph starts all of them at once.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from seq2seq.tensors.tree import each, layout, tensors_in

MOST = 256
"""Recordings that are kept: each has memory of its own for what is given and returned."""
WARM_UPS = 2
"""Calls before a recording, in which libraries set themselves up."""
ResultT = TypeVar("ResultT")
log = logging.getLogger("seq2seq")


class Graphs(Generic[ResultT]):
    """Calls a function by replaying what it did with other tensors of the same layout.

    All that the function does is work on the device: it waits for no number. What it returns
    depends on the given tensors, on weights that stay where they are, and on torch's random numbers
    alone. **It lies in memory that the next call writes over.**

    On a processor nothing can be recorded. There the function is run again, with the same fixed
    memory for what is given and returned: whether it fits is tested so.
    """

    def __init__(self, function: Callable[..., ResultT], *, steady: int = 0) -> None:
        """Of the first ``steady`` arguments, only other objects than last time are copied.

        So nobody may change their tensors in place.
        """
        self.function = function
        self.steady = steady
        self.recordings: dict[object, _Recording[ResultT]] = {}
        self._pool: Any = None
        self._gave_up = self._full = False

    def __call__(self, *given: object, rows: int = 1, room: int = 1) -> ResultT:
        """Returns what the function makes of ``given``.

        A recording with ``room`` for more rows serves ``rows``. Then every tensor, given or
        returned, has so many rows or a multiple of them, and the function treats each alone.
        """
        key = room, layout(given, rows)
        if key not in self.recordings and not self._record(key, given, rows, room):
            return self.function(*given)
        return self.recordings[key].replay(given, self.steady, rows, room)

    def _record(self, key: object, given: tuple[object, ...], rows: int, room: int) -> bool:
        """Records a call; says once if that cannot be done."""
        if self._gave_up or len(self.recordings) >= MOST:
            if not self._gave_up and not self._full:
                self._full = True
                log.info("%d CUDA graphs are kept; other shapes go without", MOST)
            return False
        try:
            self.recordings[key] = _Recording(self, given, rows, room)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            log.warning("no CUDA graph: %s; this goes on without", reason)
            self._give_up(next(tensors_in(given)).device)
        return not self._gave_up

    def _give_up(self, device: torch.device) -> None:
        """Forgets all recordings, and frees torch's random numbers from the one that failed."""
        self._gave_up = True
        self.recordings.clear()
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            generator = torch.cuda.default_generators[index]
            generator.graphsafe_set_state(generator.clone_state())

    def capture(self, arguments: tuple[object, ...]) -> tuple[ResultT, Callable[[], None]]:
        """Records a call with fixed memory; returns where its result is, and what replays it."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        current, side = torch.cuda.current_stream(), _beside()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.function(*arguments)
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            # Another thread may bring batches to the device meanwhile.
            with torch.cuda.graph(graph, self._pool, side, capture_error_mode="thread_local"):
                result = self.function(*arguments)
        finally:
            torch.cuda.set_stream(current)  # where a recording fails, torch leaves the other one
        return result, graph.replay

    def rerun(self, arguments: tuple[object, ...]) -> tuple[ResultT, Callable[[], None]]:
        """Does the same on a processor: what replays the call runs the function again."""
        result = each(self.function(*arguments), Tensor.clone)

        def replay() -> None:
            for slot, new in zip(
                tensors_in(result), tensors_in(self.function(*arguments)), strict=True
            ):
                slot.copy_(new)

        return result, replay


@cache
def _beside() -> torch.cuda.Stream:
    """Returns the stream that all is recorded on: cuBLAS keeps megabytes for each it meets."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


class _Recording(Generic[ResultT]):
    """One recorded call, with the memory for its arguments and its result."""

    def __init__(
        self, graphs: Graphs[ResultT], given: tuple[object, ...], rows: int, room: int
    ) -> None:
        def slot(tensor: Tensor) -> Tensor:
            if rows == room:
                return tensor.clone()
            made = tensor.new_zeros(len(tensor) // rows * room, *tensor.shape[1:])
            made[: len(tensor)] = tensor
            return made

        self.arguments = each(given, slot)
        self.seen = given[: graphs.steady]
        device = next(tensors_in(given)).device
        on_gpu = device.type == "cuda"
        # Recording draws random numbers; whoever asked for the call must not notice.
        state = torch.cuda.get_rng_state(device) if on_gpu else torch.get_rng_state()
        capture = graphs.capture if on_gpu else graphs.rerun
        self.result, self._replay = capture(self.arguments)
        if on_gpu:
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)

    def replay(self, given: tuple[object, ...], steady: int, rows: int, room: int) -> ResultT:
        """Copies what is given to its place, replays, and returns the rows asked for."""
        for place, (new, slots) in enumerate(zip(given, self.arguments, strict=True)):
            if place < steady and new is self.seen[place]:
                continue
            for tensor, slot in zip(tensors_in(new), tensors_in(slots), strict=True):
                (slot[: len(tensor)] if tensor.dim() else slot).copy_(tensor)
        self.seen = given[:steady]
        self._replay()
        if rows == room:
            return self.result
        return each(self.result, lambda tensor: tensor[: len(tensor) // room * rows])
