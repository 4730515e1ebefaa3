"""The size of TensorFlow's SAME padding along an axis, which all of I3D's layers use."""


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """(front, behind) of one axis: the smaller half in front."""
    total = max(kernel - (length % stride or stride), 0)
    return total // 2, total - total // 2


def anchored_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """As `same_padding` for the number of positions, but in front always as for a length divisible by the stride."""
    front = max(kernel - stride, 0) // 2
    return front, max(kernel + stride * (-(-length // stride) - 1) - length - front, 0)
