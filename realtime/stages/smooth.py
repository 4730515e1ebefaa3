"""Steadier predictions: the mean of the last few."""

from collections import deque
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Logits = Mapping[str, NDArray[np.float32]]
"""By stream (classes,); means of other arrays are taken in the same way."""


class Smooth:
    """Logits in, the mean of the newest `count` logits out.

    Logits are averaged, not probabilities, because that is how the paper averages over time. Adds (count - 1) strides
    of delay to a change of action. A stream that is not in all of them is left out of the mean.
    """

    def __init__(self, count: int) -> None:
        self._last: deque[tuple[int, Logits]] = deque(maxlen=count)

    def reset(self) -> None:
        """Forget the logits so far."""
        self._last.clear()

    def push(self, start_tick: int, logits: Logits) -> tuple[int, Logits]:
        """Logits of a span that begins at `start_tick` -> first tick of the oldest span in the mean, and the mean."""
        self._last.append((start_tick, logits))
        return self._mean(list(self._last))

    def peek(self, spans: Sequence[tuple[int, Logits]]) -> tuple[int, Logits]:
        """What `push` would return after these provisional spans, which are not kept."""
        return self._mean([*self._last, *spans][-(self._last.maxlen or 1) :])

    @staticmethod
    def _mean(spans: Sequence[tuple[int, Logits]]) -> tuple[int, Logits]:
        first, logits = spans[0][0], [each for _, each in spans]
        common = [stream for stream in logits[-1] if all(stream in each for each in logits)]
        # Not `np.mean`, which would first copy them into one array.
        return first, {
            stream: reduce(np.add, [each[stream] for each in logits]) / np.float32(len(logits))
            for stream in common
        }
