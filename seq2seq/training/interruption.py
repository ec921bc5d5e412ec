"""Signals that ask the program to stop: at once where nothing is lost by it, else after saving."""

import _thread
import os
import signal
import sys
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
    :class:`Stopped`; where nothing can be raised, as in finalisers, a moment later. A second one
    ends the process at once.
    """

    SOON = 0.02
    """Seconds after which a finaliser is over."""

    def __init__(self) -> None:
        self.number = 0
        self._at_once = self._ending = False
        self._before: dict[signal.Signals, object] = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._make_up
            outer = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
            if isinstance(outer, Interruption):  # some library may have caught what it raised
                self.number = outer.number
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
        if self._before:
            sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raises a signal wherever the main thread is.

        One that was noted before is raised here, and one that was caught on its way, at the end.

        Raises:
            Stopped: A signal came.
        """
        self._at_once = True
        try:
            self._check()
            yield
            self._check()
        except Exception as error:
            if self.number:  # a library made another error of it, as those in C do
                raise Stopped(self.number) from error
            raise
        finally:
            self._at_once = False

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Lets a signal end the process with one line, for as long as nothing is open.

        What imports compiled modules cannot be stopped half-way: it may crash.
        """
        self._ending = True
        try:
            yield
        finally:
            self._ending = False

    def _check(self) -> None:
        if self.number:
            raise Stopped(self.number)

    def _make_up(self, lost: "sys.UnraisableHookArgs") -> None:
        """Lets a signal come again that was raised where Python drops what is raised."""
        if not isinstance(lost.exc_value, Stopped):
            self._unraisable(lost)
            return
        again, self.number = self.number, 0
        timer = threading.Timer(self.SOON, _thread.interrupt_main, [again])
        timer.daemon = True
        timer.start()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            os.write(2, f"seq2seq: {Stopped(number)}\n".encode())
        if self.number or self._ending:
            os._exit(128 + number)
        self.number = number
        if self._at_once:
            raise Stopped(number)
