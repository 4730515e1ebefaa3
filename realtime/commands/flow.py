"""`i3d-live flow`: the flow stream's input, as a video."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engines.spec import FLOW
from realtime.commands.options import FlowOptions
from realtime.commands.progress import waiting
from realtime.flow.colour import flow_picture
from realtime.flow.methods import Field
from realtime.flow.stage import FlowStage
from realtime.offline import ticks_of
from realtime.outputs.apart import check_apart
from realtime.outputs.video_file import VideoWriter
from realtime.pictures import centre_crop, resize_short_side
from realtime.sources.open import open_video
from realtime.types import Image, ResizedTick

FULL_PX = 8.0
"""Motion in px a tick that is shown in full colour; people seldom move faster in a frame of 256 px."""


def flow(
    source: Annotated[str, typer.Argument(metavar="IN", help="Video file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Video to write (MP4).")],
    options: FlowOptions = FlowOptions(),
) -> None:
    """Show the motion in a video: frame and flow side by side, direction as hue and speed as strength of the colour."""
    check_apart([source], {"OUT": out})
    side = FLOW.short_side_px
    stage = FlowStage(FLOW.fps, options.method, side_px=side, region=options.flow_region)
    pictures: dict[int, Image] = {}
    with open_video(source) as video, waiting(f"Writing {out}"):
        writer: VideoWriter | None = None
        try:
            for tick in ticks_of(video, FLOW.fps):
                resized = resize_short_side(tick.frame.rgb, side)
                pictures[tick.index] = (
                    resized if options.flow_region == "frame" else centre_crop(resized, side, side)
                )
                writer = write_fields(stage.push(ResizedTick(tick, resized)), pictures, writer, out)
            writer = write_fields(stage.flush(), pictures, writer, out)
        finally:
            if writer is not None:
                writer.close()
    report = stage.health.report()
    print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in report.items()), file=sys.stderr)


def write_fields(
    fields: list[tuple[int, Field]], pictures: dict[int, Image], writer: VideoWriter | None, out: Path
) -> VideoWriter | None:
    """Write the ticks whose field is known next to their pictures, and drop those; the first one opens the file."""
    for index, field in fields:
        both = np.concatenate((pictures.pop(index), flow_picture(field, FULL_PX)), axis=1)
        if writer is None:
            writer = VideoWriter(out, (both.shape[1], both.shape[0]))
        writer.write(both, index / FLOW.fps)
    return writer
