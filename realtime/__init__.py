"""The stream: everything that has to do with time.

    from engines import load_engines
    from realtime import Recognizer, open_video, stream

    engines = load_engines("kinetics")
    with open_video("video.mp4") as video:
        for prediction in stream(video, Recognizer(engines.by_stream)):
            print(prediction)

`outputs` gives events and gaps too, `watch` calls a function with each, and `keep_open` is `open_video` for cameras:
it opens them again whenever they are lost.

Names are imported when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from realtime.library import outputs, stream, watch
    from realtime.recognizer import Recognizer
    from realtime.sources.open import open_video
    from realtime.sources.reconnect import keep_open
    from realtime.stages.events import EventOptions
    from realtime.types import Event, Frame, Gap, Prediction, Tick
    from realtime.zones import Zone

_HOME = {
    "Event": "realtime.types",
    "EventOptions": "realtime.stages.events",
    "Frame": "realtime.types",
    "Gap": "realtime.types",
    "Prediction": "realtime.types",
    "Recognizer": "realtime.recognizer",
    "Tick": "realtime.types",
    "Zone": "realtime.zones",
    "keep_open": "realtime.sources.reconnect",
    "open_video": "realtime.sources.open",
    "outputs": "realtime.library",
    "stream": "realtime.library",
    "watch": "realtime.library",
}

__all__ = [
    "Event",
    "EventOptions",
    "Frame",
    "Gap",
    "Prediction",
    "Recognizer",
    "Tick",
    "Zone",
    "keep_open",
    "open_video",
    "outputs",
    "stream",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'realtime' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
