"""The networks of `engines.nets.architectures` by name."""

from torch import nn

from engines.errors import UsageError
from engines.nets.architectures import Architecture, architecture
from engines.nets.c3d import C3D
from engines.nets.convnet_lstm import ConvNetLSTM
from engines.nets.fused import FusedTwoStream
from engines.nets.i3d import I3D
from engines.nets.inception import InceptionV1
from engines.nets.two_stream import Snapshots, TwoStream
from engines.spec import Modality


def network(
    name: str,
    num_classes: int = 400,
    *,
    stream: Modality | None = None,
    dropout: float = 0.5,
    divide: int = 1,
    size_px: int | None = None,
) -> nn.Module:
    """A new network with random weights: for one stream, or the whole architecture.

    It is called with one video per stream, float32 (N, C, T, size, size) in [-1, 1] with T ticks, rgb before flow, and
    returns class scores (N, positions, classes), whose mean over the positions is the result for the video. For tests,
    `divide` (1, 2, 4, 8) makes it narrower, and `size_px` its pictures smaller than the contract says.
    """
    contract = architecture(name)
    if contract.fused_inside:
        if stream is not None:
            raise UsageError(f"{name} is one network for both streams and has none for {stream} alone")
        return FusedTwoStream(num_classes, dropout, divide)
    if stream is None and len(contract.streams) == 2:
        rgb = _of_stream(contract, "rgb", num_classes, dropout, divide, size_px)
        flow = _of_stream(contract, "flow", num_classes, dropout, divide, size_px)
        return TwoStream(rgb, flow)
    return _of_stream(contract, stream or "rgb", num_classes, dropout, divide, size_px)


def _of_stream(
    contract: Architecture,
    modality: Modality,
    num_classes: int,
    dropout: float,
    divide: int,
    size_px: int | None,
) -> nn.Module:
    stream = contract.stream(modality)
    if contract.name == "convnet-lstm":
        return ConvNetLSTM(num_classes, dropout, divide, stream.every_ticks)
    if contract.name == "c3d":
        return C3D(num_classes, dropout, divide, size_px or stream.spec.crop_px)
    channels = stream.spec.channels * stream.stack
    if contract.name == "two-stream":
        net = InceptionV1(num_classes, channels, dropout, divide)
        return Snapshots(net, stream.every_ticks, stream.stack)
    return I3D(num_classes, channels, dropout, divide=divide)
