"""Records clips of the user's own actions for `i3d-live teach` from a channel: a countdown, a clip, and again."""

import re
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from realtime.errors import OutputError, UsageError
from realtime.stages.resample import MAX_GAP
from realtime.types import Frame, Image

COUNTDOWN_S = 3
CLIP_S = 3
MOST_CLIPS = 50
LABEL = re.compile(r"\w[\w '(),&+-]{0,59}")
"""No dots and no slashes: a label is the name of a folder, and comes from a page."""


class Writer(Protocol):
    def write(self, rgb: Image, pts: Fraction) -> None: ...
    def close(self) -> None: ...


NewWriter = Callable[[Path, tuple[int, int]], Writer]


class Recorder:
    """`frame` is called with every frame of the source, from its reader's thread; everything else from any thread.

    Time is that of the frames. Where frames are missing, or as far apart as those of a background tab, the clip that is
    being recorded starts over.
    """

    def __init__(self, folder: Path, label: str, clips: int, new_writer: NewWriter) -> None:
        """Clips go to `folder`/`label`/001.mp4 and so on. Raises UsageError for a label that is not a plain name."""
        label = label.strip()
        if not LABEL.fullmatch(label):
            raise UsageError(
                f"{label[:60]!r} cannot be an action's name; give up to 60 letters, digits, spaces or '(),&+-"
            )
        if not 1 <= clips <= MOST_CLIPS:
            raise UsageError(f"{clips} clips cannot be recorded in a row; choose 1 to {MOST_CLIPS}")
        self._folder, self._label, self._wanted = folder / label, label, clips
        self._new_writer = new_writer
        self._lock = Lock()
        self._done = 0
        self._began: Fraction | None = None
        self._last = Fraction(0)
        self._left_s = float(COUNTDOWN_S)
        self._phase = "countdown"
        self._writer: Writer | None = None
        self._path = folder
        self._problem = ""

    def state(self) -> dict[str, Any]:
        """For the page: phase "countdown", "recording", "done" or "failed", seconds left in it, clips so far."""
        return {
            "label": self._label,
            "phase": self._phase,
            "left_s": round(self._left_s, 1),
            "clips": self._done,
            "of": self._wanted,
            "folder": self._folder.name,
            "problem": self._problem,
        }

    def frame(self, frame: Frame) -> None:
        with self._lock:
            if self._phase in ("done", "failed"):
                return
            try:
                self._take(frame)
            except (OutputError, OSError) as error:
                self._problem = str(error)
                self._end("failed")

    def stop(self) -> None:
        """Stop recording; complete clips stay, an incomplete one is deleted."""
        with self._lock:
            if self._phase not in ("done", "failed"):
                self._end("done")

    def _take(self, frame: Frame) -> None:
        if self._began is None or frame.after_gap or frame.pts - self._last > MAX_GAP:
            self._discard()
            self._began, self._phase = frame.pts, "countdown"
        self._last = frame.pts
        since_s = frame.pts - self._began
        if since_s >= COUNTDOWN_S + CLIP_S:
            self._keep()
            self._began, since_s = frame.pts, Fraction(0)
            if self._done == self._wanted:
                self._end("done")
                return
        recording = since_s >= COUNTDOWN_S
        self._phase = "recording" if recording else "countdown"
        self._left_s = float((COUNTDOWN_S + CLIP_S if recording else COUNTDOWN_S) - since_s)
        if recording:
            if self._writer is None:
                height, width = frame.size_px
                self._path = self._next_path()
                self._writer = self._new_writer(self._path, (width, height))
            self._writer.write(frame.rgb, since_s - COUNTDOWN_S)

    def _next_path(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while (path := self._folder / f"{number:03}.mp4").exists():
            number += 1
        return path

    def _keep(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._done += 1

    def _discard(self) -> None:
        if self._writer is not None:
            with suppress(OutputError):
                self._writer.close()
            self._writer = None
            self._path.unlink(missing_ok=True)

    def _end(self, phase: str) -> None:
        self._discard()
        self._phase, self._left_s = phase, 0.0
