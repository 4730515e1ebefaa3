"""Inception-V1 takes the weights that torchvision saves."""

from engines.nets.inception import I3D_BLOCKS, InceptionV1


def test_names_are_those_of_torchvision() -> None:
    names = InceptionV1(5).state_dict().keys()
    # From torchvision's googlenet.py: a stem of three, nine blocks of six convolutions, a classifier.
    assert {"conv1.conv.weight", "conv3.bn.running_var", "fc.weight", "fc.bias"} <= names
    branches = ("branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
    blocks = [f"inception{b}" for b in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    assert blocks == list(I3D_BLOCKS)
    convolutions = [
        "conv1",
        "conv2",
        "conv3",
        *(f"{block}.{branch}" for block in blocks for branch in branches),
    ]
    parts = (
        "conv.weight",
        "bn.weight",
        "bn.bias",
        "bn.running_mean",
        "bn.running_var",
        "bn.num_batches_tracked",
    )
    assert names == {f"{c}.{part}" for c in convolutions for part in parts} | {"fc.weight", "fc.bias"}
