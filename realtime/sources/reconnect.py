"""A live source that is opened again whenever it is lost: the same frames as before, with a gap between."""

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
"""Tries are 1, 2, 4, 8, 16 and then always 30 seconds apart."""
KNOCK_EVERY_S = 0.5
"""How often a source that has gone away is looked for, between two tries."""
KNOCK_LIMIT_S = 1.0
MOST_UNTOLD = 100
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True)
class Connection:
    """Whether a source gives frames, and why not."""

    up: bool
    reconnects: int = 0
    """Times that it was lost and came back."""
    reason: str = ""
    """Why it is down, in one line."""


def is_there(address: Address) -> bool:
    """Whether something answers at the address, without opening a stream; True where that cannot be told."""
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
    source: str | Path, open_video: Callable[[str | Path], Video] | None = None, *, may_be_away: bool = False
) -> "Video | Reconnecting":
    """As `open_video`, but a live source is opened again whenever it is lost, for ever.

    `open_video`: with options, for instance; by default `realtime.sources.open.open_video`. `may_be_away`: an RTSP stream or a
    camera that is not there now is waited for, too. Raises what `open_video` raises.
    """
    from realtime.sources.open import open_video as plain

    address = parse_source(source)
    again, there = partial(open_video or plain, source), partial(is_there, address)
    try:
        video = again()
    except SourceError as error:
        if not may_be_away or address.kind not in ("rtsp", "webcam"):  # HTTP may be a file
            raise
        return Reconnecting(address.name, again, is_there=there, reason=str(error))
    return Reconnecting(video.name, again, video, is_there=there) if video.live else video


class Reconnecting:
    """Source: the frames of a live video, for ever.

    After a loss the first frame has `after_gap`, and times go on by the time that has passed. It waits longer from try to
    try, unless the source went away and is there again: then it tries at once.
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
        """`first`: opened already; else it is opened, and waited for, like any later one, and `reason` is why it is not
        there. `is_there`: whether something answers at the address, see the function of that name."""
        self.name = name
        self.connection = Connection(up=first is not None, reason=reason)
        """Replaced at each change, by the reading thread."""
        self.changes: deque[Connection] = deque(maxlen=MOST_UNTOLD)
        """What is still to be told; whoever tells it takes it from the left."""
        self._open, self._is_there, self._clock = open_again, is_there, clock or Clock()
        self.size_px = (0, 0) if first is None else first.size_px
        """Of the first frame of `first`."""
        self._video = first
        self._closing = threading.Event()
        self._corrupt_packets = 0
        self._last: Frame | None = None
        self._last_taken_s = 0.0

    def renew(self) -> None:
        """Open it again before its first frame is read: what has waited since it was opened is no longer live."""
        if self._video is not None:
            self._video.close()
            self._video = None

    @property
    def corrupt_packets(self) -> int:
        """As of `Video`, over all connections."""
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
        """From any thread: the iteration ends, also where it waits for the next try."""
        self._closing.set()
        video = self._video
        if video is not None:
            video.close()

    def _connect(self) -> Video | None:
        """The next video, or None when closed. The first one of all is tried at once, later ones after a second."""
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
        """Wait until the next try is due; True when closed."""
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
        """Its frames, after those of the videos before it."""
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
        """Of the first frame of a video: how far to shift it and all that follow, and the frame itself."""
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
