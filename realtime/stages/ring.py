"""The last ticks of one stream, in the engine's order and layout."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Ring:
    """Holds the newest `capacity` values under consecutive tick numbers.

    Each value is written twice, half the buffer apart, so that any run of ticks is one contiguous view:

        capacity 4, after tick 5:    | 4 5 2 3 | 4 5 2 3 |      read(2, 6) is the middle four
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.capacity = capacity
        self._buffer = np.zeros((2 * capacity, *shape), dtype)
        self.clear()

    def clear(self) -> None:
        """Forget all ticks."""
        self.start = self.stop = 0
        """It holds the ticks [start, stop)."""

    def append(self, index: int, value: NDArray[Any]) -> None:
        """Store the value of tick `index`, which must follow the last one unless the ring is empty."""
        if self.start == self.stop:
            self.start = index
        elif index != self.stop:
            raise ValueError(f"tick {index} does not follow tick {self.stop - 1}; clear the ring at a gap")
        slot = index % self.capacity
        self._buffer[slot] = self._buffer[slot + self.capacity] = value
        self.stop = index + 1
        self.start = max(self.start, self.stop - self.capacity)

    def holds(self, start: int, stop: int) -> bool:
        """Whether all of the ticks [start, stop) can be read."""
        return self.start <= start <= stop <= self.stop

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """View (stop - start, ...) of exactly the ticks [start, stop); valid until the next `append`."""
        if not self.holds(start, stop):
            raise ValueError(f"ticks [{start}, {stop}) asked for, the ring holds [{self.start}, {self.stop})")
        first = start % self.capacity
        return self._buffer[first : first + stop - start]
