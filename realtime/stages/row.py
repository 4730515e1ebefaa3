"""Stages in sequence, and side by side."""

from typing import Any, Protocol


class Stage(Protocol):
    """Values in, values out, independent of how the input is divided and of later input.

    A stage passes on values that are not meant for it.
    """

    def push(self, item: Any, /) -> list[Any]:
        """The next value -> the outputs that it completes."""

    def flush(self) -> list[Any]:
        """A section ends here: the remaining outputs. The next value begins a new section."""

    def reset(self) -> None:
        """Forget all values: the initial state, except for counts and the level."""


class Row:
    """A stage made of stages. A value passes through all of them before the next one: it may be a view of a buffer."""

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    def push(self, item: Any) -> list[Any]:
        return self._through([item], 0)

    def flush(self) -> list[Any]:
        out = []
        for place, stage in enumerate(self._stages):
            out += self._through(stage.flush(), place + 1)
        return out

    def reset(self) -> None:
        for stage in self._stages:
            stage.reset()

    def _through(self, items: list[Any], place: int) -> list[Any]:
        """`items` after the stages from `place` on."""
        if place == len(self._stages):
            return items
        stage = self._stages[place]
        return [out for item in items for out in self._through(stage.push(item), place + 1)]


class Beside:
    """A stage made of stages that all get every value; what the first says comes first."""

    def __init__(self, *stages: Stage) -> None:
        self._stages = stages

    def push(self, item: Any) -> list[Any]:
        return [out for stage in self._stages for out in stage.push(item)]

    def flush(self) -> list[Any]:
        return [out for stage in self._stages for out in stage.flush()]

    def reset(self) -> None:
        for stage in self._stages:
            stage.reset()
