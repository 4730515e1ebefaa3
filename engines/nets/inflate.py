"""2D weights to 3D: each kernel repeated over time and divided by the number of repeats (arXiv 1705.07750, section
2.4).

A video that repeats one image (a boring video) then gives the same output as the 2D network gives for the image,
except where a kernel reaches beyond the ends of the video: there zeros replace frames and the sum falls short.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engines.errors import WeightsError
from engines.nets.i3d import I3D
from engines.nets.i3d_shapes import parameter_shapes
from engines.nets.inception import I3D_BLOCKS, InceptionBase

# The branches of a block: name here (torchvision's) -> name in I3D.
_BRANCHES = {
    "branch1": "b0",
    "branch2.0": "b1a",
    "branch2.1": "b1b",
    "branch3.0": "b2a",
    "branch3.1": "b2b",
    "branch4.1": "b3b",
}
_STEM = {"conv1": "Conv3d_1a_7x7", "conv2": "Conv3d_2b_1x1", "conv3": "Conv3d_2c_3x3"}
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def inflate_kernel(kernel: Tensor, frames: int) -> Tensor:
    """(out, in, H, W) -> (out, in, frames, H, W): repeated over time, divided by the number of frames."""
    return kernel.unsqueeze(2).repeat(1, 1, frames, 1, 1) / frames


def adapt_channels(kernel: Tensor, channels: int) -> Tensor:
    """(out, in, ...) -> (out, channels, ...): each new channel is the mean over the input channels.

    The usual start of a flow network from RGB weights (Wang et al., *Temporal Segment Networks*, 2016, section 3.2).
    """
    return kernel.mean(dim=1, keepdim=True).repeat_interleave(channels, dim=1)


def inflate_inception(state: Mapping[str, Tensor], in_channels: int = 3) -> dict[str, Tensor]:
    """Weights of a 2D Inception-V1 under torchvision's GoogLeNet names -> weights of I3D under pytorch-i3d's names.

    Auxiliary heads are left out. `in_channels` other than the kernel's own (2 for flow) averages the first kernel over
    them. The classifier is included: for classes other than the 2D network's, leave out "logits.*". Raises
    WeightsError, which names what is missing, unknown or of the wrong shape.
    """
    state = {name: t for name, t in state.items() if not name.startswith(("aux1.", "aux2."))}
    inflated: dict[str, Tensor] = {}
    used = {"fc.weight", "fc.bias"}
    for name, i3d_name in _units().items():
        kernel = _take(state, f"{name}.conv.weight", used)
        inflated[f"{i3d_name}.conv3d.weight"] = inflate_kernel(kernel, kernel.shape[-1])
        for part in _BATCH_NORM:
            inflated[f"{i3d_name}.bn.{part}"] = _take(state, f"{name}.bn.{part}", used).clone()
        used.add(f"{name}.bn.num_batches_tracked")
    first = inflated["Conv3d_1a_7x7.conv3d.weight"]
    if first.shape[1] != in_channels:
        inflated["Conv3d_1a_7x7.conv3d.weight"] = adapt_channels(first, in_channels)
    inflated["logits.conv3d.weight"] = _take(state, "fc.weight", used)[..., None, None, None].clone()
    inflated["logits.conv3d.bias"] = _take(state, "fc.bias", used).clone()
    if unknown := sorted(state.keys() - used):
        raise WeightsError(
            f"not in a GoogLeNet: {', '.join(unknown[:3])}; give its state dict as torchvision saves it"
        )
    _check_shapes(inflated, in_channels)
    return inflated


def bootstrap(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Initialise every Inception of a network, flat or inflated, from one 2D Inception-V1: the paper's start from
    ImageNet.

    Classifiers and everything else in the network stay as they are. `state` as for `inflate_inception`.
    """
    inflated = inflate_inception(state)  # also checks it
    for module in net.modules():
        if isinstance(module, InceptionBase):
            first, names = "conv1.conv.weight", module.state_dict().keys()
            ours = {n: t for n, t in state.items() if n in names and not n.startswith("fc.")}
        elif isinstance(module, I3D):
            first = "Conv3d_1a_7x7.conv3d.weight"
            ours = {n: t for n, t in inflated.items() if not n.startswith("logits.")}
        else:
            continue
        channels = module.get_parameter(first).shape[1]
        if channels != ours[first].shape[1]:
            ours[first] = adapt_channels(ours[first], channels)
        module.load_state_dict(ours, strict=False)


def _units() -> dict[str, str]:
    """Name of each convolution with batch norm here (torchvision's) -> name in I3D."""
    units = dict(_STEM)
    for block, i3d_block in I3D_BLOCKS.items():
        units |= {f"{block}.{branch}": f"{i3d_block}.{i3d}" for branch, i3d in _BRANCHES.items()}
    return units


def _take(state: Mapping[str, Tensor], name: str, used: set[str]) -> Tensor:
    if name not in state:
        raise WeightsError(f"{name} is missing; give a GoogLeNet's state dict as torchvision saves it")
    used.add(name)
    return state[name]


def _check_shapes(inflated: Mapping[str, Tensor], in_channels: int) -> None:
    wanted = parameter_shapes(inflated["logits.conv3d.bias"].shape[0], in_channels)
    for name, shape in wanted.items():
        if inflated[name].shape != torch.Size(shape):
            raise WeightsError(
                f"{name} would be {tuple(inflated[name].shape)}, I3D has {shape}; only an Inception-V1 with 3x3 kernels"
                " in its third branch, as torchvision's is, can be inflated"
            )
