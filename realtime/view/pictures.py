"""What a page sees of a source, and records: made on threads of its own, so that no frame waits for a picture."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.flow.colour import flow_picture
from realtime.outputs.queued import Calls, Limit, Queued, rgb_bytes
from realtime.pictures import to_jpeg
from realtime.types import Frame
from realtime.view.latest_value import Latest
from realtime.view.recorder import Recorder

WIDEST_PX = 1280
"""Pictures for the page are scaled down to this."""
JPEG_QUALITY = 82
FULL_COLOUR_PX = 8.0
"""Motion in px a tick that is shown in full colour; a fixed scale, so that slow and fast motion look different."""
NEWEST = (
    Limit(lambda item: isinstance(item, Frame), 1),
    Limit(lambda item: isinstance(item, np.ndarray), 1),
)

EVERY = (Limit(lambda item: isinstance(item, Frame), 1000, 64e6, rgb_bytes),)


class Pictures:
    """JPEGs of the newest frame and flow, where somebody watches, and every frame for a recorder. A context manager."""

    def __init__(
        self,
        picture: Latest[bytes],
        flow: Latest[bytes],
        recorder: Callable[[], Recorder | None],
        *,
        live: bool,
    ) -> None:
        """`picture`, `flow`: where they are published. `recorder`: the one that records now. `live`: a recorder that is
        late misses frames; else it is waited for."""
        self._picture, self._flow, self._recorder = picture, flow, recorder
        self._shown = Queued("page", lambda: Calls(self._publish), wait=False, limits=NEWEST)
        self._recorded = Queued("--record", lambda: Calls(self._record), wait=not live, limits=EVERY)

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(self, *exception: object) -> None:
        self._shown.close()
        self._recorded.close()

    def show(self, frame: Frame) -> None:
        """From the reader's thread, so that pictures continue while an engine works."""
        if self._recorder() is not None:
            self._recorded.push(frame)
        if self._picture.watched:
            self._shown.push(frame)

    def show_flow(self, field: NDArray[np.float32]) -> None:
        """float32 (2, H, W), px a tick."""
        if self._flow.watched:
            self._shown.push(field.copy())

    def left_out(self) -> dict[str, int]:
        """Pictures and frames that were too many, by who missed them."""
        return {queue.name: queue.left_out.total() for queue in (self._shown, self._recorded)}

    def _publish(self, item: Any) -> None:
        if isinstance(item, Frame):
            self._picture.publish(to_jpeg(item.rgb, WIDEST_PX, JPEG_QUALITY))
        else:
            self._flow.publish(to_jpeg(flow_picture(item, FULL_COLOUR_PX), WIDEST_PX, JPEG_QUALITY))

    def _record(self, frame: Frame) -> None:
        recorder = self._recorder()
        if recorder is not None:
            recorder.frame(frame)
