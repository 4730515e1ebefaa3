"""I3D over an endless stream: one temporal position out for every 8 new ticks in, nothing computed twice.

Every layer that looks along time runs without padding on its memory and the new input, and remembers the last
positions that it will need again. Position by position, that is the network over the whole video (anchored, or after
blank ticks, see `engines.runtime.whole_clip.lead_ticks`). What a layer remembers, and by how much its output trails
its input, follows from its kernel and stride alone: see `Place.after`.
"""

from collections.abc import Callable
from typing import Generic

from engines.engine import POSITION_TICKS
from engines.nets.network import Part
from engines.nets.operations import Operations, V
from engines.nets.padding import same_padding
from engines.nets.place import Place


class Step(Generic[V]):
    """The timeline of one step. `kept`: the next memories, in the order in which they were asked for.

    Memories are (N, positions, H, W, C): CPUs keep activations in that order, so nothing is copied.
    """

    def __init__(
        self,
        ops: Operations[V],
        recall: Callable[[tuple[int, ...]], V],
        bounds: V | None = None,
        *,
        ticks: int = POSITION_TICKS,
        preview: bool = False,
        dtype: str = "float32",
    ) -> None:
        """
        Args:
            recall: returns the next memory, of the given shape.
            bounds: for steps at the boundaries of a video, int32 (N, 2): its first tick and the tick after its last,
                both counted from the first new one. Everything outside counts as zero in every layer. Without it,
                everything remembered must be inside, as it is after `engines.engine.SETTLED_AFTER_STEPS` steps of 8.
            ticks: how many are new, a multiple of 8.
            preview: put zeros in place of the ticks to come, so that there is an output up to the last tick; the
                memories are the same.
            dtype: see `engines.nets.network.Network`.
        """
        self._ops, self._recall, self._bounds = ops, recall, bounds
        self._ticks, self._preview, self._dtype = ticks, preview, dtype
        self.kept: list[V] = []

    def ticks(self, video: V, kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        """`video`: the last ticks of the step before, `engines.engine.SEEN_TICKS`, and the new ones."""
        place, count = Place().after(kernel, stride)
        return Part(self._blank_outside(video, Place(), count), place), self._padding(kernel, stride)

    def look(self, part: Part[V], kernel: int, stride: int) -> tuple[Part[V], tuple[int, int]]:
        place, count = part.place.after(kernel, stride)
        known = self._behind_memory(part, count) if count else part.x
        return Part(self._blank_outside(known, part.place, count), place), self._padding(kernel, stride)

    def centre(self, x: V, positions: int) -> V:
        """The branches next to a 3x3x3 wait for it: it looks one position ahead."""
        return self._ops.slice(x, 2, 1, 1 + positions)

    def _padding(self, kernel: int, stride: int) -> tuple[int, int]:
        return 0, same_padding(stride, kernel, stride)[1] if self._preview else 0

    def _behind_memory(self, part: Part[V], count: int) -> V:
        """The positions of `part` preceded by the `count` remembered before them; the last `count` are remembered in
        turn."""
        ops, news = self._ops, self._ticks // part.place.stride  # so many become final
        batch, channels, _, height, width = ops.shape(part.x)
        memory = self._recall((batch, count, height, width, channels))
        known = ops.concat((ops.transpose(memory, (0, 4, 1, 2, 3)), part.x), 2)
        self.kept.append(ops.transpose(ops.slice(known, 2, news, news + count), (0, 2, 3, 4, 1)))
        return known

    def _blank_outside(self, x: V, place: Place, count: int) -> V:
        """Put zeros where the padded network has them: before the first tick of the video and after its last.

        `x` begins `count` positions before those that become final in this step. A position is inside if any of its
        ticks is.
        """
        if self._bounds is None:
            return x
        ops = self._ops
        begin, end = (ops.slice(self._bounds, 1, i, i + 1) for i in (0, 1))
        first = -place.lag - count
        positions = range(first, first + ops.shape(x)[2])
        begins = ops.constant([position * place.stride for position in positions])
        ends = ops.constant([(position + 1) * place.stride for position in positions])
        after_begin, before_end = ops.less(begin, ends), ops.less(begins, end)
        inside = ops.multiply(ops.cast(after_begin, self._dtype), ops.cast(before_end, self._dtype))
        return ops.multiply(x, ops.unsqueeze(inside, (1, 3, 4)))
