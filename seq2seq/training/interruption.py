"""Signals that ask the program to stop: at once where nothing is lost by it, else after saving."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from seq2seq.errors import Seq2SeqError

SIGNALS = [
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)  # Windows has two of them
]


class Interrupted(Seq2SeqError):  # noqa: N818
    """A run stopped because a signal asked for it; everything is saved."""

    def __init__(self, number: int, saved: str) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} after saving {saved}; "
            "run the same command again to go on"
        )
        self.exit_code = 128 + number


class Stopped(KeyboardInterrupt):
    """The main thread stops where it is because a signal asked for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class Interruption:
    """Takes the signals while it is open; does nothing outside the main thread.

    The first signal is noted in :attr:`number`, and within :meth:`at_once` raised as
    :class:`Stopped`. A second one ends the process at once.
    """

    def __init__(self) -> None:
        self.number = 0
        self._at_once = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._note)
                for number in SIGNALS
                if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN  # nohup
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raises a signal wherever the main thread is; one that was noted before, here.

        Raises:
            Stopped: A signal came.
        """
        self._at_once = True
        try:
            if self.number:
                raise Stopped(self.number)
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            os._exit(128 + number)
        self.number = number
        if self._at_once:
            raise Stopped(number)
