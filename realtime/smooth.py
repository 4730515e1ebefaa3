"""Steadier answers: the mean of the last few."""

from collections import deque

import numpy as np
from numpy.typing import NDArray


class Smooth:
    """Stage: logits in, the mean of the newest `count` logits out.

    Logits are averaged, not probabilities, because that is how the paper averages over time. Adds (count - 1) strides of
    delay to a change of action.
    """

    def __init__(self, count: int) -> None:
        self._last: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=count)

    def reset(self) -> None:
        """Forget the answers so far."""
        self._last.clear()

    def push(self, start_tick: int, logits: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
        """Answer (any shape) that begins at `start_tick` -> first tick of the oldest answer in the mean, and the mean."""
        self._last.append((start_tick, logits))
        return self._mean(list(self._last))

    def peek(self, answers: list[tuple[int, NDArray[np.float32]]]) -> tuple[int, NDArray[np.float32]]:
        """What `push` would give after these provisional answers, which are not kept."""
        return self._mean([*self._last, *answers][-(self._last.maxlen or 1) :])

    @staticmethod
    def _mean(answers: list[tuple[int, NDArray[np.float32]]]) -> tuple[int, NDArray[np.float32]]:
        stacked = np.stack([logits for _, logits in answers])
        return answers[0][0], np.asarray(stacked.mean(axis=0), dtype=np.float32)
