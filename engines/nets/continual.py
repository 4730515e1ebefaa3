"""I3D over an endless stream: 8 new ticks in, one temporal position out, nothing computed twice.

Every layer that looks along time runs without padding on what it remembers and what is new, and remembers the last positions
that it needs again. Position by position that is the network of `engines.nets.i3d` over the whole video (anchored, or
behind blank ticks, see `engines.clips.lead_ticks`). What a layer remembers, and by how much its output trails the input,
follows from its kernel and stride alone: see `Place.after`.

    net = Continual()
    memories = net.fresh(batch=1)
    logits, *memories = net(chunk, *memories)      # position k - 8 after k chunks; below 0 there is none
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.engine import POSITION_TICKS
from engines.nets.i3d import I3D, InceptionBlock, MaxPool3dSame, Unit3D, paddings, same_padding, to_video

CROP_PX = 224


@dataclass(frozen=True)
class Place:
    """Where a layer's output stands in time."""

    stride: int = 1
    """Ticks from one position to the next."""
    lag: int = 0
    """After 8 k ticks the positions below 8 k / stride - lag are final; the others wait for ticks to come."""

    @property
    def news(self) -> int:
        """Positions that a step of 8 ticks makes final."""
        return POSITION_TICKS // self.stride

    def after(self, kernel: int, stride: int, front: int) -> tuple["Place", int]:
        """Place of the output of a layer over this input, and how many input positions the layer has to remember.

        With `front` positions of padding, output q sees the inputs q stride - front .. q stride - front + kernel - 1: it is final
        as soon as the last of them is, and at that time the first must still be remembered.
        """
        lag = -((front - kernel - self.lag) // stride) - 1
        return Place(self.stride * stride, lag), lag * stride + front - self.lag


@dataclass(frozen=True)
class Part:
    """The positions of one layer that a step computes: those that become final and, for a preview, all that follow."""

    x: Tensor
    """(N, C, positions, H, W)."""
    place: Place


class Step:
    """One pass through the layers: gives each what it remembers, and keeps what it has to remember next."""

    def __init__(self, memories: Iterator[Tensor] | None, bounds: Tensor | None, *, preview: bool) -> None:
        """`memories`: in the order of the layers, None for a fresh stream. `bounds`: see `Continual`."""
        self._memories, self._bounds, self._preview = memories, bounds, preview
        self.kept: list[Tensor] = []

    def recall(self, x: Tensor, count: int, news: int, axis: int = 2) -> Tensor:
        """`x` behind the `count` positions before it; of `x` the first `news` are final. `axis`: that of time."""
        if count == 0:
            return x
        shape = [*x.shape[:axis], count, *x.shape[axis + 1 :]]
        memory = x.new_zeros(shape) if self._memories is None else next(self._memories)
        known = torch.cat((memory, x), axis)
        self.kept.append(known.narrow(axis, news, count))
        return known

    def blank_outside(self, x: Tensor, place: Place, count: int) -> Tensor:
        """Zeros where the padded network has zeros: before the first tick of the video and after its last.

        `x` begins `count` positions before those that become final in this step. A position is inside as soon as one of
        its ticks is.
        """
        if self._bounds is None:
            return x
        begin, end = self._bounds[:, :1], self._bounds[:, 1:]
        first = -place.lag - count
        position = torch.arange(first, first + x.shape[2], device=x.device)
        inside = ((position + 1) * place.stride > begin) & (position * place.stride < end)
        return x * inside[:, None, :, None, None].to(x.dtype)

    def remembered(self, part: Part, count: int) -> Tensor:
        """The positions of `part` behind the `count` before them, as the padded network has them."""
        return self.blank_outside(self.recall(part.x, count, part.place.news), part.place, count)

    def run(self, layer: Unit3D | MaxPool3dSame, x: Tensor) -> Tensor:
        """Zeros at the sides and, for a preview, in place of the ticks to come; in front stands what is remembered."""
        *sides, _, _ = paddings(x.shape[2:], layer.kernel, layer.stride)
        behind = same_padding(layer.stride[0], layer.kernel[0], layer.stride[0])[1] if self._preview else 0
        return layer.over(x, (sides[0], sides[1], sides[2], sides[3], 0, behind))

    def ticks(self, layer: Unit3D, chunk: Tensor) -> Part:
        """The first layer, over ticks (N, T, H, W, C) that are remembered as they came."""
        place, count = after(Place(), layer)
        video = to_video(self.recall(chunk, count, POSITION_TICKS, axis=1), layer.conv3d.weight.dtype)
        return Part(self.run(layer, self.blank_outside(video, Place(), count)), place)

    def layer(self, layer: Unit3D | MaxPool3dSame, part: Part) -> Part:
        """A layer of any kernel."""
        place, count = after(part.place, layer)
        looks_along_time = layer.kernel[0] > 1
        return Part(self.run(layer, self.remembered(part, count) if looks_along_time else part.x), place)

    def block(self, block: InceptionBlock, part: Part) -> Part:
        """The 1x1 branch waits for its neighbours, which look one position ahead."""
        place, count = after(part.place, block.b3a)
        x = self.remembered(part, count)
        b3 = block.b3b(self.run(block.b3a, x))
        b0 = block.b0(x[:, :, 1 : 1 + b3.shape[2]])
        b1 = self.layer(block.b1b, Part(block.b1a(part.x), part.place)).x
        b2 = self.layer(block.b2b, Part(block.b2a(part.x), part.place)).x
        return Part(torch.cat((b0, b1, b2, b3), 1), place)


def after(place: Place, layer: Unit3D | MaxPool3dSame) -> tuple[Place, int]:
    """`Place.after` for a layer whose padding in front is that of lengths that divide by its stride."""
    kernel, stride = layer.kernel[0], layer.stride[0]
    return place.after(kernel, stride, front=same_padding(stride, kernel, stride)[0])


class Continual(I3D):
    """I3D's parameters, step by step.

    `preview`: logits of 7 positions, the one that becomes final and those up to the last tick, with zeros in place of the
    ticks to come; what is remembered is the same. `masked`: for the steps in which a video begins or ends. It takes
    `bounds`, int32 (N, 2), the first tick of the video and the tick after its last, both counted from the chunk's first:
    what lies outside counts as zero in every layer. Without it all that is remembered must lie inside, which it does after
    `MASKED_STEPS` steps.
    """

    def __init__(
        self,
        num_classes: int = 400,
        in_channels: int = 3,
        *,
        preview: bool = False,
        masked: bool = False,
        divide: int = 1,
    ) -> None:
        super().__init__(num_classes, in_channels, anchored=True, divide=divide)
        self.preview, self.masked = preview, masked

    def forward(self, chunk: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Ticks uint8 (N, 8, 224, 224, 3) or float16 (N, 8, 224, 224, 2), `bounds` if masked, memories ->
        logits (N, 1 or 7, classes), memories."""
        bounds, memories = (rest[0], rest[1:]) if self.masked else (None, rest)
        return self._step(chunk, Step(iter(memories), bounds, preview=self.preview))

    def _step(self, chunk: Tensor, step: Step) -> tuple[Tensor, ...]:
        x = step.layer(self.MaxPool3d_2a_3x3, step.ticks(self.Conv3d_1a_7x7, chunk))
        x = step.layer(self.Conv3d_2c_3x3, step.layer(self.Conv3d_2b_1x1, x))
        x = step.block(self.Mixed_3b, step.layer(self.MaxPool3d_3a_3x3, x))
        x = step.layer(self.MaxPool3d_4a_3x3, step.block(self.Mixed_3c, x))
        x = step.block(self.Mixed_4c, step.block(self.Mixed_4b, x))
        x = step.block(self.Mixed_4e, step.block(self.Mixed_4d, x))
        x = step.layer(self.MaxPool3d_5a_2x2, step.block(self.Mixed_4f, x))
        x = step.block(self.Mixed_5c, step.block(self.Mixed_5b, x))
        _, count = x.place.after(kernel=2, stride=1, front=0)
        logits: Tensor = self.logits(self.avg_pool(step.remembered(x, count)))
        return logits.flatten(2).transpose(1, 2), *step.kept

    def fresh(self, batch: int = 1, crop_px: int = CROP_PX) -> list[Tensor]:
        """What a stream remembers before its first tick: zeros, whose shapes a dry run of the layers tells."""
        weight = self.Conv3d_1a_7x7.conv3d.weight
        shape = (batch, POSITION_TICKS, crop_px, crop_px, weight.shape[1])
        chunk = torch.empty(
            shape, dtype=torch.uint8 if weight.shape[1] == 3 else torch.float16, device="meta"
        )
        with torch.no_grad():
            _, *memories = copy.deepcopy(self).to("meta")._step(chunk, Step(None, None, preview=False))
        return [torch.zeros(memory.shape, dtype=memory.dtype, device=weight.device) for memory in memories]


class ChannelsLast(nn.Module):
    """A `Continual` whose memories come and go as (N, T, H, W, C): so processors keep them, and nothing is copied."""

    def __init__(self, net: Continual) -> None:
        super().__init__()
        self.net = net

    def forward(self, chunk: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """As `Continual.forward`. The first memory is ticks, which are so already."""
        plain, memories = (rest[:2], rest[2:]) if self.net.masked else (rest[:1], rest[1:])
        logits, ticks, *kept = self.net(chunk, *plain, *(m.permute(0, 4, 1, 2, 3) for m in memories))
        return logits, ticks, *(m.permute(0, 2, 3, 4, 1) for m in kept)

    def example(self, crop_px: int = CROP_PX) -> tuple[Tensor, ...]:
        """A first step of one stream: what `forward` takes."""
        ticks, *memories = self.net.fresh(1, crop_px)
        chunk = torch.zeros((1, POSITION_TICKS, *ticks.shape[2:]), dtype=ticks.dtype)
        bounds = [torch.tensor([[0, POSITION_TICKS]], dtype=torch.int32)] if self.net.masked else []
        return chunk, *bounds, ticks, *(m.permute(0, 2, 3, 4, 1).contiguous() for m in memories)
