"""A live source that is reopened whenever it is lost. Its frames continue after a gap."""

import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from realtime.clock import Clock
from realtime.errors import SourceError, SourceLost
from realtime.sources.address import Address, parse_source
from realtime.sources.video import Video
from realtime.types import Frame

LONGEST_WAIT_S = 30.0
"""Attempts are 1, 2, 4, 8, 16 and then always 30 seconds apart."""
KNOCK_EVERY_S = 0.5
"""Between two attempts, how often to check whether a lost source is back."""
KNOCK_LIMIT_S = 1.0
MOST_UNTOLD = 100
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True)
class Connection:
    """Whether a source delivers frames, and if not, why."""

    up: bool
    reconnects: int = 0
    """How often it was lost and came back."""
    reason: str = ""
    """Why it is down, in one line."""


def is_there(address: Address) -> bool:
    """Whether something answers at the address, without opening a stream; True if that cannot be told."""
    if address.kind == "webcam":
        return not sys.platform.startswith("linux") or os.path.exists(f"/dev/video{int(address.target)}")
    try:
        url = urlsplit(address.target)
        port = url.port or PORTS[url.scheme.lower()]
        socket.create_connection((url.hostname or "", port), timeout=KNOCK_LIMIT_S).close()
    except OSError:
        return False
    except (ValueError, KeyError):
        return True
    return True


def keep_open(
    source: str | Path,
    open_video: Callable[[str | Path], Video] | None = None,
    *,
    may_be_away: bool = False,
    later: bool = False,
) -> "Video | Reconnecting":
    """As `open_video`, but a live source is reopened whenever it is lost, without limit.

    `open_video`: what to open with, by default `realtime.sources.open.open_video`; a partial can carry options.
    `may_be_away`: also wait for an RTSP stream or a camera that is not there yet. `later`: leave also
    the first opening of such a one to the thread that reads it. Raises what `open_video` raises.
    """
    from realtime.sources.open import open_video as plain

    address = parse_source(source)
    again, there = partial(open_video or plain, source), partial(is_there, address)
    always_live = address.kind in ("rtsp", "webcam")  # HTTP may be a file
    if later and always_live:
        return Reconnecting(address.name, again, is_there=there, reason="not opened yet")
    try:
        video = again()
    except SourceError as error:
        if not may_be_away or not always_live:
            raise
        return Reconnecting(address.name, again, is_there=there, reason=str(error))
    return Reconnecting(video.name, again, video, is_there=there) if video.live else video


class Reconnecting:
    """Source: the frames of a live video, without end.

    After a loss the first frame has `after_gap`, and its time includes the wall-clock time that passed. The wait grows
    from attempt to attempt, but once a lost source is back, the next attempt is immediate.
    """

    live, duration_s = True, None

    def __init__(
        self,
        name: str,
        open_again: Callable[[], Video],
        first: Video | None = None,
        *,
        is_there: Callable[[], bool] = lambda: True,
        clock: Clock | None = None,
        reason: str = "",
    ) -> None:
        """`first`: the video if it is open already. Without it the first one is opened, and waited for, like later
        ones, and `reason` says why it is not there. `is_there`: see the function of that name."""
        self.name = name
        self.connection = Connection(up=first is not None, reason=reason)
        """Replaced at each change, by the reading thread."""
        self.changes: deque[Connection] = deque(maxlen=MOST_UNTOLD)
        """Changes not reported yet, oldest first; the reporter takes them from the left."""
        self._open, self._is_there, self._clock = open_again, is_there, clock or Clock()
        self.size_px = (0, 0) if first is None else first.size_px
        """Width and height of the first frame of `first`."""
        self.picture = None if first is None else first.picture
        """Of that frame."""
        self._video = first
        self._closing = threading.Event()
        self._corrupt_packets = 0
        self._last: Frame | None = None
        self._last_taken_s = 0.0

    def renew(self) -> None:
        """Reopen it before its first frame is read: frames buffered since it was opened are no longer live."""
        if self._video is not None:
            self._video.close()
            self._video = None

    @property
    def corrupt_packets(self) -> int:
        """As in `Video`, over all connections."""
        video = self._video
        return self._corrupt_packets + (video.corrupt_packets if video is not None else 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        while (video := self._video or self._connect()) is not None:
            reason = f"{self.name}: the stream has ended"
            try:
                yield from self._placed(video)
            except SourceLost as error:
                reason = str(error)
            finally:
                video.close()
                self._corrupt_packets, self._video = self.corrupt_packets, None
            if self._closing.is_set():
                return
            self._is_down(reason)

    def close(self) -> None:
        """May be called from any thread: the iteration ends, even while it waits for the next attempt."""
        self._closing.set()
        video = self._video
        if video is not None:
            video.close()

    def _connect(self) -> Video | None:
        """The next video, or None once closed. The very first attempt is immediate; after a loss the first one comes
        after a second."""
        wait_s = 1.0 if self._last is not None else 0.0
        while not self._pause(wait_s):
            try:
                self._video = video = self._open()
            except SourceError as error:
                self._is_down(str(error))
                wait_s = min(max(1.0, 2 * wait_s), LONGEST_WAIT_S)
                continue
            if not video.live:
                video.close()
                raise SourceError(f"{self.name}: a file, and it was not there at the start; start again")
            if self._closing.is_set():  # `close` came while it was being opened
                video.close()
            return video
        return None

    def _pause(self, wait_s: float) -> bool:
        """Wait until the next attempt is due; True once closed."""
        due_s = self._clock.now_s() + wait_s
        gone = wait_s > 0 and not self._is_there()
        while (left_s := due_s - self._clock.now_s()) > 0:
            if self._clock.wait(self._closing, min(left_s, KNOCK_EVERY_S)):
                return True
            if not self._is_there():
                gone = True
            elif gone:
                break
        return self._closing.is_set()

    def _placed(self, video: Video) -> Iterator[Frame]:
        """Its frames, with times that continue those of the videos before."""
        shift: Fraction | None = None
        for frame in video:
            taken_s = self._clock.now_s() if frame.taken_s is None else frame.taken_s
            if shift is None:
                shift, frame = self._join(frame, taken_s)
            else:
                frame = replace(frame, pts=frame.pts + shift)
            self._last, self._last_taken_s = frame, taken_s
            yield frame

    def _join(self, frame: Frame, taken_s: float) -> tuple[Fraction, Frame]:
        """For the first frame of a video: how far to shift its time and those of all later frames, and the frame
        itself."""
        if self._last is None:
            if not self.connection.up:
                self._change(Connection(up=True))
            return Fraction(0), frame
        self._change(Connection(True, self.connection.reconnects + 1))
        passed = Fraction(round((taken_s - self._last_taken_s) * 1000), 1000)
        pts = self._last.pts + max(passed, self._last.duration)
        return pts - frame.pts, replace(frame, pts=pts, after_gap=True)

    def _is_down(self, reason: str) -> None:
        self._change(Connection(False, self.connection.reconnects, reason))

    def _change(self, connection: Connection) -> None:
        if connection != self.connection:
            self.connection = connection
            self.changes.append(connection)
