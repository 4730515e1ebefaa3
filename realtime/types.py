"""The values that flow from stage to stage. All are frozen; media time is exact (`Fraction` seconds)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from realtime.pixels import Image as Image
from realtime.pixels import Orientation as Orientation
from realtime.pixels import Pixels

FlowRegion = Literal["square", "frame"]
"""Flow of the central square of a resized frame, or of all of it, as in the paper's release; the network sees its
centre."""
T = TypeVar("T")


Box = tuple[float, float, float, float]
"""x, y, width, height in px, of a picture whose top left corner is (0, 0)."""


class Submit(Protocol):
    """Runs a call on another thread while the caller goes on; `realtime.worker_threads.submit` is one."""

    def __call__(self, call: Callable[..., T], /, *arguments: Any) -> Callable[[], T]:
        """Returns a function that blocks until the result is ready; may be called repeatedly; re-raises."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of the source."""

    pixels: Image | Pixels
    """uint8 (H, W, 3), R G B, upright; or what makes that when it is asked for."""
    pts: Fraction
    """Seconds since the first frame of the source; never decreases."""
    duration: Fraction
    """Seconds for which the picture is meant to be shown; positive."""
    after_gap: bool = False
    """True where frames before this one are known or likely to be missing (reconnect, damage, `stamps_jump`)."""
    taken_s: float | None = None
    """`time.monotonic()` when the frame was read; only `realtime.reader_threads` and the page use it."""
    dropped_before: int = 0
    """Frames read but dropped between the previous frame and this one, because the recogniser is too slow."""
    stamps_jump: bool = False
    """True where the source's time stamps start over: the time since the previous frame is unknown."""
    turn: Orientation | None = None
    """What put the picture upright; None where it is as the source has it."""
    pixel_aspect: Fraction = Fraction(1)
    """Width over height of a pixel of the source; here pixels are square."""
    packet: object = None
    """Where the packet that it was decoded from is kept (`realtime.sources.packets.Kept`); None where none is."""

    def __post_init__(self) -> None:
        given = self.pixels
        if isinstance(given, np.ndarray) and (given.shape[2:] != (3,) or given.dtype != np.uint8):
            raise ValueError(f"Frame.pixels must be uint8 (H, W, 3), got {given.dtype} {given.shape}")
        if self.duration <= 0:
            raise ValueError(f"Frame.duration must be positive, got {self.duration}")

    def __repr__(self) -> str:
        height, width = self.size_px
        return f"Frame({width}x{height}, pts={float(self.pts):.3f} s)"

    @property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), R G B, upright. Made at the first call, which takes a while for a large picture."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.rgb

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of `rgb`, which is not made for that."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Picture:
    """What has to be known of a frame to say where something is in it."""

    size_px: tuple[int, int]
    """Height and width, upright and with square pixels."""
    turn: Orientation | None = None
    pixel_aspect: Fraction = Fraction(1)
    """Both as in `Frame`."""

    @property
    def stored_px(self) -> tuple[int, int]:
        """Width and height as the source stores it."""
        height, width = self.size_px
        if self.turn is not None and self.turn.transposed:
            width, height = height, width
        return round(width / self.pixel_aspect), height


@dataclass(frozen=True, eq=False)
class Tick:
    """One beat of the model's clock and the frame that is shown at it."""

    index: int
    """Number of the tick; its time is index / fps seconds."""
    frame: Frame
    repeated: bool
    """True when the tick before shows the same frame."""
    resized: Mapping[Any, Sequence[Image]] = field(default_factory=dict)
    """Of a tick that waited: its views, resized, by the part of the picture; the pixels of its frame are blank then."""

    def __repr__(self) -> str:
        return f"Tick({self.index}, {self.frame!r}{', repeated' if self.repeated else ''})"


@dataclass(frozen=True, eq=False)
class ResizedTick:
    """A tick and a view of its frame, resized for cropping."""

    tick: Tick
    image: Image
    """uint8 (H, W, 3), its shorter side `StreamSpec.short_side_px` long."""


@dataclass(frozen=True)
class Gap:
    """A stretch of media time without frames. No prediction spans one."""

    start: Fraction
    """Seconds: end of the last frame before it."""
    end: Fraction
    """Seconds: first frame after it."""
    cause: str
    """"no frames": none came for too long. "frames lost": the source knows that it missed some (reconnect, damage).
    "time stamps jump": a clock was set, or recordings were joined; how much is missing is unknown.
    "frames dropped": they arrived, but the recogniser was too slow for them. "zone moved": only of a zone, which
    starts over at its new place."""
    zone: str | None = None
    """Name of the zone that it is about; None for the whole source."""


@dataclass(frozen=True)
class Idle:
    """The recogniser rests from here on because nothing moves, or works again. No prediction spans the time between."""

    resting: bool
    since: Fraction
    """Seconds. Resting: nothing has moved since then. Working again: every tick since then is looked at."""
    at: Fraction
    """Seconds: the tick at which this was decided. Resting: the first that is not looked at for now. Working again: the
    one at which something moved, or the end of the section."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The recogniser's result for one span of media time."""

    start_tick: int
    stop_tick: int
    """It covers the ticks [start_tick, stop_tick)."""
    start_s: float
    end_s: float
    """Seconds of media time, start_tick / fps and stop_tick / fps."""
    probabilities: NDArray[np.float32]
    """float32 (classes,), sums to 1."""
    top: tuple[tuple[str, float], ...]
    """The five likeliest labels with their probabilities, likeliest first."""
    streams: tuple[str, ...]
    """Streams that were fused: "rgb", "flow"."""
    mode: str
    """Mode of the engine: "window", "continual", "preview"."""
    settled: bool = True
    """False for a provisional prediction that a later one will replace."""
    dropped_frames: int = 0
    """Dropped frames within what it saw; the frame before each was repeated in its place."""
    by_stream: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    """The same as `top` for each stream alone."""
    where: Box | None = None
    """Where the likeliest action is, in px of the source as it stores its pictures; None where no part of the picture
    speaks for it."""
    heat: NDArray[np.float32] | None = None
    """What the likeliest label scores in each cell, float32 (7, 7), or (7, 21) for the three views of a full picture;
    its mean is the logit. None where nobody asked."""
    actions: "tuple[Action, ...] | None" = None
    """All actions in the picture, likeliest first; empty where nothing known goes on, None where nobody asked."""
    zone: str | None = None
    """Name of the zone that it is about; None for the whole picture."""

    @property
    def label(self) -> str:
        return self.top[0][0]

    @property
    def probability(self) -> float:
        return self.top[0][1]

    def __repr__(self) -> str:
        return f"Prediction({self.start_s:.2f}-{self.end_s:.2f} s, {self.label} {self.probability:.2f})"


@dataclass(frozen=True)
class Action:
    """One of several actions in a picture."""

    label: str
    probability: float
    """Of this label in its part of the picture."""
    where: Box | None
    """As `Prediction.where`."""
    id: int | None
    """The same for as long as it goes on; None for one that is provisional and may not begin."""


@dataclass(frozen=True)
class Event:
    """One action from its start to its end."""

    label: str
    start_s: float
    end_s: float
    """Seconds of media time, [start_s, end_s)."""
    probability: float
    """Mean over the predictions in it."""
    where: Box | None = None
    """As `Prediction.where`: the mean of each edge over the predictions in it that lead with this label."""
    id: int | None = None
    """Of one of several actions: as `Action.id`. None for an event of the whole picture or of a zone."""
    zone: str | None = None
    """As `Prediction.zone`."""


@dataclass(frozen=True)
class Figures:
    """Counts and times of a source so far: computed once, read by the summary, Prometheus, health reports and the page.

    The defaults are those of a source that is not open yet.
    """

    frames: int = 0
    """Decoded."""
    used: int = 0
    """Frames that a prediction could see."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Frames that no prediction could see, by cause. After the end these and `used` add up to `frames`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Frames, predictions and messages that an output was too slow for, by the option that asked for it; only those
    above zero. The recogniser saw the frames."""
    corrupt_packets: int = 0
    ticks: int = 0
    repeated_ticks: int = 0
    steps: int = 0
    """Windows, or chunks of 8 ticks."""
    predictions: int = 0
    events: int = 0
    gaps: int = 0
    idle_ticks: int = 0
    """Ticks that were not looked at because nothing moved."""
    resting_since_s: float | None = None
    """Media seconds since which nothing has moved, while the recogniser rests; None while it works."""
    reconnects: int = 0
    level_steps: Mapping[str, int] = field(default_factory=dict)
    """How often the pace changed to each level."""
    stage_s: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds by stage."""
    busy_s: float = 0.0
    """Wall-clock seconds for which the recogniser worked on frames."""
    media_s: float = 0.0
    """Media seconds up to the end of the newest frame."""
    wall_s: float = 0.0
    """Wall-clock seconds since the session was created."""
    flow: Mapping[str, object] | None = None
    """Statistics of the flow, as in the log; None without a flow stream."""
    waiting: int = 0
    """Frames in the mailbox."""
    lag_s: float = 0.0
    """How long the last frame had waited."""
    level: str = "all"
    """Name of the level of work."""
    steps_down: int = 0
    """How many steps that level is below the top."""
    lost: str | None = None
    """Why the source is currently lost; None while it is connected."""
    last_frame_s: float = 0.0
    """`time.monotonic()` when the newest frame was pushed."""
    ended: str | None = None
    """Why it ended; None while it runs."""
    failed: bool = False
    """Whether it ended because of an error."""


def of_whole(item: object) -> bool:
    """Whether it does not speak of a part of the picture alone: of a zone, or of one of several actions."""
    if isinstance(item, Prediction | Gap):
        return item.zone is None
    return not isinstance(item, Event) or (item.zone is None and item.id is None)
