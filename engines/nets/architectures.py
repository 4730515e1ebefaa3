"""The five architectures that *Quo Vadis* compares (arXiv 1705.07750, section 2), each with its data contract. No
torch.

`engines.nets.factory` builds their networks and `engines.nets.cost` counts their parameters and multiply-adds.
"""

from dataclasses import dataclass
from fractions import Fraction

from engines.errors import UsageError
from engines.spec import FLOW, RGB, Modality, StreamSpec

FPS = Fraction(25)


@dataclass(frozen=True)
class StreamInput:
    """The input of one network, or one input of a fused one. The network picks its frames from the ticks itself."""

    spec: StreamSpec
    """`window_ticks` is what the network needs for one output; beyond that it takes any multiple of `every_ticks`."""
    every_ticks: int = 1
    """Ticks between the frames, or stacks of fields, that it looks at."""
    stack: int = 1
    """Consecutive fields that are stacked as channels, u0 v0 u1 v1 ..."""

    def frames(self, ticks: int) -> int:
        """Number of frames or flow fields that the network looks at in `ticks` ticks."""
        return ((ticks - self.stack) // self.every_ticks + 1) * self.stack


@dataclass(frozen=True)
class Architecture:
    """One of the five, with the paper's figures."""

    name: str
    made_of: str
    streams: tuple[StreamInput, ...]
    train_ticks: int
    """Length of a training example (paper, table 1)."""
    test_ticks: int
    """Ticks over which the paper averages in its test, or runs the LSTM."""
    position_ticks: int
    """Ticks from one temporal position of the output to the next; `test_ticks` if there is only one output."""
    receptive_ticks: int
    """Ticks that can affect one temporal position of the output."""
    paper_parameters_m: float
    """Parameters in millions (paper, table 1)."""
    joint: bool
    """True if the paper trains both streams as one network; else each is trained separately."""
    fused_inside: bool = False
    """True if one network needs both streams; else each stream is a network and their class scores are averaged."""
    every_step: bool = False
    """True if training uses each position's output separately; else it uses their average."""

    def stream(self, modality: Modality) -> StreamInput:
        for stream in self.streams:
            if stream.spec.modality == modality:
                return stream
        has = ", ".join(s.spec.modality for s in self.streams)
        raise UsageError(f"{self.name} has no {modality} stream; it has {has}")


def _rgb(window_ticks: int, every_ticks: int = 1) -> StreamInput:
    return StreamInput(StreamSpec("rgb", channels=3, window_ticks=window_ticks), every_ticks)


def _flow_stacks(window_ticks: int) -> StreamInput:
    return StreamInput(StreamSpec("flow", channels=2, window_ticks=window_ticks), every_ticks=10, stack=10)


_C3D_RGB = StreamSpec("rgb", channels=3, window_ticks=16, short_side_px=128, crop_px=112)

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            name="convnet-lstm",
            made_of="Inception-V1 a frame, LSTM of 512 over the frames",
            streams=(_rgb(250, every_ticks=5),),
            train_ticks=125,
            test_ticks=250,
            position_ticks=250,
            receptive_ticks=246,
            paper_parameters_m=9,
            joint=False,
            every_step=True,
        ),
        Architecture(
            name="c3d",
            made_of="8 convolutions 3x3x3, 5 pools, 2 fully connected layers, at 112 x 112",
            streams=(StreamInput(_C3D_RGB),),
            train_ticks=16,
            test_ticks=240,
            position_ticks=16,
            receptive_ticks=16,
            paper_parameters_m=79,
            joint=False,
        ),
        Architecture(
            name="two-stream",
            made_of="Inception-V1 on a frame, Inception-V1 on 10 stacked flow fields, scores averaged",
            streams=(_rgb(10, every_ticks=10), _flow_stacks(10)),
            train_ticks=10,
            test_ticks=250,
            position_ticks=10,
            receptive_ticks=10,
            paper_parameters_m=12,
            joint=True,
        ),
        Architecture(
            name="fused-two-stream",
            made_of="the same two to 7 x 7, then one 3x3x3 convolution of 512 over both, pool, classifier",
            streams=(_rgb(50, every_ticks=10), _flow_stacks(50)),
            train_ticks=50,
            test_ticks=250,
            position_ticks=20,
            receptive_ticks=50,
            paper_parameters_m=39,
            joint=True,
            fused_inside=True,
        ),
        Architecture(
            name="two-stream-i3d",
            made_of="inflated Inception-V1 a stream, scores averaged",
            streams=(StreamInput(RGB), StreamInput(FLOW)),
            train_ticks=64,
            test_ticks=250,
            position_ticks=8,
            receptive_ticks=107,
            paper_parameters_m=25,
            joint=False,
        ),
    )
}


def architecture(name: str) -> Architecture:
    """The architecture of that name; UsageError for another name."""
    if name not in ARCHITECTURES:
        raise UsageError(f"there is no architecture {name!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
