"""Draws docs/demo.jpg, the README's picture, from what `make demo` left: python docs/demo_picture.py"""

from pathlib import Path

import cv2
import numpy as np

from realtime.sources.open import open_video

AT_S = 5.6
WIDTH_PX = 1200
OUT = Path("demo-out")


def main() -> None:
    with open_video(OUT / "annotated.mp4") as video:
        frame = next(frame.rgb for frame in video if frame.pts >= AT_S)
    height = frame.shape[0] * WIDTH_PX // frame.shape[1]
    shown = cv2.resize(frame[:, :, ::-1], (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    timeline = cv2.imread(str(OUT / "timeline.png"))
    timeline = cv2.resize(timeline, (WIDTH_PX, timeline.shape[0] * WIDTH_PX // timeline.shape[1]))
    both = np.concatenate((shown, timeline))
    cv2.imwrite("docs/demo.jpg", both, [cv2.IMWRITE_JPEG_QUALITY, 80])


if __name__ == "__main__":
    main()
