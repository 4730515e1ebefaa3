"""Options that several commands share, and what they make together."""

from contextlib import suppress
from enum import StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engines.errors import NoClip
from engines.load import Engines, load_engines
from engines.spec import DEFAULT_MODE, Modality, Mode
from realtime.commands.progress import waiting

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ModeName(StrEnum):
    window = "window"
    continual = "continual"
    preview = "preview"


DEFAULT_MODE_NAME = ModeName(DEFAULT_MODE)


class StreamsName(StrEnum):
    auto = "auto"
    rgb = "rgb"
    flow = "flow"
    both = "both"


class LayersName(StrEnum):
    last = "last"
    all = "all"


class FlowName(StrEnum):
    tvl1 = "tvl1"
    tvl1_cuda = "tvl1-cuda"
    opencv_tvl1 = "opencv-tvl1"
    dis = "dis"


class FlowRegion(StrEnum):
    square = "square"
    frame = "frame"


class RtspTransport(StrEnum):
    tcp = "tcp"
    udp = "udp"


def model_names() -> list[str]:
    """For the shell's completion."""
    from engines.weights.public_sets import PUBLIC
    from engines.weights.store import stored_names

    return sorted({*PUBLIC, *stored_names()})


def backend_names() -> list[str]:
    """For the shell's completion."""
    from engines.backends.registry import REGISTRY

    return ["auto", *REGISTRY]


def precision_names() -> list[str]:
    """For the shell's completion."""
    from engines.check import TOLERANCE

    return list(TOLERANCE)


ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        autocompletion=model_names,
        help="Weights to use, see i3d-live weights list; default: the best that are here, else that can be fetched.",
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        autocompletion=backend_names,
        help="auto, or a name that i3d-live info shows.",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="NAME",
        autocompletion=precision_names,
        help="float32, bfloat16, float16, int8; default: what is best here.",
    ),
]
ModeOption = Annotated[
    ModeName,
    typer.Option(
        "--mode",
        help="The paper's window; the same at an eighth of the work; or reacting fast.",
    ),
]
StreamsOption = Annotated[
    StreamsName, typer.Option("--streams", help="Streams to run; auto: those with weights.")
]
FlowOption = Annotated[FlowName, typer.Option("--flow", help="How flow is computed.")]
FlowRegionOption = Annotated[
    FlowRegion, typer.Option(help="Flow of the central square, or of the frame as in the paper's release.")
]
SquarePixelsOption = Annotated[
    bool, typer.Option("--square-pixels/--keep-pixels", help="Stretch non-square pixels to square ones.")
]
ImageFpsOption = Annotated[
    str | None,
    typer.Option("--fps", metavar="RATE", help="Rate of a folder of images, such as 25 or 30000/1001."),
]


def rate(text: str | None) -> Fraction | None:
    """ "25", "29.97" or "30000/1001" as a fraction."""
    if text is None:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise typer.BadParameter(
            f"{text!r} is not a rate; give frames a second, such as 25 or 30000/1001", param_hint="--fps"
        )
    return value


def engines_for(
    model: str | None,
    backend: str,
    precision: str | None,
    mode: Mode,
    streams: StreamsName,
    *,
    at_once: bool = False,
) -> Engines:
    """Engines from the cache, or fetched and built while a spinner turns. `at_once`: for a recogniser with `beside`."""
    from engines.backends.registry import choose_backend
    from realtime.commands import weights

    choose_backend(backend)  # what cannot run is not worth a download
    model = weights.chosen_model(model, streams)
    load = partial(load_engines, model, backend, precision, mode, streams.value, at_once=at_once)
    with waiting("Loading the engine; the first time it is built, which takes up to a minute"):
        with suppress(NoClip):
            return load()
        return load(clips=calibration_clips(model, None, streams))


def calibration_clips(model: str, clip: Path | None, streams: StreamsName) -> "dict[Modality, NDArray[Any]]":
    """Ticks (N, 224, 224, C) of a real clip, by default the demo's, for each stream of the model that would run."""
    import numpy as np

    from engines.load import choose_streams
    from engines.weights.fetch import demo_clip, load_spec
    from realtime.offline import clip_inputs
    from realtime.sources.open import open_video

    path = clip or demo_clip()
    ticks = {}
    for modality in choose_streams(model, streams.value)[0]:
        with open_video(path) as video:
            ticks[modality] = np.stack(list(clip_inputs(video, load_spec(model, modality))))
    return ticks
