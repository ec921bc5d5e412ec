"""Signals that ask a run to stop: finish the step, save, leave; a second one leaves at once."""

import os
import signal
import threading
from types import FrameType, TracebackType

from seq2seq.errors import Seq2SeqError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupted(Seq2SeqError):  # noqa: N818
    """A run stopped because a signal asked for it; everything is saved."""

    def __init__(self, number: int, saved: str) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} after saving {saved}; "
            "run the same command again to go on"
        )
        self.exit_code = 128 + number


class Interruption:
    """Remembers the first signal while it is open; does nothing outside the main thread."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            os._exit(128 + number)
        self.number = number
