"""Standard input as a file that can be left while it waits."""

import io
import os
import select
import sys
from threading import Event


class StandardInput(io.FileIO):
    """Standard input; once `stopping` is set, a read that waits for data gives nothing, as at the end."""

    def __init__(self, stopping: Event) -> None:
        super().__init__(sys.stdin.fileno(), closefd=False)
        self._stopping = stopping

    def read(self, size: int | None = -1) -> bytes:
        # Windows can wait for sockets alone in this way: there a read ends when data comes.
        while os.name != "nt" and not select.select([self], [], [], 0.1)[0]:
            if self._stopping.is_set():
                return b""
        return super().read(-1 if size is None else size) or b""
