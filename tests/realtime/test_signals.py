"""What ends a run: closing the terminal does so as SIGTERM does, and a second signal interrupts only if meant."""

import os
import pty
import signal
import time
from collections.abc import Iterator
from itertools import permutations

import pytest

from realtime.signals import HANG_UP, STOPPING, stop_on_signals

pytestmark = pytest.mark.skipif(HANG_UP is None, reason="this system has no SIGHUP")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_stops(number: int) -> None:
    stopped: list[int] = []
    with stop_on_signals([lambda: stopped.append(1), lambda: stopped.append(2)]) as came:
        os.kill(os.getpid(), number)
    assert (stopped, came) == ([1, 2], [number])


@pytest.mark.parametrize(("first", "second"), list(permutations(STOPPING, 2)))
def test_a_second_signal_interrupts_unless_either_is_a_hang_up(first: int, second: int) -> None:
    stopped: list[int] = []
    with stop_on_signals([lambda: stopped.append(1)]):
        os.kill(os.getpid(), first)
        if signal.SIGHUP in (first, second):
            os.kill(os.getpid(), second)
        else:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), second)
    assert stopped == [1]


def test_repeated_hang_ups_do_not_interrupt() -> None:
    with stop_on_signals([]) as came:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
    assert came == [signal.SIGHUP] * 3


def test_an_ignored_signal_stays_ignored_and_one_left_out_keeps_its_handler() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    with stop_on_signals([]) as came:
        os.kill(os.getpid(), signal.SIGHUP)
    assert came == []
    reloads: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, frame: reloads.append(number))
    with stop_on_signals([], (signal.SIGINT, signal.SIGTERM)) as came:
        os.kill(os.getpid(), signal.SIGHUP)
    assert (came, reloads) == ([], [signal.SIGHUP])


def test_nothing_is_printed_on_a_terminal_that_has_gone() -> None:
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        code = 1
        try:
            with stop_on_signals([]) as came:
                os.write(1, b"ready")
                while not came:
                    time.sleep(0.01)  # signal.pause() would miss one that came just before it
                os.write(1, b"x" * 100)
                code = 0
        finally:
            os._exit(code)
    assert os.read(terminal, 5) == b"ready"
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
