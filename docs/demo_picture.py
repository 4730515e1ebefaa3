"""Draws docs/demo.jpg, the README's picture, from the output of a run: python docs/demo_picture.py FOLDER

FOLDER is the one of `i3d-live demo --out FOLDER`, for a clip whose action is recognised correctly. The committed
picture shows 05_default_juggle.mp4 (facebookresearch/sam2, Apache-2.0), which the demo uses if it can be fetched.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from realtime.sources.open import open_video

AT_S = (4.3, 8.2)
WIDTH_PX, GAP_PX = 1200, 8
WHITE = 255


def shown(video: Path) -> list[np.ndarray]:
    """The frames at `AT_S`, in BGR, scaled to fill the picture's width side by side."""
    width = (WIDTH_PX - GAP_PX * (len(AT_S) - 1)) // len(AT_S)
    found = []
    with open_video(video) as frames:
        for frame in frames:
            if len(found) < len(AT_S) and frame.pts >= AT_S[len(found)]:
                height = frame.rgb.shape[0] * width // frame.rgb.shape[1]
                found.append(cv2.resize(frame.rgb[:, :, ::-1], (width, height), interpolation=cv2.INTER_AREA))
    return found


def main(folder: Path) -> None:
    first, second = shown(folder / "annotated.mp4")
    between = np.full((first.shape[0], GAP_PX, 3), WHITE, np.uint8)
    row = np.concatenate((first, between, second), axis=1)
    timeline = cv2.imread(str(folder / "timeline.png"))
    height = timeline.shape[0] * row.shape[1] // timeline.shape[1]
    timeline = cv2.resize(timeline, (row.shape[1], height), interpolation=cv2.INTER_AREA)
    picture = np.concatenate((row, timeline))
    cv2.imwrite("docs/demo.jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
