"""When an engine runs, and over which ticks."""


class Schedule:
    """Tick numbers in, spans [start, stop) out: the first `chunk_ticks` ticks, then every `stride_ticks`.

    chunk 64, stride 8: [0, 64), [8, 72), ... (`window`)      chunk 8, stride 8: [0, 8), [8, 16), ... (`continual`)
    """

    def __init__(self, chunk_ticks: int, stride_ticks: int) -> None:
        self._chunk = chunk_ticks
        self.stride_ticks = stride_ticks
        """May be changed; takes effect from the next span on."""
        self.reset()

    def reset(self) -> None:
        """Start again with the next tick."""
        self._next_start: int | None = None

    def push(self, index: int) -> list[tuple[int, int]]:
        """Tick `index` has arrived: the span that it completes, if any."""
        if self._next_start is None:
            self._next_start = index
        start, stop = self._next_start, self._next_start + self._chunk
        if index + 1 < stop:
            return []
        self._next_start = start + self.stride_ticks
        return [(start, stop)]

    @property
    def next_start(self) -> int | None:
        """First tick of the next span; None before the first tick."""
        return self._next_start
