"""The position of a layer's output in time, when ticks arrive a few at a time."""

from dataclasses import dataclass

from engines.nets.padding import same_padding


@dataclass(frozen=True)
class Place:
    """How often a layer has a position, and how far its final positions trail the ticks."""

    stride: int = 1
    """Ticks from one position to the next."""
    lag: int = 0
    """After 8 k ticks the positions below 8 k / stride - lag are final; the others wait for ticks to come."""

    def after(self, kernel: int, stride: int) -> tuple["Place", int]:
        """Place of the output of a layer over this input, and how many input positions the layer must remember.

        Its padding in front is that for lengths divisible by its stride. With `front` positions of padding, output q
        sees the inputs q stride - front .. q stride - front + kernel - 1: it becomes final when the last of them does,
        and until then the first must be remembered.
        """
        front = same_padding(stride, kernel, stride)[0]
        lag = -((front - kernel - self.lag) // stride) - 1
        return Place(self.stride * stride, lag), lag * stride + front - self.lag
