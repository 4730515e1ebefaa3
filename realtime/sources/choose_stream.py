"""Which of a container's streams is watched."""

from typing import TYPE_CHECKING

from realtime.errors import SourceError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

ENOUGH_LINES = 480
"""Of the sizes that HLS offers, the smallest with this many lines is taken, or else the largest: more would be scaled
away."""


def choose_stream(container: "InputContainer", name: str, *, live: bool) -> "VideoStream":
    """`name`: of the source, for errors. Raises SourceError where there is none that can be decoded."""
    from av.stream import Disposition

    streams, file_format = container.streams, container.format.name
    videos = [video for video in streams.video if not video.disposition & Disposition.attached_pic]
    if not videos:
        only = ", only sound or text" if len(streams) else ""
        what = "another stream of this camera" if live else "a video that plays elsewhere"
        raise SourceError(f"{name}: no video in it{only}; give {what}")
    if file_format == "hls":
        stream = max(videos, key=lambda video: (min(video.height, ENOUGH_LINES), -video.height))
    else:
        best = streams.best("video")
        stream = next((video for video in videos if best and video.index == best.index), videos[0])
    if stream.codec_context is None or file_format == "tty":
        raise SourceError(f"{name}: nothing that decodes as video; convert it to H.264 first")
    return stream


def discard_others(container: "InputContainer", stream: "VideoStream", besides: int | None) -> None:
    """Nothing of the other streams is read. `besides`: index of one that is wanted, too."""
    from av.stream import Discard

    for other in container.streams:
        if other.index not in (stream.index, besides):
            other.discard = Discard.all
