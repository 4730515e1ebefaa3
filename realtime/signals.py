"""Ctrl-C, SIGTERM and SIGHUP end a run cleanly, or make it read its settings again."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

HANG_UP: int | None = getattr(signal, "SIGHUP", None)
"""None on Windows."""
STOPPING = (signal.SIGINT, signal.SIGTERM, *(() if HANG_UP is None else (HANG_UP,)))


@contextmanager
def stop_on_signals(
    stops: Sequence[Callable[[], None]],
    numbers: Sequence[int] = STOPPING,
    reload: Callable[[], None] | None = None,
) -> Iterator[list[int]]:
    """Within the block the first of the signals calls all `stops`, and a second Ctrl-C or SIGTERM interrupts
    immediately. Yields the list of signals received.

    `numbers`: without `HANG_UP` that signal stays as it is, for other uses. `reload`: called at a `HANG_UP` that was
    not caused by closing a terminal: then it tells a service to read its settings again.
    """
    came: list[int] = []
    terminals = [number for number in (1, 2) if os.isatty(number)]
    terminal = has_terminal()

    def handle(number: int, frame: FrameType | None) -> None:
        if number == HANG_UP and reload is not None and (has_terminal() or not terminal):
            reload()
            return
        came.append(number)
        if number == HANG_UP:
            # It may come twice, from the kernel and from the shell, or after SIGTERM: no sign of impatience.
            _leave(terminals)
        elif len(came) - came.count(HANG_UP or 0) > 1:
            raise KeyboardInterrupt
        if len(came) == 1:
            for stop in stops:
                stop()

    if threading.current_thread() is not threading.main_thread():
        yield came  # Python allows handlers in the main thread only
        return
    # A hang-up that is ignored is to be ignored: nohup.
    numbers = [n for n in numbers if n != HANG_UP or signal.getsignal(n) != signal.SIG_IGN]
    before = [signal.signal(number, handle) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def has_terminal() -> bool:
    """Whether the process has a controlling terminal, and it is not closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except (OSError, AttributeError):  # no O_NOCTTY on Windows
        return False
    return True


def _leave(terminals: Sequence[int]) -> None:
    """Whatever is printed there from now on goes nowhere: writing to a terminal that has gone is an error."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in terminals:
        os.dup2(null, number)
    os.close(null)
