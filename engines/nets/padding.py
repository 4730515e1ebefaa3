"""How much TensorFlow's SAME padding puts around an axis: the rule that all of I3D's layers follow."""


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """(front, behind) of one axis: the smaller half in front."""
    total = max(kernel - (length % stride or stride), 0)
    return total // 2, total - total // 2


def anchored_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """The same number of positions, but in front always what a length that divides by the stride has."""
    front = max(kernel - stride, 0) // 2
    return front, max(kernel + stride * (-(-length // stride) - 1) - length - front, 0)
