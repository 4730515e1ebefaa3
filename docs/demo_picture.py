"""Draws docs/demo.jpg, the README's picture: two clips side by side, and both actions named.

    python docs/demo_picture.py LEFT=LABEL RIGHT=LABEL

LEFT and RIGHT are video files and LABEL is what is done in each. The two run as one video through `continual` with
`--several --region full`, as they would through `i3d-live run`. Of the moments at which exactly these two labels are
seen, settled, the surest is drawn, at the end of the time that it speaks of; in a live view it comes two seconds later.
The committed picture shows clean_and_jerk.mp4 (open-mmlab/mmskeleton, Apache-2.0)
and default_juggle.mp4 (facebookresearch/sam2, Apache-2.0), with the weights `kinetics`.
"""

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from engines import load_engines
from realtime.outputs.annotated_video import Annotator
from realtime.recognizer import Output, Recognizer
from realtime.sources.open import open_video
from realtime.types import Frame, Image, Prediction

MODEL, WIDTH_PX, FPS, JPEG_QUALITY = "kinetics", 1200, 25, 88


def half(video: Path, width_px: int) -> Iterator[Image]:
    """The picture that the video shows at each 1/25 s, `width_px` wide, to its end."""
    with open_video(video) as frames:
        ticks = 0
        for frame in frames:
            height = frame.rgb.shape[0] * width_px // frame.rgb.shape[1]
            small = np.asarray(
                cv2.resize(frame.rgb, (width_px, height), interpolation=cv2.INTER_AREA), np.uint8
            )
            while Fraction(ticks, FPS) < frame.pts + frame.duration:
                yield small
                ticks += 1


def side_by_side(videos: list[Path]) -> Iterator[Frame]:
    """Both videos as one, until the shorter one ends."""
    halves = [half(video, WIDTH_PX // 2) for video in videos]
    for number, both in enumerate(zip(*halves, strict=False)):
        height = min(len(picture) for picture in both)
        rgb = np.concatenate([picture[:height] for picture in both], axis=1)
        yield Frame(rgb, Fraction(number, FPS), Fraction(1, FPS))


def surest(outputs: list[Output], labels: list[str]) -> Prediction:
    """The prediction whose less probable label is the most probable, of those with exactly these labels."""
    found = [
        item
        for item in outputs
        if isinstance(item, Prediction)
        and item.settled
        and sorted(action.label for action in item.actions or ()) == sorted(labels)
    ]
    return max(found, key=lambda item: min(action.probability for action in item.actions or ()))


class Kept:
    """A writer that keeps the first picture from a time on."""

    def __init__(self, from_s: float) -> None:
        self._from_s = from_s
        self.picture: Image | None = None

    def write(self, rgb: Image, pts: Fraction) -> None:
        if self.picture is None and pts >= self._from_s:
            self.picture = rgb

    def close(self) -> None:
        """Nothing is open."""


def main(given: list[str]) -> None:
    named = [text.rpartition("=") for text in given]
    frames = list(side_by_side([Path(path) for path, _, _ in named]))
    recognizer = Recognizer(load_engines(MODEL, mode="continual").by_stream, several=True, region="full")
    outputs = [item for frame in frames for item in recognizer.push(frame)]
    chosen = surest(outputs, [label for *_, label in named])
    kept = Kept(chosen.end_s)
    annotator = Annotator(kept, caption=f"{' + '.join(recognizer.streams)}, weights: {MODEL}")
    for item in (*outputs, *frames):
        annotator.push(item)
    annotator.close()
    assert kept.picture is not None
    bgr = np.ascontiguousarray(kept.picture[:, :, ::-1])
    cv2.imwrite("docs/demo.jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    print(f"docs/demo.jpg: at {chosen.end_s:.2f} s, {chosen.actions}")


if __name__ == "__main__":
    main(sys.argv[1:])
