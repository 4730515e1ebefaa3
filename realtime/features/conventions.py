"""What a row of features stands for, by the conventions of the programs that read them.

Each preset is written for a public reader; `docs/features.md` quotes it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from engines.engine import POSITION_TICKS
from engines.spec import RGB

Layout = Literal["rows", "columns"]
Crops = Literal[1, 5, 10]
NumberType = Literal["float32", "float16"]
MODEL_FPS = RGB.fps


@dataclass(frozen=True)
class Convention:
    """Which rows there are, and how they are stored. The defaults are those of `dense`."""

    clip: int | None = None
    """Ticks that a row looks at, and at no others; None for continual rows, which see all of the video before them and
    a little after."""
    stride: int = POSITION_TICKS
    """Ticks from one row to the next."""
    fps: Fraction | None = MODEL_FPS
    """Ticks a second, by time stamp; None for the video's own frames, whatever their rate."""
    crops: Crops = 1
    """1: the centre. 5: the corners and the centre. 10: also those of the mirrored picture."""
    centred: bool = False
    """A row for each tick, which is in the middle of its clip; the first and the last tick are repeated where the clip
    reaches beyond the video."""
    layout: Layout = "rows"
    """"rows": (rows, numbers). "columns": (numbers, rows)."""
    separate: bool = False
    """A file for each stream, instead of RGB and flow side by side in one."""
    dtype: NumberType = "float32"

    @property
    def padding(self) -> str:
        """What is in place of the ticks that a row would need and the video does not have."""
        if self.clip is None:
            return "zeros before the first tick and after the last"
        if self.centred:
            return "the first and the last tick repeated"
        return "none: a row is given only where the video fills its clip"


OWN_RATE = None
PRESETS: dict[str, Convention] = {
    "dense": Convention(),
    "thumos": Convention(16, 4, OWN_RATE),
    "activitynet": Convention(16, 16),
    "video-features": Convention(64, 64, OWN_RATE, separate=True),
    "captioning": Convention(24, 24, separate=True),
    "anomaly": Convention(16, 16, OWN_RATE, crops=10),
    "segmentation": Convention(21, 1, OWN_RATE, centred=True, layout="columns"),
}
