"""Standard input as a file whose blocking reads can be ended."""

import io
import os
import select
import sys
from threading import Event


class StandardInput(io.FileIO):
    """Standard input; once `stopping` is set, a read that is waiting for data returns nothing, as at the end of a
    file."""

    def __init__(self, stopping: Event) -> None:
        super().__init__(sys.stdin.fileno(), closefd=False)
        self._stopping = stopping

    def read(self, size: int | None = -1) -> bytes:
        # On Windows only sockets can be waited for in this way: there a read ends when data arrives.
        while os.name != "nt" and not select.select([self], [], [], 0.1)[0]:
            if self._stopping.is_set():
                return b""
        return super().read(-1 if size is None else size) or b""
