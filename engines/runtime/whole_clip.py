"""How the network is run on a clip of known length. Imports no torch."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.engine import Engine, Positions

Scalar = TypeVar("Scalar", bound=np.generic)


def repeat_to(ticks: NDArray[Scalar], window_ticks: int) -> NDArray[Scalar]:
    """(T, ...) -> at least (window_ticks, ...): a clip shorter than the window is repeated from its start."""
    if len(ticks) == 0:
        raise ValueError("repeat_to needs at least one tick, got none")
    if len(ticks) >= window_ticks:
        return ticks
    return ticks[np.arange(window_ticks) % len(ticks)]


def lead_ticks(length_ticks: int) -> int:
    """Blank ticks in front of a clip of this length that bring its strided layers into TensorFlow's phase.

    SAME padding puts its smaller half in front, so the padding in front of the strided layers depends on the length: 2
    or 3 ticks for `Conv3d_1a`, 0 or 1 positions for `MaxPool3d_4a`. That is equivalent to filling the clip up in front
    to a multiple of 4. A live stream, whose length is unknown, starts without blank ticks.
    """
    return -length_ticks % 4


def clip_logits(engine: Engine, ticks: Iterable[NDArray[Any]], length_ticks: int) -> NDArray[np.float32]:
    """Logits (positions, classes) of a whole clip of `length_ticks` ticks, each (224, 224, C), given one by one.

    A `continual` or `preview` engine takes any length and gives every position of the clip, as in the paper's test; a
    `window` engine takes clips of one window. For shorter clips see `repeat_to`.
    """
    return np.concatenate([positions.logits[0] for positions in clip_positions(engine, ticks, length_ticks)])


def clip_positions(engine: Engine, ticks: Iterable[NDArray[Any]], length_ticks: int) -> Iterator[Positions]:
    """The settled positions that `clip_logits` gives the logits of, a few at a time."""
    state = engine.start(lead_ticks=lead_ticks(length_ticks))
    ticks = iter(ticks)
    while len(chunk := list(islice(ticks, engine.chunk_ticks))) == engine.chunk_ticks:
        positions, state = engine.step(np.stack(chunk)[None], state)
        yield _settled(positions)
    if engine.mode != "window":
        tail = np.stack(chunk) if chunk else np.empty((0, *engine.spec.tick_shape), engine.spec.dtype)
        yield _settled(engine.flush(tail[None], state))


def _settled(positions: Positions) -> Positions:
    young, stop = max(0, -int(positions.first[0])), positions.settled
    return replace(
        positions,
        logits=positions.logits[:, young:stop],
        cells=positions.cells[:, young:stop],
        first=positions.first + young,
        settled=max(0, stop - young),
    )
